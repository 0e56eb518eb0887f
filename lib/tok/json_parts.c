/* json_parts.c - the parts of a tokenizer.json that are rules, not tables.
 *
 * Each is recognised exactly or refused: a regular expression by its whole text,
 * a step by its type and its flags. What stands here was read in the files of the
 * models that the patterns are named after. */
#include <stdio.h>

#include "tok/json.h"

#define CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SPACES "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define LEAD "[^\\r\\n\\p{L}\\p{N}]?"
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define CASED LEAD UPPER "*" LOWER "+"
#define CASED2 LEAD UPPER "+" LOWER "*"
#define O200K CASED CONTRACTION "?|" CASED2 CONTRACTION "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" SPACES
#define NO_HAN(set) "[" set "&&[^\\p{Han}]]"
#define V3_WORDS "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
#define LLM_LETTERS \
    "A-Za-z\xc2\xb5\xc3\x80-\xc3\x96\xc3\x98-\xc3\xb6\xc3\xb8-\xc6\xba\xc6\xbc-\xc6\xbf\xc7\x84-\xca\x93" \
    "\xca\x95-\xca\xaf\xcd\xb0-\xcd\xb3\xcd\xb6\xcd\xb7\xcd\xbb-\xcd\xbd\xcd\xbf\xce\x86\xce\x88-\xce\x8a" \
    "\xce\x8c\xce\x8e-\xce\xa1\xce\xa3-\xcf\xb5\xcf\xb7-\xd2\x81\xd2\x8a-\xd4\xaf\xd4\xb1-\xd5\x96\xe1" \
    "\x82\xa0-\xe1\x83\x85\xe1\x8e\xa0-\xe1\x8f\xb5\xe1\x8f\xb8-\xe1\x8f\xbd\xe1\xb2\x90-\xe1\xb2\xba\xe1" \
    "\xb2\xbd-\xe1\xb2\xbf\xe1\xb4\x80-\xe1\xb4\xab\xe1\xb5\xab-\xe1\xb5\xb7\xe1\xb5\xb9-\xe1\xb6\x9a\xe1" \
    "\xb8\x80-\xe1\xbc\x95\xe1\xbc\x98-\xe1\xbc\x9d\xe1\xbc\xa0-\xe1\xbd\x85\xe1\xbd\x88-\xe1\xbd\x8d\xe1" \
    "\xbd\x90-\xe1\xbd\x97\xe1\xbd\x99\xe1\xbd\x9b\xe1\xbd\x9d\xe1\xbd\x9f-\xe1\xbd\xbd\xe1\xbe\x80-\xe1" \
    "\xbe\xb4\xe1\xbe\xb6-\xe1\xbe\xbc\xe1\xbe\xbe\xe1\xbf\x82-\xe1\xbf\x84\xe1\xbf\x86-\xe1\xbf\x8c\xe1" \
    "\xbf\x90-\xe1\xbf\x93\xe1\xbf\x96-\xe1\xbf\x9b\xe1\xbf\xa0-\xe1\xbf\xac\xe1\xbf\xb2-\xe1\xbf\xb4\xe1" \
    "\xbf\xb6-\xe1\xbf\xbc\xe2\x84\x82\xe2\x84\x87\xe2\x84\x8a-\xe2\x84\x93\xe2\x84\x95\xe2\x84\x99-\xe2" \
    "\x84\x9d\xe2\x84\xa4\xe2\x84\xa6\xe2\x84\xa8\xe2\x84\xaa-\xe2\x84\xad\xe2\x84\xaf-\xe2\x84\xb4\xe2" \
    "\x84\xb9\xe2\x84\xbc-\xe2\x84\xbf\xe2\x85\x85-\xe2\x85\x89\xe2\x85\x8e\xe2\x86\x83\xe2\x86\x84\xe2" \
    "\xb0\x80-\xe2\xb1\xbb\xe2\xb1\xbe-\xe2\xb3\xa4\xe2\xb3\xab-\xe2\xb3\xae\xe2\xb3\xb2\xe2\xb3\xb3\xea" \
    "\x99\x80-\xea\x99\xad\xea\x9a\x80-\xea\x9a\x9b\xea\x9c\xa2-\xea\x9d\xaf\xea\x9d\xb1-\xea\x9e\x87\xea" \
    "\x9e\x8b-\xea\x9e\x8e\xea\xad\xb0-\xea\xae\xbf\xef\xac\x80-\xef\xac\x86\xef\xac\x93-\xef\xac\x97\xef" \
    "\xbc\xa1-\xef\xbc\xba\xef\xbd\x81-\xef\xbd\x9a\xf0\x90\x90\x80-\xf0\x90\x91\x8f\xf0\x90\x92\xb0-\xf0" \
    "\x90\x93\x93\xf0\x90\x93\x98-\xf0\x90\x93\xbb\xf0\x90\xb2\x80-\xf0\x90\xb2\xb2\xf0\x90\xb3\x80-\xf0" \
    "\x90\xb3\xb2\xf0\x91\xa2\xa0-\xf0\x91\xa3\x9f\xf0\x9e\xa4\x80-\xf0\x9e\xa5\x83"

