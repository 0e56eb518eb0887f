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
/* Ends of the pieces that follow one another from p, at most cap of them, which is
 * at least DECAI__MANY_MIN: how many. Equal to that cut, again and again. */
#define DECAI__MANY_MIN 64
typedef size_t decai__many_fn(enum decai__pre pre, const uint8_t *p, const uint8_t *end, const uint8_t **ends, size_t cap);
enum decai__scan_isa { DECAI__SCAN_PLAIN, DECAI__SCAN_SSE2, DECAI__SCAN_AVX2, DECAI__SCAN_AVX512 };
/* The quickest for a pre-tokenizer on this machine; NULL: there is none. */
decai__many_fn *decai__scan_many(enum decai__pre pre);
/* Is there one at all? And by its instructions; NULL: this CPU lacks them. */
bool decai__scan_quick(enum decai__pre pre);
decai__many_fn *decai__scan_many_of(enum decai__scan_isa isa);
void decai__scan_begin(decai__scanner *s, enum decai__pre pre, const uint8_t *text, size_t len);
/* The next pre-token: true and its bytes, or false at the end. */
bool decai__scan_next(decai__scanner *s, const uint8_t **out, size_t *len);

#endif /* DECAI__TOK_SCAN_H */
