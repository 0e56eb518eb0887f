/* Many sessions side by side: what one gives is what it gives alone, whatever else
 * is there, however a prompt was cut, whoever cancels; events in their order; nobody
 * waits for ever; threads submit and cancel while one computes. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support_infer.h"

#define MOST 64                      /* sessions */
#define ANSWER 24                    /* tokens of one */

static const support_llama TINY = SUPPORT_LLAMA_TINY;
static decai_context *ctx;
static decai_model *model;
static decai_engine *engine;

static int
setup(void **state)
{
    (void)state;
    ctx = infer_context(1);
    model = infer_model(ctx, &TINY);
    engine = infer_engine(ctx, model, NULL);
    return engine ? 0 : -1;
}

static int
teardown(void **state)
{
    (void)state;
    decai_destroy(engine);
    decai_destroy(model);
    decai_destroy(ctx);
    return 0;
}

/* One conversation: its prompt, how it is drawn, what came out. */
typedef struct talk {
    uint64_t seed;
    int64_t tree, heat, max;
    const char *bias;
    size_t prompt;
    decai_session *s;
    int32_t tokens[ANSWER + 2];
    size_t count;
    uint8_t hash[32], root[32];
    int32_t end;
    int64_t end_value;
} talk;

static talk
talk_of(size_t i)
{
    return (talk){ .seed = i + 1, .tree = i % 3 == 1, 
        .heat = i % 4, .max = 1 + (int64_t)(i * 7 % ANSWER), .prompt = 1 + i * 13 % 70 };
}

static void
talk_open(talk *t, decai_engine *e)
{
    decai_options *o = NULL;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.max_tokens", t->max), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.activation_tree", t->tree), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.seed", (int64_t)t->seed), 0);
    assert_int_equal(decai_options_set_f64(o, "infer.temperature", (double)t->heat / 2), 0);
    assert_int_equal(decai_options_set_f64(o, "infer.repeat_penalty", t->heat == 3 ? 1.3 : 1.0), 0);
    if (t->bias) assert_int_equal(decai_options_set_str(o, "infer.logit_bias", t->bias), 0);
    assert_int_equal(decai_session_create(&t->s, e, o), 0);
    decai_destroy(o);
    t->count = 0;
}

static void
talk_prompt(const talk *t, int32_t *prompt)
{
    infer_tokens(prompt, t->prompt, TINY.n_vocab, t->seed);
}

/* Its record, and away with the session. */
static void
talk_close(talk *t)
{
    assert_int_equal(decai_session_hash_get(t->s, t->hash, 32), 0);
    if (t->tree) assert_int_equal(decai_session_root_get(t->s, t->root, 32), 0);
    decai_destroy(t->s);
    t->s = NULL;
}

static void
talk_alone(talk *t, decai_engine *e)
{
    int32_t prompt[128], r, token;

    talk_open(t, e);
    talk_prompt(t, prompt);
    assert_int_equal(decai_session_add(t->s, prompt, t->prompt), 0);
    while ((r = decai_session_next(t->s, &token)) == 1) t->tokens[t->count++] = token;
    assert_int_equal(r, 0);
    talk_close(t);
}

static decai_scheduler *
scheduler(decai_engine *e, int64_t active, int64_t memory)
{
    decai_options *o = NULL;
    decai_scheduler *q = NULL;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.active", active), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.memory_bytes", memory), 0);
    assert_int_equal(decai_scheduler_create(&q, e, o), 0);
    decai_destroy(o);
    return q;
}

static void
submit(decai_scheduler *q, talk *t, uint64_t id)
{
    int32_t prompt[128];
    talk_prompt(t, prompt);
    assert_int_equal(decai_scheduler_submit(q, t->s, id, 0, prompt, t->prompt), 0);
}

/* One event into its talk (request i is talks[i - 1]); false: nothing to do. */
static bool
take(decai_scheduler *q, talk *talks, int32_t *kind, uint64_t *id)
{
    int64_t value, total;
    int32_t r = decai_scheduler_next(q, kind, id, &value, &total, 0);
    assert_true(r == 0 || r == 1);
    if (!r) return false;
    talk *t = &talks[*id - 1];
    if (*kind == DECAI_EVENT_TOKEN) {
        t->tokens[t->count++] = (int32_t)value;
        assert_int_equal(total, t->count);
    }
    if (*kind >= DECAI_EVENT_FINISHED) {
        t->end = *kind;
        t->end_value = value;
        assert_int_equal(total, t->count);
    }
    return true;
}

