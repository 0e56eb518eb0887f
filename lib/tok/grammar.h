/* grammar.h - constrained output: from a grammar's text to the tokens that may come.
 *
 *     text --grammar_gbnf.c, schema*.c--> net --grammar_make.c--> automaton
 *     automaton + bytes so far --chart.c--> what may follow
 *     automaton + vocabulary --grammar_mask.c--> which tokens may follow
 *
 * A net is the grammar as it was written: states, and edges that eat nothing, a byte,
 * or what a rule matches. The automaton is the same without empty edges and, where
 * that costs little, deterministic. Both speak bytes: characters are cut into them.
 */
#ifndef DECAI__GRAMMAR_H
#define DECAI__GRAMMAR_H

#include "tok/tok.h"

#define DECAI__NONE UINT32_MAX
#define DECAI__DOMAIN_GRAMMAR "decai.grammar.v1"

/* ---- the net: grammar_net.c -------------------------------------------------------- */

enum decai__edge_kind { DECAI__EDGE_EMPTY, DECAI__EDGE_BYTES, DECAI__EDGE_RULE };

typedef struct decai__net_edge {
    uint8_t kind, low, high;         /* bytes low..high */
    uint32_t rule, to, next;         /* next: of the same state, or DECAI__NONE */
} decai__net_edge;

/* A control token of the net is two bytes in its texts: this one, which is in no UTF-8,
 * and its number. */
#define DECAI__CONTROL_BYTE 0xff
#define DECAI__CONTROL_MAX  24

/* A text goes through a rule from start to end. */
typedef struct decai__net_rule { uint32_t start, end; } decai__net_rule;

typedef struct decai__net {
    decai_context *ctx;
    uint32_t *first;                 /* by state: its first edge */
    decai__net_edge *edges;
    decai__net_rule *rules;
    size_t states, state_cap, edge_count, edge_cap, rule_count, rule_cap;
    int32_t control[DECAI__CONTROL_MAX];             /* control tokens that texts may have in them */
    uint32_t control_count;
    int32_t error;                   /* sticky; the calls below then do nothing */
} decai__net;

/* Characters low..high. */
typedef struct decai__range { uint32_t low, high; } decai__range;

/* A piece of the net: its states are first..last, a text goes through it from `from` to
 * `to`, and edges that leave it begin in `to`. */
typedef struct decai__piece { uint32_t first, last, from, to; } decai__piece;

void decai__net_free(decai__net *n);
uint32_t decai__net_state(decai__net *n);
uint32_t decai__net_rule_add(decai__net *n);
void decai__net_empty(decai__net *n, uint32_t from, uint32_t to);
void decai__net_bytes(decai__net *n, uint32_t from, uint32_t to, uint8_t low, uint8_t high);
void decai__net_call(decai__net *n, uint32_t from, uint32_t to, uint32_t rule);
/* The bytes of a text, to a new state. */
uint32_t decai__net_text(decai__net *n, uint32_t from, const char *text, size_t len);
/* One character of ascending ranges that do not touch; surrogates are left out. */
void decai__net_ranges(decai__net *n, uint32_t from, uint32_t to, const decai__range *ranges, size_t count);
/* Sort and join; how many there are then. Complement: what lies between, up to U+10FFFF
 * (out has room for count + 1). */
size_t decai__ranges_join(decai__range *ranges, size_t count);
size_t decai__ranges_invert(decai__range *out, const decai__range *ranges, size_t count);
/* The piece, least to most times (DECAI__NONE: without end). */
decai__piece decai__net_repeat(decai__net *n, decai__piece p, uint32_t least, uint32_t most);

/* Rules of a GBNF text; *root: the one named root. */
int32_t decai__gbnf_read(decai__net *n, uint32_t *root, const char *text, size_t len);

/* ---- the automaton: grammar_make.c -------------------------------------------------- */

typedef struct decai__auto_bytes { uint32_t to; uint8_t low, high; } decai__auto_bytes;
typedef struct decai__auto_call { uint32_t rule, to; } decai__auto_call;
typedef struct decai__auto_state {
    uint32_t bytes, calls;           /* where its edges begin; they end where the next state's do */
    uint32_t rule;                   /* that it belongs to */
    bool final;                      /* the rule may end here */
} decai__auto_state;

