/* scan.h - pre-tokenizers: where a text is cut before BPE. */
#ifndef DECAI__TOK_SCAN_H
#define DECAI__TOK_SCAN_H

#include "tok/unicode.h"

/* One a pattern; rules.c maps names and regular expressions to them. */
enum decai__pre {
    DECAI__PRE_GPT2, DECAI__PRE_DIGITS, DECAI__PRE_LLAMA3, DECAI__PRE_QWEN2, DECAI__PRE_QWEN35, DECAI__PRE_O200K,
    DECAI__PRE_TEKKEN, DECAI__PRE_DEEPSEEK_LLM, DECAI__PRE_DEEPSEEK_CODER, DECAI__PRE_DEEPSEEK3, DECAI__PRE_FALCON,
    DECAI__PRE_PUNCT, DECAI__PRE_BLOOM, DECAI__PRE_VIKING, DECAI__PRE_SEED, DECAI__PRE_BAILING, DECAI__PRE_PLAIN_QWEN,
    DECAI__PRE_MINICPM, DECAI__PRE_TINY_AYA, DECAI__PRE_KIMI, DECAI__PRE_SUPERBPE, DECAI__PRE_LINES,
    DECAI__PRE_LINES_QWEN, DECAI__PRE_GRANITE, DECAI__PRE_JAIS2, DECAI__PRE_YOUTU, DECAI__PRE_EXAONE_MOE, DECAI__PRE_AFMOE,
    DECAI__PRE_SPARK, DECAI__PRE_CHAMELEON, DECAI__PRE_NONE, DECAI__PRE_COUNT
};

#define DECAI__STAGE_MAX 5

/* Stage i cuts the stretch [pos, end[i]) that stage i - 1 left whole. */
typedef struct decai__scanner {
    enum decai__pre pre;
    uint32_t stages;
    const uint8_t *pos, *text_end, *run;
    const uint8_t *end[DECAI__STAGE_MAX];
} decai__scanner;

/* \w: letters, marks, decimal digits, letter numbers and symbols, connectors. */
bool decai__is_word(uint32_t c);

/* The end of the piece at p; p < end. */
typedef const uint8_t *decai__cut_fn(const uint8_t *p, const uint8_t *end);
/* The one cut of a pre-tokenizer that has no more, or NULL. */
decai__cut_fn *decai__scan_single(enum decai__pre pre);
void decai__scan_begin(decai__scanner *s, enum decai__pre pre, const uint8_t *text, size_t len);
/* The next pre-token: true and its bytes, or false at the end. */
bool decai__scan_next(decai__scanner *s, const uint8_t **out, size_t *len);

#endif /* DECAI__TOK_SCAN_H */