const decai__pattern decai__patterns[] = {
    { "B1", DECAI__PRE_GPT2 },
    { "S:" GPT2 "\nB0", DECAI__PRE_GPT2 },
    { "D1\nB1", DECAI__PRE_DIGITS },
    { "S:" CONTRACTION "|" LEAD "\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" SPACES "\nB0", DECAI__PRE_LLAMA3 },
    { "S:" CONTRACTION "|" LEAD "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" SPACES "\nB0", DECAI__PRE_QWEN2 },
    { "S:" CONTRACTION "|" LEAD "[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*" SPACES "\nB0", DECAI__PRE_QWEN35 },
    { "S:" LEAD "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" SPACES "\nB0", DECAI__PRE_PLAIN_QWEN },
    { "S:" LEAD UPPER "*" LOWER "+" CONTRACTION "?|" LEAD UPPER "+" LOWER "*" CONTRACTION "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*"
        SPACES "\nB0", DECAI__PRE_O200K },
    { "S:" LEAD UPPER "*" LOWER "+|" LEAD UPPER "+" LOWER "*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" SPACES "\nB0", DECAI__PRE_TEKKEN },
    { "S:\\p{N}{1,3}\nS:[\xe4\xb8\x80-\xe9\xbe\xa5\xe3\x81\x80-\xe3\x82\x9f\xe3\x82\xa0-\xe3\x83\xbf]+\n"
        "S:[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*"
        SPACES "\nB0", DECAI__PRE_DEEPSEEK3 },
    { "P\nB1\nD0\nS:[0-9][0-9][0-9]", DECAI__PRE_FALCON },
    { "S:[\\r\\n]\nS:\\s?\\p{L}+\nS:\\s?\\p{P}+\nS:[\xe4\xb8\x80-\xe9\xbe\xa5\xe0\xa0\x80-\xe4\xb8\x80\xea\xb0\x80-\xed\x9f\xbf]+\nD1\nB0",
        DECAI__PRE_DEEPSEEK_CODER },
    { "S:\\p{N}{1,3}\nS:" CONTRACTION "|" LEAD "\\p{L}+|\\p{N}+| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" SPACES "\nB0", DECAI__PRE_MINICPM },
    { "S: ?[^(\\s|[.,!?\xe2\x80\xa6\xe3\x80\x82\xef\xbc\x8c\xe3\x80\x81\xe0\xa5\xa4\xdb\x94\xd8\x8c])]+\nB0", DECAI__PRE_BLOOM },
    { "S: ?[^(\\s|.,!?\xe2\x80\xa6\xe3\x80\x82\xef\xbc\x8c\xe3\x80\x81\xe0\xa5\xa4\xdb\x94\xd8\x8c)]+\nB0", DECAI__PRE_BLOOM },
    { "S: ?[^(\\s|[.,!?\xe2\x80\xa6\xe3\x80\x82\xef\xbc\x8c\xe3\x80\x81\xe0\xa5\xa4\xdb\x94\xd8\x8c])]+\nD1\nB0", DECAI__PRE_VIKING },
    { "S: ?[^(\\s|.,!?\xe2\x80\xa6\xe3\x80\x82\xef\xbc\x8c\xe3\x80\x81\xe0\xa5\xa4\xdb\x94\xd8\x8c)]+\nD1\nB0", DECAI__PRE_VIKING },
    { "S:[\\r\\n]\nS:\\s?[" LLM_LETTERS "]+\nS:\\s?[!-/:-~\xef\xbc\x81-\xef\xbc\x8f\xef\xbc\x9a-\xef\xbd\x9e\xe2\x80\x98-\xe2\x80\x9f\xe3\x80\x80-\xe3\x80\x82]+\nS:\\s+$\nS:[\xe4\xb8\x80-\xe9\xbe\xa5\xe0\xa0\x80-\xe4\xb8\x80\xea\xb0\x80-\xed\x9f\xbf]+\nD1\nB0",
        DECAI__PRE_DEEPSEEK_LLM },
    { "S:" CONTRACTION "|" LEAD "\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+" SPACES "\nB0", DECAI__PRE_SEED },
    { "S:'(?i:[sdmt]|ll|ve|re)|" LEAD "+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+\nB0",
        DECAI__PRE_BAILING },
    { "S:\\d{1,3}(?=(?:\\d{3})*\\b)\nS:" O200K "\nB0", DECAI__PRE_TINY_AYA },
    { "S:[\\p{Han}]+|" LEAD NO_HAN(UPPER) "*" NO_HAN(LOWER) "+" CONTRACTION "?|" LEAD NO_HAN(UPPER) "+" NO_HAN(LOWER) "*"
        CONTRACTION "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" SPACES "\nB0", DECAI__PRE_KIMI },
    { "S:\\p{N}+\nS:(?=(\\d{3})+(?!\\d))\nB0", DECAI__PRE_SUPERBPE },
    { "S:[^\\n]+|[\\n]+\nS:" CONTRACTION "|" LEAD "\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" SPACES "\nB0",
        DECAI__PRE_LINES_QWEN },
    { "S:" O200K "\nB0", DECAI__PRE_GRANITE },
    { "S:" CONTRACTION "|" LEAD "\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s{512}(?!\\S)"
        "|\\s{256}(?!\\S)|\\s{128}(?!\\S)|\\s{64}(?!\\S)|\\s{32}(?!\\S)|\\s{16}(?!\\S)|\\s{8}(?!\\S)|\\s{4}(?!\\S)"
        "|\\s{1,2}(?!\\S)|\\s{1}\nB0", DECAI__PRE_JAIS2 },
    { "S:[\xea\xb0\x80-\xed\x9e\xa3\xe3\x84\xb1-\xe3\x86\x8e]+|[\xef\xbc\x81\xe2\x80\xa6\xe2\x80\x9c\xe2\x80\x9d\xe2\x80\x98\xe2\x80\x99\xe2\x80\x94\xef\xbc\x9a\xef\xbc\x9b\xef\xbc\x8c\xe3\x80\x81-\xe3\x80\xbf\xef\xb8\xb0-\xef\xb9\x8f]+|[\xe3\x84\x85-\xe3\x84\xaf]+|[\xe4\xb8\x80-\xe9\xbe\xa5\xe3\x81\x80-\xe3\x82\x9f\xe3\x82\xa0-\xe3\x83\xbf]+\n"
        "S:" CASED CONTRACTION "?|" CASED2 CONTRACTION "?|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*" SPACES "\nB0", DECAI__PRE_YOUTU },
    { "S:" CONTRACTION "|" LEAD "(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|"
        "\\s+(?!\\S)|\\s+\nB0", DECAI__PRE_EXAONE_MOE },
    /* The digits of AFMoE in our words: its own file says them otherwise. */
    { "S:\\p{N}{1,3}(?=(?:\\p{N}{3})*(?!\\p{N}))\nS:[\xe4\xb8\x80-\xe9\xbf\xbf\xe3\x90\x80-\xe4\xb6\xbf\xef\xa4\x80-\xef\xab\xbf\xe3\x81\x80-\xe3\x82\x9f\xe3\x82\xa0-\xe3\x83\xbf\xef\xbd\xa5-\xef\xbe\x9f\xe2\xbc\x80-\xe2\xbf\x9f\xe0\xb9\x80-\xe0\xb9\xbf\xe0\xba\x80-\xe0\xbb\xbf\xe1\x9e\x80-\xe1\x9f\xbf\xe1\x80\x80-\xe1\x82\x9f\xea\xa9\xa0-\xea\xa9\xbf\xea\xa7\xa0-\xea\xa7\xbf\xea\xb0\x80-\xed\x9e\xaf\xe1\x84\x80-\xe1\x87\xbf]+\nS:" V3_WORDS "| ?[\\p{P}\\p{S}]+[\\r\\n]*" SPACES "\nB0",
        DECAI__PRE_AFMOE },
    { "S:\\p{N}{1,3}\nS:[\xe4\xb8\x80-\xe9\xbe\xa5\xe3\x81\x80-\xe3\x82\x9f\xe3\x82\xa0-\xe3\x83\xbf]+\nS:" V3_WORDS "| ?[\\p{P}\\p{S}]+|[\\r\\n]|\\s+(?!\\S)|\\s+\nD1\nB0", DECAI__PRE_SPARK },
    { "S:<sentinel:[0-9]+>\nS:(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z\nS:([\\t\\n]|    |  )\nD1\nS:[\\p{P}!-/:-@\\[-`{-~]\nB1",
        DECAI__PRE_CHAMELEON },
    /* The default of files that name none, as their converter has it. */
    { "S:[\\p{P}!-/:-@\\[-`{-~]+\nS:" GPT2 "\nS:\\p{N}+\nS:[0-9][0-9][0-9]\nB0", DECAI__PRE_PUNCT },
};
const size_t decai__pattern_count = DECAI__COUNT(decai__patterns);