static void
drain(decai_scheduler *q, talk *talks)
{
    int32_t kind;
    uint64_t id;
    while (take(q, talks, &kind, &id)) ;
}

static void
equal(const talk *a, const talk *b)
{
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->tokens, b->tokens, a->count * sizeof *a->tokens);
    assert_memory_equal(a->hash, b->hash, 32);
    if (a->tree) assert_memory_equal(a->root, b->root, 32);
}

/* "name":number of request id in the description; -1: the request is not there. */
static long long
number_of(decai_scheduler *q, uint64_t id, const char *name)
{
    char text[16384], key[64];
    size_t len;

    assert_int_equal(decai_scheduler_format(q, (uint8_t *)text, sizeof text - 1, &len), 0);
    text[len] = 0;
    assert_int_equal(decai_json_verify(ctx, text, len), 0);
    (void)snprintf(key, sizeof key, "\"request\":%llu,", (unsigned long long)id);
    const char *at = id ? strstr(text, key) : text;
    if (!at) return -1;
    (void)snprintf(key, sizeof key, "\"%s\":", name);
    at = strstr(at, key);
    assert_non_null(at);
    return atoll(at + strlen(key));
}

/* ---- the same bytes ------------------------------------------------------------------- */

static void
among(decai_engine *e, size_t count, int64_t active, int64_t memory)
{
    static talk talks[MOST];
    decai_scheduler *q = scheduler(e, active, memory);

    for (size_t i = 0; i < count; i++) {
        talks[i] = talk_of(i);
        talk_open(&talks[i], e);
        submit(q, &talks[i], i + 1);
    }
    drain(q, talks);
    for (size_t i = 0; i < count; i++) {
        talk alone = talk_of(i);
        assert_int_equal(talks[i].end, DECAI_EVENT_FINISHED);
        talk_close(&talks[i]);
        talk_alone(&alone, e);
        equal(&talks[i], &alone);
    }
    decai_destroy(q);
}

static void
test_alone_and_among_63(void **state)
{
    (void)state;
    among(engine, 64, 64, 0);
    among(engine, 12, 5, 0);
}

/* Backends, batches and places: all draw the same, so comparing each with its own
 * lone sessions, and one lone session across them, is enough. */
static void
test_every_backend(void **state)
{
    static const infer_setup setups[] = {
        { .backend = "scalar", .batch = 16 }, { .backend = "native", .batch = 1 }, { .backend = "native", .batch = 7 },
        { .backend = "opencl", .batch = 32 } };
    talk first = talk_of(4);
    (void)state;

    talk_alone(&first, engine);
    for (size_t i = 0; i < sizeof setups / sizeof setups[0]; i++) {
        if (!infer_backend_there(setups[i].backend)) continue;
        decai_engine *e = infer_engine(ctx, model, &setups[i]);
        talk again = talk_of(4);
        among(e, 9, 4, 0);
        talk_alone(&again, e);
        equal(&first, &again);
        decai_destroy(e);
    }
}

/* logits_all and logprobs go by themselves; the others do not notice. */
static void
test_those_that_go_by_themselves(void **state)
{
    int32_t prompt[20], kind, r, token, got[8], n = 0, m = 0;
    float a[64], b[64];
    size_t a_len, b_len;
    uint64_t id;
    talk other = talk_of(2);
    (void)state;

    infer_tokens(prompt, 20, TINY.n_vocab, 9);
    decai_session *s = infer_session(engine, ctx, "infer.max_tokens", (int64_t)8, "infer.logprobs", (int64_t)1, NULL);
    assert_int_equal(decai_session_add(s, prompt, 20), 0);
    while ((r = decai_session_next(s, &token)) == 1) got[n++] = token;
    assert_int_equal(decai_session_logprobs_get(s, a, 64, &a_len), 0);
    assert_int_equal(decai_session_start(s), 0);

    decai_scheduler *q = scheduler(engine, 4, 0);
    talk_open(&other, engine);
    assert_int_equal(decai_scheduler_submit(q, s, 1, 0, prompt, 20), 0);
    submit(q, &other, 2);
    talk talks[2] = { { 0 }, other };
    while (take(q, talks, &kind, &id))
        if (kind == DECAI_EVENT_TOKEN && id == 1) {
            assert_int_equal(talks[0].tokens[talks[0].count - 1], got[m]);
            m++;
        }
    assert_int_equal(m, n);
    assert_int_equal(decai_session_logprobs_get(s, b, 64, &b_len), 0);
    assert_int_equal(a_len, b_len);
    assert_memory_equal(a, b, 4 * a_len);
    talk_close(&talks[1]);
    talk_alone(&other, engine);
    equal(&talks[1], &other);
    decai_destroy(s);
    decai_destroy(q);
}

