/* A draft model guesses: what comes out is what comes out without, whoever guesses,
 * however well, and whatever goes wrong with it.
 *
 * What passes cost is measured once, so these tests write it into the scheduler before
 * every step: guesses are free, and all that may be made are made. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "infer/schedule.h"
#include "support_infer.h"
#include "support_synth.h"
#include "support_vectors.h"

#define TALKS 7
#define PROMPT 40
#define ANSWER 24

static const support_llama MAIN = { .n_vocab = 320, .n_embd = 64, .n_layer = 2, .n_head = 4, .n_head_kv = 2,
    .n_ff = 96, .n_ctx = 128, .type = 8, .vocab = 1, .seed = 21 };

static decai_context *ctx;
static decai_model *model;
static decai_engine *engine;
static decai_grammar *grammar;

typedef struct outcome { int32_t tokens[ANSWER], count, end; uint8_t hash[32], root[32]; } outcome;
typedef struct totals { uint64_t steps, tokens, asked, right; } totals;

static int
setup(void **state)
{
    static const char text[] = "root ::= (\"ab\" | \"ba\" | \"abba\"){3,9}";
    decai_tokenizer *t = NULL;
    (void)state;

    ctx = infer_context(1);
    model = infer_model(ctx, &MAIN);
    engine = infer_engine(ctx, model, NULL);
    if (decai_tokenizer_create(&t, model, NULL)) return -1;
    int32_t r = decai_grammar_create(&grammar, t, "gbnf", text, sizeof text - 1, NULL);
    decai_destroy(t);
    return r;
}

static int
teardown(void **state)
{
    (void)state;
    decai_destroy(grammar);
    decai_destroy(engine);
    decai_destroy(model);
    decai_destroy(ctx);
    return 0;
}

/* Greedy and drawn, with receipts, with a grammar, and the last one by itself. */
static decai_session *
open_talk(size_t i, int32_t *prompt)
{
    decai_options *o = NULL;
    decai_session *s = NULL;

    infer_tokens(prompt, PROMPT, 300, 50 + i);
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.max_tokens", ANSWER - (int64_t)i), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.ignore_end", i < 4), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.activation_tree", i % 2), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.seed", (int64_t)i), 0);
    assert_int_equal(decai_options_set_f64(o, "infer.temperature", i == 2 || i == 3 || i == 5 ? 0.7 : 0), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.logprobs", i == 6), 0);
    assert_int_equal(decai_session_create(&s, engine, o), 0);
    decai_destroy(o);
    if (i == 4 || i == 5) assert_int_equal(decai_session_grammar_set(s, grammar), 0);
    return s;
}

static void
close_talk(decai_session *s, size_t i, outcome *out)
{
    assert_int_equal(decai_session_hash_get(s, out->hash, 32), 0);
    if (i % 2) assert_int_equal(decai_session_root_get(s, out->root, 32), 0);
    decai_destroy(s);
}

static void
alone(size_t i, outcome *out)
{
    int32_t prompt[PROMPT], token, r;
    decai_session *s = open_talk(i, prompt);

    *out = (outcome){ .end = DECAI_EVENT_FINISHED };
    assert_int_equal(decai_session_add(s, prompt, PROMPT), 0);
    while ((r = decai_session_next(s, &token)) == 1) out->tokens[out->count++] = token;
    assert_int_equal(r, 0);
    close_talk(s, i, out);
}

static volatile long left = -1;      /* allocations of a poor context that succeed; negative: all */

static decai_scheduler *
scheduler(decai_engine *draft)
{
    decai_scheduler *q = NULL;
    long keep = left;

    left = -1;
    assert_int_equal(decai_scheduler_create(&q, engine, NULL), 0);
    assert_int_equal(decai_scheduler_draft_set(q, draft), 0);
    left = keep;
    return q;
}

static void
make_free(decai_scheduler *q)
{
    pthread_mutex_lock(&q->lock);
    q->decode_ns = 1e12;
    q->row_ns = 1e9;
    q->cost = (decai__cost){ true, 1e12, { 1, 1, 1, 1, 1 } };
    q->draft_cost = (decai__cost){ true, 1, { 1, 1, 1, 1, 1 } };
    for (size_t i = 0; i < q->count; i++) {
        double *text = &q->requests[i]->drafting.right[0][0];
        q->requests[i]->drafter.right = 0.9;
        for (size_t j = 0; j < 2 * DRAFT_KINDS; j++) text[j] = 1e-30;        /* the text's are not */
    }
    pthread_mutex_unlock(&q->lock);
}