bool
decai__json_type_is(decai__json_reader *j, const decai__json_node *n, const char *name)
{
    const char *text;
    size_t len;
    return n && !decai__json_get_str(j->doc, n, "type", &text, &len) && strlen(name) == len && !memcmp(text, name, len);
}

bool
decai__json_flag(decai__json_reader *j, const decai__json_node *n, const char *key, bool absent)
{
    bool v = absent;
    const decai__json_node *found = decai__json_find(n, key);
    return found && !decai__json_bool(j->doc, found, &v) ? v : absent;
}

bool
decai__json_is_null(const decai__json_node *n)
{
    return !n || decai__json_type(n) == DECAI__JSON_NULL;
}

int32_t
decai__json_refuse(decai__json_reader *j, const decai__json_node *n, const char *what)
{
    const char *text = "?";
    size_t len = 1;
    char why[160];
    if (decai__json_get_str(j->doc, n, "type", &text, &len)) text = "?", len = 1;
    snprintf(why, sizeof why, "%s %.*s is not known; use the model's GGUF file, or a newer version of this library", what,
        (int)DECAI__MIN(len, 40), text);
    return decai__json_fail(j->doc, n, DECAI_E_UNSUPPORTED, why);
}

bool
decai__json_is_string(decai__json_reader *j, const decai__json_node *n, const char *key, const char *want)
{
    const char *text;
    size_t len;
    const decai__json_node *pattern = decai__json_find(n, key);
    if (decai__json_type(pattern) == DECAI__JSON_OBJECT) pattern = decai__json_find(pattern, "String");
    return pattern && !decai__json_str(j->doc, pattern, &text, &len) && len == strlen(want) && !memcmp(text, want, len);
}

