/* From metadata to a program: every hyper-parameter has a limit and every tensor
 * a shape; what does not fit is refused by name. Files are made by changing
 * bytes of a good one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "infer/engine.h"
#include "support_infer.h"
#include "support_synth.h"

static decai_context *ctx;
static int setup(void **state) { (void)state; ctx = infer_context(0); return 0; }
static int teardown(void **state) { (void)state; decai_destroy(ctx); return 0; }

static const support_llama TINY = SUPPORT_LLAMA_TINY;

/* The place of `text` in the file; NULL if it is not there. */
static uint8_t *
find(uint8_t *bytes, size_t len, const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i + n <= len; i++)
        if (!memcmp(bytes + i, text, n)) return bytes + i;
    return NULL;
}

/* Value bytes of a key: behind it stand u32 type and the value. */
static uint8_t *
value_of(uint8_t *bytes, size_t len, const char *key)
{
    uint8_t *at = find(bytes, len, key);
    assert_non_null(at);
    return at + strlen(key) + 4;
}

static int32_t
program_of(const uint8_t *bytes, size_t len, decai__program **out)
{
    decai_model *model = NULL;
    *out = NULL;
    int32_t r = decai_model_open(&model, ctx, bytes, len, NULL);
    if (r) return r;
    r = decai__program_create(out, ctx, model, 1);
    decai_destroy(model);
    return r;
}

typedef struct change { const char *key; uint32_t value; int32_t result; const char *detail; } change;

static void
test_numbers(void **state)
{
    static const change changes[] = {
        { "llama.block_count", 0, DECAI_E_CORRUPT, "llama.block_count" },
        { "llama.block_count", 1, DECAI_E_UNSUPPORTED, "blk.1." },
        { "llama.block_count", 3, DECAI_E_CORRUPT, "blk.2." },
        { "llama.block_count", DECAI_LAYERS_MAX, DECAI_E_CORRUPT, "blk.2." },
        { "llama.block_count", DECAI_LAYERS_MAX + 1, DECAI_E_LIMIT, "257" },
        { "llama.embedding_length", 0, DECAI_E_CORRUPT, "llama.embedding_length" },
        { "llama.embedding_length", 63, DECAI_E_CORRUPT, "" },
        { "llama.embedding_length", 128, DECAI_E_CORRUPT, "token_embd.weight" },
        { "llama.embedding_length", DECAI_COMPUTE_COLS_MAX + 1, DECAI_E_LIMIT, "65537" },
        { "llama.feed_forward_length", 96, DECAI_E_CORRUPT, "blk.0.ffn_gate.weight" },
        { "llama.feed_forward_length", UINT32_MAX, DECAI_E_LIMIT, "llama.feed_forward_length" },
        { "llama.attention.head_count", 0, DECAI_E_CORRUPT, "head_count" },
        { "llama.attention.head_count", 3, DECAI_E_CORRUPT, "not a multiple" },
        { "llama.attention.head_count", 8, DECAI_E_CORRUPT, "" },
        { "llama.attention.head_count", DECAI_HEADS_MAX + 1, DECAI_E_LIMIT, "257" },
        { "llama.attention.head_count_kv", 4, DECAI_E_CORRUPT, "blk.0.attn_k.weight" },
        { "llama.attention.head_count_kv", 0, DECAI_E_CORRUPT, "head_count_kv" },
        { "llama.context_length", 0, DECAI_E_CORRUPT, "llama.context_length" },
        { "llama.rope.dimension_count", 17, DECAI_E_CORRUPT, "rope.dimension_count" },
        { "llama.rope.dimension_count", 18, DECAI_E_CORRUPT, "rope.dimension_count" },
        { "llama.rope.dimension_count", DECAI_HEAD_DIM_MAX + 1, DECAI_E_LIMIT, "rope.dimension_count" },
        { "llama.attention.layer_norm_rms_epsilon", 0x7fc00000, DECAI_E_CORRUPT, "epsilon" },
        { "llama.attention.layer_norm_rms_epsilon", 0, DECAI_E_CORRUPT, "epsilon" },
        { "llama.rope.freq_base", 0xbf800000, DECAI_E_CORRUPT, "freq_base" },
        { "llama.rope.freq_base", 0x7f800000, DECAI_E_CORRUPT, "freq_base" },
    };
    (void)state;
    for (size_t i = 0; i < DECAI__COUNT(changes); i++) {
        decai__program *p = NULL;
        uint8_t *bytes;
        size_t len;
        support_gguf_llama(&TINY, &bytes, &len);
        if (!find(bytes, len, changes[i].key)) {
            print_message("%s: not in the synthetic file\n", changes[i].key);
            free(bytes);
            continue;
        }
        memcpy(value_of(bytes, len, changes[i].key), &changes[i].value, 4);
        int32_t r = program_of(bytes, len, &p);
        if (r != changes[i].result || !strstr(decai_error_detail(), changes[i].detail))
            print_message("%s = %u: %d, %s\n", changes[i].key, changes[i].value, r, decai_error_detail());
        assert_int_equal(r, changes[i].result);
        assert_non_null(strstr(decai_error_detail(), changes[i].detail));
        assert_null(p);
        free(bytes);
    }
}