/* One event; false: nothing to do. */
static bool
take(decai_scheduler *q, outcome *out, uint64_t *id)
{
    int64_t value, total;
    int32_t kind;

    make_free(q);
    int32_t r = decai_scheduler_next(q, &kind, id, &value, &total, 0);
    if (!r) return false;
    assert_int_equal(r, 1);
    outcome *o = &out[*id - 1];
    if (kind == DECAI_EVENT_TOKEN) o->tokens[o->count++] = (int32_t)value;
    if (kind >= DECAI_EVENT_FINISHED) o->end = kind;
    return true;
}

static void
count(const decai_scheduler *q, totals *t)
{
    *t = (totals){ q->steps, q->tokens, q->model.drafted, q->model.taken };
}

/* Talks first..end-1 side by side. */
static void
together(decai_engine *draft, size_t first, size_t end, outcome *out, totals *t)
{
    decai_scheduler *q = scheduler(draft);
    decai_session *s[TALKS];
    int32_t prompt[PROMPT];
    uint64_t id;

    memset(out, 0, TALKS * sizeof *out);
    for (size_t i = first; i < end; i++) {
        s[i] = open_talk(i, prompt);
        assert_int_equal(decai_scheduler_submit(q, s[i], i + 1, 0, prompt, PROMPT), 0);
    }
    while (take(q, out, &id)) ;
    for (size_t i = first; i < end; i++) close_talk(s[i], i, &out[i]);
    count(q, t);
    decai_destroy(q);
}

/* Token 5..'s embedding is no number: a draft that fails in the middle of a request. */
static void
bad_rows(void *user, const char *name, uint8_t *data, size_t len)
{
    size_t row = MAIN.n_embd / 32 * 34;
    (void)user;
    if (strcmp(name, "token_embd.weight") || len < 6 * row) return;
    for (size_t b = 0; b + 34 <= len; b += 34 * 5) data[b] = 0xff, data[b + 1] = 0x7f;
}

static void
test_nothing_shows(void **state)
{
    static const infer_setup scalar = { .backend = "scalar", .batch = 3 }, brief = { .context = PROMPT + 9 };
    support_llama other = MAIN, bad = MAIN;
    outcome want[TALKS], got[TALKS];
    totals t;
    (void)state;

    other.seed = 99;
    other.n_layer = 1;
    bad.tamper = bad_rows;
    decai_model *second = infer_model(ctx, &other), *third = infer_model(ctx, &bad);
    decai_engine *drafts[] = { NULL, engine, infer_engine(ctx, model, &scalar), infer_engine(ctx, model, &brief),
        infer_engine(ctx, second, NULL), infer_engine(ctx, third, NULL) };
    for (size_t i = 0; i < TALKS; i++) alone(i, &want[i]);
    for (size_t d = 0; d < sizeof drafts / sizeof drafts[0]; d++) {
        together(drafts[d], 0, TALKS, got, &t);
        assert_memory_equal(got, want, sizeof got);
        assert_true(d == 0 || d == 5 ? t.asked == 0 : t.asked > 20);
        for (size_t i = 0; i < TALKS; i++) {
            together(drafts[d], i, i + 1, got, &t);
            assert_memory_equal(&got[i], &want[i], sizeof got[i]);
            /* The same model is always right about who answers greedily. */
            if (i < 2 && (d == 1 || d == 2)) assert_true(t.right == t.asked && t.right > 10 && 4 * t.steps < t.tokens * 2);
            if (i < 2 && d == 3) assert_true(t.right > 0 && t.steps < t.tokens);
            if (i == 6) assert_int_equal(t.asked, 0);
        }
    }
    for (size_t d = 2; d < 6; d++) decai_destroy(drafts[d]);
    decai_destroy(second);
    decai_destroy(third);
}

