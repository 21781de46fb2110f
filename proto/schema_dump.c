/* SPDX-License-Identifier: MIT */
/*
 * Prints the schema.
 *
 *     schema_dump mdoc        the operations' tables of asupersync-protocol(7)
 *     schema_dump json        the same for programs
 *     schema_dump seeds DIR   samples of requests and replies as seeds for the
 *                             fuzzers, into DIR/request and DIR/reply
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "decode.h"
#include "sample.h"

/* Records that requests refer to by a letter. */
#define RECORD_COUNT 4
static const struct proto_record *const records[RECORD_COUNT] = {
    &proto_process_record, &proto_budget_record, &proto_retry_record, &proto_completion_record};

/* ---- What a field is called in tables ----------------------------------------------- */

static const char *
type_name(const struct proto_field *field)
{
    switch (field->type) {
    case PROTO_UINT:
        return "uint";
    case PROTO_DURATION:
        return "duration";
    case PROTO_INSTANT:
        return "instant";
    case PROTO_INT:
        return "int";
    case PROTO_BOOL:
        return "bool";
    case PROTO_TEXT:
        return "text";
    case PROTO_NAME:
        return "name";
    case PROTO_OSTEXT:
        return "string";
    case PROTO_BYTES:
        return "bin";
    case PROTO_DATA:
        return "bin or string";
    case PROTO_ID:
        return "id";
    case PROTO_REGION:
        return "region";
    case PROTO_ANY:
        return "id or region";
    case PROTO_ENUM:
        return "word";
    case PROTO_TEXTS:
        return "list of string";
    case PROTO_ENV:
    case PROTO_RLIMITS:
        return "map";
    case PROTO_RECORD:
    case PROTO_INLINE:
        return field->record->name;
    case PROTO_PROCESSES:
        return "list of P";
    case PROTO_RECORDS:
        return field->record == &proto_completion_record ? "list of C" : "list of map";
    case PROTO_IDS:
        return "list of id";
    case PROTO_OPS:
        return "list";
    }
    return "";
}

static const char *
flags_text(uint32_t flags, char *out, size_t size)
{
    static const struct {
        uint32_t flag;
        const char *text;
    } words[] = {
        {PROTO_MUTATES, "changes state"},
        {PROTO_PARKS, "may wait"},
        {PROTO_SESSION, "needs a session"},
        {PROTO_OPERATOR, "for root and the daemon's owner"},
        {PROTO_BATCHED, "may stand in a batch"},
        {PROTO_ATOMIC, "also in an atomic one"},
    };
    size_t at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (flags & words[i].flag) {
            int length = snprintf(out + at, size - at, "%s%s", at > 0 ? "; " : "", words[i].text);
            at += length > 0 ? (size_t)length : 0;
        }
    }
    return out;
}

/* ---- mdoc --------------------------------------------------------------------------------- */

/* Text as lines of input: none begins as a request, no backslash escapes, and
 * sentences begin lines. */
#define MDOC_WIDTH 72

static void
mdoc_text(const char *text)
{
    size_t column = 0;

    if (*text == '.' || *text == '\'')
        (void)fputs("\\&", stdout);
    for (; *text; text++) {
        if (*text == ' ' && (text[-1] == '.' || column + strcspn(text + 1, " ") > MDOC_WIDTH)) {
            (void)putchar('\n');
            column = 0;
            continue;
        }
        column++;
        if (*text == '\\')
            (void)fputs("\\e", stdout);
        else
            (void)putchar(*text);
    }
}

/* A type that ends in '?' is that of a key that may be absent. */
static void
mdoc_item(const char *name, const char *type, bool required, const char *doc)
{
    size_t size = strlen(type);
    bool optional = size > 0 && type[size - 1] == '?';

    (void)printf(".It Li ");
    mdoc_text(name);
    (void)printf(" Pq %.*s%s%s\n", (int)(size - optional), type, required ? ", required" : "",
                 optional ? ", optional" : "");
    mdoc_text(doc);
    (void)putchar('\n');
}

