/* SPDX-License-Identifier: MIT */
/*
 * The program asupersyncd. Started by people and service managers it is the
 * keeper; with --engine, which only the keeper says, it loads the engine's
 * module and becomes the engine (daemon/engine.h tells why).
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "asupersync/version.h"
#include "daemon/aside.h"
#include "daemon/background.h"
#include "daemon/engine.h"
#include "daemon/keeper/keeper.h"
#include "daemon/keeper/log.h"
#include "daemon/keeper/notify.h"
#include "daemon/keeper/run_as.h"
#include "daemon/link.h"

#define SYSTEM_RUNTIME_DIR "/run/asupersync"
#define SYSTEM_STATE_DIR "/var/lib/asupersync"
#define SYSTEM_CONFIG "/etc/asupersync/asupersyncd.yaml"
#define SYSTEM_RUN_AS "/etc/asupersync/run-as.conf"
#define SYSTEM_ENGINE_USER "asupersync"

#define ENGINE_MODULE "asupersyncd-engine.so"
#define ENGINE_TIMEOUT_DEFAULT_S 10
#define ENGINE_RESTARTS_DEFAULT 5

static const char usage[] =
    "Usage: asupersyncd [--user] [option]...\n"
    "Run processes in regions, and leave nothing behind.\n"
    "\n"
    "  --user                 a user's own daemon: no root needed, all runs as the user\n"
    "  --runtime-dir DIR      sockets and lock (" SYSTEM_RUNTIME_DIR ";\n"
    "                         with --user $XDG_RUNTIME_DIR/asupersync)\n"
    "  --state-dir DIR        logs, work directories (" SYSTEM_STATE_DIR "; with --user\n"
    "                         $XDG_STATE_HOME/asupersync, or RUNTIME/state if only\n"
    "                         --runtime-dir is given)\n"
    "  --config FILE          configuration (" SYSTEM_CONFIG ";\n"
    "                         with --user $XDG_CONFIG_HOME/asupersync/asupersyncd.yaml)\n"
    "  --run-as FILE          who may run tasks (" SYSTEM_RUN_AS ")\n"
    "  --engine-user NAME     whom the engine runs as (" SYSTEM_ENGINE_USER ")\n"
    "  --engine-timeout N     seconds without a sign of life from the engine (10)\n"
    "  --engine-restarts N    of the engine within a minute before giving up (5)\n"
    "  --containment KIND     auto, cgroup2, or subreaper (best effort)\n"
    "  --foreground           stay in the foreground, log to standard error\n"
    "  --check-config         read the configuration and rules, say what is wrong\n"
    "  --set-journal-aside    rename the journal: the next start begins without it\n"
    "  --help, --version\n"
    "\n"
    "Without --foreground it goes to the background once it is ready, unless a\n"
    "service manager started it (NOTIFY_SOCKET). asupersyncd(8) tells the rest.\n";

struct arguments {
    bool user_mode, foreground, engine, config_given, check_config, aside, link_version;
    char *runtime_dir, *state_dir, *config_path, *run_as_path, *engine_user;
    enum containment_choice containment;
    unsigned engine_timeout_s, engine_restarts;
    uid_t owner_uid;
};

/* ---- Arguments ------------------------------------------------------------------------ */

static void __attribute__((noreturn, format(printf, 1, 2))) usage_error(const char *format, ...)
{
    va_list args;

    (void)fputs("asupersyncd: ", stderr);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputs("\nTry 'asupersyncd --help'.\n", stderr);
    exit(KEEPER_EXIT_USAGE);
}

static char *__attribute__((format(printf, 1, 2))) make_text(const char *format, ...)
{
    va_list args;
    char *text;
    int rc;

    va_start(args, format);
    rc = vasprintf(&text, format, args);
    va_end(args);
    if (rc < 0) {
        (void)fputs("asupersyncd: out of memory\n", stderr);
        exit(KEEPER_EXIT_FAILED);
    }
    return text;
}