/* A real model, guessed for by itself in a quarter of the bytes. */
static void
test_shipped(void **state)
{
    static const uint8_t text[] = "Once upon a time";
    decai_model *m[2] = { NULL };
    decai_engine *e[2];
    decai_tokenizer *t = NULL;
    int32_t prompt[64], want[64], token, r;
    size_t n, given = 0, seen = 0;
    (void)state;

    for (int i = 0; i < 2; i++) {
        char *bytes = support_file(i ? "examples/model/decai-actions.q4_0.gguf" : "examples/model/decai-actions.f16.gguf", &n);
        assert_non_null(bytes);
        assert_int_equal(decai_model_open(&m[i], ctx, (uint8_t *)bytes, n, NULL), 0);
        free(bytes);
        e[i] = infer_engine(ctx, m[i], NULL);
    }
    assert_int_equal(decai_tokenizer_create(&t, m[0], NULL), 0);
    assert_int_equal(decai_tokenizer_encode(t, prompt, 64, &n, text, sizeof text - 1, 0), 0);
    for (int heat = 0; heat < 2; heat++) {
        decai_scheduler *q = NULL;
        decai_options *o = NULL;
        int64_t value, total;
        int32_t kind;
        uint64_t id;
        given = seen = 0;
        assert_int_equal(decai_options_create(&o, ctx), 0);
        assert_int_equal(decai_options_set_i64(o, "infer.max_tokens", 60), 0);
        assert_int_equal(decai_options_set_i64(o, "infer.ignore_end", 1), 0);
        assert_int_equal(decai_options_set_f64(o, "infer.temperature", heat), 0);
        decai_session *s = NULL;
        assert_int_equal(decai_session_create(&s, e[0], o), 0);
        assert_int_equal(decai_session_add(s, prompt, n), 0);
        while ((r = decai_session_next(s, &token)) == 1) want[given++] = token;
        assert_int_equal(r, 0);
        assert_int_equal(decai_session_start(s), 0);
        assert_int_equal(decai_scheduler_create(&q, e[0], NULL), 0);
        assert_int_equal(decai_scheduler_draft_set(q, e[1]), 0);
        assert_int_equal(decai_scheduler_submit(q, s, 1, 0, prompt, n), 0);
        for (make_free(q); decai_scheduler_next(q, &kind, &id, &value, &total, 0) == 1; make_free(q))
            if (kind == DECAI_EVENT_TOKEN) assert_true(seen < given && value == want[seen++]);
        assert_int_equal(seen, given);
        print_message("f16 by q4_0, temperature %d: %llu of %llu guesses right, %llu steps for %llu tokens\n", heat,
            (unsigned long long)q->model.taken, (unsigned long long)q->model.drafted, (unsigned long long)q->steps,
            (unsigned long long)q->tokens);
        if (!heat) assert_true(q->model.taken > 0 && q->steps < q->tokens);
        decai_destroy(q);
        decai_destroy(s);
        decai_destroy(o);
    }
    decai_destroy(t);
    for (int i = 0; i < 2; i++) decai_destroy(e[i]), decai_destroy(m[i]);
}

/* Cancelled after every possible event: what was told is what it is alone. */
static void
test_cancel_at_every_step(void **state)
{
    outcome want[2], got[2];
    bool whole = false;
    (void)state;

    for (size_t i = 0; i < 2; i++) alone(i, &want[i]);
    for (size_t stop = 1; !whole; stop++) {
        decai_scheduler *q = scheduler(engine);
        decai_session *s[2];
        int32_t prompt[PROMPT];
        uint64_t id;
        size_t seen = 0;
        memset(got, 0, sizeof got);
        for (size_t i = 0; i < 2; i++) {
            s[i] = open_talk(i, prompt);
            assert_int_equal(decai_scheduler_submit(q, s[i], i + 1, 0, prompt, PROMPT), 0);
        }
        while (take(q, got, &id))
            if (id == 1 && ++seen == stop) assert_int_equal(decai_scheduler_cancel(q, 1), 0);
        whole = got[0].end == DECAI_EVENT_FINISHED;
        assert_true(whole || got[0].end == DECAI_EVENT_CANCELLED);
        assert_memory_equal(got[0].tokens, want[0].tokens, (size_t)got[0].count * sizeof(int32_t));
        decai_destroy(s[0]);
        close_talk(s[1], 1, &got[1]);
        assert_memory_equal(&got[1], &want[1], sizeof got[1]);
        decai_destroy(q);
    }
}

/* ---- copying --------------------------------------------------------------------------------- */

