/* SPDX-License-Identifier: MIT */
/**
 * @file asupersync.h
 * Everything a program needs to use asupersync: include this one.
 *
 * Errors (error.h), values such as identifiers, outcomes and budgets (types.h)
 * with their laws (values.h), what goes into requests and comes out of answers
 * (info.h), and the calls to the daemon (client.h, channel.h,
 * obligation.h, worker.h).
 */
#ifndef ASUPERSYNC_ASUPERSYNC_H
#define ASUPERSYNC_ASUPERSYNC_H

#include "asupersync/capability.h"
#include "asupersync/channel.h"
#include "asupersync/client.h"
#include "asupersync/error.h"
#include "asupersync/info.h"
#include "asupersync/obligation.h"
#include "asupersync/saga.h"
#include "asupersync/types.h"
#include "asupersync/values.h"
#include "asupersync/version.h"
#include "asupersync/worker.h"

#endif
