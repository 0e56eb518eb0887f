/* options.c - one table of every option of every room, and bags of values.
 *
 * The table is compiled from lib/<room>/opts.def, so a key, its bounds and its
 * documentation are written once. A value is checked when it is set; a create
 * later refuses keys of rooms it does not read, so a typing mistake or a
 * misplaced option cannot pass in silence. */
#include <string.h>

#include "base/context.h"

#define I64   DECAI_OPTION_I64
#define F64   DECAI_OPTION_F64
#define STR   DECAI_OPTION_STR
#define BYTES DECAI_OPTION_BYTES
#define FN    DECAI_OPTION_FN

typedef struct option_row {
    const char *key;
    int32_t type;
    double min, max;
    int64_t i64_min, i64_max, i64_default;
    double f64_default;
    const char *text_default;
    const char *doc;
} option_row;

/* The sentence a person sees says the default and the bounds as they are written. */
#define DOC_I64(lo, hi, number, text, doc)   doc " (default " #number ", from " #lo " to " #hi ")"
#define DOC_F64(lo, hi, number, text, doc)   DOC_I64(lo, hi, number, text, doc)
#define DOC_STR(lo, hi, number, text, doc)   doc " (default \"" text "\", " #lo " to " #hi " bytes)"
#define DOC_BYTES(lo, hi, number, text, doc) doc " (" #lo " to " #hi " bytes)"
#define DOC_FN(lo, hi, number, text, doc)    doc