/* ---- numbers ----------------------------------------------------------------------- */

/* Decimal text to float: digits as an integer, then one scaling by a power of
 * ten, both in 64 bits of precision. Scores are floats that were printed with
 * enough digits, so this gives them back. */
int32_t
decai__json_float(decai__json_reader *j, const decai__json_node *n, float *out)
{
    const char *p;
    int32_t r = decai__json_number(j->doc, n, &p), scale = 0, exponent = 0;
    uint64_t digits = 0;
    if (r) return r;
    bool minus = *p == '-', point = false, less = false;
    for (p += minus; (*p >= '0' && *p <= '9') || *p == '.'; p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        bool fits = digits < UINT64_MAX / 10 - 1;
        if (fits) digits = digits * 10 + (uint64_t)(*p - '0');
        scale += !fits - (point ? 1 : 0);
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        less = *p == '-';
        if (*p == '-' || *p == '+') p++;
        for (; *p >= '0' && *p <= '9' && exponent < 1000; p++) exponent = exponent * 10 + (*p - '0');
    }
    scale += less ? -exponent : exponent;
    if (scale < -60 || scale > 30) return decai__json_fail(j->doc, n, DECAI_E_LIMIT, "a score beyond 1e30");
    long double v = (long double)digits;
    long double ten = 1;
    for (int32_t i = scale < 0 ? -scale : scale; i; i--) ten *= 10;
    v = scale < 0 ? v / ten : v * ten;
    *out = (float)(minus ? -v : v);
    return 0;
}

/* ---- pre-tokenizers --------------------------------------------------------------------- */