/* ---- guesses ------------------------------------------------------------------------------ */

/* Who has few words repeats himself: some guesses come true, and some do not. With and
 * without: the same, drawn greedily or not, with receipts, on every backend. */
static void
test_guesses_do_not_show(void **state)
{
    static const char *const backends[] = { "native", "scalar", "opencl" };
    long long drafted = 0, right = 0;
    (void)state;

    for (size_t b = 0; b < 3; b++) {
        infer_setup setup = { .backend = backends[b], .batch = 32 };
        if (!infer_backend_there(backends[b])) continue;
        decai_engine *e = infer_engine(ctx, model, &setup);
        for (int64_t most = 0; most <= 31; most += most ? 15 : 1) {
            decai_options *o = NULL;
            decai_scheduler *q = NULL;
            talk talks[6], want[6];
            assert_int_equal(decai_options_create(&o, ctx), 0);
            assert_int_equal(decai_options_set_i64(o, "infer.draft_max", most), 0);
            assert_int_equal(decai_scheduler_create(&q, e, o), 0);
            for (size_t i = 0; i < 6; i++) {
                want[i] = talks[i] = (talk){ .seed = 40 + i, .tree = i % 2, .heat = (int64_t)i / 2, .max = ANSWER, .prompt = 9,
                    .bias = i < 4 ? "7:400,9:400,11:400" : "7:400" };
                talk_alone(&want[i], e);
                talk_open(&talks[i], e);
                submit(q, &talks[i], i + 1);
                if (i != 2) drain(q, talks);         /* some of them together */
            }
            for (size_t i = 0; i < 6; i++) {
                talk_close(&talks[i]);
                equal(&talks[i], &want[i]);
            }
            if (!most) assert_int_equal(number_of(q, 0, "drafted"), 0);
            drafted += number_of(q, 0, "drafted");
            right += number_of(q, 0, "draft_right");
            decai_destroy(q);
            decai_destroy(o);
        }
        decai_destroy(e);
    }
    assert_true(right > 0 && right < drafted);
}

/* Answers held to a grammar, among others and with guesses: what they are alone. */
static void
test_grammars(void **state)
{
    static const char text[] = "root ::= (\"ab\" | \"ba\" | \"abba\"){3,9}";
    decai_tokenizer *t = NULL;
    decai_grammar *g = NULL;
    talk talks[8], want[8];
    (void)state;

    assert_int_equal(decai_tokenizer_create(&t, model, NULL), 0);
    assert_int_equal(decai_grammar_create(&g, t, "gbnf", text, sizeof text - 1, NULL), 0);
    decai_scheduler *q = scheduler(engine, 8, 0);
    for (size_t i = 0; i < 8; i++) {
        int32_t prompt[16], r, token;
        want[i] = talks[i] = (talk){ .seed = 70 + i, .tree = i % 2, .heat = (int64_t)i % 3, .max = ANSWER, .prompt = 7 };
        talk_open(&want[i], engine);
        talk_open(&talks[i], engine);
        if (i % 4) assert_int_equal(decai_session_grammar_set(want[i].s, g), 0);
        if (i % 4) assert_int_equal(decai_session_grammar_set(talks[i].s, g), 0);
        talk_prompt(&want[i], prompt);
        assert_int_equal(decai_session_add(want[i].s, prompt, 7), 0);
        while ((r = decai_session_next(want[i].s, &token)) == 1) want[i].tokens[want[i].count++] = token;
        assert_int_equal(r, 0);
        talk_close(&want[i]);
        submit(q, &talks[i], i + 1);
        if (i % 4 == 3) drain(q, talks);
    }
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(talks[i].end, DECAI_EVENT_FINISHED);
        talk_close(&talks[i]);
        equal(&talks[i], &want[i]);
    }
    decai_destroy(q);
    decai_destroy(g);
    decai_destroy(t);
}

