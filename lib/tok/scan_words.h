/* scan_words.h - the patterns that cut words; between scan.c and scan_words.c. */
#ifndef DECAI__TOK_SCAN_WORDS_H
#define DECAI__TOK_SCAN_WORDS_H

#include "tok/scan.h"

/* End of the run of characters in a set of classes that starts at p. */
const uint8_t *decai__run(const uint8_t *p, const uint8_t *end, uint32_t set);
/* The same for at most `most` numbers. */
const uint8_t *decai__numbers_end(const uint8_t *p, const uint8_t *end, size_t most);

/* Length of 's 't 'm 'd 're 've 'll at p, which is an apostrophe; 0: none. With
 * fold, of any case, and U+017F counts as an s. */
static inline size_t
decai__contraction(const uint8_t *p, const uint8_t *end, bool fold)
{
    size_t n = (size_t)(end - p);
    if (n < 2) return 0;
    uint8_t a = fold ? p[1] | 32 : p[1], b = n < 3 ? 0 : fold ? p[2] | 32 : p[2];
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return 3;
    return fold && n > 2 && p[1] == 0xc5 && p[2] == 0xbf ? 3 : 0;
}

/* Each gives the end of the piece that starts at p; p < end. */
const uint8_t *decai__cut_gpt2(const uint8_t *p, const uint8_t *end);
const uint8_t *decai__cut_llama3(const uint8_t *p, const uint8_t *end);
const uint8_t *decai__cut_qwen2(const uint8_t *p, const uint8_t *end);
const uint8_t *decai__cut_qwen35(const uint8_t *p, const uint8_t *end);
const uint8_t *decai__cut_plain_qwen(const uint8_t *p, const uint8_t *end);
const uint8_t *decai__cut_minicpm(const uint8_t *p, const uint8_t *end);
const uint8_t *decai__cut_seed(const uint8_t *p, const uint8_t *end);
const uint8_t *decai__cut_bailing(const uint8_t *p, const uint8_t *end);
const uint8_t *decai__cut_o200k(const uint8_t *p, const uint8_t *end);
const uint8_t *decai__cut_tekken(const uint8_t *p, const uint8_t *end);
const uint8_t *decai__cut_kimi(const uint8_t *p, const uint8_t *end);
const uint8_t *decai__cut_deepseek3(const uint8_t *p, const uint8_t *end);
const uint8_t *decai__cut_spark(const uint8_t *p, const uint8_t *end);
const uint8_t *decai__cut_youtu(const uint8_t *p, const uint8_t *end);
const uint8_t *decai__cut_exaone_moe(const uint8_t *p, const uint8_t *end);
/* *run: a place that the caller keeps between calls, at first the text's start. */
const uint8_t *decai__cut_jais2(const uint8_t *p, const uint8_t *end, const uint8_t **run);
const uint8_t *decai__cut_bloom(const uint8_t *p, const uint8_t *end);

#endif /* DECAI__TOK_SCAN_WORDS_H */
