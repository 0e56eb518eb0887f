/* format.c - a model as text: one metadata value, or the whole as JSON.
 *
 * Strings in a model file are any bytes; JSON must be UTF-8, so bytes that are
 * not become U+FFFD there. decai_model_metadata_get gives strings as they are.
 *
 * Floats are written as the shortest decimal of at most 18 places that reads
 * back as the same float; what has none (1e30, 1e-30) is written exactly, as
 * "significand*2^exponent". No printf: its decimal point follows the locale. */
#include <math.h>
#include <string.h>

#include "codec/codec.h"
#include "model/internal.h"

#define TEXT_SHOWN  16384            /* longer strings are cut in the JSON */
#define ITEMS_SHOWN 8                /* longer arrays are cut in the JSON */

/* ---- floats -------------------------------------------------------------- */

/* v = digits / 10^places, for the least places that give back v. */
static bool
shortest(double v, bool single, int64_t *digits, uint32_t *places)
{
    double ten = 1;                                     /* exact up to 10^22 */
    for (*places = 0; *places <= 18; ++*places, ten *= 10) {
        double scaled = fabs(v) * ten;
        if (!(scaled < 0x1p53)) return false;
        *digits = (int64_t)(scaled + 0.5);
        double back = (double)*digits / ten;
        if (single ? (float)back == (float)fabs(v) : back == fabs(v)) {
            if (v < 0) *digits = -*digits;
            return true;
        }
    }
    return false;
}

static void
put_float(decai__json_writer *w, const char *key, double v, bool single)
{
    int64_t digits;
    uint32_t places;
    char text[64];
    int e;
    if (isnan(v)) decai__json_put_str(w, key, "nan");
    else if (isinf(v)) decai__json_put_str(w, key, v < 0 ? "-inf" : "inf");
    else if (shortest(v, single, &digits, &places)) decai__json_put_fixed(w, key, digits, places);
    else {
        decai__buf b;
        long long m = (long long)(frexp(v, &e) * 0x1p53);
        for (e -= 53; !(m & 1); e++) m /= 2;
        decai__buf_init(&b, w->buf->ctx, sizeof text, "float");
        decai__buf_printf(&b, "%lld*2^%d", m, e);
        if (!b.error) decai__json_put_text(w, key, (const char *)b.data, b.len);
        else if (!w->buf->error) w->buf->error = b.error;
        decai__buf_free(&b);
    }
}

/* ---- values -------------------------------------------------------------- */

static void
put_scalar(decai__json_writer *w, const char *key, uint32_t type, const uint8_t *p)
{
    float f;
    double d;
    switch (type) {
    case DECAI_METADATA_U8: decai__json_put_u64(w, key, *p); break;
    case DECAI_METADATA_I8: decai__json_put_i64(w, key, (int8_t)*p); break;
    case DECAI_METADATA_U16: decai__json_put_u64(w, key, decai__load_le16(p)); break;
    case DECAI_METADATA_I16: decai__json_put_i64(w, key, (int16_t)decai__load_le16(p)); break;
    case DECAI_METADATA_U32: decai__json_put_u64(w, key, decai__load_le32(p)); break;
    case DECAI_METADATA_I32: decai__json_put_i64(w, key, (int32_t)decai__load_le32(p)); break;
    case DECAI_METADATA_U64: decai__json_put_u64(w, key, decai__load_le64(p)); break;
    case DECAI_METADATA_I64: decai__json_put_i64(w, key, (int64_t)decai__load_le64(p)); break;
    case DECAI_METADATA_BOOL: decai__json_put_bool(w, key, *p == 1); break;
    case DECAI_METADATA_F32: memcpy(&f, p, 4), put_float(w, key, (double)f, true); break;
    default: memcpy(&d, p, 8), put_float(w, key, d, false); break;
    }
}

/* Text with U+FFFD for each byte that is not UTF-8. */
static void
put_text(decai__json_writer *w, const char *key, const uint8_t *text, size_t len)
{
    decai__buf b;
    decai__buf_init(&b, w->buf->ctx, 4 * (size_t)DECAI_MODEL_STRING_MAX, "model text");
    while (len) {
        size_t good = decai__utf8_valid((const char *)text, len);
        decai__buf_add(&b, text, good);
        if (good == len) break;
        decai__buf_add_str(&b, "\xef\xbf\xbd");
        text += good + 1;
        len -= good + 1;
    }
    if (!b.error) decai__json_put_text(w, key, b.len ? (const char *)b.data : "", b.len);
    else if (!w->buf->error) w->buf->error = b.error;
    decai__buf_free(&b);
}

static void
put_string(decai__json_writer *w, const char *key, const uint8_t *text, uint64_t len, bool whole)
{
    if (whole || len <= TEXT_SHOWN) {
        put_text(w, key, text, (size_t)len);
        return;
    }
    decai__json_put_object(w, key);
    decai__json_put_u64(w, "string", len);
    put_text(w, "head", text, TEXT_SHOWN);
    decai__json_put_end(w);
}

static const uint8_t *put_array(decai__json_writer *w, const char *key, const uint8_t *p, bool whole);

