/* SPDX-License-Identifier: MIT */
/* What the parts of `why` share (why.c, why_owed.c). */
#ifndef ASUPERSYNC_DAEMON_ENGINE_WHY_PARTS_H
#define ASUPERSYNC_DAEMON_ENGINE_WHY_PARTS_H

#include "daemon/engine/why.h"

/* "1.5s", for notes. */
const char *why_span(uint64_t ns, char out[24]);
struct why_link *why_add_link(struct why *why);
void why_add_trouble(struct why *why, const char *name, struct asup_ref ref, const char *format,
                     ...) __attribute__((format(printf, 4, 5)));
bool why_sees(const struct why *why, uint32_t uid);
/* A link, and its processes. */
void why_follow_task(struct why *why, uint64_t id);
void why_summarize(struct why *why);
/* It is a link already: a circle ends here. */
bool why_shown(const struct why *why, struct asup_ref ref);

/* why_call.c: what a call waits for, if that is another thing than for a process. */
bool why_call_note(struct why *why, const struct task_view *t, char *note, size_t size);
/* True: it is a call; who has it is shown now. */
bool why_follow_call(struct why *why, const struct task_view *t);
/* Nothing when the session is no worker. */
void why_follow_worker(struct why *why, uint64_t session);

/* why_owed.c: a link for the obligation, and who holds it. */
void why_follow_obligation(struct why *why, uint64_t id);
/* What a task holds and waits for; true: it waits for something that is shown now. */
bool why_follow_holder(struct why *why, struct asup_ref holder);
/* The troubles of a region that was owed something. */
void why_region_owed(struct why *why, const struct region_view *r);

#endif
