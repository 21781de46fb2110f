/* SPDX-License-Identifier: MIT */
/* Any of these examples in production: main() of its program, linked with -lasupersync-cx. */
#include "example.h"

int
main(int argc, char **argv)
{
    struct asup_outcome out;
    int status;

    (void)argc;
    (void)asup_runtime_run(NULL, main_task, argv + 1, &out);
    status = asup_outcome_exit_code(&out);
    asup_runtime_outcome_fini();
    return status;
}
