/* compute_cache_test.c - compiled programs on disk: kept, used, and never trusted.
 * A damaged file, a foreign folder, a full or missing one: the same bits, and no
 * error; what is kept is readable by this user alone. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "compute/backend.h"
#include "compute/cl_backend.h"

#define CHECK(call) assert_int_equal((call), 0)

static char dir[64];
static int64_t warnings;

static void
count_warning(void *user, int32_t level, const char *text)
{
    (void)user;
    if (level == DECAI_LOG_WARN && (strstr(text, "cache") || strstr(text, "cached"))) warnings++;
}

static decai_context *
context(void)
{
    decai_options *o;
    decai_context *ctx;
    CHECK(decai_options_create(&o, NULL));
    CHECK(decai_options_set_fn(o, "base.log", (decai_fn)count_warning, NULL));
    CHECK(decai_context_create(&ctx, o));
    decai_destroy(o);
    return ctx;
}

static int
make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/decai-cache-XXXXXX");
    warnings = 0;
    return mkdtemp(dir) ? 0 : -1;
}

static size_t
each_file(void (*use)(const char *path))
{
    char path[400];
    size_t count = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        if (e->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (use) use(path);
        count++;
    }
    if (d) closedir(d);
    return count;
}

static void remove_file(const char *path) { (void)unlink(path); }

static int
drop_dir(void **state)
{
    (void)state;
    (void)chmod(dir, 0700);
    each_file(remove_file);
    return rmdir(dir);
}

static const decai__cl_key key = { { 1, 2, 3 } };
static const uint8_t data[] = "a program's bytes";

static int32_t
load(decai_context *ctx, size_t max)
{
    decai__buf out;
    decai__buf_init(&out, ctx, max, "test");
    int32_t r = decai__cl_cache_load(ctx, dir, &key, &out);
    if (r == 1) {
        assert_int_equal(out.len, sizeof data);
        assert_memory_equal(out.data, data, sizeof data);
    }
    decai__buf_free(&out);
    return r;
}

static void
what_is_saved_is_loaded(void **state)
{
    (void)state;
    struct stat st;
    decai_context *ctx = context();
    assert_int_equal(load(ctx, 1000), 0);
    decai__cl_cache_save(ctx, dir, &key, data, sizeof data);
    assert_int_equal(load(ctx, 1000), 1);
    assert_int_equal(load(ctx, sizeof data), 1);
    assert_int_equal(load(ctx, sizeof data - 1), 0);
    assert_int_equal(each_file(NULL), 1);
    char path[400];
    snprintf(path, sizeof path, "%s/0102030000000000000000000000000000000000000000000000000000000000.clbin", dir);
    CHECK(stat(path, &st));
    assert_int_equal(st.st_mode & 0777, 0600);
    decai_destroy(ctx);
}

/* Each byte of the file wrong in turn, and every shorter length. */
static void
damage_is_noticed(void **state)
{
    (void)state;
    char path[400];
    uint8_t good[256];
    decai_context *ctx = context();
    decai__cl_cache_save(ctx, dir, &key, data, sizeof data);
    snprintf(path, sizeof path, "%s/0102030000000000000000000000000000000000000000000000000000000000.clbin", dir);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    size_t len = fread(good, 1, sizeof good, f);
    fclose(f);
    for (size_t i = 0; i < 2 * len; i++) {
        uint8_t bad[256];
        size_t keep = i < len ? len : i - len;
        memcpy(bad, good, len);
        if (i < len) bad[i] ^= 4;
        f = fopen(path, "wb");
        assert_int_equal(fwrite(bad, 1, keep, f), keep);
        fclose(f);
        assert_int_equal(load(ctx, 1000), 0);
    }
    assert_true(warnings > 0);
    decai_destroy(ctx);
}

static void
a_foreign_folder_is_not_used(void **state)
{
    (void)state;
    static const mode_t open_to_others[] = { 0750, 0702, 0701 };
    decai_context *ctx = context();
    for (size_t i = 0; i < 3; i++) {
        CHECK(chmod(dir, open_to_others[i]));
        decai__cl_cache_save(ctx, dir, &key, data, sizeof data);
        CHECK(chmod(dir, 0700));
        assert_int_equal(each_file(NULL), 0);
    }
    assert_int_equal(warnings, 3);
    decai__cl_cache_save(ctx, dir, &key, data, sizeof data);
    CHECK(chmod(dir, 0755));
    assert_int_equal(load(ctx, 1000), 0);
    decai_destroy(ctx);
}

/* ---- a device's programs ------------------------------------------------------------- */

static int32_t
run_once(decai_context *ctx)
{
    decai__compute *c;
    decai_options *o;
    CHECK(decai_options_create(&o, ctx));
    CHECK(decai_options_set_str(o, "compute.backend", "opencl"));
    CHECK(decai_options_set_str(o, "compute.cache_dir", dir));
    CHECK(decai_options_set_i64(o, "compute.fallback", 0));
    int32_t r = decai__compute_create(&c, ctx, o);
    decai_destroy(o);
    if (!r) decai__compute_destroy(c);
    return r;
}

static void
spoil(const char *path)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, 60, SEEK_SET);
    fputc(0x5a, f);
    fputc(0xa5, f);
    fclose(f);
}

static void
a_device_uses_it_and_survives_damage(void **state)
{
    (void)state;
    decai_context *ctx = context();
    int32_t r = run_once(ctx);
    if (r == DECAI_E_DEVICE && strstr(decai_error_detail(), "no OpenCL device")) {
        decai_destroy(ctx);
        print_message("# no OpenCL device on this machine\n");
        skip();
    }
    if (r) fail_msg("%s", decai_error_detail());
    assert_true(each_file(NULL) >= 1);
    CHECK(run_once(ctx));
    assert_int_equal(warnings, 0);
    each_file(spoil);
    CHECK(run_once(ctx));
    assert_true(warnings > 0);
    decai_destroy(ctx);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_saved_is_loaded, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(damage_is_noticed, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_foreign_folder_is_not_used, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_device_uses_it_and_survives_damage, make_dir, drop_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
