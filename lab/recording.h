/* SPDX-License-Identifier: MIT */
/*
 * A trace in memory: all of its frames, in order. What is read when one is looked
 * at from more than one side: folded, compared, drawn.
 */
#ifndef ASUPERSYNC_LAB_RECORDING_H
#define ASUPERSYNC_LAB_RECORDING_H

#include "lab/trace_file.h"

struct recording_text {
    size_t before; /* index of the event that it stands before */
    uint64_t task;
    asup_time at;
    struct bytes text;
};

struct recording {
    char *path;
    struct meta {
        char *key, *value;
        bool is_number;
    } * meta;
    size_t meta_count;
    uint8_t *snapshot;
    size_t snapshot_size;
    size_t snapshot_before; /* index of the event that it stands before; those before it are
                               history, that nothing is folded from */
    struct event *events;   /* with what they point to */
    size_t event_count, event_room;
    uint8_t *ends; /* of each event: whether a step of the kernel ended with it */
    size_t ends_room, step_count;
    struct recording_text *texts;
    size_t text_count, text_room;
    size_t choice_count;
    struct block *blocks; /* where all that lies */
};

/* 0; or as trace_open(), with as much as could be read: it may be looked at, and
 * is freed as ever. */
int recording_read(const char *path, struct recording **out, char *why, size_t why_size);
void recording_free(struct recording *r);
/* A value of META; NULL: it is not there. */
const char *recording_meta(const struct recording *r, const char *key);

/* ---- Folding ------------------------------------------------------------------------- */

/* A kernel that goes through a recording (R-EVT-1). */
struct fold {
    const struct recording *recording;
    struct kernel *kernel;
    size_t at;   /* index of the event that comes next */
    size_t told; /* of the one that view_next() tells next */
};

/* 0; or a negative code and why. */
int fold_begin(struct fold *f, const struct recording *r, char *why, size_t why_size);
void fold_end(struct fold *f);
/* Apply one; NULL: there are no more. A trace whose events do not follow from
 * each other makes the kernel trap: the program says which one, and ends (65). */
const struct event *fold_next(struct fold *f);
/* What the kernel was made of, for oracles. */
const struct kernel_config *fold_config(const struct fold *f);

#endif