typedef struct decai__auto {
    decai_context *ctx;
    decai__auto_state *states;       /* and one more, where the last one's edges end */
    decai__auto_bytes *bytes;
    decai__auto_call *calls;
    uint32_t *start;                 /* by rule; rule 0 is the root */
    uint8_t *nullable;               /* by rule: it matches the empty text */
    uint32_t state_count, rule_count;
    size_t byte_count, call_count, state_cap, byte_cap, call_cap;
} decai__auto;

/* 0 | DECAI_E_INVALID (the root matches no text) | DECAI_E_LIMIT | DECAI_E_NOMEM.
 * Every state can be reached and can come to an end. */
int32_t decai__auto_make(decai__auto *out, const decai__net *n, uint32_t root);
void decai__auto_free(decai__auto *a);

/* ---- the chart: chart.c ----------------------------------------------------------------- */

/* A rule that began at byte `origin` has come to `state`. In a chart of a chain, -1-l:
 * it returns to the chain's state l + 1. */
typedef struct decai__item { uint32_t state; int32_t origin; } decai__item;

typedef struct decai__chart {
    const decai__auto *a;
    decai_context *ctx;
    decai__item *items;
    size_t len, cap;
    size_t *ends;                    /* set k holds items ends[k-1]..ends[k] - 1 */
    size_t sets, set_cap;            /* a text of n bytes has n + 1 */
    uint64_t *seen;                  /* hash table of a large set's items, or NULL */
    uint32_t *stamp, now;
    const uint32_t *chain;           /* NULL: the text begins with the root */
    uint32_t chain_len;
    bool escaped;                    /* the last step went beyond the chain's end */
    uint64_t work;                   /* items looked at since somebody set it to 0 */
    int32_t error;
} decai__chart;

void decai__chart_init(decai__chart *c, const decai__auto *a);
void decai__chart_free(decai__chart *c);
/* Set 0, of the root or of the chain. */
int32_t decai__chart_start(decai__chart *c, const uint32_t *chain, uint32_t len);
/* True: one byte more. False: it cannot follow, nothing changed, or c->error. */
bool decai__chart_step(decai__chart *c, uint8_t byte);
void decai__chart_back(decai__chart *c, size_t bytes);         /* to that many bytes */
bool decai__chart_complete(const decai__chart *c);
/* Bytes that may follow, as bits. */
void decai__chart_next(const decai__chart *c, uint64_t bits[4]);
static inline size_t
decai__chart_first(const decai__chart *c, size_t set)
{
    return set ? c->ends[set - 1] : 0;
}

/* ---- masks: grammar_order.c, grammar_body.c, grammar_string.c, grammar_mask.c -------------- */

/* A text to be sorted. head: the sort's own. */
typedef struct decai__order_text { uint64_t head; uint32_t id, len; const uint8_t *bytes; } decai__order_text;

/* Texts sorted by their bytes; none is empty. */
typedef struct decai__order {
    uint32_t count;
    uint8_t *bytes;                  /* of all, one after another */
    uint32_t *start;                 /* text i: bytes[start[i]..start[i + 1]) */
    uint32_t *id;
    uint8_t *common;                 /* bytes shared with the one before, at most 255 */
    uint16_t *classes;               /* of what it says from the second byte on; from the first, if that is not ASCII */
    uint8_t *chars;                  /* characters of that, at most 255 */
    uint32_t first[257];             /* first[b]..first[b + 1] - 1 begin with byte b */
} decai__order;

/* What grammars tend to treat alike, as bits: by byte, ASCII's digits, letters and others;
 * whole characters beyond it (the last one may be cut off), those of lead E2 apart, where
 * the line ends are that JavaScript's . leaves out. NEVER: anything else. */
#define DECAI__CLASS_QUOTE  9        /* and the backslash */
#define DECAI__CLASS_BEYOND 12
#define DECAI__CLASS_E2     13
#define DECAI__CLASS_NEVER  14
extern const uint8_t decai__byte_class[128];

/* The bytes of characters beyond ASCII: lead, second, then 80..BF up to `len`. */
typedef struct decai__utf8_form { uint8_t low, high, second_low, second_high, len; } decai__utf8_form;
#define DECAI__UTF8_FORMS 10
extern const decai__utf8_form decai__utf8_forms[DECAI__UTF8_FORMS];