/* As given, but from the root: the keeper leaves the current directory. */
static char *
absolute(const char *option, const char *path)
{
    char cwd[PATH_MAX];
    size_t size;
    char *text;

    if (path[0] == '\0')
        usage_error("%s wants a path, not an empty text", option);
    if (path[0] == '/')
        text = make_text("%s", path);
    else if (getcwd(cwd, sizeof cwd) == NULL)
        usage_error("%s: the current directory cannot be found: %s", option, strerror(errno));
    else
        text = make_text("%s/%s", strcmp(cwd, "/") == 0 ? "" : cwd, path);
    size = strlen(text);
    while (size > 1 && text[size - 1] == '/')
        text[--size] = '\0';
    return text;
}

/* The last one given counts. */
static void
set_path(char **place, const char *option, const char *path)
{
    char *text = absolute(option, path);

    free(*place);
    *place = text;
}

static unsigned
parse_number(const char *option, const char *text, unsigned most)
{
    char *end;
    unsigned long number;

    errno = 0;
    number = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number < 1 || number > most)
        usage_error("%s wants a number from 1 to %u, not '%s'", option, most, text);
    return (unsigned)number;
}

static enum containment_choice
parse_containment(const char *text)
{
    if (strcmp(text, "auto") == 0)
        return CONTAINMENT_AUTO;
    if (strcmp(text, "cgroup2") == 0)
        return CONTAINMENT_ONLY_CGROUP2;
    if (strcmp(text, "subreaper") == 0)
        return CONTAINMENT_ONLY_SUBREAPER;
    usage_error("--containment is auto, cgroup2 or subreaper, not '%s'", text);
}

enum option_code {
    OPTION_USER = 256,
    OPTION_RUNTIME_DIR,
    OPTION_STATE_DIR,
    OPTION_CONFIG,
    OPTION_RUN_AS,
    OPTION_ENGINE_USER,
    OPTION_ENGINE_TIMEOUT,
    OPTION_ENGINE_RESTARTS,
    OPTION_CONTAINMENT,
    OPTION_FOREGROUND,
    OPTION_CHECK_CONFIG,
    OPTION_SET_JOURNAL_ASIDE,
    OPTION_ENGINE,
    OPTION_LINK_VERSION,
    OPTION_OWNER,
    OPTION_HELP,
    OPTION_VERSION,
};

static const struct option options[] = {
    {"user", no_argument, NULL, OPTION_USER},
    {"runtime-dir", required_argument, NULL, OPTION_RUNTIME_DIR},
    {"state-dir", required_argument, NULL, OPTION_STATE_DIR},
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"run-as", required_argument, NULL, OPTION_RUN_AS},
    {"engine-user", required_argument, NULL, OPTION_ENGINE_USER},
    {"engine-timeout", required_argument, NULL, OPTION_ENGINE_TIMEOUT},
    {"engine-restarts", required_argument, NULL, OPTION_ENGINE_RESTARTS},
    {"containment", required_argument, NULL, OPTION_CONTAINMENT},
    {"foreground", no_argument, NULL, OPTION_FOREGROUND},
    {"check-config", no_argument, NULL, OPTION_CHECK_CONFIG},
    {"set-journal-aside", no_argument, NULL, OPTION_SET_JOURNAL_ASIDE},
    {"engine", no_argument, NULL, OPTION_ENGINE},
    {"link-version", no_argument, NULL, OPTION_LINK_VERSION},
    {"owner", required_argument, NULL, OPTION_OWNER},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static void __attribute__((noreturn)) say_and_exit(const char *text)
{
    (void)fputs(text, stdout);
    exit(fflush(stdout) == 0 ? EXIT_SUCCESS : KEEPER_EXIT_FAILED);
}

