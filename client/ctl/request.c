/* SPDX-License-Identifier: MIT */
#include "request.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "asupersync/values.h"

#include "wire_json.h"

const char *
request_region(const struct ctl *ctl)
{
    const char *region = args_value(&ctl->args, OPTION_IN);

    if (region == NULL)
        region = getenv("ASUPERSYNC_REGION");
    return region != NULL && region[0] != '\0' ? region : "/";
}

void
request_parent(const struct ctl *ctl, json_t *args)
{
    const char *region = request_region(ctl);

    if (strcmp(region, "/") != 0 || args_value(&ctl->args, OPTION_IN) != NULL)
        json_object_set_new(args, "parent", json_string_nocheck(region));
}

void
request_look(const struct ctl *ctl, json_t *args)
{
    if (ctl->args.operand_count > 0)
        json_object_set_new(args, "region", json_string_nocheck(ctl->args.operands[0]));
}

/* ---- Numbers ------------------------------------------------------------------- */

static void
put_number(json_t *object, const char *key, uint64_t number)
{
    json_object_set_new(object, key, json_integer((json_int_t)number));
}

int
request_duration(struct ctl *ctl, json_t *object, enum option_id id, const char *key)
{
    const char *value = args_value(&ctl->args, id);
    uint64_t ns;

    if (value == NULL)
        return 0;
    if (!parse_duration(value, &ns))
        return ctl_bad_value(ctl, id, value, DURATION_FORMS);
    if (ns <= INT64_MAX) /* beyond: without end, as if not given */
        put_number(object, key, ns);
    return 0;
}

int
request_number(struct ctl *ctl, json_t *object, enum option_id id, const char *key, uint64_t low,
               uint64_t high)
{
    const char *value = args_value(&ctl->args, id);
    uint64_t number;
    char accepted[96];

    if (value == NULL)
        return 0;
    snprintf(accepted, sizeof accepted, "a whole number from %llu to %llu", (unsigned long long)low,
             (unsigned long long)high);
    if (!parse_number(value, low, high, &number))
        return ctl_bad_value(ctl, id, value, accepted);
    put_number(object, key, number);
    return 0;
}

static int
request_size(struct ctl *ctl, json_t *object, enum option_id id, const char *key)
{
    const char *value = args_value(&ctl->args, id);
    uint64_t size;

    if (value == NULL)
        return 0;
    if (!parse_size(value, &size) || size == 0 || size > INT64_MAX)
        return ctl_bad_value(ctl, id, value, SIZE_FORMS);
    put_number(object, key, size);
    return 0;
}

/* ---- Budgets ---------------------------------------------------------------------- */

int
request_budget(struct ctl *ctl, json_t *object)
{
    const char *deadline = args_value(&ctl->args, OPTION_DEADLINE);
    json_t *budget = json_object();
    uint64_t wall_ns;
    int rc = request_duration(ctl, budget, OPTION_TIMEOUT, "timeout_ns");

    if (rc == 0)
        rc = request_number(ctl, budget, OPTION_POLLS, "polls", 0, UINT32_MAX - 1);
    if (rc == 0)
        rc = request_number(ctl, budget, OPTION_COST, "cost", 0, INT64_MAX);
    if (rc == 0)
        rc = request_number(ctl, budget, OPTION_PRIORITY, "priority", 1, 255);
    if (rc == 0 && deadline != NULL) {
        if (parse_instant(deadline, now_wall_ns(), &wall_ns) && wall_ns <= INT64_MAX)
            put_number(budget, "deadline_wall_ns", wall_ns);
        else
            rc = ctl_bad_value(ctl, OPTION_DEADLINE, deadline, INSTANT_FORMS);
    }
    if (rc == 0 && json_object_size(budget) > 0)
        json_object_set(object, "budget", budget);
    json_decref(budget);
    return rc;
}

/* ---- Environment ---------------------------------------------------------------------- */

/* Variables that speak of one process and would mislead its child. */
static bool
variable_is_personal(const char *name, size_t size)
{
    static const char *const personal[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                           "LISTEN_FDS",    "LISTEN_PID",    "LISTEN_FDNAMES"};

    for (size_t i = 0; i < sizeof personal / sizeof personal[0]; i++) {
        if (strlen(personal[i]) == size && memcmp(personal[i], name, size) == 0)
            return true;
    }
    return false;
}