/* ---- events ----------------------------------------------------------------------------- */

static void
test_events_in_order(void **state)
{
    talk t = { .seed = 5, .max = 4, .prompt = 100 };
    int32_t kind, expected = DECAI_EVENT_PROGRESS;
    int64_t value, total, last = 0;
    uint64_t id, tokens = 0;
    int32_t top[5];
    float logprob[5];
    size_t len, len2;
    infer_setup small = { .backend = "native", .batch = 32 };
    decai_engine *e = infer_engine(ctx, model, &small);
    decai_scheduler *q = scheduler(e, 4, 0);
    (void)state;

    talk_open(&t, e);
    submit(q, &t, 77);
    assert_int_equal(decai_session_start(t.s), DECAI_E_BUSY);
    while (decai_scheduler_next(q, &kind, &id, &value, &total, 0) == 1) {
        assert_int_equal(id, 77);
        if (kind == DECAI_EVENT_PROGRESS) {
            assert_int_equal(expected, DECAI_EVENT_PROGRESS);
            assert_true(value > last && value < total);
            assert_int_equal(total, 100);
            last = value;
            assert_int_equal(decai_scheduler_top_get(q, top, 5, &len, logprob, 5, &len2, 77, 4), DECAI_E_STATE);
        } else if (kind == DECAI_EVENT_PROMPT) {
            assert_true(last > 0 && value == 0 && total == 100);
            expected = DECAI_EVENT_TOKEN;
        } else if (kind == DECAI_EVENT_TOKEN) {
            assert_int_equal(expected, DECAI_EVENT_TOKEN);
            assert_int_equal(decai_scheduler_top_get(q, top, 5, &len, logprob, 5, &len2, 77, 4), 0);
            assert_true(len == 5 && len2 == 5 && top[0] == (int32_t)value && top[1] == top[0]);
            assert_true(logprob[1] >= logprob[2] && logprob[4] <= 0.0f);
            tokens++;
        } else {
            assert_int_equal(kind, DECAI_EVENT_FINISHED);
            assert_true(value == DECAI_FINISH_TOKENS || value == DECAI_FINISH_END);
            assert_true(tokens > 0 && (uint64_t)total == tokens);
            expected = 0;
        }
    }
    assert_int_equal(expected, 0);
    assert_int_equal(decai_session_top_get(t.s, top, 5, &len, logprob, 5, &len2, 4), 0);
    assert_int_equal(decai_scheduler_top_get(q, top, 5, &len, logprob, 5, &len2, 77, 4), DECAI_E_STATE);
    decai_destroy(t.s);
    decai_destroy(q);
    decai_destroy(e);
}

/* A further turn through the scheduler, the next one by hand: as all by hand. */
static void
test_turns_in_turn(void **state)
{
    int32_t prompt[12], by_hand[16], r, token, kind;
    uint8_t h1[32], h2[32];
    uint64_t id, in, out, in_ns, out_ns;
    size_t n = 0, m = 0;
    talk talks[1];
    (void)state;

    infer_tokens(prompt, 12, TINY.n_vocab, 21);
    decai_session *s = infer_session(engine, ctx, "infer.max_tokens", (int64_t)5, "infer.ignore_end", (int64_t)1, NULL);
    for (int turn = 0; turn < 3; turn++) {
        assert_int_equal(decai_session_add(s, prompt + 4 * turn, 4), 0);
        while ((r = decai_session_next(s, &token)) == 1) by_hand[n++] = token;
    }
    assert_int_equal(decai_session_hash_get(s, h1, 32), 0);
    assert_int_equal(decai_session_start(s), 0);
    decai_scheduler *q = scheduler(engine, 1, 0);
    for (int turn = 0; turn < 3; turn++) {
        if (turn == 1) {
            assert_int_equal(decai_session_add(s, prompt + 4, 4), 0);
            while ((r = decai_session_next(s, &token)) == 1) assert_int_equal(token, by_hand[m++]);
            continue;
        }
        talks[0] = (talk){ 0 };
        assert_int_equal(decai_scheduler_submit(q, s, 1, 0, prompt + 4 * turn, 4), 0);
        while (take(q, talks, &kind, &id)) ;
        for (size_t i = 0; i < talks[0].count; i++) assert_int_equal(talks[0].tokens[i], by_hand[m++]);
    }
    assert_int_equal(n, m);
    assert_int_equal(decai_session_hash_get(s, h2, 32), 0);
    assert_memory_equal(h1, h2, 32);
    assert_int_equal(decai_session_count(s, &in, &out, &in_ns, &out_ns), 0);
    assert_true(in == 12 && out == n && in_ns && out_ns);
    decai_destroy(s);
    decai_destroy(q);
}