/* A value as it stands in the file; where the next one starts. With w NULL it
 * is only walked over. */
static const uint8_t *
put_value(decai__json_writer *w, const char *key, uint32_t type, const uint8_t *p, bool whole)
{
    static const uint8_t size[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };
    if (type == DECAI_METADATA_STRING) {
        uint64_t len = decai__load_le64(p);
        if (w) put_string(w, key, p + 8, len, whole);
        return p + 8 + len;
    }
    if (type == DECAI_METADATA_ARRAY) return put_array(w, key, p, whole);
    if (w) put_scalar(w, key, type, p);
    return p + size[type];
}

/* u32 type, u64 count, elements. */
static const uint8_t *
put_array(decai__json_writer *w, const char *key, const uint8_t *p, bool whole)
{
    static const char *const name[] = { "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array",
        "u64", "i64", "f64" };
    uint32_t type = decai__load_le32(p);
    uint64_t count = decai__load_le64(p + 4), shown = whole ? count : DECAI__MIN(count, ITEMS_SHOWN);
    bool cut = shown < count;
    p += 12;
    if (w && cut) {
        decai__json_put_object(w, key);
        decai__json_put_str(w, "array", name[type]);
        decai__json_put_u64(w, "count", count);
    }
    if (w) decai__json_put_array(w, cut ? "head" : key);
    for (uint64_t i = 0; i < count; i++)
        p = put_value(i < shown ? w : NULL, NULL, type, p, whole);
    if (w) decai__json_put_end(w);
    if (w && cut) decai__json_put_end(w);
    return p;
}

int32_t
decai__metadata_format(const decai__metadata *e, decai__buf *out)
{
    decai__json_writer w;
    if (e->type == DECAI_METADATA_STRING) return decai__buf_add(out, e->value, (size_t)e->count);
    decai__json_writer_init(&w, out, false);
    put_value(&w, NULL, e->type, e->raw, true);
    return decai__json_writer_end(&w);
}

/* ---- the whole ----------------------------------------------------------- */

static void
put_tensor(decai__json_writer *w, const decai_model *m, const decai__tensor *t)
{
    const uint8_t *root = decai__tensor_root(m, t);
    decai__json_put_object(w, NULL);
    decai__json_put_str(w, "name", t->name);
    decai__json_put_str(w, "type", decai__tensor_type(t->type)->name);
    decai__json_put_array(w, "dims");
    for (uint32_t i = 0; i < t->n_dims; i++) decai__json_put_u64(w, NULL, t->dims[i]);
    decai__json_put_end(w);
    decai__json_put_u64(w, "size", t->size);
    if (root) decai__json_put_hex(w, "root", root, 32);
    decai__json_put_end(w);
}

/* The last part of a path. */
static const char *
base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void
put_files(decai__json_writer *w, const decai_model *m)
{
    decai__json_put_array(w, "files");
    for (size_t i = 0; i < m->file_count; i++) {
        const char *name = base_name(m->files[i].path);
        decai__json_put_object(w, NULL);
        put_text(w, "name", (const uint8_t *)name, strlen(name));
        decai__json_put_u64(w, "size", m->files[i].len);
        if (m->identity.has_sha256) decai__json_put_hex(w, "sha256", m->files[i].sha256, 32);
        decai__json_put_end(w);
    }
    decai__json_put_end(w);
}

static void
put_head(decai__json_writer *w, const decai_model *m, uint64_t elements)
{
    uint64_t size = 0;
    for (size_t i = 0; i < m->file_count; i++) size += m->files[i].len;
    decai__json_put_str(w, "format", m->format);
    if (m->gguf.version) decai__json_put_u64(w, "version", m->gguf.version);
    decai__json_put_u64(w, "file_size", size);
    if (m->gguf.alignment) decai__json_put_u64(w, "alignment", m->gguf.alignment);
    decai__json_put_u64(w, "parameters", elements);
    if (m->identity.done) {
        decai__json_put_hex(w, "root", m->identity.root, 32);
        if (m->identity.has_sha256) decai__json_put_hex(w, "sha256", m->identity.sha256, 32);
    }
    if (m->file_count > 1) put_files(w, m);
}

int32_t
decai__model_format(const decai_model *m, decai__buf *out)
{
    decai__json_writer w;
    uint64_t elements = 0;
    for (size_t i = 0; i < m->gguf.tensor_count; i++) elements += m->gguf.tensors[i].elements;
    decai__json_writer_init(&w, out, false);
    decai__json_put_object(&w, NULL);
    put_head(&w, m, elements);
    decai__json_put_object(&w, "metadata");
    for (size_t i = 0; i < m->gguf.metadata_count; i++)
        put_value(&w, m->gguf.metadata[i].key, m->gguf.metadata[i].type, m->gguf.metadata[i].raw, false);
    decai__json_put_end(&w);
    decai__json_put_array(&w, "tensors");
    for (size_t i = 0; i < m->gguf.tensor_count; i++) put_tensor(&w, m, &m->gguf.tensors[i]);
    decai__json_put_end(&w);
    decai__json_put_end(&w);
    return decai__json_writer_end(&w);
}