static void
put_variable(json_t *env, const char *assignment)
{
    size_t size = strcspn(assignment, "=");
    const char *value = assignment + size + (assignment[size] == '=');
    char *name = must_copy(assignment);

    name[size] = '\0';
    json_object_set_new_nocheck(env, name, json_string_nocheck(value));
    free(name);
}

static int
request_environment(struct ctl *ctl, json_t *object, enum environment environment)
{
    const struct args *args = &ctl->args;
    bool other_user = args_value(args, OPTION_AS) != NULL;
    json_t *env = json_object();
    int rc = 0;

    if (args_have(args, OPTION_KEEP_ENV))
        environment = ENVIRONMENT_OWN;
    if (args_have(args, OPTION_CLEAR_ENV))
        environment = ENVIRONMENT_CLEAN;
    if (environment == ENVIRONMENT_OWN) {
        for (char **at = environ; *at != NULL; at++) {
            size_t size = strcspn(*at, "=");
            /* Another user has another home: those come from the daemon. */
            bool home = strncmp(*at, "HOME=", 5) == 0 || strncmp(*at, "USER=", 5) == 0 ||
                        strncmp(*at, "LOGNAME=", 8) == 0 || strncmp(*at, "SHELL=", 6) == 0;
            if (size > 0 && !variable_is_personal(*at, size) && !(other_user && home))
                put_variable(env, *at);
        }
        if (args_have(args, OPTION_CWD))
            json_object_del(env, "PWD");
    }
    /* All of one's own is the whole environment, without the daemon's defaults. */
    if (args_have(args, OPTION_CLEAR_ENV) || (environment == ENVIRONMENT_OWN && !other_user))
        json_object_set_new(object, "clear_env", json_true());
    for (size_t i = 0; i < args->count && rc == 0; i++) {
        const char *value = args->items[i].value;
        if (args->items[i].id != OPTION_ENV)
            continue;
        size_t size = strcspn(value, "=");
        if (size == 0) {
            rc = ctl_bad_value(ctl, OPTION_ENV, value, "NAME=VALUE, or NAME for the current value");
        } else if (value[size] == '=') {
            put_variable(env, value);
        } else if (getenv(value) != NULL) {
            json_object_set_new_nocheck(env, value, json_string_nocheck(getenv(value)));
        } else {
            rc = ctl_bad_value(ctl, OPTION_ENV, value,
                               "NAME=VALUE, or a NAME that is set here (this one is not)");
        }
    }
    if (rc == 0 && json_object_size(env) > 0)
        json_object_set(object, "env", env);
    json_decref(env);
    return rc;
}

/* ---- Where it runs ----------------------------------------------------------------------- */

/* --cwd from here, else here; another user starts at home, as this directory
 * may be closed to them. */
static int
request_directory(struct ctl *ctl, json_t *object)
{
    const char *given = args_value(&ctl->args, OPTION_CWD);
    char *here = NULL;
    struct text path = {0};

    if (given == NULL && args_value(&ctl->args, OPTION_AS) != NULL)
        return 0;
    if (given == NULL || given[0] != '/') {
        here = getcwd(NULL, 0);
        if (here == NULL)
            return ctl_failf(ctl, -ASUP_EINVALID, "name one that exists with --cwd",
                             "the current directory cannot be told: %s", strerror(errno));
    }
    if (given == NULL)
        text_add(&path, here);
    else if (given[0] == '/')
        text_add(&path, given);
    else
        text_addf(&path, "%s/%s", here, given);
    json_object_set_new(object, "cwd", json_string_nocheck(path.data));
    text_free(&path);
    free(here);
    return 0;
}

static int
request_umask(struct ctl *ctl, json_t *object, enum environment environment)
{
    const char *value = args_value(&ctl->args, OPTION_UMASK);

    if (value != NULL) {
        char *end = NULL;
        errno = 0;
        long mask = isdigit((unsigned char)value[0]) ? strtol(value, &end, 8) : -1;
        if (errno != 0 || mask < 0 || mask > 0777 || *end != '\0')
            return ctl_bad_value(ctl, OPTION_UMASK, value, "octal from 0 to 777: 022, 077");
        put_number(object, "umask", (uint64_t)mask);
    } else if (environment == ENVIRONMENT_OWN) {
        mode_t mask = umask(0);
        umask(mask);
        put_number(object, "umask", mask);
    }
    return 0;
}

