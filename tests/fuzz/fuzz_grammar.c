/* fuzz_grammar.c - a GBNF text, then a text for it: grammar.h. */
#include "grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_grammar("gbnf", data, size, NULL);
}
