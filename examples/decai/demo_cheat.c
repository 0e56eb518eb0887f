/* demo_cheat.c - what the dishonest provider does.
 *
 * It changes one number of the model (the scale of one block of 32 weights in one
 * matrix), runs that, and forges its receipt: the payload is patched to name the
 * model root that was asked for, and signed with its own good key. Form and
 * signature of the forgery are perfect; only the numbers are not.
 *
 * A lie that nobody could see would make a poor story, so it tries a list of
 * places, always in the same order, and takes the first where the answer still
 * looks right and is not: same length, a few letters changed. */
#include "demo.h"

#include <stdlib.h>
#include <string.h>

/* ---- where a file keeps a tensor: its table, walked as the format says ----------------- */

typedef struct place {
    const char *tensor;
    uint64_t row, offset;            /* of the row's first block, in the file */
    uint32_t type;
} place;

static size_t
gguf_string(const uint8_t *f, size_t at, const char **s, uint64_t *len)
{
    memcpy(len, f + at, 8);
    *s = (const char *)f + at + 8;
    return at + 8 + (size_t)*len;
}

static size_t
gguf_skip(const uint8_t *f, size_t at, uint32_t type)
{
    enum { STRING = 8, ARRAY = 9 };
    static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    uint32_t item;
    uint64_t n;
    const char *s;
    if (type == STRING) return gguf_string(f, at, &s, &n);
    if (type != ARRAY) return at + sizes[type];
    memcpy(&item, f + at, 4);
    memcpy(&n, f + at + 4, 8);
    at += 12;
    for (uint64_t i = 0; i < n; i++) at = gguf_skip(f, at, item);
    return at;
}

static uint64_t
row_bytes(uint32_t type, uint64_t cols)
{
    switch (type) {
    case DECAI_TENSOR_F32: return cols * 4;
    case DECAI_TENSOR_Q4_0: return cols / 32 * 18;
    case DECAI_TENSOR_Q8_0: return cols / 32 * 34;
    default: return cols * 2;        /* F16, BF16 */
    }
}

/* The library has accepted this file, so its table is sound. False: no such row. */
static bool
place_find(place *p, const uint8_t *f, uint64_t alignment)
{
    uint64_t tensors, entries, len, offset, cols = 0, rows = 0;
    uint32_t type, dims;
    const char *s;
    size_t at = 24;
    bool found = false;
    memcpy(&tensors, f + 8, 8);
    memcpy(&entries, f + 16, 8);
    for (uint64_t i = 0; i < entries; i++) {
        at = gguf_string(f, at, &s, &len);
        memcpy(&type, f + at, 4);
        at = gguf_skip(f, at + 4, type);
    }
    for (uint64_t i = 0; i < tensors; i++) {
        at = gguf_string(f, at, &s, &len);
        memcpy(&dims, f + at, 4);
        bool it = dims == 2 && len == strlen(p->tensor) && !memcmp(s, p->tensor, (size_t)len);
        if (it) memcpy(&cols, f + at + 4, 8);
        if (it) memcpy(&rows, f + at + 12, 8);
        at += 4 + 8 * (size_t)dims;
        memcpy(&type, f + at, 4);
        memcpy(&offset, f + at + 4, 8);
        at += 12;
        if (!it) continue;
        found = true;
        p->type = type;
        p->offset = offset + p->row * row_bytes(type, cols);
    }
    p->offset += (at + alignment - 1) / alignment * alignment;
    return found && p->row < rows;
}

/* ---- the change ------------------------------------------------------------------------- */

/* Turns the sign of a block's scale (of one weight, where a type has no blocks) and
 * makes it 16 times as large. False: it is zero, or would not be finite. */
static bool
tamper(uint8_t *f, const place *p)
{
    bool half = p->type != DECAI_TENSOR_F32 && p->type != DECAI_TENSOR_BF16;
    uint8_t *at = f + p->offset + (p->type == DECAI_TENSOR_F32 ? 2 : 0);
    unsigned v = at[0] | (unsigned)at[1] << 8, shift = half ? 10 : 7, top = half ? 31 : 255;
    unsigned exponent = v >> shift & top;
    if (!exponent || exponent + 4 >= top) return false;
    v = (v ^ 0x8000) + (4u << shift);
    at[0] = (uint8_t)v;
    at[1] = (uint8_t)(v >> 8);
    return true;
}

/* What the model answers, quietly; native, for it is the same on every backend.
 * False: no answer, for example because a number became infinite. */