static int
request_nice(struct ctl *ctl, json_t *object, enum environment environment)
{
    const char *value = args_value(&ctl->args, OPTION_NICE);
    uint64_t number = 0;

    if (value != NULL) {
        bool below = value[0] == '-';
        const char *digits = value + (below || value[0] == '+' ? 1 : 0);
        if (!parse_number(digits, 0, below ? 20 : 19, &number))
            return ctl_bad_value(ctl, OPTION_NICE, value, "a whole number from -20 to 19");
        json_object_set_new(object, "nice",
                            json_integer(below ? -(json_int_t)number : (json_int_t)number));
        return 0;
    }
    /* Behaving as if run here; what is below 0 is not for everyone to give. */
    int nice = environment == ENVIRONMENT_OWN ? getpriority(PRIO_PROCESS, 0) : 0;
    if (nice > 0)
        put_number(object, "nice", (uint64_t)nice);
    return 0;
}

/* ---- Limits --------------------------------------------------------------------------------- */

static bool
parse_rlimit_value(const char *text, size_t size, json_t **value)
{
    char word[32];
    uint64_t number;

    if (size == 0 || size >= sizeof word)
        return false;
    memcpy(word, text, size);
    word[size] = '\0';
    if (strcmp(word, "unlimited") == 0 || strcmp(word, "infinity") == 0) {
        *value = json_wire_endless();
        return true;
    }
    if (!parse_size(word, &number) || number > INT64_MAX)
        return false;
    *value = json_integer((json_int_t)number);
    return true;
}

static int
request_rlimits(struct ctl *ctl, json_t *object)
{
    static const char accepted[] = "NAME=SOFT[:HARD] with numbers or unlimited: nofile=1024:4096";
    const struct args *args = &ctl->args;
    json_t *rlimits = json_object();
    int rc = 0;

    for (size_t i = 0; i < args->count && rc == 0; i++) {
        const char *value = args->items[i].value;
        json_t *soft = NULL;
        json_t *hard = NULL;
        if (args->items[i].id != OPTION_RLIMIT)
            continue;
        size_t name_size = strcspn(value, "=");
        const char *first = value + name_size + 1;
        size_t first_size = value[name_size] == '=' ? strcspn(first, ":") : 0;
        bool pair = first_size > 0 && first[first_size] == ':';
        if (name_size == 0 || !parse_rlimit_value(first, first_size, &soft) ||
            (pair &&
             !parse_rlimit_value(first + first_size + 1, strlen(first + first_size + 1), &hard))) {
            json_decref(soft);
            rc = ctl_bad_value(ctl, OPTION_RLIMIT, value, accepted);
            continue;
        }
        char *name = must_copy(value);
        name[name_size] = '\0';
        if (pair)
            soft = json_pack("[o,o]", soft, hard);
        if (json_object_set_new(rlimits, name, soft) != 0)
            rc = ctl_bad_value(ctl, OPTION_RLIMIT, value, accepted);
        free(name);
    }
    if (rc == 0 && json_object_size(rlimits) > 0)
        json_object_set(object, "rlimits", rlimits);
    json_decref(rlimits);
    return rc;
}

static int
request_ending(struct ctl *ctl, json_t *object)
{
    const char *signal_name = args_value(&ctl->args, OPTION_CANCEL_SIGNAL);
    const char *leftover = args_value(&ctl->args, OPTION_LEFTOVER);
    int signal_number;
    int rc = 0;

    if (signal_name != NULL) {
        if (!parse_signal(signal_name, &signal_number))
            return ctl_bad_value(ctl, OPTION_CANCEL_SIGNAL, signal_name, SIGNAL_FORMS);
        put_number(object, "cancel_signal", (uint64_t)signal_number);
    }
    if (leftover != NULL && strcmp(leftover, "wait") == 0)
        json_object_set_new(object, "leftover_wait", json_true());
    else
        rc = request_duration(ctl, object, OPTION_LEFTOVER, "leftover_ns");
    if (rc == 0)
        rc = request_duration(ctl, object, OPTION_DRAIN, "drain_ns");
    if (rc == 0)
        rc = request_duration(ctl, object, OPTION_WATCHDOG, "watchdog_ns");
    if (rc == 0)
        rc = request_duration(ctl, object, OPTION_DELAY, "delay_ns");
    if (rc == 0)
        rc = request_duration(ctl, object, OPTION_RESPONSE, "response_ns");
    if (rc == 0)
        rc = request_number(ctl, object, OPTION_MASK_DEPTH, "mask_depth", 0, UINT32_MAX);
    if (args_have(&ctl->args, OPTION_NOTIFY) || args_have(&ctl->args, OPTION_WATCHDOG))
        json_object_set_new(object, "notify", json_true());
    return rc;
}

