/* SPDX-License-Identifier: MIT */
/* A program that uses what is installed: see tests/cx/installed.sh. */
#include <asupersync/lab.h>

static int
child(struct asup_cx *cx, void *arg)
{
    (void)arg;
    return asup_cx_sleep(cx, 3600 * ASUP_NS_PER_S);
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
main(int argc, char **argv)
{
    return asup_lab_main(argc, argv, "program", parent, NULL);
}