/* A source 0..39 is copied with an edit: what is guessed behind it. */
static void
test_copying_goes_on(void **state)
{
    static const struct { int32_t said[4]; size_t count; int32_t next; } edits[] = {
        { { 99 }, 1, 11 },                           /* 99 for 10 */
        { { 99, 10 }, 2, 11 },                       /* 99 put in */
        { { 99, 98, 12 }, 3, 13 },                   /* two for two */
        { { 13 }, 1, 14 },                           /* three left out */
    };
    (void)state;

    for (size_t e = 0; e < sizeof edits / sizeof edits[0]; e++) {
        decai__drafting d = { 0 };
        int32_t text[80], draft[DRAFT_MAX];
        double share[DRAFT_MAX];
        size_t n = 40;
        for (int32_t i = 0; i < 40; i++) text[i] = i;
        for (int32_t i = 0; i < 10; i++) {
            text[n++] = i;
            size_t got = decai__draft(&d, draft, share, DRAFT_MAX, text, n);
            if (i) assert_true(got == DRAFT_MAX && draft[0] == i + 1 && draft[9] == i + 10 && share[0] > share[1]);
        }
        for (size_t i = 0; i < edits[e].count; i++) {
            text[n++] = edits[e].said[i];
            size_t got = decai__draft(&d, draft, share, DRAFT_MAX, text, n);
            assert_true(got == DRAFT_MAX || i + 1 < edits[e].count);
        }
        assert_int_equal(draft[0], edits[e].next);
        assert_int_equal(draft[5], edits[e].next + 5);
        assert_true(share[0] > 0.1 && share[0] < 1);
    }
}

/* What never comes true is believed less and less, though nobody computes it. */
static void
test_chances_are_learned(void **state)
{
    decai__drafting d = { 0 };
    int32_t text[400], draft[1];
    double share[1], first = 0;
    size_t n = 0;
    (void)state;

    for (int32_t i = 0; i < 60; i++) {               /* 1 2 and each time something else */
        text[n++] = 1;
        text[n++] = 2;
        if (decai__draft(&d, draft, share, 1, text, n) && !(first > 0)) first = share[0];
        text[n++] = 100 + i;
        (void)decai__draft(&d, draft, share, 1, text, n);
    }
    text[n++] = 1;
    text[n++] = 2;
    assert_int_equal(decai__draft(&d, draft, share, 1, text, n), 1);
    assert_true(first > 0.1 && share[0] < first / 10);
}

/* ---- judgement ------------------------------------------------------------------------------ */

/* Costs of a machine: of a model's passes, and of its draft's. */
static const decai__cost MACHINE = { true, 1e7, { 1, 1.8, 2.3, 3.3, 4.9 } };

/* Talk 0 with these costs: what was guessed. */
static void
judged(decai__cost cost, decai__cost draft, bool few_words, decai_scheduler *q)
{
    decai_options *o = NULL;
    decai_session *s = NULL;
    int32_t prompt[PROMPT], kind;
    int64_t value, total;
    uint64_t id;

    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.max_tokens", 80), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.ignore_end", 1), 0);
    if (few_words) assert_int_equal(decai_options_set_str(o, "infer.logit_bias", "7:400"), 0);
    assert_int_equal(decai_session_create(&s, engine, o), 0);
    infer_tokens(prompt, PROMPT, 300, 50);
    q->cost = cost;
    q->draft_cost = draft;
    assert_int_equal(decai_scheduler_submit(q, s, 1, 0, prompt, PROMPT), 0);
    while (decai_scheduler_next(q, &kind, &id, &value, &total, 0) == 1) ;
    assert_int_equal(q->tokens, 80);
    decai_destroy(s);
    decai_destroy(o);
}

