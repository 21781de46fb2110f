/* SPDX-License-Identifier: MIT */
#include "target.h"

#include <string.h>

#include "asupersync/values.h"

enum target
target_of(const char *operand)
{
    struct asup_ref ref;

    if (operand[0] == '/')
        return TARGET_REGION;
    if (asup_ref_parse(operand, strlen(operand), &ref) != 0)
        return TARGET_NONE;
    switch (ref.sort) {
    case ASUP_SORT_TASK:
        return TARGET_TASK;
    case ASUP_SORT_REGION:
        return TARGET_REGION;
    case ASUP_SORT_SESSION:
        return TARGET_SESSION;
    case ASUP_SORT_SAGA:
        return TARGET_SAGA;
    case ASUP_SORT_OBLIGATION:
        return TARGET_OBLIGATION;
    case ASUP_SORT_CHANNEL:
        return TARGET_CHANNEL;
    default:
        return TARGET_NONE;
    }
}

/* What tells of a thing that is neither a task nor a region. */
static void
hint_of_sort(struct text *hint, const char *operand)
{
    struct asup_ref ref;

    if (asup_ref_parse(operand, strlen(operand), &ref) != 0)
        return;
    switch (ref.sort) {
    case ASUP_SORT_SAGA:
        text_addf(hint, "; asupersyncctl saga show %s tells of the saga", operand);
        break;
    case ASUP_SORT_CHANNEL:
        text_addf(hint, "; asupersyncctl channel stat %s tells of the channel", operand);
        break;
    case ASUP_SORT_OBLIGATION:
        text_addf(hint, "; asupersyncctl why %s tells of the obligation", operand);
        break;
    case ASUP_SORT_MESSAGE:
        text_addf(hint, "; asupersyncctl dead show %s tells of a message", operand);
        break;
    case ASUP_SORT_CAPABILITY:
        text_add(hint, "; asupersyncctl cx list tells of capabilities");
        break;
    default:
        break;
    }
}

int
targets_check(struct ctl *ctl, bool tasks, bool regions, bool others)
{
    static const char *const sorts[] = {[TARGET_TASK] = "a task",
                                        [TARGET_REGION] = "a region",
                                        [TARGET_SESSION] = "a session",
                                        [TARGET_SAGA] = "a saga",
                                        [TARGET_OBLIGATION] = "an obligation",
                                        [TARGET_CHANNEL] = "a channel"};

    for (int i = 0; i < ctl->args.operand_count; i++) {
        const char *operand = ctl->args.operands[i];
        enum target target = target_of(operand);
        const char *verb = ctl->args.verb->name;
        struct text message = {0};
        struct text hint = {0};
        if ((target == TARGET_TASK && tasks) || (target == TARGET_REGION && regions) ||
            (others && (target == TARGET_SESSION || target == TARGET_SAGA ||
                        target == TARGET_OBLIGATION || target == TARGET_CHANNEL)))
            continue;
        if (target == TARGET_NONE)
            text_addf(&message, "'%s' is no %s", operand,
                      tasks && regions ? "task or region"
                      : tasks          ? "task"
                                       : "region");
        else
            text_addf(&message, "%s is %s; %s takes %s%s%s", operand, sorts[target], verb,
                      tasks ? "a task" : "", tasks && regions ? " or " : "",
                      regions ? "a region" : "");
        text_addf(&hint, "%s%s%s", tasks ? "tasks are named t7" : "", tasks && regions ? ", " : "",
                  regions ? "regions r3 or by path: /web" : "");
        if (others)
            text_add(&hint, ", obligations o9, channels c4, sagas g2, sessions s3");
        hint_of_sort(&hint, operand);
        if (target == TARGET_TASK && strcmp(verb, "close") == 0)
            text_addf(&hint, "; to end a task: asupersyncctl cancel %s", operand);
        int exit_code = ctl_usage(ctl, message.data, hint.data);
        text_free(&message);
        text_free(&hint);
        return exit_code;
    }
    return 0;
}

json_t *
target_args(const char *operand)
{
    json_t *args = json_object();

    json_object_set_new(args, target_of(operand) == TARGET_TASK ? "task" : "region",
                        json_string_nocheck(operand));
    return args;
}