static void
take_option(struct arguments *a, int code)
{
    switch ((enum option_code)code) {
    case OPTION_USER:
        a->user_mode = true;
        break;
    case OPTION_RUNTIME_DIR:
        set_path(&a->runtime_dir, "--runtime-dir", optarg);
        break;
    case OPTION_STATE_DIR:
        set_path(&a->state_dir, "--state-dir", optarg);
        break;
    case OPTION_CONFIG:
        set_path(&a->config_path, "--config", optarg);
        a->config_given = true;
        break;
    case OPTION_RUN_AS:
        set_path(&a->run_as_path, "--run-as", optarg);
        break;
    case OPTION_ENGINE_USER:
        a->engine_user = optarg;
        break;
    case OPTION_ENGINE_TIMEOUT:
        a->engine_timeout_s = parse_number("--engine-timeout", optarg, 3600);
        break;
    case OPTION_ENGINE_RESTARTS:
        a->engine_restarts = parse_number("--engine-restarts", optarg, 1000);
        break;
    case OPTION_CONTAINMENT:
        a->containment = parse_containment(optarg);
        break;
    case OPTION_FOREGROUND:
        a->foreground = true;
        break;
    case OPTION_SET_JOURNAL_ASIDE:
        a->aside = true;
        break;
    case OPTION_CHECK_CONFIG:
        a->check_config = true;
        break;
    case OPTION_ENGINE:
        a->engine = true;
        break;
    case OPTION_LINK_VERSION:
        a->link_version = true;
        break;
    case OPTION_OWNER:
        a->owner_uid = (uid_t)strtoul(optarg, NULL, 10);
        break;
    case OPTION_HELP:
        say_and_exit(usage);
    case OPTION_VERSION:
        say_and_exit("asupersyncd " ASUP_VERSION "\n");
    }
}

static char *
user_home(void)
{
    const char *home = getenv("HOME");
    const struct passwd *entry;

    if (home != NULL && home[0] == '/')
        return make_text("%s", home);
    entry = getpwuid(geteuid());
    if (entry == NULL || entry->pw_dir[0] != '/')
        usage_error("there is no home directory: give --runtime-dir and --state-dir");
    return make_text("%s", entry->pw_dir);
}

static char *
user_directory(const char *variable, const char *below_home)
{
    const char *value = getenv(variable);
    char *home;
    char *text;

    if (value != NULL && value[0] == '/')
        return make_text("%s/asupersync", value);
    home = user_home();
    text = make_text("%s/%s/asupersync", home, below_home);
    free(home);
    return text;
}

/* The defaults of user mode; a configuration is optional there. */
static void
fill_user(struct arguments *a)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");

    if (a->state_dir == NULL)
        a->state_dir = a->runtime_dir != NULL ? make_text("%s/state", a->runtime_dir)
                                              : user_directory("XDG_STATE_HOME", ".local/state");
    if (a->runtime_dir == NULL) {
        if (runtime == NULL || runtime[0] != '/')
            usage_error("$XDG_RUNTIME_DIR is not set: give --runtime-dir");
        a->runtime_dir = make_text("%s/asupersync", runtime);
    }
    if (a->config_path == NULL) {
        char *directory = user_directory("XDG_CONFIG_HOME", ".config");

        a->config_path = make_text("%s/asupersyncd.yaml", directory);
        free(directory);
    }
}

static void
fill_defaults(struct arguments *a)
{
    if (a->user_mode && !a->engine)
        fill_user(a);
    if (a->runtime_dir == NULL)
        a->runtime_dir = make_text("%s", SYSTEM_RUNTIME_DIR);
    if (a->state_dir == NULL)
        a->state_dir = make_text("%s", SYSTEM_STATE_DIR);
    if (a->config_path == NULL && !a->engine)
        a->config_path = make_text("%s", SYSTEM_CONFIG);
    if (a->run_as_path == NULL)
        a->run_as_path = make_text("%s", SYSTEM_RUN_AS);
    if (!a->config_given && a->config_path != NULL && access(a->config_path, F_OK) < 0) {
        free(a->config_path);
        a->config_path = NULL;
    }
    /* The longest socket of the engine must fit into a sockaddr_un. */
    if (strlen(a->runtime_dir) > 72)
        usage_error("the runtime directory '%s' has a too long path for sockets "
                    "(72 bytes at most)",
                    a->runtime_dir);
    if (strlen(a->state_dir) > 160)
        usage_error("the state directory '%s' has a too long path (160 bytes at most)",
                    a->state_dir);
}