static bool
answer_of(demo *d, const uint8_t *bytes, size_t len, text *answer)
{
    decai_options *o = NULL;
    decai_model *model = NULL;
    decai_session *s = NULL;
    check(decai_options_create(&o, d->ctx), "options");
    check(decai_options_set_i64(o, "model.hash", 0), "options");
    check(decai_model_open(&model, d->ctx, bytes, len, o), "the cheat's model");
    decai_destroy(o);
    decai_engine *engine = engine_make(d->ctx, model, "native");
    check(decai_options_create(&o, d->ctx), "options");
    check(decai_options_set_i64(o, "infer.max_tokens", DEMO_TOKENS), "options");
    check(decai_session_create(&s, engine, o), "session");
    bool good = demo_generate(d, s, answer, false, NULL) >= 0;
    decai_destroy(o);
    decai_destroy(s);
    decai_destroy(engine);
    decai_destroy(model);
    return good;
}

/* 2: looks like the right answer, and is not; 1: another answer; 0: the same. */
static int
lie_quality(const text *honest, const text *answer)
{
    size_t differ = 0;
    if (honest->len == answer->len && !memcmp(honest->data, answer->data, honest->len)) return 0;
    if (honest->len != answer->len) return 1;
    for (size_t i = 0; i < honest->len; i++) differ += honest->data[i] != answer->data[i];
    return differ <= 4 ? 2 : 1;
}

static uint64_t
metadata_number(const char *about, const char *key, uint64_t otherwise)
{
    text value = {0};
    uint64_t n = json_field(&value, about, key) ? strtoull(value.data, NULL, 10) : 0;
    text_free(&value);
    return n ? n : otherwise;
}

/* The value matrices carry what a token says to others: a change there shows. */
static void
lie_choose(demo *d, text *file, const text *honest)
{
    enum { ROWS = 8, STEP = 8, LAYERS = 6 };
    static const char *const kinds[] = {"attn_v", "ffn_down"};
    text about = {0}, answer = {0};
    int best = -1;
    FETCH(&about, "model", decai_model_format(d->model, out, cap, &len));
    uint64_t alignment = metadata_number(about.data, "alignment", 32);
    for (int i = 0; i < 2 * LAYERS * ROWS && best < 2; i++) {
        /* From the middle of a small model upwards, and around. */
        place p = {.row = (uint64_t)(i % ROWS) * STEP};
        text name = {0};
        text_printf(&name, "blk.%d.%s.weight", (i / ROWS + 2) % LAYERS, kinds[i / (LAYERS * ROWS)]);
        p.tensor = name.data;
        text copy = {0};
        text_add(&copy, file->data, file->len);
        uint8_t *bytes = (uint8_t *)copy.data;
        if (place_find(&p, bytes, alignment) && tamper(bytes, &p)) {
            text_reserve(&answer, 0);
            int quality = answer_of(d, bytes, copy.len, &answer) ? lie_quality(honest, &answer) : -1;
            if (quality > best) {
                best = quality;
                text_reserve(&d->tampered, 0);
                text_printf(&d->tampered, "%s, row %llu", name.data, (unsigned long long)p.row);
                text_reserve(&d->lie, 0);
                text_add(&d->lie, copy.data, copy.len);
            }
        }
        text_free(&copy);
        text_free(&name);
    }
    if (best < 0) die(EXIT_FAILED, "--model: it has no matrix blk.N.attn_v or blk.N.ffn_down that the cheat can change");
    text_free(&about);
    text_free(&answer);
}

decai_model *
cheat_model(demo *d)
{
    text file = {0};
    decai_model *model = NULL;
    file_read(&file, d->model_file);
    lie_choose(d, &file, &d->run[0].answer);
    check(decai_model_open(&model, d->ctx, (const uint8_t *)d->lie.data, d->lie.len, NULL), "the cheat's model");
    text_free(&file);
    return model;
}

/* ---- the cheat's receipt ------------------------------------------------------------- */

static void
patch(text *t, const uint8_t *from, const uint8_t *to)
{
    for (size_t i = 0; i + 32 <= t->len; i++)
        if (!memcmp(t->data + i, from, 32)) memcpy(t->data + i, to, 32);
}

void
cheat_forge(demo *d, run *r, decai_model *ran)
{
    uint8_t own_root[32], old_id[32], new_id[32];
    text bytes = {0};
    check(decai_model_root_get(ran, own_root, 32), "model root");
    check(decai_receipt_id_get(r->receipt, old_id, 32), "receipt");
    FETCH(&bytes, "receipt", decai_receipt_encode(r->receipt, out, cap, &len));
    patch(&bytes, own_root, d->model_root);
    decai_destroy(r->receipt);
    r->receipt = NULL;
    check(decai_receipt_load(&r->receipt, d->ctx, (const uint8_t *)bytes.data, bytes.len), "receipt");
    check(decai_receipt_id_get(r->receipt, new_id, 32), "receipt");
    patch(&r->opening, old_id, new_id);
    text_free(&bytes);
}