/* No clock decides: the same costs, the same guesses, however long anything took. */
static void
test_costs_decide(void **state)
{
    static const decai__cost free_rows = { true, 1e7, { 1, 1, 1, 1, 1 } }, dear = { true, 1e7, { 1, 2, 4, 8, 16 } };
    decai__cost small = MACHINE;
    uint64_t steps[2];
    (void)state;

    for (int i = 0; i < 2; i++) {                    /* one word again and again */
        decai_scheduler *q = scheduler(NULL);
        judged(MACHINE, MACHINE, true, q);
        steps[i] = q->steps;
        assert_true(q->drafted > 40 && q->draft_right * 10 >= q->drafted * 9 && q->steps < 20);
        decai_destroy(q);
    }
    assert_int_equal(steps[0], steps[1]);
    decai_scheduler *q = scheduler(NULL);            /* a row costs a pass: none */
    judged(dear, dear, true, q);
    assert_int_equal(q->drafted, 0);
    decai_destroy(q);
    q = scheduler(engine);                           /* a draft as large as its model: never asked */
    judged(MACHINE, MACHINE, false, q);
    assert_int_equal(q->model.drafted, 0);
    decai_destroy(q);
    small.ns /= 10;                                  /* one of a tenth is, and is always right here */
    q = scheduler(engine);
    judged(MACHINE, small, false, q);
    assert_true(q->model.drafted > 40 && q->model.taken == q->model.drafted && q->steps < 30);
    decai_destroy(q);
    q = scheduler(engine);
    judged(free_rows, small, false, q);
    assert_true(q->model.taken == q->model.drafted && q->steps < 25);
    decai_destroy(q);
}

/* Two who repeat themselves: alone a step may take long, together twice its time at most. */
static void
test_nobody_waits_long(void **state)
{
    (void)state;

    for (uint64_t count = 1; count <= 2; count++) {
        decai_scheduler *q = scheduler(NULL);
        decai_options *o = NULL;
        decai_session *s[2] = { NULL };
        int32_t prompt[PROMPT], kind;
        int64_t value, total;
        uint64_t id, drafted = 0, most = 0;

        assert_int_equal(decai_options_create(&o, ctx), 0);
        assert_int_equal(decai_options_set_i64(o, "infer.max_tokens", 80), 0);
        assert_int_equal(decai_options_set_i64(o, "infer.ignore_end", 1), 0);
        assert_int_equal(decai_options_set_str(o, "infer.logit_bias", "7:400"), 0);
        q->cost = MACHINE;
        for (uint64_t i = 0; i < count; i++) {
            assert_int_equal(decai_session_create(&s[i], engine, o), 0);
            infer_tokens(prompt, PROMPT, 300, 50 + i);
            assert_int_equal(decai_scheduler_submit(q, s[i], i + 1, 0, prompt, PROMPT), 0);
        }
        while (decai_scheduler_next(q, &kind, &id, &value, &total, 0) == 1) {
            if (kind == DECAI_EVENT_TOKEN && q->count == count) most = DECAI__MAX(most, q->drafted - drafted);
            drafted = q->drafted;
        }
        assert_true(count == 1 ? most > 20 : most > 3 && decai__cost_of(&MACHINE, 2 + (double)most) <= 3.6);
        for (uint64_t i = 0; i < count; i++) decai_destroy(s[i]);
        decai_destroy(o);
        decai_destroy(q);
    }
}

/* Costs lie on a line between what was measured, and behind it. */
static void
test_costs(void **state)
{
    decai__cost c;
    (void)state;

    assert_true(decai__cost_of(&MACHINE, 0) == 0 && decai__cost_of(&MACHINE, 1) == 1 && decai__cost_of(&MACHINE, 2) == 1.8);
    assert_float_equal(decai__cost_of(&MACHINE, 6), 2.8, 1e-9);
    assert_float_equal(decai__cost_of(&MACHINE, 32), 4.9 + 16 * 0.2, 1e-9);
    decai__cost_measure(&c, engine);
    assert_true(c.known && c.ns > 0 && c.of[0] == 1);
    for (size_t i = 1; i < COST_POINTS; i++) assert_true(c.of[i] >= c.of[i - 1]);
}

/* ---- memory ------------------------------------------------------------------------------- */

/* The draft's caches are counted: where there is room for all, for the sessions alone,
 * and for one draft of two. What comes out is the same, and all is given back. */