/* One letter of a name changes: the key or tensor is missing, or unknown. */
static void
test_names(void **state)
{
    static const struct { const char *name; int32_t result; const char *detail; } renames[] = {
        { "general.architecture", DECAI_E_CORRUPT, "general.architecture" },
        { "llama.block_count", DECAI_E_CORRUPT, "llama.block_count: missing" },
        { "llama.embedding_length", DECAI_E_CORRUPT, "llama.embedding_length: missing" },
        { "llama.feed_forward_length", DECAI_E_CORRUPT, "llama.feed_forward_length: missing" },
        { "llama.context_length", DECAI_E_CORRUPT, "llama.context_length: missing" },
        { "token_embd.weight", DECAI_E_CORRUPT, "token_embd.weight: missing" },
        { "output_norm.weight", DECAI_E_CORRUPT, "output_norm.weight: missing" },
        { "blk.0.attn_q.weight", DECAI_E_CORRUPT, "blk.0.attn_q.weight: missing" },
        { "blk.1.ffn_down.weight", DECAI_E_CORRUPT, "blk.1.ffn_down.weight: missing" },
    };
    (void)state;
    for (size_t i = 0; i < DECAI__COUNT(renames); i++) {
        decai__program *p = NULL;
        uint8_t *bytes;
        size_t len;
        support_gguf_llama(&TINY, &bytes, &len);
        uint8_t *at = find(bytes, len, renames[i].name);
        assert_non_null(at);
        at[strlen(renames[i].name) - 1] = 'z';
        assert_int_equal(program_of(bytes, len, &p), renames[i].result);
        assert_non_null(strstr(decai_error_detail(), renames[i].detail));
        free(bytes);
    }
}

static void
test_unknown(void **state)
{
    decai__program *p = NULL;
    uint8_t *bytes;
    size_t len;
    (void)state;

    /* No output.weight means tied; what it was called instead is unknown. */
    support_gguf_llama(&TINY, &bytes, &len);
    uint8_t *at = bytes;
    while ((at = find(at, len - (size_t)(at - bytes), "output.weight")) && at[-1] == '_') at++;
    assert_non_null(at);
    at[5] = 'z';
    assert_int_equal(program_of(bytes, len, &p), DECAI_E_UNSUPPORTED);
    assert_non_null(strstr(decai_error_detail(), "outpuz.weight"));
    free(bytes);

    support_gguf_llama(&TINY, &bytes, &len);
    at = find(bytes, len, "general.architecture") + strlen("general.architecture") + 4 + 8;
    assert_memory_equal(at, "llama", 5);
    memcpy(at, "mamba", 5);
    assert_int_equal(program_of(bytes, len, &p), DECAI_E_UNSUPPORTED);
    assert_non_null(strstr(decai_error_detail(), "\"mamba\""));
    free(bytes);
}

