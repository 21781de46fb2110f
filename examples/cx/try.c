/* SPDX-License-Identifier: MIT */
/* Any of these examples in the lab, the very same task: linked with -lasupersync-lab. */
#include "asupersync/lab.h"

#include "example.h"

int
main(int argc, char **argv)
{
    return asup_lab_main(argc, argv, "example", main_task, NULL);
}
