/* serve_read.c - reading a request's JSON: values, or a refusal that names the place. */
#include "serve.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* ---- looking at values ---------------------------------------------------------- */

int32_t
value_type(const params *p, int32_t value)
{
    int32_t type = 0;
    uint64_t count;
    (void)decai_json_type_get(p->json, &type, &count, value);
    return type;
}

size_t
value_count(const params *p, int32_t value)
{
    int32_t type;
    uint64_t count = 0;
    (void)decai_json_type_get(p->json, &type, &count, value);
    return (size_t)count;
}

bool
value_get(const params *p, int32_t *out, int32_t object, const char *key)
{
    return decai_json_get(p->json, out, object, key) == 1 && value_type(p, *out) != DECAI_JSON_NULL;
}

int32_t
value_at(const params *p, int32_t array, size_t i)
{
    int32_t value = -1;
    return decai_json_at(p->json, &value, array, i) == 1 ? value : -1;
}

typedef int32_t (*getter)(const decai_json *, char *, size_t, size_t *, int32_t);

/* What a getter gives, behind what is in out. False: it has nothing. */
static bool
fetch(const params *p, getter get, int32_t value, text *out)
{
    size_t len = 0, at = out->len;
    int32_t r = get(p->json, NULL, 0, &len, value);
    if (r && r != DECAI_E_SPACE) return false;
    text_reserve(out, at + len);
    if (len && get(p->json, out->data + at, len, &len, value)) out->len = at;
    return true;
}

void
value_source(const params *p, int32_t value, text *out)
{
    (void)fetch(p, decai_json_format, value, out);
}

bool
value_key(const params *p, int32_t value, text *out)
{
    text_reserve(out, 0);
    return fetch(p, decai_json_key_get, value, out);
}

bool
value_is(const params *p, int32_t value, const char *word)
{
    text t = {0};
    bool same = value_type(p, value) == DECAI_JSON_STRING && fetch(p, decai_json_text_get, value, &t) && !strcmp(t.data, word);
    text_free(&t);
    return same;
}

/* ---- refusing ------------------------------------------------------------------------ */

bool
refuse_value(params *p, int32_t value, const char *name, const char *format, ...)
{
    text path = {0};
    char why[512];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    text_reserve(&path, 0);
    if (value >= 0) fetch(p, decai_json_path_get, value, &path);
    if (name) text_printf(&path, "%s%s", path.len ? "." : "", name);
    call_refuse(p->call, 400, path.len ? path.data : NULL, NULL, "%s%s%s", path.data, path.len ? ": " : "", why);
    text_free(&path);
    return false;
}

/* ---- typed reads -------------------------------------------------------------------------- */

bool
read_type(params *p, int32_t value, int32_t type, const char *what)
{
    return value_type(p, value) == type || refuse_value(p, value, NULL, "must be %s", what);
}

bool
read_text(params *p, int32_t value, text *out)
{
    if (!read_type(p, value, DECAI_JSON_STRING, "a string")) return false;
    text_reserve(out, out->len);
    return fetch(p, decai_json_text_get, value, out);
}

bool
read_bool(params *p, int32_t value, bool *out)
{
    text t = {0};
    if (!read_type(p, value, DECAI_JSON_BOOL, "true or false")) return false;
    (void)fetch(p, decai_json_text_get, value, &t);
    *out = t.data[0] == 't';
    text_free(&t);
    return true;
}

bool
read_i64(params *p, int32_t value, int64_t min, int64_t max, int64_t *out)
{
    text t = {0};
    char *end = NULL;
    text_reserve(&t, 0);
    if (value_type(p, value) == DECAI_JSON_NUMBER) (void)fetch(p, decai_json_text_get, value, &t);
    errno = 0;
    long long v = strtoll(t.data, &end, 10);
    bool good = t.len && !*end && !errno && v >= min && v <= max;
    text_free(&t);
    if (!good) return refuse_value(p, value, NULL, "must be a whole number from %lld to %lld", (long long)min, (long long)max);
    *out = v;
    return true;
}

bool
read_f64(params *p, int32_t value, double min, double max, double *out)
{
    text t = {0};
    text_reserve(&t, 0);
    if (value_type(p, value) == DECAI_JSON_NUMBER) (void)fetch(p, decai_json_text_get, value, &t);
    double v = strtod(t.data, NULL);                 /* never another locale's: this program sets none */
    bool good = t.len && v >= min && v <= max;
    text_free(&t);
    if (!good) return refuse_value(p, value, NULL, "must be a number from %g to %g", min, max);
    *out = v;
    return true;
}

/* ---- objects --------------------------------------------------------------------------------- */

static const field *
field_find(const field *table, const char *name)
{
    for (; table && table->name; table++)
        if (!strcmp(table->name, name)) return table;
    return NULL;
}

/* Which of the models: without a name the first. */
static bool
read_model(params *p, int32_t value)
{
    call *c = p->call;
    text name = {0};
    bool good = read_text(p, value, &name);
    served *found = good ? models_find(c->s, name.data) : NULL;
    if (good && !found)
        call_refuse(c, 404, "model", "model_not_found", "model: \"%s\" is not served here; /v1/models lists what is", name.data);
    if (found) c->model = found;
    text_free(&name);
    return found != NULL;
}

bool
fields_read(params *p, const field *own, const field *shared)
{
    text key = {0};
    bool good = true;
    int32_t model;
    if (value_type(p, 0) != DECAI_JSON_OBJECT) return refuse_value(p, 0, NULL, "the body must be a JSON object");
    /* First of all: the others are read by its vocabulary. */
    if ((field_find(own, "model") || field_find(shared, "model")) && value_get(p, &model, 0, "model") && !read_model(p, model)) return false;
    for (size_t i = 0; good && i < value_count(p, 0); i++) {
        int32_t value = value_at(p, 0, i);
        text_reserve(&key, 0);
        (void)fetch(p, decai_json_key_get, value, &key);
        const field *f = field_find(own, key.data);
        if (!f) f = field_find(shared, key.data);
        if (!f) {
            call_refuse(p->call, 400, key.data, "unknown_parameter", "%s: not known here, or not supported", key.data);
            good = false;
        } else if (f->read && value_type(p, value) != DECAI_JSON_NULL) {
            good = f->read(p, value);
        }
    }
    text_free(&key);
    return good;
}

/* ---- token ids ---------------------------------------------------------------------------------- */

bool
ids_add(params *p, int32_t value, text *ids, const char *data, size_t len, int32_t flags)
{
    int32_t r = ids_encode(p->call->model->tok, ids, data, len, flags);
    if (!r) return true;
    char detail[DECAI_DETAIL_MAX + 1];
    snprintf(detail, sizeof detail, "%s", decai_error_detail());
    return refuse_value(p, value, NULL, "%s", detail);
}

void
token_json(const served *m, text *out, int32_t token)
{
    uint8_t bytes[DECAI_TOKEN_STREAM_MAX];
    size_t len = 0;
    int32_t kind;
    if (decai_tokenizer_token_get(m->tok, bytes, sizeof bytes, &len, &kind, token)) len = 0;
    text_json_any(out, (const char *)bytes, len);
}

void
token_bytes_json(const served *m, text *out, int32_t token)
{
    uint8_t bytes[DECAI_TOKEN_STREAM_MAX];
    size_t len = 0;
    int32_t kind;
    if (decai_tokenizer_token_get(m->tok, bytes, sizeof bytes, &len, &kind, token)) len = 0;
    text_add(out, "[", 1);
    for (size_t i = 0; i < len; i++) text_printf(out, "%s%u", i ? "," : "", bytes[i]);
    text_add(out, "]", 1);
}
