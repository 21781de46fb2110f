/* SPDX-License-Identifier: MIT */
/* A program that uses what is installed: see installed.sh. */
#include <asupersync/runtime.h>

static int
child(struct asup_cx *cx, void *arg)
{
    (void)arg;
    return asup_cx_sleep(cx, 1000);
}

static int
parent(struct asup_cx *cx, void *arg)
{
    int result;

    (void)arg;
    ASUP_SCOPE(scope, cx, &result)
    {
        ASUP_SPAWN(scope, child, NULL);
        ASUP_SPAWN(scope, child, NULL);
    }
    return result;
}

int
main(void)
{
    return asup_runtime_run(NULL, parent, NULL, NULL) == 0 ? 0 : 1;
}
