/* SPDX-License-Identifier: MIT */
/* What applying events (oracle_model.c) and learning (oracle_learn.c) share: the
 * moves of the model. */
#ifndef ASUPERSYNC_LAB_ORACLE_MODEL_PARTS_H
#define ASUPERSYNC_LAB_ORACLE_MODEL_PARTS_H

#include "lab/oracle_model.h"

void model_clear(struct model *m);
void model_stack_push(struct model *m, struct seen_region *r, struct asup_ref entry);
void model_region_state(struct model *m, struct seen_region *r, uint8_t to);
/* New ones, with all that never changes, as the views have it. */
struct seen_region *
model_region_new(struct model *m, const struct kernel *k, uint64_t id, uint64_t parent);
void model_task_state(struct model *m, struct seen_task *t, uint8_t to);
struct seen_task *
model_task_new(struct model *m, const struct kernel *k, uint64_t id, uint64_t region);
void model_masked_from_cancel(struct seen_task *t);
void model_obligation_learn(const struct kernel *k, struct seen_obligation *o);

#endif
