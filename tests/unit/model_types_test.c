/* model_types_test.c - every tensor type as floats, bit for bit, against values
 * that the package gguf computed (tests/golden/types.txt, written by
 * tests/tools/golden_types.py). A path as argument: cases from that file
 * instead, as tests/python/test_types.py makes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model/internal.h"

static const char *cases = "tests/golden/types.txt";

static size_t from_hex(const char *text, uint8_t *out, size_t cap)
{
    size_t n = strlen(text) / 2;
    assert_true(strlen(text) % 2 == 0 && n <= cap);
    for (size_t i = 0; i < n; i++) {
        char two[3] = { text[2 * i], text[2 * i + 1], 0 }, *end;
        out[i] = (uint8_t)strtoul(two, &end, 16);
        assert_true(end == two + 2);
    }
    return n;
}

static uint32_t bits_of(float f)
{
    uint32_t b;
    memcpy(&b, &f, 4);
    return b;
}

/* One line of the file; true when a value is not a number. */
static bool check(char *line, uint64_t *seen)
{
    uint8_t block[256], want[1024];
    float got[256];
    bool nan = false;
    char *save = NULL, *type = strtok_r(line, " ", &save), *raw = strtok_r(NULL, " ", &save);
    char *values = strtok_r(NULL, " \n", &save);
    assert_non_null(values);
    uint32_t id = (uint32_t)strtoul(type, NULL, 10);
    const decai__type_info *info = decai__tensor_type(id);
    assert_non_null(info);
    size_t size = from_hex(raw, block, sizeof block), count = from_hex(values, want, sizeof want) / 4;
    assert_int_equal(size * info->block, count * info->bytes);
    decai__row_to_f32(id, block, count, got);
    for (size_t i = 0; i < count; i++) {
        uint32_t w = decai__load_le32(want + 4 * i), g = bits_of(got[i]);
        /* Which NaN a NaN scale becomes is the processor's affair. */
        if ((w & 0x7fffffff) > 0x7f800000 && got[i] != got[i]) nan = true;
        else if (w != g) fail_msg("%s element %zu: %08x, the reference has %08x", info->name, i, g, w);
    }
    *seen |= (uint64_t)1 << id;
    return nan;
}

static void test_as_the_reference(void **state)
{
    static char line[8192];
    uint64_t seen = 0;
    size_t lines = 0, nans = 0;
    (void)state;
    FILE *f = fopen(cases, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f)) lines++, nans += check(line, &seen);
    fclose(f);
    printf("# %zu blocks, %zu with a NaN\n", lines, nans);
    for (uint32_t id = 1; id < 64; id++)
        if (decai__tensor_type(id) && !(seen >> id & 1)) fail_msg("no case for %s", decai__tensor_type(id)->name);
}

static const uint32_t BLOCKS[] = { 2, 3, 6, 7, 8, 10, 11, 12, 13, 14, 20, 23, 39 };

/* No type's block reads or writes past its size: both lie at the end of an allocation. */
static void test_blocks_stay_inside(void **state)
{
    (void)state;
    for (size_t i = 0; i < DECAI__COUNT(BLOCKS); i++) {
        const decai__type_info *info = decai__tensor_type(BLOCKS[i]);
        uint8_t *block = malloc(info->bytes);
        float *out = malloc(info->block * sizeof *out);
        memset(block, 0xa5, info->bytes);
        decai__row_to_f32(BLOCKS[i], block, info->block, out);
        free(out);
        free(block);
    }
}

/* Does changing the bit change a value, in one of a few blocks? In one alone it
 * may not: a group's scale may be 0, a minimum may swallow a quant. */
static bool bit_counts(uint32_t type, const decai__type_info *info, size_t bit)
{
    uint8_t block[256];
    float a[256], b[256];
    for (size_t seed = 0; seed < 16; seed++) {
        for (size_t k = 0; k < info->bytes; k++) block[k] = (uint8_t)(0x35 + (7 + 2 * seed) * k + seed);
        decai__row_to_f32(type, block, info->block, a);
        block[bit / 8] ^= (uint8_t)(1 << bit % 8);
        decai__row_to_f32(type, block, info->block, b);
        if (memcmp(a, b, info->block * sizeof *a)) return true;
    }
    return false;
}

static void test_every_bit_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < DECAI__COUNT(BLOCKS); i++) {
        const decai__type_info *info = decai__tensor_type(BLOCKS[i]);
        for (size_t bit = 0; bit < 8 * info->bytes; bit++)
            if (!bit_counts(BLOCKS[i], info, bit)) fail_msg("%s: bit %zu does not count", info->name, bit);
    }
}

static void test_the_table(void **state)
{
    static const struct { uint32_t id, block, bytes; } want[] = {
        { 0, 1, 4 }, { 1, 1, 2 }, { 2, 32, 18 }, { 3, 32, 20 }, { 6, 32, 22 }, { 7, 32, 24 }, { 8, 32, 34 },
        { 10, 256, 84 }, { 11, 256, 110 }, { 12, 256, 144 }, { 13, 256, 176 }, { 14, 256, 210 }, { 20, 32, 18 },
        { 23, 256, 136 }, { 30, 1, 2 }, { 39, 32, 17 },
    };
    size_t n = 0;
    (void)state;
    for (uint32_t id = 0; id < 100; id++) {
        const decai__type_info *info = decai__tensor_type(id);
        if (!info) continue;
        assert_true(n < DECAI__COUNT(want) && want[n].id == id);
        assert_int_equal(info->block, want[n].block);
        assert_int_equal(info->bytes, want[n].bytes);
        n++;
    }
    assert_int_equal(n, DECAI__COUNT(want));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_the_reference), cmocka_unit_test(test_blocks_stay_inside),
        cmocka_unit_test(test_every_bit_counts), cmocka_unit_test(test_the_table),
    };
    if (argc > 1) cases = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
