/* Prompts that begin alike: pages are taken over instead of computed, and nothing but
 * the time shows it: tokens, hash and activation root are those of a session alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "support_infer.h"
#include "support_synth.h"

#define PAGE 64
#define PROMPT 300
#define ANSWER 8

static decai_context *ctx;
static decai_model *model;
static decai_engine *engine;
static uint32_t vocab;

static void
open_flavour(const char *flavour, const char *backend)
{
    synth_spec s;
    uint8_t *bytes = NULL;
    size_t len = 0;
    infer_setup setup = { .backend = backend, .batch = 48, .context = 512 };

    assert_int_equal(synth_defaults(&s, flavour, 8, "tiny"), 0);
    s.context = 512;
    vocab = s.vocab;
    synth_memory(&s, &bytes, &len);
    assert_int_equal(decai_model_open(&model, ctx, bytes, len, NULL), 0);
    free(bytes);
    engine = infer_engine(ctx, model, &setup);
    assert_non_null(engine);
}

static void
close_flavour(void)
{
    decai_destroy(engine);
    decai_destroy(model);
}

/* What a run gives. */
typedef struct result {
    int32_t tokens[ANSWER + 8];
    size_t count;
    int64_t shared;
    uint8_t hash[32], root[32];
} result;

static decai_session *
session(bool tree, const char *extra)
{
    return infer_session(engine, ctx, "infer.max_tokens", (int64_t)ANSWER, "infer.ignore_end", (int64_t)1, "infer.activation_tree",
        (int64_t)tree, extra ? extra : NULL, (int64_t)1, NULL);
}

static result
alone(const int32_t *prompt, size_t count, bool tree)
{
    result r = { 0 };
    int32_t token;
    decai_session *s = session(tree, NULL);
    assert_int_equal(decai_session_add(s, prompt, count), 0);
    while (decai_session_next(s, &token) == 1) r.tokens[r.count++] = token;
    assert_int_equal(decai_session_hash_get(s, r.hash, 32), 0);
    if (tree) assert_int_equal(decai_session_root_get(s, r.root, 32), 0);
    decai_destroy(s);
    return r;
}

static const char *folder = "";
static int64_t folder_bytes = (int64_t)1 << 32;

static decai_scheduler *
scheduler(int64_t prefix_bytes, int64_t memory)
{
    decai_options *o = NULL;
    decai_scheduler *q = NULL;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_str(o, "infer.prefix_dir", folder), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.prefix_dir_bytes", folder_bytes), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.prefix_bytes", prefix_bytes), 0);
    assert_int_equal(decai_options_set_i64(o, "infer.memory_bytes", memory), 0);
    assert_int_equal(decai_scheduler_create(&q, engine, o), 0);
    decai_destroy(o);
    return q;
}

/* All of these sessions, with prompts of `count` tokens, to their ends. */
static void
run(decai_scheduler *q, decai_session **s, const int32_t *const *prompt, const size_t *count, result *r, size_t n)
{
    int32_t kind;
    uint64_t id;
    int64_t value, total;

    for (size_t i = 0; i < n; i++) {
        r[i] = (result){ 0 };
        assert_int_equal(decai_scheduler_submit(q, s[i], i + 1, 0, prompt[i], count[i]), 0);
    }
    while (decai_scheduler_next(q, &kind, &id, &value, &total, 0) == 1) {
        assert_int_not_equal(kind, DECAI_EVENT_FAILED);
        if (kind == DECAI_EVENT_PROMPT) r[id - 1].shared = value;
        if (kind == DECAI_EVENT_TOKEN) r[id - 1].tokens[r[id - 1].count++] = (int32_t)value;
    }
}

static result
one(decai_scheduler *q, const int32_t *prompt, size_t count, bool tree)
{
    result r;
    decai_session *s = session(tree, NULL);
    run(q, &s, &prompt, &count, &r, 1);
    assert_int_equal(decai_session_hash_get(s, r.hash, 32), 0);
    if (tree) assert_int_equal(decai_session_root_get(s, r.root, 32), 0);
    decai_destroy(s);
    return r;
}

static void
equal(const result *a, const result *b, bool tree)
{
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->tokens, b->tokens, a->count * 4);
    assert_memory_equal(a->hash, b->hash, 32);
    if (tree) assert_memory_equal(a->root, b->root, 32);
}