static const option_row rows[] = {
#define OPTION(key, type, lo, hi, number, text, doc)                                              \
    {key, type, (double)(lo), (double)(hi), (int64_t)(lo), (int64_t)(hi), (int64_t)(number),      \
        (double)(number), text, DOC_##type(lo, hi, number, text, doc)},
#include "options.inc"
#undef OPTION
};

typedef struct option_value {
    const option_row *row;
    int64_t i64;
    double f64;
    uint8_t *data;                   /* copied; NUL follows */
    size_t len;
    decai_fn fn;
    void *user;
} option_value;

struct decai_options {
    decai__handle h;
    size_t count;
    option_value values[DECAI_OPTION_COUNT_MAX];
};

static const option_row *
row_find(const char *key)
{
    for (size_t i = 0; i < DECAI__COUNT(rows); i++)
        if (!strcmp(rows[i].key, key)) return &rows[i];
    return NULL;
}

static void
options_destroy(void *self)
{
    decai_options *o = self;
    for (size_t i = 0; i < o->count; i++) {
        if (o->values[i].data) decai__wipe(o->values[i].data, o->values[i].len);
        decai__free(o->h.context, o->values[i].data);
    }
}

int32_t
decai__options_create(decai_options **out, decai_context *ctx)
{
    *out = decai__handle_create(ctx, DECAI__OPTIONS, sizeof **out, options_destroy);
    return *out ? 0 : DECAI_E_NOMEM;
}

static int32_t
check_bounds(const option_row *row, int64_t i64, double f64, size_t len)
{
    if (row->type == I64 && (i64 < row->i64_min || i64 > row->i64_max))
        return decai__fail(DECAI_E_INVALID, "%s: %lld is outside %lld to %lld", row->key, (long long)i64,
            (long long)row->i64_min, (long long)row->i64_max);
    /* Written so that NaN fails. */
    if (row->type == F64 && !(f64 >= row->min && f64 <= row->max))
        return decai__fail(DECAI_E_INVALID, "%s: %g is outside %g to %g", row->key, f64, row->min, row->max);
    bool sized = row->type == STR || row->type == BYTES;
    if (sized && ((int64_t)len < row->i64_min || (int64_t)len > row->i64_max))
        return decai__fail(DECAI_E_INVALID, "%s: %zu bytes, outside %lld to %lld", row->key, len,
            (long long)row->i64_min, (long long)row->i64_max);
    return 0;
}

static option_value *
value_slot(decai_options *o, const option_row *row)
{
    for (size_t i = 0; i < o->count; i++)
        if (o->values[i].row == row) return &o->values[i];
    return o->count < DECAI_OPTION_COUNT_MAX ? &o->values[o->count] : NULL;
}

int32_t
decai__options_put(decai_options *o, const char *key, int32_t type, int64_t i64, double f64,
    const void *data, size_t len, decai_fn fn, void *user)
{
    const option_row *row = row_find(key);
    if (!row) return decai__fail(DECAI_E_INVALID, "option \"%.*s\": no such key", DECAI_OPTION_KEY_MAX, key);
    if (row->type != type)
        return decai__fail(DECAI_E_INVALID, "%s: set as type %d, is type %d", key, (int)type, (int)row->type);
    if (len > DECAI_OPTION_BYTES_MAX)
        return decai__fail(DECAI_E_LIMIT, "%s: %zu bytes, most are %d", key, len, DECAI_OPTION_BYTES_MAX);
    int32_t r = check_bounds(row, i64, f64, len);
    if (r) return r;
    option_value *v = value_slot(o, row);
    if (!v) return decai__fail(DECAI_E_LIMIT, "options: more than %d keys", DECAI_OPTION_COUNT_MAX);

    uint8_t *copy = NULL;
    if (data) {
        copy = decai__alloc(o->h.context, len + 1);
        if (!copy) return decai__fail(DECAI_E_NOMEM, "%s: %zu bytes", key, len);
        memcpy(copy, data, len);
        copy[len] = 0;
    }
    if (v->row) {
        if (v->data) decai__wipe(v->data, v->len);
        decai__free(o->h.context, v->data);
    }
    else o->count++;
    *v = (option_value){row, i64, f64, copy, len, fn, user};
    return 0;
}

int32_t
decai__options_copy(decai_options **out, decai_context *ctx, const decai_options *o)
{
    int32_t r = decai__options_create(out, ctx);
    for (size_t i = 0; !r && i < o->count; i++) {
        const option_value *v = &o->values[i];
        r = decai__options_put(*out, v->row->key, v->row->type, v->i64, v->f64, v->data, v->len, v->fn, v->user);
    }
    if (r) {
        decai__destroy(*out);
        *out = NULL;
    }
    return r;
}

static const option_value *
value_find(const decai_options *o, const char *key, int32_t type, const option_row **row)
{
    *row = row_find(key);
    decai__assert(*row && (*row)->type == type);
    (void)type;
    if (!o) return NULL;
    for (size_t i = 0; i < o->count; i++)
        if (o->values[i].row == *row) return &o->values[i];
    return NULL;
}

int64_t
decai__opt_i64(const decai_options *o, const char *key)
{
    const option_row *row;
    const option_value *v = value_find(o, key, I64, &row);
    return v ? v->i64 : row->i64_default;
}

double
decai__opt_f64(const decai_options *o, const char *key)
{
    const option_row *row;
    const option_value *v = value_find(o, key, F64, &row);
    return v ? v->f64 : row->f64_default;
}

const char *
decai__opt_str(const decai_options *o, const char *key)
{
    const option_row *row;
    const option_value *v = value_find(o, key, STR, &row);
    return v ? (const char *)v->data : row->text_default;
}

const uint8_t *
decai__opt_bytes(const decai_options *o, const char *key, size_t *len)
{
    const option_row *row;
    const option_value *v = value_find(o, key, BYTES, &row);
    *len = v ? v->len : 0;
    return v ? v->data : NULL;
}

decai_fn
decai__opt_fn(const decai_options *o, const char *key, void **user)
{
    const option_row *row;
    const option_value *v = value_find(o, key, FN, &row);
    *user = v ? v->user : NULL;
    return v ? v->fn : NULL;
}

bool
decai__opt_is_set(const decai_options *o, const char *key)
{
    const option_row *row = row_find(key);
    for (size_t i = 0; o && i < o->count; i++)
        if (o->values[i].row == row) return true;
    return false;
}

static bool
room_listed(const char *key, const char *rooms)
{
    size_t n = strcspn(key, ".");
    for (const char *at = rooms; *at;) {
        size_t m = strcspn(at, " ");
        if (m == n && !memcmp(at, key, n)) return true;
        at += m;
        at += strspn(at, " ");
    }
    return false;
}

int32_t
decai__opts_check(const decai_options *o, const char *rooms)
{
    if (!o) return 0;
    int32_t r = decai__enter_shared(o, DECAI__OPTIONS);
    if (r) return r;
    for (size_t i = 0; i < o->count; i++)
        if (!room_listed(o->values[i].row->key, rooms))
            return decai__fail(DECAI_E_INVALID, "%s: not read here; this call reads \"%s\"",
                o->values[i].row->key, rooms);
    return 0;
}

int32_t
decai__option_at(const char **key, int32_t *type, const char **doc, size_t index)
{
    if (index >= DECAI__COUNT(rows)) return 0;
    *key = rows[index].key;
    *type = rows[index].type;
    *doc = rows[index].doc;
    return 1;
}
