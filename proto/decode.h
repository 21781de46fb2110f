/* SPDX-License-Identifier: MIT */
/*
 * Between the parts of decoding: unpacked objects to structs, by the schema.
 */
#ifndef ASUPERSYNC_PROTO_DECODE_H
#define ASUPERSYNC_PROTO_DECODE_H

#include "message.h"

/* Where in the arguments something stands, for error texts: a chain up to the
 * arguments themselves, kept on the stack. */
struct place {
    const struct place *up;
    const char *key; /* NULL: an element, see index */
    size_t key_size;
    uint32_t index;
};

struct decoder {
    const char *op; /* name for error texts */
    struct proto_memory *m;
    struct proto_error *err;
};

/* ---- decode.c ------------------------------------------------------------------ */

/* Set every member that the record describes to what it is when absent. */
void record_init(const struct proto_record *record, void *out);

/* Fill a struct, already set by record_init, from a map. `raw` is the encoded
 * map when the caller has it (else data NULL); processes keep it. */
int
record_decode(const struct decoder *d, const struct proto_record *record, const msgpack_object *map,
              const struct place *at, struct proto_bytes raw, void *out);

/* The same map once more as bytes, to be kept. Returns 0 or -ASUP_ENOMEM. */
int pack_again(const struct decoder *d, const msgpack_object *object, struct proto_bytes *out);

/* What tells a repeat of an operation from another one (R-IDM-1): the same in
 * every version. */
uint64_t call_digest(const struct proto_op *op, struct proto_bytes raw);

/* Decode an operation's args map into fresh memory. */
int args_decode(const struct decoder *d, const struct proto_op *op, const msgpack_object *map,
                struct proto_bytes raw, struct proto_key *key, const union proto_args **out);

/* ---- value.c -------------------------------------------------------------------- */

/* 0, or the code to refuse a size or count with. */
int size_check(uint64_t size, const struct proto_field *field);

/* Values that can only be right or wrong: false leaves `out` alone. */
bool number_is_fine(const struct proto_field *field, const msgpack_object *object);
bool id_decode(const struct proto_field *field, const msgpack_object *object, uint64_t *out);
bool target_decode(const struct proto_field *field, const msgpack_object *object,
                   struct proto_target *out);
bool enum_decode(const struct proto_field *field, const msgpack_object *object, uint32_t *out);

/* TEXT, NAME, OSTEXT: 0, or the code to refuse it with; describes nothing. */
int text_decode(const struct decoder *d, const struct proto_field *field,
                const msgpack_object *object, struct proto_text *out);

/* Values with parts: a refusal is described already. */
int texts_decode(const struct decoder *d, const struct proto_field *field,
                 const msgpack_object *object, const struct place *at, struct proto_texts *out);
int environment_decode(const struct decoder *d, const struct proto_field *field,
                       const msgpack_object *object, const struct place *at,
                       struct proto_environment *out);
int rlimits_decode(const struct decoder *d, const struct proto_field *field,
                   const msgpack_object *object, const struct place *at, struct proto_rlimits *out);

/* ---- batch.c ------------------------------------------------------------------- */

/* The list of operations in a batch; what is wrong with one is put into it. */
int batch_decode(const struct decoder *d, const struct proto_field *field,
                 const msgpack_object *object, const struct place *at, struct args_batch *out);

/* Refuse what may not stand in a batch of that kind. */
int batch_check(const struct decoder *d, struct args_batch *batch);

/* Parts of every envelope: a session or capability (false: neither nil nor 16
 * bytes), and an operation's name. */
bool token_decode(const msgpack_object *object, bool *has, uint8_t out[16]);
int op_decode(const struct decoder *d, const msgpack_object *object, const struct proto_op **out);

/* ---- expect.c ------------------------------------------------------------------ */

/* What a field wants, as it reads after "must be". */
void field_expects(const struct proto_field *field, char *text, size_t size);

/* Refuse a field: "op: field "x" must be ..., got ...". Returns the code. */
int field_wrong(const struct decoder *d, const struct proto_field *field, const struct place *at,
                const msgpack_object *got, int code);
/* Refuse an unknown operation, with the nearest name there is as a hint. */
int op_unknown(struct proto_error *err, const msgpack_object_str *name);
/* Refuse with a text of one's own: "op: field "x" ...". */
int field_refuse(const struct decoder *d, const struct place *at, int code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