static long long
number(decai_scheduler *q, const char *name)
{
    char text[16384], key[64];
    size_t len;
    assert_int_equal(decai_scheduler_format(q, (uint8_t *)text, sizeof text - 1, &len), 0);
    text[len] = 0;
    (void)snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(text, key);
    assert_non_null(at);
    return atoll(at + strlen(key));
}

/* ---- every backend, with and without windows -------------------------------------------- */

static void
test_hit(void **state)
{
    static const char *const flavours[] = { "llama", "mistral", "gemma3" }, *const backends[] = { "scalar", "native", "opencl" };
    int32_t prompt[PROMPT], other[PROMPT];
    (void)state;

    for (size_t f = 0; f < 3; f++)
        for (size_t b = 0; b < 3; b++) {
            if (!infer_backend_there(backends[b])) continue;
            open_flavour(flavours[f], backends[b]);
            infer_tokens(prompt, PROMPT, vocab, 5);
            memcpy(other, prompt, sizeof prompt);
            other[2 * PAGE + 7] ^= 1;
            result want = alone(prompt, PROMPT, false), want_other = alone(other, PROMPT, false);
            decai_scheduler *q = scheduler((int64_t)1 << 28, 0);
            result first = one(q, prompt, PROMPT, false), second = one(q, prompt, PROMPT, false), third = one(q, other, PROMPT, false);
            assert_int_equal(first.shared, 0);
            assert_int_equal(second.shared, PROMPT / PAGE * PAGE);
            assert_int_equal(third.shared, 2 * PAGE);
            equal(&first, &want, false);
            equal(&second, &want, false);
            equal(&third, &want_other, false);
            decai_destroy(q);
            close_flavour();
        }
}

/* The last token is always computed: a prompt of exactly some pages, and one less, one
 * more. */
static void
test_borders(void **state)
{
    int32_t prompt[PROMPT];
    (void)state;

    open_flavour("llama", "native");
    infer_tokens(prompt, PROMPT, vocab, 6);
    decai_scheduler *q = scheduler((int64_t)1 << 28, 0);
    (void)one(q, prompt, PROMPT, false);
    for (size_t n = 2 * PAGE - 1; n <= 2 * PAGE + 2; n++) {
        result want = alone(prompt, n, false), got = one(q, prompt, n, false);
        assert_int_equal(got.shared, n <= 2 * PAGE ? PAGE : 2 * PAGE);
        equal(&got, &want, false);
    }
    decai_destroy(q);
    close_flavour();
}

/* Pages of a prompt with an answer's page behind it: a chat's next turn. */
static void
test_answers_are_known_too(void **state)
{
    int32_t prompt[PROMPT];
    (void)state;

    open_flavour("llama", "native");
    infer_tokens(prompt, PROMPT, vocab, 7);
    decai_scheduler *q = scheduler((int64_t)1 << 28, 0);
    result first = one(q, prompt, 2 * PAGE - 4, false);
    memcpy(prompt + 2 * PAGE - 4, first.tokens, first.count * 4);     /* the answer fills the second page */
    result want = alone(prompt, 2 * PAGE + 20, false), got = one(q, prompt, 2 * PAGE + 20, false);
    assert_int_equal(got.shared, 2 * PAGE);
    equal(&got, &want, false);
    decai_destroy(q);
    close_flavour();
}

/* Twelve that begin alike, at once: the beginning is computed once. */
static void
test_at_once(void **state)
{
    static int32_t prompt[12][PROMPT];
    decai_session *s[12];
    const int32_t *p[12];
    size_t count[12];
    result r[12];
    int64_t shared = 0;
    (void)state;

    open_flavour("llama", "native");
    decai_scheduler *q = scheduler((int64_t)1 << 28, 0);
    for (size_t i = 0; i < 12; i++) {
        infer_tokens(prompt[i], PROMPT, vocab, 8);
        prompt[i][4 * PAGE + 3] = (int32_t)i;
        p[i] = prompt[i];
        count[i] = PROMPT;
        s[i] = session(false, NULL);
    }
    run(q, s, p, count, r, 12);
    for (size_t i = 0; i < 12; i++) {
        result want = alone(prompt[i], PROMPT, false);
        assert_int_equal(decai_session_hash_get(s[i], r[i].hash, 32), 0);
        equal(&r[i], &want, false);
        shared += r[i].shared;
        decai_destroy(s[i]);
    }
    assert_true(shared >= 11 * 3 * PAGE);
    decai_destroy(q);
    close_flavour();
}

