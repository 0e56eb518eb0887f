/* Mutations of a small model's file, through loading, engine, two tokens and a
 * trace: whatever comes, an error or numbers, never a crash; and an engine that
 * was made computes what its own trace says. DECAI_DEEP=1 runs 100,000. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "infer/infer.h"
#include "support_infer.h"

static uint64_t state_of_random = 2024;
static uint32_t loaded, made, ran;

/* Where metadata and tensor infos end: the first tensor's data follows soon. */
static void
mutate(uint8_t *bytes, size_t len, size_t head)
{
    uint32_t edits = 1 + (uint32_t)(support_rand(&state_of_random) % 3);
    while (edits--) {
        uint64_t r = support_rand(&state_of_random);
        size_t at = (size_t)(support_rand(&state_of_random) % (r % 4 ? head : len));
        uint32_t what = (uint32_t)(r >> 8) % 5;
        if (what == 0) bytes[at] ^= (uint8_t)(1u << (r >> 20) % 8);
        if (what == 1) bytes[at] = (uint8_t)(r >> 24);
        if (what == 2) bytes[at] = (uint8_t)(bytes[at] + 1);
        if (what == 3) bytes[at] = 0;
        if (what == 4 && at + 4 <= len) memset(bytes + at, r >> 30 & 1 ? 0xff : 0x7f, 2);
    }
}

static void
use(decai_context *ctx, decai_engine *engine, decai_options *talk)
{
    static const int32_t tokens[2] = { 0, 1 };
    decai_session *s = NULL;
    decai__trace *t = NULL;
    int32_t token;
    uint32_t n;

    if (decai_session_create(&s, engine, talk)) return;
    if (!decai_session_add(s, tokens, 2) && decai_session_next(s, &token) == 1) {
        decai__draw draw = { .sampler = decai__session_sampler(s) };
        ran++;
        assert_int_equal(decai__trace_create(&t, engine, tokens, 2, true, &draw, NULL), 0);
        const uint8_t *nodes = decai__trace_nodes(t, &n);
        uint8_t root[32];
        decai__act_token_root(root, nodes, n);
        assert_memory_equal(root, decai__session_token_roots(s) + 32, 32);
        decai__trace_destroy(t);
    }
    (void)ctx;
    decai_destroy(s);
}

static void
test_mutations(void **state)
{
    support_llama m = { .n_vocab = 32, .n_embd = 32, .n_layer = 1, .n_head = 2, .n_head_kv = 1, .n_ff = 32,
        .n_ctx = 64, .type = 8, .tied = 1, .seed = 3 };
    decai_context *ctx = infer_context(0);
    decai_options *load = NULL, *talk = NULL, *make = NULL;
    uint8_t *good, *bytes;
    size_t len;
    int rounds = getenv("DECAI_DEEP") ? 100000 : 1500;
    (void)state;

    support_gguf_llama(&m, &good, &len);
    bytes = malloc(len);
    size_t head = len;
    for (size_t i = 0; i + 9 < len; i++)
        if (!memcmp(good + i, "token_emb", 9)) head = i + 64;
    assert_true(head < len);
    assert_int_equal(decai_options_create(&load, ctx), 0);
    assert_int_equal(decai_options_create(&talk, ctx), 0);
    assert_int_equal(decai_options_create(&make, ctx), 0);
    assert_int_equal(decai_options_set_i64(load, "model.hash", 0), 0);
    assert_int_equal(decai_options_set_i64(make, "infer.batch", 2), 0);
    assert_int_equal(decai_options_set_i64(talk, "infer.activation_tree", 1), 0);
    for (int i = 0; i < rounds; i++) {
        decai_model *model = NULL;
        decai_engine *engine = NULL;
        memcpy(bytes, good, len);
        mutate(bytes, len, head);
        if (!decai_model_open(&model, ctx, bytes, len, load)) {
            loaded++;
            if (!decai_engine_create(&engine, model, make)) {
                made++;
                use(ctx, engine, talk);
            } else {
                assert_true(decai_error_detail()[0] != 0);
            }
        }
        decai_destroy(engine);
        decai_destroy(model);
    }
    print_message("%d mutations: %u loaded, %u made an engine, %u computed\n", rounds, loaded, made, ran);
    assert_true(ran > 0 && made > ran / 2 && loaded > made);
    decai_destroy(load);
    decai_destroy(talk);
    decai_destroy(make);
    decai_destroy(ctx);
    free(good);
    free(bytes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_mutations) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
