/* Several models under one budget: made when asked for, the one not used for longest
 * goes first, who is held stays; threads that ask at once get one engine, and one that
 * is being made keeps nobody from the others. */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "support_heap.h"
#include "support_infer.h"

static decai_context *ctx;
static decai_model *model[3];

static int
setup(void **state)
{
    (void)state;
    ctx = infer_context(1);
    for (uint64_t i = 0; i < 3; i++) {
        support_llama m = SUPPORT_LLAMA_TINY;
        m.seed = i + 1;
        model[i] = infer_model(ctx, &m);
    }
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) decai_destroy(model[i]);
    decai_destroy(ctx);
    return 0;
}

static decai_shelf *
shelf_with(int64_t bytes, int64_t context)
{
    decai_options *o = NULL;
    decai_shelf *s = NULL;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.shelf_bytes", bytes), 0);
    assert_int_equal(decai_options_set_str(o, "compute.backend", "native"), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.context", context), 0);
    assert_int_equal(decai_shelf_create(&s, ctx, o), 0);
    /* The shelf has a copy. */
    assert_int_equal(decai_options_set_i64(o, "infer.context", 64), 0);
    decai_destroy(o);
    return s;
}

static decai_shelf *
shelf_of(int64_t bytes)
{
    return shelf_with(bytes, 32);
}

static long long
number(decai_shelf *s, const char *from, const char *name)
{
    char text[2048], key[64];
    size_t len;
    assert_int_equal(decai_shelf_format(s, (uint8_t *)text, sizeof text - 1, &len), 0);
    text[len] = 0;
    assert_int_equal(decai_json_verify(ctx, text, len), 0);
    const char *at = from ? strstr(text, from) : text;
    assert_non_null(at);
    (void)snprintf(key, sizeof key, "\"%s\":", name);
    at = strstr(at, key);
    assert_non_null(at);
    at += strlen(key);
    return *at == 't' ? 1 : *at == 'f' ? 0 : atoll(at);
}

static decai_engine *
get(decai_shelf *s, const char *name)
{
    decai_engine *e = NULL;
    assert_int_equal(decai_shelf_get(s, &e, name), 0);
    assert_non_null(e);
    return e;
}

/* What a model has is the most that it gets. */
static void
test_more_context_than_a_model_has(void **state)
{
    char text[1024];
    size_t len;
    uint8_t own[16];
    (void)state;

    assert_int_equal(decai_model_metadata_get(model[0], own, sizeof own - 1, &len, "llama.context_length"), 0);
    own[len] = 0;
    const long long most = atoll((const char *)own);
    for (long long asked = most - 1; asked <= most + 1; asked++) {
        decai_shelf *s = shelf_with(0, asked);
        char want[64];
        assert_int_equal(decai_shelf_add(s, model[0], "a"), 0);
        decai_engine *e = get(s, "a");
        assert_int_equal(decai_engine_format(e, (uint8_t *)text, sizeof text - 1, &len), 0);
        text[len] = 0;
        (void)snprintf(want, sizeof want, "\"context\":%lld,", asked < most ? asked : most);
        assert_non_null(strstr(text, want));
        decai_destroy(e);
        decai_destroy(s);
    }
}

static void
test_least_recently_used(void **state)
{
    decai_shelf *s = shelf_of(0);
    decai_engine *e;
    (void)state;

    assert_int_equal(decai_shelf_add(s, model[0], "a"), 0);
    long long bytes = number(s, NULL, "models") >= 0 ? number(s, "\"a\"", "bytes") : 0;
    assert_true(bytes > 0);
    decai_destroy(s);

    /* Room for two of three. */
    s = shelf_of(2 * bytes);
    assert_int_equal(decai_shelf_add(s, model[0], "a"), 0);
    assert_int_equal(decai_shelf_add(s, model[1], "b"), 0);
    assert_int_equal(decai_shelf_add(s, model[2], "c"), 0);
    assert_int_equal(number(s, NULL, "created"), 0);
    decai_destroy(get(s, "a"));
    decai_destroy(get(s, "b"));
    e = get(s, "a");
    char text[1024];
    size_t len;
    assert_int_equal(decai_engine_format(e, (uint8_t *)text, sizeof text - 1, &len), 0);
    text[len] = 0;
    assert_non_null(strstr(text, "\"context\":32"));
    decai_destroy(e);
    assert_int_equal(number(s, NULL, "created"), 2);
    decai_destroy(get(s, "c"));                      /* b was got before a was got again */
    assert_true(number(s, "\"a\"", "ready") && !number(s, "\"b\"", "ready") && number(s, "\"c\"", "ready"));
    assert_true(number(s, NULL, "bytes") <= 2 * bytes);

    /* Held ones stay, by a session, too: the other one goes, and then none can. */
    e = get(s, "a");
    decai_session *session = infer_session(e, ctx, NULL);
    decai_destroy(e);
    decai_destroy(get(s, "b"));
    assert_true(number(s, "\"a\"", "ready") && !number(s, "\"c\"", "ready"));
    decai_engine *held = get(s, "b"), *none = (decai_engine *)s;
    assert_int_equal(decai_shelf_get(s, &none, "c"), DECAI_E_FULL);
    assert_null(none);
    decai_destroy(session);
    decai_destroy(get(s, "c"));
    assert_true(!number(s, "\"a\"", "ready") && number(s, "\"b\"", "ready"));
    /* The engine outlives the shelf. */
    decai_destroy(s);
    session = infer_session(held, ctx, NULL);
    decai_destroy(held);
    int32_t tokens[3] = { 1, 2, 3 }, token;
    assert_int_equal(decai_session_add(session, tokens, 3), 0);
    assert_int_equal(decai_session_next(session, &token), 1);
    decai_destroy(session);

    /* A byte too few for one. */
    s = shelf_of(bytes - 1);
    assert_int_equal(decai_shelf_add(s, model[0], "a"), DECAI_E_LIMIT);
    decai_destroy(s);
    s = shelf_of(bytes);
    assert_int_equal(decai_shelf_add(s, model[0], "a"), 0);
    decai_destroy(get(s, "a"));
    decai_destroy(s);
}

static void
test_names(void **state)
{
    decai_shelf *s = shelf_of(0);
    decai_engine *e = NULL;
    char name[DECAI_SHELF_NAME_MAX + 2];
    (void)state;

    memset(name, 'n', sizeof name);
    name[DECAI_SHELF_NAME_MAX + 1] = 0;
    assert_int_equal(decai_shelf_add(s, model[0], name), DECAI_E_LIMIT);
    name[DECAI_SHELF_NAME_MAX] = 0;
    assert_int_equal(decai_shelf_add(s, model[0], name), 0);
    assert_int_equal(decai_shelf_add(s, model[0], name), DECAI_E_EXISTS);
    assert_int_equal(decai_shelf_add(s, model[0], ""), DECAI_E_INVALID);
    assert_int_equal(decai_shelf_add(s, model[0], NULL), DECAI_E_INVALID);
    assert_int_equal(decai_shelf_add(s, model[0], "a \"quoted\" name"), 0);
    assert_int_equal(decai_shelf_get(s, &e, "b"), DECAI_E_NOT_FOUND);
    (void)number(s, NULL, "bytes");                  /* valid JSON */
    for (int i = 2; i < DECAI_SHELF_MODELS_MAX; i++) {
        (void)snprintf(name, sizeof name, "%d", i);
        assert_int_equal(decai_shelf_add(s, model[0], name), 0);
    }
    assert_int_equal(decai_shelf_add(s, model[0], "one more"), DECAI_E_LIMIT);
    decai_destroy(s);
}

static void *
ask(void *user)
{
    decai_engine *e = NULL;
    if (decai_shelf_get(user, &e, "a")) abort();
    return e;
}

static void
test_asked_for_at_once(void **state)
{
    decai_shelf *s = shelf_of(0);
    pthread_t thread[4];
    void *got[4];
    (void)state;

    assert_int_equal(decai_shelf_add(s, model[0], "a"), 0);
    for (size_t i = 0; i < 4; i++) assert_int_equal(pthread_create(&thread[i], NULL, ask, s), 0);
    for (size_t i = 0; i < 4; i++) pthread_join(thread[i], &got[i]);
    for (size_t i = 0; i < 4; i++) {
        assert_ptr_equal(got[i], got[0]);
        decai_destroy(got[i]);
    }
    assert_int_equal(number(s, NULL, "created"), 1);
    decai_destroy(s);
}

/* The bytes of one of the models, which are of one shape. */
static long long
model_bytes(void)
{
    decai_shelf *s = shelf_of(0);
    assert_int_equal(decai_shelf_add(s, model[0], "a"), 0);
    long long bytes = number(s, "\"a\"", "bytes");
    decai_destroy(s);
    assert_true(bytes > 0);
    return bytes;
}

static decai_shelf *
shelf_of_three(int64_t bytes)
{
    decai_shelf *s = shelf_of(bytes);
    assert_int_equal(decai_shelf_add(s, model[0], "a"), 0);
    assert_int_equal(decai_shelf_add(s, model[1], "b"), 0);
    assert_int_equal(decai_shelf_add(s, model[2], "c"), 0);
    return s;
}

/* A byte below, at and above the size of two engines. */
static void
test_budget_to_the_byte(void **state)
{
    long long two = 2 * model_bytes();
    (void)state;

    for (int more = -1; more <= 1; more++) {
        decai_shelf *s = shelf_of_three(two + more);
        decai_destroy(get(s, "a"));
        decai_destroy(get(s, "b"));
        assert_int_equal(number(s, NULL, "dropped"), more < 0);
        assert_int_equal(number(s, "\"a\"", "ready"), more >= 0);
        assert_int_equal(number(s, NULL, "bytes"), more < 0 ? two / 2 : two);
        decai_destroy(get(s, "c"));
        decai_destroy(get(s, "c"));
        assert_int_equal(number(s, NULL, "gets"), 4);
        assert_int_equal(number(s, NULL, "created"), 3);
        decai_destroy(s);
    }
}

/* When what is held leaves no room, nothing else is given up for it; the detail has the
 * numbers. The large model has three times the layers. */
static void
test_nothing_goes_in_vain(void **state)
{
    support_llama m = SUPPORT_LLAMA_TINY;
    m.n_layer *= 3;
    decai_model *large = infer_model(ctx, &m);
    decai_shelf *s = shelf_of(0);
    char wanted[128];
    (void)state;

    assert_int_equal(decai_shelf_add(s, large, "large"), 0);
    long long bytes = number(s, "\"large\"", "bytes"), small = model_bytes();
    assert_true(bytes > small);
    decai_destroy(s);

    s = shelf_of_three(bytes + small - 1);
    assert_int_equal(decai_shelf_add(s, large, "large"), 0);
    decai_destroy(get(s, "a"));
    decai_engine *held = get(s, "b"), *none = NULL;
    assert_int_equal(number(s, NULL, "dropped"), 0);
    assert_int_equal(decai_shelf_get(s, &none, "large"), DECAI_E_FULL);
    (void)snprintf(wanted, sizeof wanted, "shelf: %lld bytes of %lld are in use, %lld more are needed", small, bytes + small - 1, bytes);
    assert_string_equal(decai_error_detail(), wanted);
    assert_int_equal(number(s, NULL, "dropped"), 0);
    assert_true(number(s, "\"a\"", "ready"));
    decai_destroy(held);
    decai_destroy(get(s, "large"));
    assert_int_equal(number(s, NULL, "dropped"), 2);
    decai_destroy(s);
    decai_destroy(large);
}

/* An engine takes what it is counted as, or more, and giving it up gives that back. */
static void
test_memory_comes_back(void **state)
{
    support_heap heap;
    decai_context *counted = support_heap_context(&heap);
    support_llama m = SUPPORT_LLAMA_TINY;
    size_t before, one, peak, bytes = (size_t)model_bytes();
    decai_options *o = NULL;
    decai_shelf *s = NULL;
    (void)state;

    assert_non_null(counted);
    decai_model *both = infer_model(counted, &m);
    assert_int_equal(decai_options_create(&o, counted), 0);
    assert_int_equal(decai_options_set_str(o, "compute.backend", "native"), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.shelf_bytes", (int64_t)bytes), 0);
    assert_int_equal(decai_shelf_create(&s, counted, o), 0);
    decai_destroy(o);
    assert_int_equal(decai_shelf_add(s, both, "a"), 0);
    assert_int_equal(decai_shelf_add(s, both, "b"), 0);
    before = heap.live;
    support_heap_mark(&heap);
    decai_destroy(get(s, "a"));
    one = heap.live - before;
    peak = heap.peak - before;
    assert_true(one > bytes / 2);
    for (int i = 0; i < 4; i++) decai_destroy(get(s, i % 2 ? "a" : "b"));
    assert_int_equal(number(s, NULL, "dropped"), 4);
    assert_true(heap.live - before <= one);
    support_heap_mark(&heap);
    decai_destroy(get(s, "b"));                      /* the old one goes before the new one comes */
    assert_true(heap.peak - before <= peak);
    decai_destroy(s);
    decai_destroy(both);
    decai_destroy(counted);
    assert_int_equal(heap.live, 0);
}

/* ---- while an engine is being made ------------------------------------------------- */

/* An allocator that holds the first allocation after `armed`, then serves or refuses it. */
static struct gate { atomic_int armed, refuse; sem_t inside, go, done; } gate;

static void
wait_for(sem_t *sem)
{
    struct timespec until;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &until), 0);
    until.tv_sec += 60;
    assert_int_equal(sem_timedwait(sem, &until), 0);
}