/* ---- records ------------------------------------------------------------------------------- */

/* With an activation tree: pages with roots are taken, and the root is the lone one's;
 * pages without, and of sampled positions, are not. */
static void
test_records(void **state)
{
    int32_t prompt[PROMPT];
    (void)state;

    open_flavour("llama", "native");
    infer_tokens(prompt, PROMPT, vocab, 9);
    result want = alone(prompt, PROMPT, true);
    decai_scheduler *q = scheduler((int64_t)1 << 28, 0);
    result plain = one(q, prompt, PROMPT, false), second = one(q, prompt, PROMPT, true), third = one(q, prompt, PROMPT, true);
    equal(&plain, &want, false);
    assert_int_equal(second.shared, 0);              /* the first left no roots */
    equal(&second, &want, true);
    assert_int_equal(third.shared, PROMPT / PAGE * PAGE);
    equal(&third, &want, true);

    /* An answer's page has sampled positions. */
    result a = one(q, prompt, 2 * PAGE - 4, true);
    memcpy(prompt + 2 * PAGE - 4, a.tokens, a.count * 4);
    result want_b = alone(prompt, 2 * PAGE + 20, true), b = one(q, prompt, 2 * PAGE + 20, true);
    assert_int_equal(b.shared, PAGE);
    equal(&b, &want_b, true);

    /* Every node's hash, every position's logits: computed. */
    static const char *const keys[] = { "infer.activation_nodes", "infer.logits_all", "infer.logprobs" };
    for (size_t i = 0; i < 3; i++) {
        decai_session *s = session(false, keys[i]);
        const int32_t *p = prompt;
        size_t n = PROMPT;
        result r;
        run(q, &s, &p, &n, &r, 1);
        assert_int_equal(r.shared, 0);
        decai_destroy(s);
    }
    decai_destroy(q);
    close_flavour();
}

/* ---- bounds ----------------------------------------------------------------------------------- */

static void
test_thrown_out(void **state)
{
    int32_t prompt[4][PROMPT];
    (void)state;

    open_flavour("llama", "native");
    for (uint64_t i = 0; i < 4; i++) infer_tokens(prompt[i], PROMPT, vocab, 20 + i);
    decai_scheduler *q = scheduler((int64_t)1 << 28, 0);
    (void)one(q, prompt[0], PROMPT, false);
    int64_t page = number(q, "prefix_bytes") / number(q, "prefix_pages");
    assert_int_equal(number(q, "prefix_pages"), PROMPT / PAGE);
    decai_destroy(q);

    /* Room for two prompts: the one not used for longest goes, leaves first. */
    q = scheduler(2 * (PROMPT / PAGE) * page, 0);
    (void)one(q, prompt[0], PROMPT, false);
    (void)one(q, prompt[1], PROMPT, false);
    assert_int_equal(one(q, prompt[0], PROMPT, false).shared, 4 * PAGE);
    (void)one(q, prompt[2], PROMPT, false);
    assert_true(number(q, "prefix_bytes") <= 2 * (PROMPT / PAGE) * page);
    assert_int_equal(one(q, prompt[0], PROMPT, false).shared, 4 * PAGE);
    assert_int_equal(one(q, prompt[1], PROMPT, false).shared, 0);
    decai_destroy(q);

    q = scheduler(0, 0);
    (void)one(q, prompt[0], PROMPT, false);
    assert_int_equal(one(q, prompt[0], PROMPT, false).shared, 0);
    decai_destroy(q);

    /* One page of room, and none. */
    q = scheduler(page, 0);
    (void)one(q, prompt[0], PROMPT, false);
    assert_int_equal(number(q, "prefix_pages"), 1);
    assert_int_equal(one(q, prompt[0], PROMPT, false).shared, PAGE);
    decai_destroy(q);
    q = scheduler(page - 1, 0);
    (void)one(q, prompt[0], PROMPT, false);
    assert_int_equal(number(q, "prefix_pages"), 0);
    decai_destroy(q);

    /* Under one budget known pages make room for sessions. */
    q = scheduler((int64_t)1 << 28, 6 * page);
    for (int i = 0; i < 4; i++) {
        result want = alone(prompt[i], PROMPT, false), got = one(q, prompt[i], PROMPT, false);
        equal(&got, &want, false);
        assert_true(number(q, "prefix_bytes") <= 6 * page);
    }
    decai_destroy(q);
    close_flavour();
}

