/* template.c - the handle of a chat template: made once, rendered many times.
 *
 * The text comes from the caller or from a model's metadata: GGUF keeps the main
 * one as tokenizer.chat_template and further ones as tokenizer.chat_template.NAME.
 * With a model, bos_token, eos_token and the other special tokens are variables
 * of every rendering, unless the conversation sets them itself. The handle is
 * never changed after it was made; a rendering has its own memory. */
#include <string.h>

#include "tok/template.h"

enum { SPECIALS = 7 };

struct decai_template {
    decai__handle h;
    decai__j_template t;
    decai__j_limits limits;
    decai__j_kwarg specials[SPECIALS];     /* variables from the model */
    uint32_t special_count;
};

static void
template_destroy(void *self)
{
    decai_template *t = self;
    decai__j_arena_free(&t->t.arena);
}

static decai__j_limits
limits_of(const decai_options *o)
{
    return (decai__j_limits){
        .text_max = decai__opt_i64(o, "tok.template_text_max"),
        .fuel = decai__opt_i64(o, "tok.template_fuel"),
        .memory = decai__opt_i64(o, "tok.template_memory_max"),
        .output = decai__opt_i64(o, "tok.template_output_max"),
        .depth = decai__opt_i64(o, "tok.template_depth"),
        .time_s = decai__opt_i64(o, "tok.template_time_s"),
    };
}

/* ---- from a model ------------------------------------------------------------------- */

static int32_t
model_text(const decai_model *model, const decai_options *o, const char **text, size_t *len)
{
    char key[128] = "tokenizer.chat_template";
    const char *name = decai__opt_str(o, "tok.template_name");
    size_t n = strlen(key), more = strlen(name);
    if (more) {
        key[n] = '.';
        memcpy(key + n + 1, name, more + 1);         /* the option is at most 64 bytes */
    }
    int32_t r = decai__model_str(model, key, text, len);
    if (r == DECAI_E_NOT_FOUND) return decai__fail(r, "%s: not in this model; give the template's text", key);
    return r;
}

/* Copy the text of token `id` into the template; absent tokens are no variables. */
static int32_t
special_add(decai_template *t, const decai__metadata *tokens, uint64_t id, const char *name)
{
    const uint8_t *pos = NULL;
    const char *text;
    size_t len;
    for (uint64_t i = 0; decai__metadata_next_str(tokens, &pos, &text, &len) == 1; i++) {
        if (i != id) continue;
        char *copy = decai__j_arena_alloc(&t->t.arena, len + 1);
        if (!copy) return decai__fail(decai__j_arena_why(&t->t.arena, len + 1), "template: %s", name);
        if (len) memcpy(copy, text, len);
        if (decai__utf8_valid(copy, len) == len)
            t->specials[t->special_count++] = (decai__j_kwarg){ decai__j_lit(name), decai__j_str(copy, len) };
        return 0;
    }
    return 0;
}

static int32_t
specials_read(decai_template *t, const decai_model *model)
{
    static const struct { const char *key, *name; } roles[SPECIALS] = {
        { "tokenizer.ggml.bos_token_id", "bos_token" }, { "tokenizer.ggml.eos_token_id", "eos_token" },
        { "tokenizer.ggml.unknown_token_id", "unk_token" }, { "tokenizer.ggml.seperator_token_id", "sep_token" },
        { "tokenizer.ggml.padding_token_id", "pad_token" }, { "tokenizer.ggml.cls_token_id", "cls_token" },
        { "tokenizer.ggml.mask_token_id", "mask_token" },
    };
    const decai__metadata *tokens;
    int32_t r = decai__model_array(model, "tokenizer.ggml.tokens", DECAI_METADATA_STRING, &tokens);
    if (r) return r == DECAI_E_NOT_FOUND ? 0 : r;
    for (size_t i = 0; i < SPECIALS; i++) {
        uint64_t id;
        r = decai__model_u64(model, roles[i].key, 0, UINT32_MAX, &id);
        if (!r) r = special_add(t, tokens, id, roles[i].name);
        if (r && r != DECAI_E_NOT_FOUND) return r;
    }
    return 0;
}

/* ---- making ---------------------------------------------------------------------------- */

int32_t
decai__template_create(decai_template **out, decai_context *ctx, const decai_model *model, const char *text,
    size_t len, const decai_options *o)
{
    int32_t r = decai__opts_check(o, "tok");
    if (!r && !text) r = model_text(model, o, &text, &len);
    if (r) return r;
    decai_template *t = decai__handle_create(ctx, DECAI__TEMPLATE, sizeof *t, template_destroy);
    if (!t) return decai__fail(DECAI_E_NOMEM, "template: %zu bytes", sizeof *t);
    t->limits = limits_of(o);
    r = decai__j_template_make(ctx, &t->t, text, len, &t->limits);
    if (!r && model) r = specials_read(t, model);
    if (r) decai__destroy(t);
    else *out = t;
    return r;
}

/* ---- rendering ---------------------------------------------------------------------------- */

/* A rendering's first memory is on the stack: most need no more. */
enum { FIRST_BYTES = 12 << 10 };

int32_t
decai__template_format(const decai_template *t, uint8_t *out, size_t cap, size_t *len, const char *text, size_t text_len)
{
    const decai__j_limits *l = &t->limits;
    _Alignas(16) char first[FIRST_BYTES];
    decai__j_outside given = { .model = t->specials, .count = t->special_count };
    decai__j_run r = { .ctx = t->h.context, .t = &t->t, .fuel = l->fuel, .fuel_max = l->fuel, .depth_max = (uint32_t)l->depth };
    r.arena = (decai__j_arena){ .ctx = r.ctx, .cur = first, .end = first + sizeof first, .used = sizeof first,
        .max = (size_t)l->memory, .name = "tok.template_memory_max" };
    r.out.max = (size_t)l->output;
    r.out.hint = text_len + text_len / 4;
    r.time_s = l->time_s >= 0 ? l->time_s : decai__clock_wall_ms(r.ctx) / 1000;
    int32_t code = decai__j_json_read(&r, text, text_len, &given.conversation);
    if (!code && given.conversation.type != J_DICT && given.conversation.type != J_LIST)
        code = decai__fail(DECAI_E_INVALID, "conversation: an array of messages or an object is needed");
    if (!code) code = decai__j_template_run(&t->t, &r, &given);
    if (!code) code = decai__bytes_out(out, cap, len, r.out.data, r.out.len);
    decai__free(r.ctx, r.out.data);
    decai__j_arena_free(&r.arena);
    return code;
}

const char *
decai__template_text(const decai_template *t, size_t *len)
{
    *len = t->t.len;
    return t->t.text;
}
