/* compute_api_test.c - devices as a program that links the library sees them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "decai.h"

static decai_context *
context(void)
{
    decai_context *ctx = NULL;
    assert_int_equal(decai_context_create(&ctx, NULL), 0);
    return ctx;
}

static void
devices_are_listed(void **state)
{
    (void)state;
    decai_context *ctx = context();
    uint8_t json[4096];
    size_t len, index = 0;
    int32_t r;
    for (; (r = decai_device_at(ctx, json, sizeof json - 1, &len, index)) == 1; index++) {
        json[len] = 0;
        const char *text = (const char *)json;
        char want[32];
        snprintf(want, sizeof want, "{\"index\":%zu,", index);
        assert_true(len > 10 && text[len - 1] == '}');
        assert_memory_equal(text, want, strlen(want));
        assert_non_null(strstr(text, index == 0 ? "\"scalar\"" : index == 1 ? "\"native\"" : "\"opencl\""));
        assert_non_null(strstr(text, "\"fit\":"));
        print_message("# %s\n", text);
    }
    assert_int_equal(r, 0);
    assert_int_equal(len, 0);
    assert_true(index >= 2);
    assert_int_equal(decai_device_at(ctx, json, sizeof json, &len, SIZE_MAX), 0);
    decai_destroy(ctx);
}

static void
every_device_passes_its_test(void **state)
{
    (void)state;
    decai_context *ctx = context();
    uint8_t json[4096];
    size_t len, index = 0;
    for (; decai_device_at(ctx, json, sizeof json, &len, index) == 1; index++)
        if (decai_device_verify(ctx, index)) fail_msg("device %zu: %s", index, decai_error_detail());
    assert_int_equal(decai_device_verify(ctx, index), DECAI_E_NOT_FOUND);
    decai_destroy(ctx);
}

static void
arguments_are_checked(void **state)
{
    (void)state;
    decai_context *ctx = context();
    uint8_t json[4096];
    size_t len, need;
    assert_int_equal(decai_device_at(ctx, NULL, 0, &need, 0), DECAI_E_SPACE);
    assert_true(need > 10);
    assert_int_equal(decai_device_at(ctx, json, need - 1, &len, 0), DECAI_E_SPACE);
    assert_int_equal(len, need);
    assert_int_equal(decai_device_at(ctx, json, need, &len, 0), 1);
    assert_int_equal(len, need);
    assert_int_equal(decai_device_at(ctx, json, sizeof json, NULL, 0), DECAI_E_INVALID);
    assert_int_equal(decai_device_at(ctx, NULL, 8, &len, 0), DECAI_E_INVALID);
    assert_int_equal(len, 0);
    assert_int_equal(decai_device_at(NULL, json, sizeof json, &len, 0), DECAI_E_INVALID);
    assert_int_equal(decai_device_verify(NULL, 0), DECAI_E_INVALID);
    decai_destroy(ctx);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_are_listed),
        cmocka_unit_test(every_device_passes_its_test),
        cmocka_unit_test(arguments_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