/* Cancelled in the middle of a shared beginning, and begun again: others keep theirs. */
static void
test_copy_on_write(void **state)
{
    int32_t prompt[PROMPT], again[PROMPT], token;
    (void)state;

    open_flavour("llama", "native");
    infer_tokens(prompt, PROMPT, vocab, 30);
    infer_tokens(again, PROMPT, vocab, 31);
    result want = alone(prompt, PROMPT, false), want_again = alone(again, PROMPT, false), r;
    decai_scheduler *q = scheduler((int64_t)1 << 28, 0);
    decai_session *s = session(false, NULL);
    const int32_t *p = prompt;
    size_t n = PROMPT;
    run(q, &s, &p, &n, &r, 1);
    /* The session's own pages are the index's now; it writes over them. */
    assert_int_equal(decai_session_start(s), 0);
    assert_int_equal(decai_session_add(s, again, PROMPT), 0);
    r = (result){ 0 };
    while (decai_session_next(s, &token) == 1) r.tokens[r.count++] = token;
    assert_int_equal(decai_session_hash_get(s, r.hash, 32), 0);
    equal(&r, &want_again, false);
    result hit = one(q, prompt, PROMPT, false);
    assert_int_equal(hit.shared, 4 * PAGE);
    equal(&hit, &want, false);
    decai_destroy(s);
    decai_destroy(q);
    close_flavour();
}

/* ---- on disk ------------------------------------------------------------------------------------ */

/* For every file of the folder: its path. Returns how many. */
static size_t
files(const char *dir, void (*fn)(const char *path))
{
    char path[512];
    size_t count = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (e->d_name[0] == '.') continue;
        (void)snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        count++;
        if (fn) fn(path);
    }
    closedir(d);
    return count;
}

static void
delete(const char *path)
{
    assert_int_equal(unlink(path), 0);
}

static void
flip(const char *path)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, -100, SEEK_END), 0);
    int c = fgetc(f);
    assert_int_equal(fseek(f, -1, SEEK_CUR), 0);
    (void)fputc(c ^ 1, f);
    assert_int_equal(fclose(f), 0);
}

static void shorten(const char *path) { struct stat st; assert_int_equal(stat(path, &st), 0); assert_int_equal(truncate(path, st.st_size - 1), 0); }
static void empty(const char *path) { assert_int_equal(truncate(path, 0), 0); }

static void
retitle(const char *path)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    (void)fputc('D', f);
    assert_int_equal(fclose(f), 0);
}

/* Another page's file under this name: a symbolic link is not followed. */
static void
link_elsewhere(const char *path)
{
    char other[600];
    (void)snprintf(other, sizeof other, "%s.real", path);
    assert_int_equal(rename(path, other), 0);
    assert_int_equal(symlink(other, path), 0);
}

static char own_folder[64];

static void
folder_make(void)
{
    (void)snprintf(own_folder, sizeof own_folder, "/tmp/decai-prefix-XXXXXX");
    assert_non_null(mkdtemp(own_folder));
    folder = own_folder;
}

static void
folder_remove(void)
{
    (void)files(own_folder, delete);
    assert_int_equal(rmdir(own_folder), 0);
    folder = "";
}

