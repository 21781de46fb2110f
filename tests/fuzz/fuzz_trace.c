/* SPDX-License-Identifier: MIT */
/*
 * A trace, whatever became of it on its way (asupersync-trace(5)). Check sums are
 * not looked at here (FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION), so that what
 * stands behind them has to hold by itself. What is refused is refused with a word.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab/trace_file.h"

static void
must_be(bool condition)
{
    if (!condition)
        abort();
}

static void
frame_look(const struct trace_frame *f)
{
    uint64_t sum = f->choice.taken + f->choice.kind + f->task;

    for (size_t i = 0; i < f->data.size; i++)
        sum += ((const uint8_t *)f->data.data)[i];
    for (size_t i = 0; f->kind == TRACE_EVENT && i < f->event.text.size; i++)
        sum += ((const uint8_t *)f->event.text.data)[i];
    for (size_t i = 0; f->kind == TRACE_EVENT && i < f->event.payload_size; i++)
        sum += ((const uint8_t *)f->event.payload)[i];
    must_be(f->kind == TRACE_EVENT ? event_kind_name(f->event.kind) != NULL : sum + 1 != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trace_reader *r = NULL;
    struct trace_frame frame;
    char why[256] = "";
    FILE *file;
    int rc;

    if (size == 0)
        return 0;
    file = fmemopen((void *)(uintptr_t)data, size, "rb");
    must_be(file != NULL);
    rc = trace_open_stream(file, "trace", &r, why, sizeof why);
    if (rc != 0) {
        must_be(rc < 0 && why[0] != '\0' && strlen(why) < sizeof why);
        (void)fclose(file);
        return 0;
    }
    while ((rc = trace_next(r, &frame, why, sizeof why)) > 0)
        frame_look(&frame);
    must_be(rc == 0 || why[0] != '\0');
    trace_close(r);
    return 0;
}