/* ---- cancelling --------------------------------------------------------------------------- */

/* Cancelled after every possible event: what was told stays, and is what it is alone. */
static void
test_cancel_at_every_step(void **state)
{
    infer_setup small = { .backend = "native", .batch = 16 };
    decai_engine *e = infer_engine(ctx, model, &small);
    talk alone = { .seed = 4, .max = 6, .prompt = 40, .tree = 1 }, other_alone = talk_of(7);
    bool whole = false;
    (void)state;

    talk_alone(&alone, e);
    talk_alone(&other_alone, e);
    for (size_t stop = 0; !whole; stop++) {
        talk talks[2] = { { .seed = 4, .max = 6, .prompt = 40, .tree = 1 }, talk_of(7) };
        decai_scheduler *q = scheduler(e, 2, 0);
        int32_t kind;
        uint64_t id;
        size_t seen = 0;
        for (size_t i = 0; i < 2; i++) {
            talk_open(&talks[i], e);
            submit(q, &talks[i], i + 1);
        }
        if (!stop) assert_int_equal(stop % 2 ? decai_session_cancel(talks[0].s) : decai_scheduler_cancel(q, 1), 0);
        while (take(q, talks, &kind, &id))
            if (id == 1 && ++seen == stop)
                assert_int_equal(stop % 2 ? decai_session_cancel(talks[0].s) : decai_scheduler_cancel(q, 1), 0);
        whole = talks[0].end == DECAI_EVENT_FINISHED;
        if (!whole) assert_int_equal(talks[0].end, DECAI_EVENT_CANCELLED);
        assert_memory_equal(talks[0].tokens, alone.tokens, talks[0].count * sizeof(int32_t));
        if (talks[0].count == alone.count) {
            talk_close(&talks[0]);
            equal(&talks[0], &alone);
        } else {
            int32_t prompt[64];
            talk_prompt(&talks[0], prompt);
            assert_int_equal(decai_scheduler_submit(q, talks[0].s, 9, 0, prompt, 40), DECAI_E_CANCELLED);
            decai_destroy(talks[0].s);
        }
        talk_close(&talks[1]);
        equal(&talks[1], &other_alone);
        decai_destroy(q);
    }
    decai_destroy(e);
}

/* A scheduler that goes takes its hands off the sessions. */
static void
test_destroyed_in_the_middle(void **state)
{
    talk talks[3];
    decai_scheduler *q = scheduler(engine, 2, 0);
    int32_t kind, prompt[70];
    uint64_t id;
    (void)state;

    for (size_t i = 0; i < 3; i++) {
        talks[i] = talk_of(i + 5);
        talk_open(&talks[i], engine);
        submit(q, &talks[i], i + 1);
    }
    for (int i = 0; i < 4; i++) assert_true(take(q, talks, &kind, &id));
    decai_destroy(q);
    for (size_t i = 0; i < 3; i++) {
        talk alone = talk_of(i + 5);
        talk_alone(&alone, engine);
        int32_t r, token;
        assert_int_equal(decai_session_start(talks[i].s), 0);
        talk_prompt(&talks[i], prompt);
        talks[i].count = 0;
        assert_int_equal(decai_session_add(talks[i].s, prompt, talks[i].prompt), 0);
        while ((r = decai_session_next(talks[i].s, &token)) == 1) talks[i].tokens[talks[i].count++] = token;
        talk_close(&talks[i]);
        equal(&talks[i], &alone);
    }
}

/* ---- fair, and within bounds ----------------------------------------------------------------- */