/* After a restart, on every backend, from the files of another; with receipts, too. */
static void
test_restart(void **state)
{
    static const char *const backends[] = { "native", "scalar", "opencl", "native" }, *const flavours[] = { "llama", "gemma3" };
    int32_t prompt[PROMPT];
    (void)state;

    for (size_t f = 0; f < 2; f++) {
        folder_make();
        for (size_t b = 0; b < 4; b++) {
            if (!infer_backend_there(backends[b])) continue;
            open_flavour(flavours[f], backends[b]);
            infer_tokens(prompt, PROMPT, vocab, 40);
            result want = alone(prompt, PROMPT, true);
            decai_scheduler *q = scheduler((int64_t)1 << 28, 0);
            result got = one(q, prompt, PROMPT, true);
            assert_int_equal(got.shared, b ? PROMPT / PAGE * PAGE : 0);
            equal(&got, &want, true);
            if (b) assert_true(number(q, "prefix_loaded_bytes") > 0 && number(q, "prefix_saved_bytes") == 0);
            assert_int_equal(one(q, prompt, PROMPT, false).shared, PROMPT / PAGE * PAGE);
            decai_destroy(q);
            close_flavour();
        }
        assert_int_equal(files(own_folder, NULL), PROMPT / PAGE);
        /* Another model's prompt of the same tokens is another prompt. */
        open_flavour(f ? "llama" : "qwen2", "native");
        infer_tokens(prompt, PROMPT, vocab, 40);
        decai_scheduler *q = scheduler((int64_t)1 << 28, 0);
        assert_int_equal(one(q, prompt, PROMPT, false).shared, 0);
        decai_destroy(q);
        close_flavour();
        folder_remove();
    }
}

static void
test_hostile_files(void **state)
{
    static void (*const harm[])(const char *) = { flip, shorten, empty, retitle, link_elsewhere };
    int32_t prompt[PROMPT];
    (void)state;

    open_flavour("llama", "native");
    infer_tokens(prompt, PROMPT, vocab, 41);
    result want = alone(prompt, PROMPT, false);
    for (size_t h = 0; h < sizeof harm / sizeof harm[0]; h++) {
        folder_make();
        decai_scheduler *q = scheduler((int64_t)1 << 28, 0);
        (void)one(q, prompt, PROMPT, false);
        decai_destroy(q);
        (void)files(own_folder, harm[h]);
        q = scheduler((int64_t)1 << 28, 0);
        result got = one(q, prompt, PROMPT, false);
        assert_int_equal(got.shared, 0);
        equal(&got, &want, false);
        decai_destroy(q);
        folder_remove();
    }
    close_flavour();
}

static int32_t
scheduler_error(void)
{
    decai_options *o = NULL;
    decai_scheduler *q = NULL;
    assert_int_equal(decai_options_create(&o, ctx), 0);
    assert_int_equal(decai_options_set_str(o, "infer.prefix_dir", folder), 0);
    int32_t r = decai_scheduler_create(&q, engine, o);
    decai_destroy(q);
    decai_destroy(o);
    return r;
}

/* A folder that others can enter, none, one that is full. */
static void
test_folders(void **state)
{
    int32_t prompt[PROMPT];
    (void)state;

    open_flavour("llama", "native");
    infer_tokens(prompt, PROMPT, vocab, 42);
    folder_make();
    assert_int_equal(chmod(own_folder, 0755), 0);
    assert_int_equal(scheduler_error(), DECAI_E_DENIED);
    assert_int_equal(chmod(own_folder, 0700), 0);
    assert_int_equal(scheduler_error(), 0);
    folder = "/nonexistent/decai/prefix";
    assert_int_equal(scheduler_error(), DECAI_E_IO);
    folder = own_folder;

    decai_scheduler *q = scheduler((int64_t)1 << 28, 0);
    (void)one(q, prompt, 2 * PAGE, false);
    int64_t page = number(q, "prefix_saved_bytes") / 2;
    decai_destroy(q);
    (void)files(own_folder, delete);
    for (int64_t pages = 0; pages < 3; pages++) {
        folder_bytes = pages * page + (pages == 1 ? page - 1 : 0);
        q = scheduler((int64_t)1 << 28, 0);
        (void)one(q, prompt, PROMPT, false);
        decai_destroy(q);
        assert_int_equal(files(own_folder, NULL), (size_t)pages);
    }
    folder_bytes = (int64_t)1 << 32;
    folder_remove();
    close_flavour();
}

static int
setup(void **state)
{
    (void)state;
    ctx = infer_context(1);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    decai_destroy(ctx);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hit), cmocka_unit_test(test_borders), cmocka_unit_test(test_answers_are_known_too),
        cmocka_unit_test(test_at_once), cmocka_unit_test(test_records), cmocka_unit_test(test_thrown_out),
        cmocka_unit_test(test_copy_on_write), cmocka_unit_test(test_restart), cmocka_unit_test(test_hostile_files),
        cmocka_unit_test(test_folders),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
