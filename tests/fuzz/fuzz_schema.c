/* fuzz_schema.c - a JSON Schema, then a text for it: grammar.h.
 *
 * A text that is complete is JSON that our own reader takes, names that repeat apart. A
 * text that begins with 'c' asks for the compact kind. */
#include "grammar.h"

static void is_json(const uint8_t *text, size_t len)
{
    if (decai_json_verify(ctx, (const char *)text, len) && !strstr(decai_error_detail(), "this key was there before")) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    bool compact = nul && size > (size_t)(nul - data) + 1 && nul[1] == 'c';
    return fuzz_grammar(compact ? "json_schema_compact" : "json_schema", data, size, is_json);
}
