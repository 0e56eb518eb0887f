/* scan_words.h - the patterns that cut words; between scan.c and scan_words.c. */
#ifndef DECAI__TOK_SCAN_WORDS_H
#define DECAI__TOK_SCAN_WORDS_H

#include "tok/scan.h"

/* End of the run of characters in a set of classes that starts at p. */
const uint8_t *decai__run(const uint8_t *p, const uint8_t *end, uint32_t set);
/* The same for at most `most` numbers. */
const uint8_t *decai__numbers_end(const uint8_t *p, const uint8_t *end, size_t most);

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