static void
test_counted_memory(void **state)
{
    outcome want[2], got[TALKS];
    uint64_t no_room[4];
    size_t one = 0;
    (void)state;

    for (size_t i = 0; i < 2; i++) alone(i, &want[i]);
    for (size_t room = 0; room < 4; room++) {        /* caches, of a session each: all, 2, 3, 4 */
        decai_scheduler *q = scheduler(engine);
        decai_session *s[2];
        int32_t prompt[PROMPT];
        uint64_t id;
        size_t most = 0;
        memset(got, 0, sizeof got);
        if (room) q->memory_max = (room + 1) * one;
        for (size_t i = 0; i < 2; i++) {
            s[i] = open_talk(i, prompt);
            assert_int_equal(decai_scheduler_submit(q, s[i], i + 1, 0, prompt, PROMPT), 0);
            one = DECAI__MAX(one, q->requests[i]->memory);
            one = DECAI__MAX(one, decai__kv_bytes_for(q->draft_probe->kv, PROMPT + ANSWER));
        }
        while (take(q, got, &id)) {
            most = DECAI__MAX(most, q->memory);
            assert_true(!q->memory_max || q->memory <= q->memory_max);
        }
        assert_int_equal(q->memory, 0);
        for (size_t i = 0; i < 2; i++) close_talk(s[i], i, &got[i]);
        assert_memory_equal(got, want, sizeof want);
        no_room[room] = q->model.no_room;
        assert_true(most > 2 * one - 2 || room == 1);
        decai_destroy(q);
    }
    assert_true(no_room[0] == 0 && no_room[1] == 2 && no_room[2] == 1 && no_room[3] == 0);
}

/* A session that waits gets the memory of drafts. */
static void
test_drafts_step_back(void **state)
{
    outcome want[2], got[TALKS];
    decai_scheduler *q = scheduler(engine);
    decai_session *s[2];
    int32_t prompt[2][PROMPT];
    uint64_t id;
    (void)state;

    for (size_t i = 0; i < 2; i++) alone(i, &want[i]), s[i] = open_talk(i, prompt[i]);
    memset(got, 0, sizeof got);
    q->draft_max = 4;
    assert_int_equal(decai_scheduler_submit(q, s[0], 1, 0, prompt[0], PROMPT), 0);
    q->memory_max = 2 * DECAI__MAX(q->requests[0]->memory, decai__kv_bytes_for(q->draft_probe->kv, PROMPT + ANSWER));
    while (q->model.drafted == 0) assert_true(take(q, got, &id));
    assert_int_equal(decai_scheduler_submit(q, s[1], 2, 0, prompt[1], PROMPT), 0);
    while (take(q, got, &id)) ;
    for (size_t i = 0; i < 2; i++) close_talk(s[i], i, &got[i]);
    assert_memory_equal(got, want, sizeof want);
    assert_int_equal(q->model.no_room, 2);           /* taken from the first, and none for the second */
    assert_int_equal(q->memory, 0);
    decai_destroy(q);
}

static void *
stingy(void *user, void *p, size_t old, size_t size)
{
    (void)user;
    (void)old;
    if (!size) return free(p), NULL;
    if (left >= 0 && left-- == 0) return left = 0, NULL;
    return realloc(p, size);
}

/* The draft engine is of a context whose memory ends: at every place, no more guesses
 * and nothing else. */
static void
test_no_memory(void **state)
{
    decai_options *o = NULL;
    decai_context *poor = NULL;
    outcome want[2], got[TALKS];
    totals t = { 0 };
    long k = 0;
    (void)state;

    assert_int_equal(decai_options_create(&o, NULL), 0);
    assert_int_equal(decai_options_set_fn(o, "seam.memory.realloc", (decai_fn)stingy, NULL), 0);
    left = -1;
    assert_int_equal(decai_context_create(&poor, o), 0);
    decai_destroy(o);
    decai_model *m = infer_model(poor, &MAIN);
    decai_engine *draft = infer_engine(poor, m, NULL);
    for (size_t i = 0; i < 2; i++) alone(i, &want[i]);
    for (; t.right < 10; k++) {
        assert_true(k < 200);
        left = k;
        together(draft, 0, 2, got, &t);
        left = -1;
        assert_memory_equal(got, want, sizeof want);
    }
    assert_true(k > 3);
    decai_destroy(draft);
    decai_destroy(m);
    decai_destroy(poor);
}

/* ---- threads -------------------------------------------------------------------------------- */

typedef struct sender { decai_scheduler *q; decai_session **s; } sender;

static void *
send_all(void *user)
{
    sender *w = user;
    uint8_t text[8];
    size_t len;

    for (size_t i = 0; i < TALKS; i++) {
        int32_t prompt[PROMPT];
        infer_tokens(prompt, PROMPT, 300, 50 + i);
        if (decai_scheduler_submit(w->q, w->s[i], i + 1, 0, prompt, PROMPT)) abort();
        if (i == 3 && decai_scheduler_cancel(w->q, 3)) abort();
        if (decai_scheduler_format(w->q, text, sizeof text, &len) != DECAI_E_SPACE) abort();
    }
    return NULL;
}