static void
mdoc_fields(const struct proto_record *record)
{
    char expects[320];
    char sentence[sizeof expects + 16];

    (void)printf(".Bl -tag -width Ds -compact\n");
    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct proto_field *field = &record->fields[i];
        if (field->type == PROTO_INLINE) {
            (void)printf(".It and the fields of %s\n", field->record->name);
            continue;
        }
        mdoc_item(field->name, type_name(field), field->required, field->doc);
        field_expects(field, expects, sizeof expects);
        (void)snprintf(sentence, sizeof sentence, "Must be %s.", expects);
        mdoc_text(sentence);
        (void)putchar('\n');
    }
    (void)printf(".El\n");
}

static void
mdoc_reply(const struct proto_reply_field *fields)
{
    (void)printf(".Bl -tag -width Ds -compact\n");
    for (; fields->name; fields++)
        mdoc_item(fields->name, fields->type, false, fields->doc);
    (void)printf(".El\n");
}

static void
mdoc_op(const struct proto_op *op)
{
    char flags[192];

    (void)printf(".Ss %s\n%s\n", op->name, op->doc);
    if (op->flags)
        (void)printf(".Pq %s\n", flags_text(op->flags, flags, sizeof flags));
    if (op->args->field_count > 0) {
        (void)printf(".Pp\nArguments:\n");
        mdoc_fields(op->args);
    } else {
        (void)printf(".Pp\nIt takes no arguments.\n");
    }
    if (proto_replies[op->id]->name) {
        (void)printf(".Pp\nReply:\n");
        mdoc_reply(proto_replies[op->id]);
    } else {
        (void)printf("The reply's body is empty.\n");
    }
}

static int
dump_mdoc(void)
{
    for (size_t i = 0; i < PROTO_OP_COUNT; i++)
        mdoc_op(&proto_ops[i]);
    for (size_t i = 0; i < RECORD_COUNT; i++) {
        (void)printf(".Ss %s in requests\n%s\n.Pp\n", records[i]->name, records[i]->doc);
        mdoc_fields(records[i]);
    }
    for (const struct proto_shape *shape = proto_shapes; shape->name; shape++) {
        (void)printf(".Ss %s in replies\n%s\n.Pp\n", shape->name, shape->doc);
        mdoc_reply(shape->fields);
    }
    return 0;
}

/* ---- JSON --------------------------------------------------------------------------------- */

static void
json_text(const char *text)
{
    (void)putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            (void)putchar('\\');
        (void)putchar(*text);
    }
    (void)putchar('"');
}

static void
json_pair(const char *key, const char *value, const char *after)
{
    (void)printf("\"%s\": ", key);
    json_text(value);
    (void)fputs(after, stdout);
}

static void
json_fields(const struct proto_record *record, bool *first)
{
    char expects[320];

    for (uint32_t i = 0; i < record->field_count; i++) {
        const struct proto_field *field = &record->fields[i];
        if (field->type == PROTO_INLINE) {
            json_fields(field->record, first);
            continue;
        }
        (void)printf("%s\n      {", *first ? "" : ",");
        *first = false;
        json_pair("name", field->name, ", ");
        json_pair("type", type_name(field), ", ");
        (void)printf("\"required\": %s, ", field->required ? "true" : "false");
        field_expects(field, expects, sizeof expects);
        json_pair("must_be", expects, ", ");
        json_pair("doc", field->doc, "}");
    }
}

static void
json_reply(const struct proto_reply_field *fields)
{
    for (const struct proto_reply_field *field = fields; field->name; field++) {
        (void)printf("%s\n      {", field == fields ? "" : ",");
        json_pair("name", field->name, ", ");
        json_pair("type", field->type, ", ");
        json_pair("doc", field->doc, "}");
    }
}