/* ---- Labels ------------------------------------------------------------------------------------
 */

/* One line of UTF-8 that fits: what listings show for a command. */
static json_t *
label_of(const char *line)
{
    json_t *clean = json_text(line, strlen(line));
    struct text t = {0};

    text_add(&t, json_string_value(clean));
    json_decref(clean);
    for (size_t i = 0; i < t.size; i++) {
        if ((unsigned char)t.data[i] < 0x20 || t.data[i] == 0x7f)
            t.data[i] = ' ';
    }
    if (t.size > ASUP_LABEL_MAX) {
        t.size = ASUP_LABEL_MAX - 3;
        while (t.size > 0 && ((unsigned char)t.data[t.size] & 0xc0) == 0x80)
            t.size--;
        text_add(&t, "...");
    }
    json_t *label = t.size > 0 ? json_stringn(t.data, t.size) : NULL;
    text_free(&t);
    return label;
}

static void
put_label(struct ctl *ctl, json_t *object, char *const *command)
{
    const char *given = args_value(&ctl->args, OPTION_LABEL);
    struct text line = {0};

    if (given != NULL) {
        /* As it is: the daemon says what is wrong with it. */
        json_object_set_new(object, "label", json_string_nocheck(given));
        return;
    }
    for (size_t i = 0; command[i] != NULL && line.size <= ASUP_LABEL_MAX; i++)
        text_addf(&line, "%s%s", i > 0 ? " " : "", command[i]);
    json_t *label = line.data != NULL ? label_of(line.data) : NULL;
    if (label != NULL)
        json_object_set_new(object, "label", label);
    text_free(&line);
}

/* ---- Processes and regions
 * ----------------------------------------------------------------------- */

json_t *
request_shell(const char *line)
{
    json_t *process = json_pack("{s:[s,s]}", "argv", "/bin/sh", "-c");
    json_t *label = label_of(line);

    json_array_append_new(json_object_get(process, "argv"), json_string_nocheck(line));
    if (label != NULL)
        json_object_set_new(process, "label", label);
    return process;
}

int
request_process(struct ctl *ctl, json_t *object, char *const *command, enum environment environment)
{
    static const struct {
        enum option_id id;
        const char *key;
    } paths[] = {{OPTION_STDIN, "stdin"}, {OPTION_STDOUT, "stdout"}, {OPTION_STDERR, "stderr"}};
    const char *user = args_value(&ctl->args, OPTION_AS);
    json_t *argv = json_array();
    int rc;

    for (size_t i = 0; command != NULL && command[i] != NULL; i++)
        json_array_append_new(argv, json_string_nocheck(command[i]));
    if (command != NULL) {
        json_object_set(object, "argv", argv);
        put_label(ctl, object, command);
    }
    json_decref(argv);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        const char *path = args_value(&ctl->args, paths[i].id);
        if (path != NULL)
            json_object_set_new(object, paths[i].key, json_string_nocheck(path));
    }
    if (args_have(&ctl->args, OPTION_APPEND))
        json_object_set_new(object, "append", json_true());
    if (user != NULL)
        json_object_set_new(object, "user", json_string_nocheck(user));
    rc = request_environment(ctl, object, environment);
    if (rc == 0)
        rc = request_directory(ctl, object);
    if (rc == 0)
        rc = request_umask(ctl, object, environment);
    if (rc == 0)
        rc = request_nice(ctl, object, environment);
    if (rc == 0)
        rc = request_rlimits(ctl, object);
    if (rc == 0)
        rc = request_size(ctl, object, OPTION_MEMORY_MAX, "memory_max");
    if (rc == 0)
        rc = request_number(ctl, object, OPTION_PIDS_MAX, "pids_max", 1, INT32_MAX);
    if (rc == 0)
        rc = request_ending(ctl, object);
    return rc;
}