/* More decoding sessions than a step has rows: none gets more than one ahead. */
static void
test_fair_share(void **state)
{
    infer_setup small = { .backend = "native", .batch = 4 };
    decai_engine *e = infer_engine(ctx, model, &small);
    decai_scheduler *q = scheduler(e, 10, 0);
    talk talks[10];
    int32_t kind;
    uint64_t id;
    size_t told = 0;
    (void)state;

    for (size_t i = 0; i < 10; i++) {
        talks[i] = (talk){ .seed = i + 1, .max = 20, .prompt = 3 };
        talks[i].s = infer_session(e, ctx, "infer.max_tokens", (int64_t)20, "infer.ignore_end", (int64_t)1, NULL);
        submit(q, &talks[i], i + 1);
    }
    while (take(q, talks, &kind, &id)) {
        if (kind != DECAI_EVENT_TOKEN || ++told % 10) continue;
        long long least = 1 << 20, most = 0;
        for (size_t i = 0; i < 10; i++) {
            long long rows = number_of(q, i + 1, "rows");
            if (rows < 0) continue;
            least = rows < least ? rows : least;
            most = rows > most ? rows : most;
        }
        /* A prompt of 3 rows, then one a step: 3 ahead before one has begun. */
        assert_true(most - least <= 4);
    }
    assert_int_equal(told, 200);
    for (size_t i = 0; i < 10; i++) decai_destroy(talks[i].s);
    decai_destroy(q);
    decai_destroy(e);
}

/* A long prompt beside somebody who decodes: a token for him in every step. */
static void
test_long_prompt_stalls_nobody(void **state)
{
    decai_scheduler *q = scheduler(engine, 4, 0);
    talk talks[2] = { { .seed = 1, .prompt = 4 }, { .seed = 2, .max = 1, .prompt = 100 } };
    int32_t kind;
    uint64_t id;
    size_t progress = 0, between = 0;
    (void)state;

    talks[0].s = infer_session(engine, ctx, "infer.max_tokens", (int64_t)ANSWER, "infer.ignore_end", (int64_t)1, NULL);
    submit(q, &talks[0], 1);
    while (talks[0].count < 2) assert_true(take(q, talks, &kind, &id));
    talk_open(&talks[1], engine);
    submit(q, &talks[1], 2);
    while (take(q, talks, &kind, &id)) {
        if (id == 2 && (kind == DECAI_EVENT_PROGRESS || kind == DECAI_EVENT_PROMPT)) {
            progress++;
            if (talks[0].end == 0 && progress > 1) assert_true(between >= 1);
            between = 0;
        }
        if (id == 1 && kind == DECAI_EVENT_TOKEN) between++;
    }
    assert_true(progress >= 1);
    decai_destroy(talks[0].s);
    decai_destroy(talks[1].s);
    decai_destroy(q);
}

static void
test_priority_goes_first(void **state)
{
    decai_scheduler *q = scheduler(engine, 1, 0);
    talk talks[3];
    int32_t kind, prompt[64], order[3];
    uint64_t id;
    size_t n = 0;
    (void)state;

    for (size_t i = 0; i < 3; i++) {
        talks[i] = (talk){ .seed = i + 1, .max = 2, .prompt = 5 };
        talk_open(&talks[i], engine);
        talk_prompt(&talks[i], prompt);
        assert_int_equal(decai_scheduler_submit(q, talks[i].s, i + 1, i == 2 ? 5 : 0, prompt, 5), 0);
    }
    while (take(q, talks, &kind, &id))
        if (kind == DECAI_EVENT_FINISHED) order[n++] = (int32_t)id;
    assert_true(n == 3 && order[0] == 3 && order[1] == 1 && order[2] == 2);
    for (size_t i = 0; i < 3; i++) decai_destroy(talks[i].s);
    decai_destroy(q);
}