static void *
gate_realloc(void *user, void *ptr, size_t old_size, size_t size)
{
    struct gate *g = user;
    (void)old_size;
    if (!size) {
        free(ptr);
        return NULL;
    }
    if (atomic_exchange(&g->armed, 0)) {
        sem_post(&g->inside);
        while (sem_wait(&g->go)) {}
        if (atomic_load(&g->refuse)) return NULL;
    }
    return realloc(ptr, size);
}

/* The three models in a context with that allocator; room for `engines` of them. */
static decai_shelf *
gated_shelf(decai_context **gated, long long engines)
{
    static const char *const names[3] = { "a", "b", "c" };
    decai_options *o = NULL;
    decai_shelf *s = NULL;

    assert_int_equal(decai_options_create(&o, NULL), 0);
    assert_int_equal(decai_options_set_fn(o, "seam.memory.realloc", (decai_fn)gate_realloc, &gate), 0);
    assert_int_equal(decai_context_create(gated, o), 0);
    decai_destroy(o);
    assert_int_equal(decai_options_create(&o, *gated), 0);
    assert_int_equal(decai_options_set_str(o, "compute.backend", "native"), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.shelf_bytes", engines * model_bytes()), 0);
    assert_int_equal(decai_shelf_create(&s, *gated, o), 0);
    decai_destroy(o);
    for (uint64_t i = 0; i < 3; i++) {
        support_llama m = SUPPORT_LLAMA_TINY;
        m.seed = i + 1;
        decai_model *one = infer_model(*gated, &m);
        assert_int_equal(decai_shelf_add(s, one, names[i]), 0);
        decai_destroy(one);
    }
    assert_int_equal(sem_init(&gate.inside, 0, 0) | sem_init(&gate.go, 0, 0) | sem_init(&gate.done, 0, 0), 0);
    atomic_store(&gate.refuse, 0);
    return s;
}

typedef struct asker { pthread_t thread; decai_shelf *shelf; const char *name; decai_engine *engine; int32_t r; } asker;

static void *
ask_one(void *user)
{
    asker *a = user;
    a->r = decai_shelf_get(a->shelf, &a->engine, a->name);
    return NULL;
}

static void
start(asker *a, decai_shelf *s, const char *name)
{
    *a = (asker){ .shelf = s, .name = name };
    assert_int_equal(pthread_create(&a->thread, NULL, ask_one, a), 0);
}

/* What can be done meanwhile, in a thread of its own: were it to wait, main would not. */
static void *
look(void *user)
{
    static char text[2048];
    decai_engine *e = NULL;
    size_t len = 0;
    if (!decai_shelf_format(user, (uint8_t *)text, sizeof text - 1, &len)) text[len] = 0;
    if (decai_shelf_get(user, &e, "a")) e = NULL;
    decai_destroy(e);
    sem_post(&gate.done);
    return e ? text : NULL;
}

static void
test_others_meanwhile(void **state)
{
    decai_context *gated = NULL;
    decai_shelf *s = gated_shelf(&gated, 3);
    asker one, two;
    pthread_t thread;
    void *text = NULL;
    (void)state;

    decai_destroy(get(s, "a"));
    atomic_store(&gate.armed, 1);
    start(&one, s, "b");
    wait_for(&gate.inside);
    start(&two, s, "b");                             /* waits for the same engine */
    assert_int_equal(pthread_create(&thread, NULL, look, s), 0);
    wait_for(&gate.done);                            /* format and get of another do not */
    sem_post(&gate.go);
    pthread_join(thread, &text);
    pthread_join(one.thread, NULL);
    pthread_join(two.thread, NULL);
    assert_non_null(text);
    char want[128];
    (void)snprintf(want, sizeof want, "{\"bytes\":%lld,", 2 * model_bytes());
    assert_int_equal(strncmp(text, want, strlen(want)), 0);   /* b's are taken already */
    assert_non_null(strstr(text, "\"name\":\"b\",\"bytes\":"));
    assert_non_null(strstr(strstr(text, "\"name\":\"b\""), "\"ready\":false"));
    assert_int_equal(one.r | two.r, 0);
    assert_ptr_equal(one.engine, two.engine);
    assert_int_equal(number(s, NULL, "created"), 2);
    decai_destroy(one.engine);
    decai_destroy(two.engine);
    decai_destroy(s);
    decai_destroy(gated);
}

/* There is room for one; making it fails, and the other, who waited, gets it. */
static void
test_room_comes_back(void **state)
{
    decai_context *gated = NULL;
    decai_shelf *s = gated_shelf(&gated, 1);
    asker one, two;
    (void)state;

    atomic_store(&gate.refuse, 1);
    atomic_store(&gate.armed, 1);
    start(&one, s, "a");
    wait_for(&gate.inside);
    start(&two, s, "b");
    nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);   /* so that it most likely waits */
    sem_post(&gate.go);
    pthread_join(one.thread, NULL);
    pthread_join(two.thread, NULL);
    assert_int_equal(one.r, DECAI_E_NOMEM);
    assert_null(one.engine);
    assert_int_equal(two.r, 0);
    assert_int_equal(number(s, NULL, "bytes"), model_bytes());
    assert_int_equal(number(s, NULL, "created"), 1);
    decai_destroy(two.engine);
    decai_destroy(get(s, "a"));
    decai_destroy(s);
    decai_destroy(gated);
}