static int
request_policy(struct ctl *ctl, json_t *object)
{
    const char *value = args_value(&ctl->args, OPTION_POLICY);
    uint64_t quorum;

    if (value == NULL)
        return 0;
    if (strncmp(value, "quorum:", 7) == 0 && parse_number(value + 7, 1, UINT32_MAX, &quorum)) {
        json_object_set_new(object, "policy", json_string("quorum"));
        put_number(object, "quorum", quorum);
        return 0;
    }
    int policy = asup_policy_from_name(value);
    if (policy < 0 || policy == ASUP_POLICY_QUORUM)
        return ctl_bad_value(ctl, OPTION_POLICY, value,
                             "collect, fail-fast, race, first-ok, quorum:K (K from 1 on), last");
    json_object_set_new(object, "policy", json_string(value));
    return 0;
}

int
request_region_options(struct ctl *ctl, json_t *object, enum environment environment)
{
    const struct args *args = &ctl->args;
    const char *name = args_value(args, OPTION_NAME);
    json_t *finalizers = json_array();
    int rc = request_policy(ctl, object);

    if (name != NULL)
        json_object_set_new(object, "name", json_string_nocheck(name));
    if (args_have(args, OPTION_SOFT))
        json_object_set_new(object, "soft", json_true());
    if (args_have(args, OPTION_STRICT))
        json_object_set_new(object, "strict", json_true());
    if (args_have(args, OPTION_VOLATILE))
        json_object_set_new(object, "volatile", json_true());
    if (args_have(args, OPTION_DURABLE))
        json_object_set_new(object, "durable", json_true());
    if (rc == 0)
        rc = request_budget(ctl, object);
    if (rc == 0)
        rc = request_duration(ctl, object, OPTION_DRAIN, "drain_ns");
    if (rc == 0)
        rc = request_number(ctl, object, OPTION_TASKS_MAX, "tasks_max", 1, UINT32_MAX);
    if (rc == 0)
        rc = request_number(ctl, object, OPTION_CHILDREN_MAX, "children_max", 1, UINT32_MAX);
    for (size_t i = 0; i < args->count && rc == 0; i++) {
        if (args->items[i].id != OPTION_FINALIZER)
            continue;
        json_t *finalizer = request_shell(args->items[i].value);
        rc = request_environment(ctl, finalizer, environment);
        if (rc == 0)
            rc = request_directory(ctl, finalizer);
        json_array_append_new(finalizers, finalizer);
    }
    if (rc == 0 && json_array_size(finalizers) > 0)
        json_object_set(object, "finalizers", finalizers);
    json_decref(finalizers);
    return rc;
}

int
request_self(struct ctl *ctl, json_t *object, json_t *words, const enum option_id *passed,
             size_t count)
{
    char self[4096];
    ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);
    int rc;

    if (size <= 0)
        rc = ctl_failf(ctl, -ASUP_EUNAVAILABLE, "", "cannot find this program in /proc");
    else
        rc = request_process(ctl, object, ctl->args.command, ENVIRONMENT_OWN);
    if (rc != 0) {
        json_decref(words);
        return rc;
    }
    self[size] = '\0';
    json_array_insert_new(words, 0, json_string_nocheck(self));
    if (ctl->quiet)
        json_array_append_new(words, json_string("--quiet"));
    for (size_t i = 0; i < count; i++) {
        const char *value = args_value(&ctl->args, passed[i]);

        if (value != NULL)
            json_array_append_new(words,
                                  json_sprintf("--%s=%s", option_rows[passed[i]].name, value));
    }
    json_array_append_new(words, json_string_nocheck(ctl->args.operands[1]));
    json_array_append_new(words, json_string("--"));
    for (char **word = ctl->args.command; *word != NULL; word++)
        json_array_append_new(words, json_string_nocheck(*word));
    json_object_set_new(object, "argv", words);
    return 0;
}
