/* SPDX-License-Identifier: MIT */
/* Bodies about what is owed: obligations and leases. */
#ifndef ASUPERSYNC_DAEMON_ENGINE_BODIES_OWED_H
#define ASUPERSYNC_DAEMON_ENGINE_BODIES_OWED_H

#include "core/kernel.h"
#include "daemon/engine/state.h"
#include "proto/writer.h"

const char *obligation_kind_name(uint8_t kind);
/* Of all kinds together. */
uint32_t owed(const uint32_t by_kind[ASUP_OBLIGATION_KIND_COUNT]);
/* {"lease": 2, ...} */
void body_kinds(struct proto_writer *w, const uint32_t by_kind[ASUP_OBLIGATION_KIND_COUNT]);
/* OB and LE. */
void body_obligation(struct proto_writer *w, struct engine *e, const struct obligation_view *o);
void body_lease(struct proto_writer *w, struct engine *e, const struct lease_view *l);
/* What lease.acquire answers. */
void body_granted(struct proto_writer *w, struct engine *e, uint64_t obligation);
/* What an event about something owed says besides. */
void body_event_owed(struct proto_writer *w, const struct event *ev);

#endif