static void
parse_arguments(struct arguments *a, int argc, char **argv)
{
    int code;

    *a = (struct arguments){.engine_user = (char *)SYSTEM_ENGINE_USER,
                            .engine_timeout_s = ENGINE_TIMEOUT_DEFAULT_S,
                            .engine_restarts = ENGINE_RESTARTS_DEFAULT,
                            .owner_uid = geteuid()};
    opterr = 0;
    while ((code = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (code == '?')
            usage_error("the option '%s' is not known, or lacks its value", argv[optind - 1]);
        take_option(a, code);
    }
    if (optind < argc)
        usage_error("it takes no operands, but got '%s'", argv[optind]);
    fill_defaults(a);
}

/* ---- The engine ------------------------------------------------------------------------- */

/* Beside the program, as it is built; relative to it, as it is installed
 * anywhere; or where it was configured to be. */
static void *
load_engine(void)
{
    static const char *const beside[2] = {"", "../lib/asupersync/"};
    char path[PATH_MAX + 64];
    ssize_t size = readlink("/proc/self/exe", path, PATH_MAX);
    void *module;

    if (size < 0)
        size = 0;
    while (size > 0 && path[size - 1] != '/')
        size--;
    for (int i = 0; i < 3; i++) {
        if (i < 2)
            (void)snprintf(path + size, sizeof path - (size_t)size, "%s" ENGINE_MODULE, beside[i]);
        else
            (void)snprintf(path, sizeof path, "%s", ASUP_ENGINE_DIR "/" ENGINE_MODULE);
        if (i == 2 || (size > 0 && access(path, F_OK) == 0))
            break;
    }
    module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (module == NULL)
        log_error("cannot load the engine: %s", dlerror());
    return module;
}

/* Something of the module; ends the process when it is not there, or when the
 * module is of another version: while packages are being replaced, for one. */
static void *
find_in_engine(const char *name)
{
    static void *module;
    const char *version;
    void *found;

    if (module == NULL)
        module = load_engine();
    if (module == NULL)
        exit(KEEPER_EXIT_FAILED);
    version = dlsym(module, "engine_version");
    found = dlsym(module, name);
    if (version == NULL || found == NULL) {
        log_error("the engine's module is not one: %s", dlerror());
        exit(KEEPER_EXIT_FAILED);
    }
    if (strcmp(version, ASUP_VERSION) != 0) {
        log_error("the program is of version %s, the engine's module of version %.32s: install "
                  "both of one version",
                  ASUP_VERSION, version);
        exit(ENGINE_EXIT_LINK);
    }
    return found;
}

static int
become_engine(const struct arguments *a)
{
    const struct engine_options engine = {
        .runtime_dir = a->runtime_dir,
        .state_dir = a->state_dir,
        .config_path = a->config_path,
        .config_required = a->config_given,
        .user_mode = a->user_mode,
        .foreground = a->foreground,
        .owner_uid = a->owner_uid,
        .link_fd = ENGINE_FD_LINK,
        .kill_fd = fcntl(ENGINE_FD_KILL, F_GETFD) >= 0 ? ENGINE_FD_KILL : -1,
    };
    int (*run)(const struct engine_options *);
    struct stat status;

    if (fstat(ENGINE_FD_LINK, &status) < 0 || !S_ISSOCK(status.st_mode))
        usage_error("--engine is for the daemon itself");
    *(void **)&run = find_in_engine("engine_main");
    /* Executed as /proc/self/exe it would be listed as "exe". */
    (void)prctl(PR_SET_NAME, "asupersyncd-eng");
    return run(&engine);
}

/* What an engine before an upgrade asks the program that would follow it. */
static int
say_link_version(const struct arguments *a)
{
    const unsigned *version = find_in_engine("engine_link_version");
    int (*check)(const char *, bool);
    int (*check_journal)(const char *);

    *(void **)&check = find_in_engine("engine_check_config");
    *(void **)&check_journal = find_in_engine("engine_check_journal");
    int rc = check(a->config_path, false);
    if (rc == 0)
        rc = check_journal(a->state_dir);
    if (rc == 0 && (printf("%u\n", *version) < 0 || fflush(stdout) != 0))
        rc = KEEPER_EXIT_FAILED;
    return rc;
}

static int
check_config(const struct arguments *a)
{
    int (*check)(const char *, bool);
    char message[512];

    *(void **)&check = find_in_engine("engine_check_config");
    int rc = check(a->config_path, false);
    /* As who the daemon would be: only root's reads rules. */
    if (!a->user_mode && geteuid() == 0 &&
        run_as_load(a->run_as_path, message, sizeof message) != 0) {
        (void)fprintf(stderr, "%s\n", message);
        rc = KEEPER_EXIT_CONFIG;
    }
    return rc;
}

/* ---- The keeper ------------------------------------------------------------------------- */

/* Descriptors 0 to 2 must be something, or the next open becomes standard
 * error. */
static void
fill_standard_descriptors(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= 2);
    if (fd > 2)
        close(fd);
}