static void
test_limits(void **state)
{
    decai_options *o = NULL;
    decai_scheduler *q = NULL;
    talk t[4];
    int32_t prompt[200] = { 0 }, kind;
    int64_t value, total;
    uint64_t id;
    (void)state;

    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.active", 1), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.queue", 1), 0);
    assert_int_equal(decai_scheduler_create(&q, engine, o), 0);
    for (size_t i = 0; i < 4; i++) {
        t[i] = (talk){ .seed = i + 1, .max = 2, .prompt = 5 };
        talk_open(&t[i], engine);
    }
    assert_int_equal(decai_scheduler_submit(q, t[0].s, 0, 0, prompt, 5), DECAI_E_INVALID);
    assert_int_equal(decai_scheduler_submit(q, t[0].s, 1, 0, prompt, 0), DECAI_E_INVALID);
    assert_int_equal(decai_scheduler_submit(q, t[0].s, 1, 101, prompt, 5), DECAI_E_INVALID);
    assert_int_equal(decai_scheduler_submit(q, t[0].s, 1, -101, prompt, 5), DECAI_E_INVALID);
    prompt[3] = (int32_t)TINY.n_vocab;
    assert_int_equal(decai_scheduler_submit(q, t[0].s, 1, 0, prompt, 5), DECAI_E_INVALID);
    prompt[3] = 0;
    assert_int_equal(decai_scheduler_submit(q, t[0].s, 1, 0, prompt, TINY.n_ctx + 1), DECAI_E_LIMIT);
    assert_int_equal(decai_scheduler_submit(q, t[0].s, 1, 100, prompt, 5), 0);
    assert_int_equal(decai_scheduler_submit(q, t[0].s, 2, 0, prompt, 5), DECAI_E_BUSY);
    assert_int_equal(decai_scheduler_submit(q, t[1].s, 1, 0, prompt, 5), DECAI_E_EXISTS);
    assert_int_equal(decai_scheduler_submit(q, t[1].s, 2, -100, prompt, 5), 0);
    assert_int_equal(decai_scheduler_submit(q, t[2].s, 3, 0, prompt, 5), DECAI_E_FULL);
    assert_int_equal(decai_scheduler_next(q, &kind, &id, &value, &total, -2), DECAI_E_INVALID);
    drain(q, t);
    assert_int_equal(decai_scheduler_submit(q, t[2].s, 3, 0, prompt, 5), 0);
    drain(q, t);
    t[0].count = 0;
    assert_int_equal(decai_scheduler_cancel(q, 3), 0);               /* over already */
    assert_int_equal(decai_scheduler_next(q, &kind, &id, &value, &total, 5), 0);
    decai_destroy(q);

    /* Memory: the exact bytes of one session are enough for one, a byte less is not. */
    q = scheduler(engine, 4, 0);
    assert_int_equal(decai_scheduler_submit(q, t[3].s, 1, 0, prompt, 5), 0);
    long long bytes = number_of(q, 1, "cache_bytes");
    assert_true(bytes > 0);
    drain(q, t);
    decai_destroy(q);
    for (size_t i = 0; i < 4; i++) assert_int_equal(decai_session_start(t[i].s), 0);
    q = scheduler(engine, 4, bytes - 1);
    assert_int_equal(decai_scheduler_submit(q, t[0].s, 1, 0, prompt, 5), DECAI_E_LIMIT);
    decai_destroy(q);
    q = scheduler(engine, 4, 2 * bytes);
    for (size_t i = 0; i < 4; i++) {
        t[i].count = 0;
        assert_int_equal(decai_scheduler_submit(q, t[i].s, i + 1, 0, prompt, 5), 0);
    }
    while (take(q, t, &kind, &id)) assert_true(number_of(q, 0, "cache_bytes") <= 2 * bytes && number_of(q, 0, "active") <= 2);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(t[i].end, DECAI_EVENT_FINISHED);
        decai_destroy(t[i].s);
    }
    decai_destroy(q);
    decai_destroy(o);
}

/* The context's last place is used, as by hand. */
static void
test_context_end(void **state)
{
    infer_setup small = { .backend = "native", .context = 32 };
    decai_engine *e = infer_engine(ctx, model, &small);
    int32_t prompt[28], r, token, got[40], n = 0;
    talk talks[1] = { { 0 } };
    (void)state;

    infer_tokens(prompt, 28, TINY.n_vocab, 2);
    decai_session *s = infer_session(e, ctx, "infer.ignore_end", (int64_t)1, NULL);
    assert_int_equal(decai_session_add(s, prompt, 28), 0);
    while ((r = decai_session_next(s, &token)) == 1) got[n++] = token;
    assert_int_equal(r, DECAI_E_LIMIT);
    assert_int_equal(decai_session_start(s), 0);
    decai_scheduler *q = scheduler(e, 1, 0);
    assert_int_equal(decai_scheduler_submit(q, s, 1, 0, prompt, 28), 0);
    drain(q, talks);
    assert_true(talks[0].end == DECAI_EVENT_FINISHED && talks[0].end_value == DECAI_FINISH_CONTEXT);
    assert_int_equal(talks[0].count, n);
    assert_memory_equal(talks[0].tokens, got, 4 * (size_t)n);
    decai_destroy(s);
    decai_destroy(q);
    decai_destroy(e);
}