/* ---- many at once --------------------------------------------------------------------- */

enum { CROWD = 4, TURNS = 60 };
typedef struct member { pthread_t thread; decai_shelf *shelf; unsigned seed; int got, full, wrong; } member;

/* Whoever got an engine uses it, by a session that outlives the caller's own hold. */
static void *
take_turns(void *user)
{
    static const char *const names[3] = { "a", "b", "c" };
    member *m = user;
    for (unsigned i = 0; i < TURNS; i++) {
        decai_engine *e = NULL;
        decai_session *session = NULL;
        const int32_t tokens[2] = { 1, 2 };
        int32_t token, r = decai_shelf_get(m->shelf, &e, names[(i * 7 + m->seed * 5 + i / 3) % 3]);
        if (r == DECAI_E_FULL) {
            m->full++;
            continue;
        }
        if (!r) r = decai_session_create(&session, e, NULL);
        decai_destroy(e);
        if (!r) r = decai_session_add(session, tokens, 2);
        if (r || decai_session_next(session, &token) != 1) m->wrong++;
        else m->got++;
        decai_destroy(session);
    }
    return NULL;
}

static void
test_a_crowd(void **state)
{
    decai_shelf *s = shelf_of_three(2 * model_bytes());
    member m[CROWD];
    int got = 0;
    (void)state;

    for (unsigned i = 0; i < CROWD; i++) {
        m[i] = (member){ .shelf = s, .seed = i };
        assert_int_equal(pthread_create(&m[i].thread, NULL, take_turns, &m[i]), 0);
    }
    for (unsigned i = 0; i < CROWD; i++) {
        pthread_join(m[i].thread, NULL);
        assert_int_equal(m[i].wrong, 0);
        assert_int_equal(m[i].got + m[i].full, TURNS);
        got += m[i].got;
    }
    assert_int_equal(number(s, NULL, "gets"), got);
    assert_true(number(s, NULL, "bytes") <= 2 * model_bytes());
    assert_int_equal(number(s, NULL, "bytes"), (number(s, NULL, "created") - number(s, NULL, "dropped")) * model_bytes());
    for (int i = 0; i < 3; i++) decai_destroy(get(s, (const char *[]){ "a", "b", "c" }[i]));
    decai_destroy(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_least_recently_used), cmocka_unit_test(test_names), cmocka_unit_test(test_asked_for_at_once),
        cmocka_unit_test(test_budget_to_the_byte), cmocka_unit_test(test_nothing_goes_in_vain),
        cmocka_unit_test(test_others_meanwhile), cmocka_unit_test(test_room_comes_back), cmocka_unit_test(test_a_crowd),
        cmocka_unit_test(test_memory_comes_back), cmocka_unit_test(test_more_context_than_a_model_has),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
