/* SPDX-License-Identifier: MIT */
/* What each example defines, and both mains run. */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include "asupersync/runtime.h"

/* @param arg  Of the command line, up to NULL; NULL in the lab. */
int main_task(struct asup_cx *cx, void *arg);

#endif