/* ---- threads --------------------------------------------------------------------------------- */

#define SENDERS 4
#define EACH 6

typedef struct sender { decai_scheduler *q; talk *talks; size_t first; } sender;

static void *
send_all(void *user)
{
    sender *w = user;
    for (size_t i = 0; i < EACH; i++) {
        talk *t = &w->talks[w->first + i];
        int32_t prompt[128];
        talk_prompt(t, prompt);
        if (decai_scheduler_submit(w->q, t->s, w->first + i + 1, (int32_t)i, prompt, t->prompt)) abort();
        if (i % 3 == 2 && decai_scheduler_cancel(w->q, w->first + i)) abort();
        uint8_t text[8];
        size_t len;
        int32_t r = decai_scheduler_format(w->q, text, sizeof text, &len);
        if (r != DECAI_E_SPACE || len < 50) abort();
    }
    return NULL;
}

static void
test_threads(void **state)
{
    static talk talks[SENDERS * EACH];
    decai_scheduler *q = scheduler(engine, 8, 0);
    pthread_t thread[SENDERS];
    sender w[SENDERS];
    size_t over = 0;
    (void)state;

    for (size_t i = 0; i < SENDERS * EACH; i++) {
        talks[i] = talk_of(i);
        talk_open(&talks[i], engine);
    }
    for (size_t i = 0; i < SENDERS; i++) {
        w[i] = (sender){ q, talks, i * EACH };
        assert_int_equal(pthread_create(&thread[i], NULL, send_all, &w[i]), 0);
    }
    while (over < SENDERS * EACH) {
        int32_t kind;
        int64_t value, total;
        uint64_t id;
        assert_int_equal(decai_scheduler_next(q, &kind, &id, &value, &total, -1), 1);
        talk *t = &talks[id - 1];
        if (kind == DECAI_EVENT_TOKEN) t->tokens[t->count++] = (int32_t)value;
        if (kind >= DECAI_EVENT_FINISHED) {
            t->end = kind;
            over++;
        }
    }
    for (size_t i = 0; i < SENDERS; i++) pthread_join(thread[i], NULL);
    for (size_t i = 0; i < SENDERS * EACH; i++) {
        talk alone = talk_of(i);
        talk_alone(&alone, engine);
        assert_true(talks[i].end == DECAI_EVENT_FINISHED || talks[i].end == DECAI_EVENT_CANCELLED);
        assert_memory_equal(talks[i].tokens, alone.tokens, talks[i].count * 4);
        if (talks[i].end == DECAI_EVENT_FINISHED) {
            talk_close(&talks[i]);
            equal(&talks[i], &alone);
        } else {
            decai_destroy(talks[i].s);
        }
    }
    decai_destroy(q);
}

static void *
wake(void *user)
{
    if (decai_scheduler_cancel(user, 0)) abort();
    return NULL;
}

static void
test_woken(void **state)
{
    decai_scheduler *q = scheduler(engine, 1, 0);
    pthread_t thread;
    int32_t kind;
    int64_t value, total;
    uint64_t id;
    (void)state;

    assert_int_equal(pthread_create(&thread, NULL, wake, q), 0);
    assert_int_equal(decai_scheduler_next(q, &kind, &id, &value, &total, -1), 0);
    pthread_join(thread, NULL);
    decai_destroy(q);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alone_and_among_63),
        cmocka_unit_test(test_every_backend),
        cmocka_unit_test(test_those_that_go_by_themselves),
        cmocka_unit_test(test_guesses_do_not_show),
        cmocka_unit_test(test_grammars),
        cmocka_unit_test(test_events_in_order),
        cmocka_unit_test(test_turns_in_turn),
        cmocka_unit_test(test_cancel_at_every_step),
        cmocka_unit_test(test_destroyed_in_the_middle),
        cmocka_unit_test(test_fair_share),
        cmocka_unit_test(test_long_prompt_stalls_nobody),
        cmocka_unit_test(test_priority_goes_first),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_context_end),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_woken),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
