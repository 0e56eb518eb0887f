/* infer_safetensors_test.c - one Llama as a GGUF and as safetensors: the same
 * weights under other names, with the rows of q and k in the order in which they
 * are published. What the two say must differ by rounding only. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/internal.h"
#include "support_gguf.h"
#include "support_infer.h"

enum { DIM = 64, HEADS = 4, KV_HEADS = 2, FF = 128, LAYERS = 2, VOCAB = SUPPORT_VOCAB_MIN, TOKENS = 24 };
static char folder[] = "/tmp/decai-llama-XXXXXX", path[128];

static const char *at(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

/* The published name of a GGUF's tensor. */
static void published(const char *name, char *out, size_t cap)
{
    static const char *const NAME[][2] = { { "attn_norm", "input_layernorm" }, { "attn_q", "self_attn.q_proj" },
        { "attn_k", "self_attn.k_proj" }, { "attn_v", "self_attn.v_proj" }, { "attn_output", "self_attn.o_proj" },
        { "ffn_norm", "post_attention_layernorm" }, { "ffn_gate", "mlp.gate_proj" }, { "ffn_up", "mlp.up_proj" },
        { "ffn_down", "mlp.down_proj" } };
    int layer = 0;
    char part[32] = "";
    if (!strcmp(name, "token_embd.weight")) snprintf(out, cap, "model.embed_tokens.weight");
    else if (!strcmp(name, "output_norm.weight")) snprintf(out, cap, "model.norm.weight");
    else if (!strcmp(name, "output.weight")) snprintf(out, cap, "lm_head.weight");
    else {
        assert_int_equal(sscanf(name, "blk.%d.%31[a-z_].weight", &layer, part), 2);
        for (size_t i = 0; i < sizeof NAME / sizeof *NAME; i++)
            if (!strcmp(part, NAME[i][0])) snprintf(out, cap, "model.layers.%d.%s.weight", layer, NAME[i][1]);
    }
}

/* Row r as published is which row of the GGUF? Converters put the halves of each
 * head's rows alternately. */
static uint64_t source_row(const char *name, uint64_t r)
{
    uint64_t head = DIM / HEADS, in = r % head, half = head / 2;
    if (!strstr(name, "attn_q.") && !strstr(name, "attn_k.")) return r;
    return r - in + 2 * (in % half) + in / half;
}

static void write_safetensors(const decai_model *m)
{
    static char header[16384];
    uint64_t data = 0;
    strcpy(header, "{");
    for (size_t i = 0; i < decai__model_tensor_count(m); i++) {
        const decai__tensor *t = decai__model_tensor_at(m, i);
        char name[96], shape[48];
        published(t->name, name, sizeof name);
        if (t->n_dims == 1) snprintf(shape, sizeof shape, "%d", (int)t->dims[0]);
        else snprintf(shape, sizeof shape, "%d, %d", (int)t->dims[1], (int)t->dims[0]);
        snprintf(header + strlen(header), sizeof header - strlen(header),
            "%s\"%s\": {\"dtype\": \"F32\", \"shape\": [%s], \"data_offsets\": [%llu, %llu]}", i ? ", " : "", name, shape,
            (unsigned long long)data, (unsigned long long)(data + t->size));
        data += t->size;
    }
    strcat(header, "}");
    while (strlen(header) % 8) strcat(header, " ");
    FILE *f = fopen(at("model.safetensors"), "wb");
    assert_non_null(f);
    uint64_t n = strlen(header);
    assert_int_equal(fwrite(&n, 8, 1, f), 1);
    assert_int_equal(fwrite(header, n, 1, f), 1);
    for (size_t i = 0; i < decai__model_tensor_count(m); i++) {
        const decai__tensor *t = decai__model_tensor_at(m, i);
        for (uint64_t r = 0; r < t->dims[1]; r++)
            assert_int_equal(fwrite(t->data + source_row(t->name, r) * t->row_size, t->row_size, 1, f), 1);
    }
    assert_int_equal(fclose(f), 0);
    f = fopen(at("config.json"), "wb");
    assert_non_null(f);
    fprintf(f, "{\"model_type\": \"llama\", \"hidden_size\": %d, \"num_hidden_layers\": %d, \"num_attention_heads\": %d, "
        "\"num_key_value_heads\": %d, \"intermediate_size\": %d, \"max_position_embeddings\": 128, \"vocab_size\": %d, "
        "\"rms_norm_eps\": 1e-05, \"rope_theta\": 10000.0, \"tie_word_embeddings\": false}", DIM, LAYERS, HEADS, KV_HEADS, FF, VOCAB);
    assert_int_equal(fclose(f), 0);
}

static void logits_of(decai_context *ctx, decai_model *m, float *out)
{
    infer_setup setup = { .backend = "scalar" };
    int32_t ids[TOKENS], next;
    size_t len;
    decai_engine *e = infer_engine(ctx, m, &setup);
    decai_session *s = infer_session(e, ctx, NULL);
    infer_tokens(ids, TOKENS, VOCAB - 2, 5);
    assert_int_equal(decai_session_add(s, ids, TOKENS), 0);
    assert_int_equal(decai_session_next(s, &next), 1);
    assert_int_equal(decai_session_logits_get(s, out, VOCAB, &len), 0);
    assert_int_equal(len, VOCAB);
    decai_destroy(s);
    decai_destroy(e);
}

static void one_model_two_formats(void **state)
{
    support_llama shape = { .n_vocab = VOCAB, .n_embd = DIM, .n_layer = LAYERS, .n_head = HEADS, .n_head_kv = KV_HEADS,
        .n_ff = FF, .n_ctx = 128, .type = 0, .vocab = 1, .seed = 3 };
    static float a[VOCAB], b[VOCAB];
    double error = 0, power = 0;
    decai_model *m = NULL;
    (void)state;
    assert_non_null(mkdtemp(folder));
    decai_context *ctx = infer_context(0);
    decai_model *gguf = infer_model(ctx, &shape);
    write_safetensors(gguf);
    if (decai_model_load(&m, ctx, at("model.safetensors"), NULL)) fail_msg("%s", decai_error_detail());
    logits_of(ctx, gguf, a);
    logits_of(ctx, m, b);
    for (int i = 0; i < VOCAB; i++) error += pow((double)a[i] - (double)b[i], 2), power += pow((double)a[i], 2);
    printf("# relative RMS difference %.2e\n", sqrt(error / power));
    assert_true(power > 0 && sqrt(error / power) < 1e-3);
    decai_destroy(gguf);
    decai_destroy(m);
    decai_destroy(ctx);
    unlink(at("model.safetensors"));
    unlink(at("config.json"));
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(one_model_two_formats) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