/* spare: room for as many. */
void decai__order_sort(decai__order_text *texts, decai__order_text *spare, size_t count);
/* A copy of sorted texts. */
int32_t decai__order_make(decai__order *out, decai_context *ctx, const decai__order_text *texts, size_t count);
void decai__order_free(decai_context *ctx, decai__order *o);

static inline uint32_t
decai__order_len(const decai__order *o, uint32_t i)
{
    return o->start[i + 1] - o->start[i];
}

/* How the characters of a JSON string are spelled: as themselves alone, also as \" \n and
 * their kin, also as \uXXXX. */
enum decai__spelling { DECAI__SPELL_PLAIN, DECAI__SPELL_ESCAPES, DECAI__SPELL_UNICODE, DECAI__SPELLINGS };
#define DECAI__PLAIN_MAX 16

/* A token behind whole characters of a string: it stays in the string, and then has begun
 * so many characters, or has the quote that ends it behind so many. form: the first that
 * has its spelling. */
typedef struct decai__body_token { uint32_t id, chars; uint8_t form; } decai__body_token;

typedef struct decai__body {
    size_t words;                    /* of a mask */
    uint64_t *plain;                 /* row k <= PLAIN_MAX: plain tokens of at most k characters; then a row of all */
    uint32_t plain_max;              /* characters of the longest of them */
    decai__body_token *inside;       /* tokens with escapes, then plain ones of more than PLAIN_MAX characters */
    uint32_t escape_count, inside_count;
    decai__body_token *exits;        /* tokens with the quote, by what stands behind it */
    uint32_t *group;                 /* exits[group[0]..group[1]): nothing; [group[k + 1]..group[k + 2]): suffix k */
    uint32_t exit_count;
    decai__order suffixes;           /* without the empty one; id: its number */
    uint32_t *places;                /* of exits in the order of tokens: ranges from, to */
    uint32_t place_count;
    decai__auto forms[DECAI__SPELLINGS]; /* one character after another, then a quote */
} decai__body;

/* What masks know of a vocabulary; one a tokenizer. */
typedef struct decai__lexicon {
    decai__order tokens;             /* those that stand for text */
    size_t token_max;                /* bytes of the longest */
    decai__body body;
} decai__lexicon;

/* Made when first asked for, and the tokenizer's: about 40 bytes a token. */
int32_t decai__lexicon_get(const decai__lexicon **out, const decai_tokenizer *t);
void decai__lexicon_free(decai_context *ctx, decai__lexicon *l);     /* NULL is fine */
int32_t decai__body_make(decai__body *out, decai_context *ctx, const decai__order *tokens, uint32_t universe);
void decai__body_free(decai_context *ctx, decai__body *b);

/* A state in the body of a string, between two characters: what may follow is `least` to
 * `room` characters of one form, then the quote. */
typedef struct decai__string {
    uint32_t room, least;            /* room DECAI__NONE: without end */
    uint32_t last;                   /* a state that the characters lead to, and where the quote may follow */
    uint32_t behind;                 /* the quote leads there, from wherever it may follow */
    uint8_t known, form;
} decai__string;

/* strings: one a state of the automaton, zeroed at first; what is known is kept there.
 * NULL: it cannot be shown that the state is such a one. */
const decai__string *decai__string_at(decai__string *strings, const decai__auto *a, const decai__body *b, uint32_t state);

typedef struct decai__masks decai__masks;            /* what is remembered of masks; own lock */
int32_t decai__masks_create(decai__masks **out, const decai__auto *a, const decai_tokenizer *t, size_t bytes_max);
void decai__masks_destroy(decai__masks *m);          /* NULL is fine */
/* Sets the bit of each token that may follow what the chart holds; bits come zeroed. */
int32_t decai__masks_fill(decai__masks *m, decai__chart *c, uint64_t *bits);

/* ---- handles: grammar.c; those of other rooms are in tok.h --------------------------------- */

const decai_tokenizer *decai__grammar_tokenizer(const decai_grammar *g);
const decai__auto *decai__grammar_auto(const decai_grammar *g);
decai__masks *decai__grammar_masks(const decai_grammar *g);
/* The control tokens in its texts; and, if there are some, the text tokens that hold the
 * byte which stands for them, which may never come. */
const int32_t *decai__grammar_control(const decai_grammar *g, uint32_t *count);
const int32_t *decai__grammar_barred(const decai_grammar *g, uint32_t *count);

#endif /* DECAI__GRAMMAR_H */