static int32_t
split_step(decai__json_reader *j, const decai__json_node *n)
{
    const char *text = "", *how = "";
    size_t len = 0, how_len = 0;
    const decai__json_node *pattern = decai__json_find(n, "pattern"), *regex = decai__json_find(pattern, "Regex");
    int32_t r = decai__json_get_str(j->doc, n, "behavior", &how, &how_len);
    if (r) return r;
    /* " " merged with what stands before it: Gemma's way to say what spaces cut. */
    if (j->t->rules.family == DECAI__BPE_RAW && decai__json_is_string(j, n, "pattern", " ")) return 0;
    bool isolated = how_len == 8 && !memcmp(how, "Isolated", 8) && !decai__json_flag(j, n, "invert", false);
    bool inverted = how_len == 7 && !memcmp(how, "Removed", 7) && decai__json_flag(j, n, "invert", false);
    if (!regex || (!isolated && !inverted)) return decai__json_refuse(j, n, "pre_tokenizer");
    r = decai__json_str(j->doc, regex, &text, &len);
    if (!r) r = decai__buf_add_str(&j->steps, "S:");
    return r ? r : decai__buf_add(&j->steps, text, len);
}

/* A space before each text or the first, unless one is there; and cuts before each
 * space, unless it says that it does not cut. */
static int32_t
metaspace(decai__json_reader *j, const decai__json_node *n)
{
    decai__rules *rules = &j->t->rules;
    bool never = decai__json_is_string(j, n, "prepend_scheme", "never"), first = decai__json_is_string(j, n, "prepend_scheme", "first");
    if (!decai__json_is_string(j, n, "replacement", "\xe2\x96\x81")) return decai__json_refuse(j, n, "replacement of");
    if (!never && decai__json_flag(j, n, "add_prefix_space", true)) {
        if (rules->space_prefix) return decai__json_refuse(j, n, "a second space before the text, by");
        rules->space_prefix = true;
        rules->prefix = first ? DECAI__PREFIX_METASPACE_FIRST : DECAI__PREFIX_METASPACE;
    } else if (!rules->space_prefix && !j->marks) {
        rules->prefix = DECAI__PREFIX_METASPACE_NEVER;
    }
    rules->split = decai__json_flag(j, n, "split", true);
    return decai__buf_add_str(&j->steps, "M");
}

static int32_t
one_step(decai__json_reader *j, const decai__json_node *n)
{
    if (j->steps.len) decai__buf_add_byte(&j->steps, '\n');
    if (decai__json_type_is(j, n, "Split")) return split_step(j, n);
    if (decai__json_type_is(j, n, "ByteLevel") && !decai__json_flag(j, n, "add_prefix_space", true))
        return decai__buf_add_str(&j->steps, decai__json_flag(j, n, "use_regex", true) ? "B1" : "B0");
    if (decai__json_type_is(j, n, "Digits")) return decai__buf_add_str(&j->steps, decai__json_flag(j, n, "individual_digits", false) ? "D1" : "D0");
    if (decai__json_type_is(j, n, "Punctuation")) return decai__buf_add_str(&j->steps, "P");
    if (decai__json_type_is(j, n, "WhitespaceSplit")) return decai__buf_add_str(&j->steps, "W");
    if (decai__json_type_is(j, n, "BertPreTokenizer")) return decai__buf_add_str(&j->steps, "T");
    if (!decai__json_type_is(j, n, "Metaspace")) return decai__json_refuse(j, n, "pre_tokenizer");
    return metaspace(j, n);
}

/* Steps to a pattern. A backslash sequence and the character itself are one: some
 * files write \r\n, some the two bytes. */
static int32_t
find_pattern(decai__json_reader *j, const decai__json_node *n)
{
    decai__buf plain;
    int32_t r = 0;
    size_t len = j->steps.len;
    const uint8_t *p = j->steps.data;
    decai__buf_init(&plain, j->t->h.context, 65536, "pre_tokenizer");
    for (size_t i = 0; !r && i < len; i++) {
        bool mark = i + 1 < len && (p[i + 1] == 'S' || p[i + 1] == 'B' || p[i + 1] == 'D' || p[i + 1] == 'P' || p[i + 1] == 'M');
        bool step = p[i] == '\n' && (mark || i + 1 == len);
        r = p[i] == '\r' ? decai__buf_add_str(&plain, "\\r") : p[i] == '\n' && !step ? decai__buf_add_str(&plain, "\\n")
            : decai__buf_add_byte(&plain, p[i]);
    }
    bool found = false;
    for (size_t i = 0; !r && !found && i < decai__pattern_count; i++) {
        found = strlen(decai__patterns[i].steps) == plain.len && !memcmp(decai__patterns[i].steps, plain.data, plain.len);
        if (found) j->t->rules.pre = (enum decai__pre)decai__patterns[i].pre;
    }
    decai__buf_free(&plain);
    if (r || found) return r;
    return decai__json_fail(j->doc, n, DECAI_E_UNSUPPORTED, "this pre-tokenizer's regular expression is not known, and no other "
        "would give the right tokens; use the model's GGUF file, or a newer version of this library");
}