/* Features we lack: their keys at work are refused, switched off they pass. */
static void
test_features(void **state)
{
    static const struct { const char *key; uint32_t type; const char *text; uint32_t value; int32_t result; } rows[] = {
        { "llama.attention.clamp_kqv", DECAI_METADATA_F32, NULL, 0x40000000, DECAI_E_UNSUPPORTED },
        { "llama.attention.clamp_kqv", DECAI_METADATA_F32, NULL, 0, DECAI_E_CORRUPT },
        { "llama.expert_shared_count", DECAI_METADATA_U32, NULL, 1, DECAI_E_UNSUPPORTED },
        { "llama.expert_shared_count", DECAI_METADATA_U32, NULL, 0, DECAI_E_CORRUPT },
        { "llama.logit_scale", DECAI_METADATA_F32, NULL, 0x40000000, DECAI_E_UNSUPPORTED },
        { "llama.logit_scale", DECAI_METADATA_F32, NULL, 0x3f800000, DECAI_E_CORRUPT },
        { "llama.attn_logit_softcapping", DECAI_METADATA_F32, NULL, 0x42480000, DECAI_E_UNSUPPORTED },
        { "llama.attention.max_alibi_bias", DECAI_METADATA_F32, NULL, 0x41000000, DECAI_E_UNSUPPORTED },
    };
    (void)state;
    for (size_t i = 0; i < DECAI__COUNT(rows); i++) {
        decai__program *p = NULL;
        gguf_writer w;
        uint8_t *bytes;
        size_t len;
        gguf_begin(&w, 32);
        gguf_str(&w, "general.architecture", "llama");
        if (rows[i].text) gguf_str(&w, rows[i].key, rows[i].text);
        else gguf_raw(&w, rows[i].key, rows[i].type, &rows[i].value, 4);
        gguf_end(&w, &bytes, &len);
        /* Without a shape: switched off, the first missing key is what stops it. */
        assert_int_equal(program_of(bytes, len, &p), rows[i].result);
        assert_non_null(strstr(decai_error_detail(),
            rows[i].result == DECAI_E_UNSUPPORTED ? rows[i].key : "llama.block_count"));
        free(bytes);
    }
}

/* Is `late` the same place as `early` by right: op after op took it over? */
static bool
takes_over(const decai__program *p, uint32_t late, int32_t early)
{
    int32_t at = (int32_t)late;
    while (at > early) {
        const decai__op *op = &p->ops[at];
        bool in_place = op->kind == DECAI__OP_ROPE || op->kind == DECAI__OP_BIAS || op->kind == DECAI__OP_BIAS_EXPERT
            || op->kind == DECAI__OP_EMBED_ADD || op->kind == DECAI__OP_SOFTCAP;
        at = in_place ? op->in[0] : op->kind == DECAI__OP_MIX_EXPERT ? op->in[2] : -1;
    }
    return at == early;
}

static void
check_plan(const decai__program *p)
{
    decai__plan plan = { 0 };
    assert_int_equal(decai__plan_make(&plan, ctx, p), 0);
    assert_true(plan.slots <= 8);
    for (uint32_t i = 0; i < p->count; i++) {
        for (int j = 0; j < 3; j++) {
            int32_t in = p->ops[i].in[j];
            if (in < 0 || plan.slot[in] < 0) continue;
            /* Attention runs at MIX, but reads what SCORE reads. */
            for (uint32_t between = (uint32_t)in + 1; between < i; between++)
                assert_true(plan.slot[between] != plan.slot[in] || takes_over(p, between, in));
        }
        if (plan.slot[i] >= 0) assert_true(plan.slot_bytes[plan.slot[i]] >= 4 || p->ops[i].rows == 0);
    }
    decai__plan_free(&plan, ctx);
}

/* No two outputs that live at the same time share a buffer, in any architecture. */
static void
test_plan(void **state)
{
    static const uint32_t types[] = { 0, 8, SYNTH_Q4_K_M };
    (void)state;
    for (size_t f = 0; synth_flavours[f]; f++)
        for (size_t t = 0; t < 3; t++) {
            synth_spec s;
            uint8_t *bytes;
            size_t len;
            decai__program *p = NULL;
            assert_int_equal(synth_defaults(&s, synth_flavours[f], types[t], "tiny"), 0);
            synth_memory(&s, &bytes, &len);
            assert_int_equal(program_of(bytes, len, &p), 0);
            check_plan(p);
            decai__program_destroy(p);
            free(bytes);
        }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_names), cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_features), cmocka_unit_test(test_plan),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
