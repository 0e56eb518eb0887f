/* fuzz_tools.c - tools as a grammar, then a text for it: grammar.h.
 *
 * A whole answer that may end is read back without a call that is cut, but where names of
 * parameters may repeat. */
#include "grammar.h"
#include "tok/toolcall.h"

static char format[32];

static void is_whole(const uint8_t *text, size_t len)
{
    uint8_t out[4096];
    decai__json *doc;
    size_t n;
    bool complete = false;
    if (!*format || decai__utf8_valid((const char *)text, len) != len) return;
    if (decai_answer_parse(ctx, out, sizeof out, &n, format, (const char *)text, len, 0)) abort();
    if (decai__json_parse(ctx, &doc, (const char *)out, n)) return;
    if (decai__json_get_bool(doc, decai__json_root(doc), "complete", &complete) || !complete) abort();
    decai__json_free(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    decai__json *doc = NULL;
    const char *name;
    size_t len;
    bool whole = false;
    if (!ctx && start()) abort();
    *format = 0;
    if (!decai__json_parse(ctx, &doc, (const char *)data, nul ? (size_t)(nul - data) : size)) {
        const decai__json_node *root = decai__json_root(doc);
        const decai__call_format *f = !decai__json_get_str(doc, root, "format", &name, &len) ? decai__call_format_find(name) : NULL;
        if (!decai__json_get_bool(doc, root, "whole", &whole) && whole && f && f->form != DECAI__CALL_PARAMETERS) (void)snprintf(format, sizeof format, "%s", f->name);
        decai__json_free(doc);
    }
    return fuzz_grammar("tools", data, size, is_whole);
}