int32_t
decai__json_steps(decai__json_reader *j, const decai__json_node *n)
{
    int32_t r = 0;
    decai__rules *rules = &j->t->rules;
    if (!decai__json_is_null(n) && decai__json_type_is(j, n, "Sequence")) {
        const decai__json_node *list = decai__json_find(n, "pretokenizers");
        for (const decai__json_node *i = decai__json_first(list); !r && i; i = decai__json_next(i)) r = one_step(j, i);
    } else if (!decai__json_is_null(n)) {
        r = one_step(j, n);
    }
    if (r) return r;
    bool bert = j->steps.len == 1 && j->steps.data[0] == 'T';
    if (rules->family == DECAI__BPE) return find_pattern(j, n);
    if (rules->family == DECAI__WPM) return bert ? 0 : decai__json_refuse(j, n ? n : j->root, "pre_tokenizer");
    if (rules->family == DECAI__UGM && memchr(j->steps.data ? (const char *)j->steps.data : "", 'W', j->steps.len)) rules->merge_spaces = true;
    return 0;
}

/* ---- post-processors: what is added around a text ------------------------------------------ */

static int32_t
id_of(decai__json_reader *j, const char *text, size_t len, int32_t *id)
{
    *id = decai__token_find(j->t, (const uint8_t *)text, len);
    return *id >= 0 ? 0 : decai__fail(DECAI_E_CORRUPT, "post_processor: \"%.*s\" is no token", (int)DECAI__MIN(len, 64), text);
}

static int32_t
template(decai__json_reader *j, const decai__json_node *n)
{
    bool seen = false;
    int32_t r = 0, id;
    decai_tokenizer *t = j->t;
    for (const decai__json_node *i = decai__json_first(decai__json_find(n, "single")); !r && i; i = decai__json_next(i)) {
        const decai__json_node *special = decai__json_find(i, "SpecialToken");
        const char *text;
        size_t len;
        if (!special) {
            seen = true;
            continue;
        }
        r = decai__json_get_str(j->doc, special, "id", &text, &len);
        if (!r) r = id_of(j, text, len, &id);
        if (r) return r;
        if (seen ? t->add_eos : t->add_bos) return decai__json_refuse(j, n, "post_processor with more than one token at an end:");
        t->special[seen ? t->rules.family == DECAI__WPM ? DECAI__SEPARATOR : DECAI__EOS : DECAI__BOS] = id;
        *(seen ? t->rules.family == DECAI__WPM ? &t->add_sep : &t->add_eos : &t->add_bos) = true;
    }
    return r;
}

static int32_t
pair(decai__json_reader *j, const decai__json_node *n, const char *key, int32_t *id)
{
    const char *text;
    size_t len;
    int32_t r = decai__json_str(j->doc, decai__json_first(decai__json_find(n, key)), &text, &len);
    return r ? r : id_of(j, text, len, id);
}

int32_t
decai__json_post(decai__json_reader *j, const decai__json_node *n)
{
    int32_t r = 0;
    decai_tokenizer *t = j->t;
    if (decai__json_is_null(n) || decai__json_type_is(j, n, "ByteLevel")) return 0;
    if (decai__json_type_is(j, n, "TemplateProcessing")) return template(j, n);
    if (decai__json_type_is(j, n, "Sequence")) {
        const decai__json_node *list = decai__json_find(n, "processors");
        for (const decai__json_node *i = decai__json_first(list); !r && i; i = decai__json_next(i)) r = decai__json_type_is(j, i, "Sequence")
            ? decai__json_refuse(j, i, "post_processor") : decai__json_post(j, i);
        return r;
    }
    if (!decai__json_type_is(j, n, "BertProcessing") && !decai__json_type_is(j, n, "RobertaProcessing")) return decai__json_refuse(j, n, "post_processor");
    bool wpm = t->rules.family == DECAI__WPM;
    r = pair(j, n, "cls", &t->special[DECAI__BOS]);
    if (!r) r = pair(j, n, "sep", &t->special[wpm ? DECAI__SEPARATOR : DECAI__EOS]);
    t->add_bos = true;
    *(wpm ? &t->add_sep : &t->add_eos) = true;
    return r;
}