static int
dump_json(void)
{
    char flags[192];

    (void)printf("{\n  \"protocol\": %d,\n  \"operations\": [", PROTO_VERSION);
    for (size_t i = 0; i < PROTO_OP_COUNT; i++) {
        const struct proto_op *op = &proto_ops[i];
        bool first = true;
        (void)printf("%s\n    {", i == 0 ? "" : ",");
        json_pair("name", op->name, ", ");
        json_pair("doc", op->doc, ", ");
        json_pair("notes", flags_text(op->flags, flags, sizeof flags), ", ");
        json_pair("right", op->right, ",\n     \"args\": [");
        json_fields(op->args, &first);
        (void)printf("],\n     \"reply\": [");
        json_reply(proto_replies[i]);
        (void)printf("]}");
    }
    (void)printf("],\n  \"records\": [");
    for (size_t i = 0; i < RECORD_COUNT; i++) {
        bool first = true;
        (void)printf("%s\n    {", i == 0 ? "" : ",");
        json_pair("name", records[i]->name, ", ");
        json_pair("doc", records[i]->doc, ",\n     \"fields\": [");
        json_fields(records[i], &first);
        (void)printf("]}");
    }
    (void)printf("],\n  \"shapes\": [");
    for (const struct proto_shape *shape = proto_shapes; shape->name; shape++) {
        (void)printf("%s\n    {", shape == proto_shapes ? "" : ",");
        json_pair("name", shape->name, ", ");
        json_pair("doc", shape->doc, ",\n     \"fields\": [");
        json_reply(shape->fields);
        (void)printf("]}");
    }
    (void)printf("]\n}\n");
    return 0;
}

/* ---- Seeds --------------------------------------------------------------------------------- */

struct seeds {
    const char *dir;
    const struct proto_op *op;
    unsigned count;
    bool failed;
};

/* Larger seeds only slow a fuzzer down. */
#define SEED_SIZE_MAX 4096

static void
seed_write(struct seeds *seeds, const char *folder, const char *name, struct proto_writer *w)
{
    char path[512];

    if (w->failed || w->size > SEED_SIZE_MAX) {
        seeds->failed = seeds->failed || w->failed;
        proto_writer_clear(w);
        return;
    }
    (void)snprintf(path, sizeof path, "%s/%s/%s-%03u", seeds->dir, folder, name, seeds->count++);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(w->data, 1, w->size, file) != w->size)
        seeds->failed = true;
    if (file && fclose(file) != 0)
        seeds->failed = true;
    proto_writer_clear(w);
}

static void
seed_field(void *context, const struct proto_field *field)
{
    struct seeds *seeds = context;
    struct proto_writer w;

    proto_writer_init(&w);
    for (int kind = 0; kind < SAMPLE_KIND_COUNT; kind++) {
        if (!sample_exists(field, (enum sample_kind)kind))
            continue;
        sample_request(&w, seeds->op, field, (enum sample_kind)kind);
        seed_write(seeds, "request", seeds->op->name, &w);
    }
    proto_writer_fini(&w);
}

static bool
make_dir(const char *dir, const char *name)
{
    char path[512];

    (void)snprintf(path, sizeof path, "%s%s", dir, name);
    return mkdir(path, 0777) == 0 || errno == EEXIST;
}

static int
dump_seeds(const char *dir)
{
    struct seeds seeds = {.dir = dir};
    struct proto_writer w;

    if (!make_dir(dir, "") || !make_dir(dir, "/request") || !make_dir(dir, "/reply")) {
        (void)fprintf(stderr, "schema_dump: %s: %s\n", dir, strerror(errno));
        return 1;
    }
    proto_writer_init(&w);
    for (size_t i = 0; i < PROTO_OP_COUNT; i++) {
        seeds.op = &proto_ops[i];
        sample_request(&w, seeds.op, NULL, SAMPLE_TYPICAL);
        seed_write(&seeds, "request", seeds.op->name, &w);
        sample_request_full(&w, seeds.op);
        seed_write(&seeds, "request", seeds.op->name, &w);
        sample_each_field(seeds.op->args, seed_field, &seeds);
    }
    for (unsigned i = 0; sample_reply(&w, i); i++)
        seed_write(&seeds, "reply", "reply", &w);
    proto_writer_fini(&w);
    if (seeds.failed)
        (void)fprintf(stderr, "schema_dump: %s: not every seed could be written\n", dir);
    return seeds.failed;
}

int
main(int argc, char **argv)
{
    int rc = 2;

    if (argc == 2 && strcmp(argv[1], "mdoc") == 0)
        rc = dump_mdoc();
    else if (argc == 2 && strcmp(argv[1], "json") == 0)
        rc = dump_json();
    else if (argc == 3 && strcmp(argv[1], "seeds") == 0)
        rc = dump_seeds(argv[2]);
    else
        (void)fprintf(stderr, "usage: schema_dump mdoc | json | seeds DIR\n");
    if (fflush(stdout) != 0)
        rc = 1;
    return rc;
}