static void
test_threads(void **state)
{
    decai_scheduler *q = scheduler(engine);
    outcome want[TALKS], got[TALKS];
    decai_session *s[TALKS];
    sender w = { q, s };
    pthread_t thread;
    size_t over = 0;
    (void)state;

    memset(got, 0, sizeof got);
    for (size_t i = 0; i < TALKS; i++) {
        int32_t prompt[PROMPT];
        alone(i, &want[i]);
        s[i] = open_talk(i, prompt);
    }
    assert_int_equal(pthread_create(&thread, NULL, send_all, &w), 0);
    while (over < TALKS) {
        uint64_t id;
        if (take(q, got, &id) && got[id - 1].end) over++;
    }
    pthread_join(thread, NULL);
    for (size_t i = 0; i < TALKS; i++) {
        assert_true(got[i].end == DECAI_EVENT_FINISHED || i == 2);
        assert_memory_equal(got[i].tokens, want[i].tokens, (size_t)got[i].count * sizeof(int32_t));
        decai_destroy(s[i]);
    }
    assert_true(q->model.taken > 0);
    decai_destroy(q);
}

/* ---- who may -------------------------------------------------------------------------------- */

static void
test_refusals(void **state)
{
    support_llama wide = MAIN;
    decai_model *wider, *bert = NULL;
    decai_engine *encoder = NULL;
    synth_spec spec;
    uint8_t *bytes, text[2048];
    size_t len;
    int32_t prompt[PROMPT];
    (void)state;

    wide.n_vocab = 384;
    wider = infer_model(ctx, &wide);
    decai_engine *e = infer_engine(ctx, wider, NULL);
    assert_int_equal(synth_defaults(&spec, "bert", 8, "micro"), 0);
    synth_memory(&spec, &bytes, &len);
    assert_int_equal(decai_model_open(&bert, ctx, bytes, len, NULL), 0);
    assert_int_equal(decai_engine_create(&encoder, bert, NULL), 0);
    free(bytes);
    decai_scheduler *q = scheduler(NULL);
    assert_int_equal(decai_scheduler_draft_set(q, e), DECAI_E_INVALID);
    assert_non_null(strstr(decai_error_detail(), "384"));
    assert_non_null(strstr(decai_error_detail(), "320"));
    assert_int_equal(decai_scheduler_draft_set(q, encoder), DECAI_E_UNSUPPORTED);
    assert_int_equal(decai_scheduler_draft_set(NULL, engine), DECAI_E_INVALID);
    assert_int_equal(decai_scheduler_draft_set(q, engine), 0);
    assert_int_equal(decai_scheduler_draft_set(q, NULL), 0);
    assert_int_equal(decai_scheduler_format(q, text, sizeof text - 1, &len), 0);
    text[len] = 0;
    assert_non_null(strstr((char *)text, "\"draft_model\":false"));
    assert_int_equal(decai_scheduler_draft_set(q, engine), 0);
    assert_int_equal(decai_scheduler_format(q, text, sizeof text - 1, &len), 0);
    text[len] = 0;
    assert_non_null(strstr((char *)text, "\"draft_model\":true,\"model_drafted\":0,\"model_right\":0"));
    decai_session *s = open_talk(0, prompt);
    assert_int_equal(decai_scheduler_submit(q, s, 1, 0, prompt, PROMPT), 0);
    assert_int_equal(decai_scheduler_draft_set(q, NULL), DECAI_E_STATE);
    decai_destroy(q);
    decai_destroy(s);
    decai_destroy(encoder);
    decai_destroy(bert);
    decai_destroy(e);
    decai_destroy(wider);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_shows), cmocka_unit_test(test_shipped), cmocka_unit_test(test_cancel_at_every_step),
        cmocka_unit_test(test_copying_goes_on), cmocka_unit_test(test_chances_are_learned),
        cmocka_unit_test(test_costs), cmocka_unit_test(test_nobody_waits_long),
        cmocka_unit_test(test_costs_decide), cmocka_unit_test(test_counted_memory),
        cmocka_unit_test(test_drafts_step_back), cmocka_unit_test(test_no_memory), cmocka_unit_test(test_threads), cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