static int
become_keeper(const struct arguments *a)
{
    char owner[24];
    char *argv[16];
    static char program[PATH_MAX]; /* its text lives as long as the process */
    ssize_t program_size = readlink("/proc/self/exe", program, sizeof program - 1);
    int argc = 0;
    struct keeper_options keeper = {
        .runtime_dir = a->runtime_dir,
        .state_dir = a->state_dir,
        .run_as_path = a->run_as_path,
        .engine_user = a->engine_user,
        .engine_argv = argv,
        .containment = a->containment,
        .engine_timeout_ns = a->engine_timeout_s * ASUP_NS_PER_S,
        .engine_restarts = a->engine_restarts,
        .user_mode = a->user_mode,
        .ready_fd = -1,
    };

    if (program_size > 0) {
        program[program_size] = '\0';
        keeper.program_path = program;
    }

    (void)snprintf(owner, sizeof owner, "%u", geteuid());
    argv[argc++] = (char *)"asupersyncd";
    argv[argc++] = (char *)"--engine";
    argv[argc++] = (char *)"--runtime-dir";
    argv[argc++] = a->runtime_dir;
    argv[argc++] = (char *)"--state-dir";
    argv[argc++] = a->state_dir;
    argv[argc++] = (char *)"--owner";
    argv[argc++] = owner;
    if (a->config_path != NULL) {
        argv[argc++] = (char *)"--config";
        argv[argc++] = a->config_path;
    }
    if (a->user_mode)
        argv[argc++] = (char *)"--user";
    if (a->foreground)
        argv[argc++] = (char *)"--foreground";
    argv[argc] = NULL;

    notify_init();
    if (!a->foreground && !notify_active())
        keeper.ready_fd = background_go(a->state_dir);
    return keeper_run(&keeper);
}

int
main(int argc, char **argv)
{
    static struct arguments a; /* its texts live as long as the process */

    fill_standard_descriptors();
    parse_arguments(&a, argc, argv);
    if (a.check_config)
        return check_config(&a);
    if (a.aside)
        return aside_journal(a.runtime_dir, a.state_dir);
    if (a.link_version)
        return say_link_version(&a);
    return a.engine ? become_engine(&a) : become_keeper(&a);
}
