/* schema.h - what the files that read JSON Schema share. */
#ifndef DECAI__SCHEMA_H
#define DECAI__SCHEMA_H

#include "codec/codec.h"
#include "tok/grammar.h"

#define DECAI__SCHEMA_ALL_MAX  32    /* schemas that hold at once: allOf and what $ref brings in */
#define DECAI__SCHEMA_ENUM_MAX 2048  /* values of one enum */
#define DECAI__SCHEMA_PATH_MAX 400   /* bytes of the place in error details */

/* Types of values, as bits. */
enum {
    DECAI__V_NULL = 1, DECAI__V_BOOL = 2, DECAI__V_INTEGER = 4, DECAI__V_NUMBER = 8, DECAI__V_STRING = 16, DECAI__V_ARRAY = 32,
    DECAI__V_OBJECT = 64, DECAI__V_ANY = 127
};

/* Rules that all schemas use, made when first needed. */
enum decai__schema_shared { DECAI__S_SPACE, DECAI__S_STRING, DECAI__S_NUMBER, DECAI__S_INTEGER, DECAI__S_VALUE, DECAI__S_COUNT };

/* A rule made before: of a schema that $ref names, or of strings by their lengths. */
typedef struct decai__schema_memo { const void *node; uint64_t least, most; uint32_t rule; } decai__schema_memo;

typedef struct decai__schema {
    decai__net *net;
    const decai__json *doc;
    const decai__json_node *root;    /* where $ref's "#" is */
    bool compact;                    /* no white space between tokens of JSON */
    uint32_t shared[DECAI__S_COUNT]; /* rules, or DECAI__NONE */
    decai__schema_memo *memo;
    size_t memo_count, memo_cap;
    uint32_t nest;
    char path[DECAI__SCHEMA_PATH_MAX];
    size_t path_len;
} decai__schema;

/* Schemas that all hold: objects, or true (left out) or false (none holds). */
typedef struct decai__all {
    const decai__json_node *node[DECAI__SCHEMA_ALL_MAX];
    uint32_t count;
    uint32_t any_done, one_done;     /* by place: a branch of its anyOf, oneOf is in the list */
    bool never;
} decai__all;

/* ---- schema.c ----------------------------------------------------------------------- */

/* The net's error, with the place before the text. Returns its code. */
int32_t decai__schema_fail(decai__schema *s, int32_t code, const char *keyword, const char *why);
/* The place goes down to a member or item, and back to what it returned. */
size_t decai__schema_enter(decai__schema *s, const char *key, size_t index);
void decai__schema_leave(decai__schema *s, size_t path_len);
/* One more that holds; what it refers to comes along. */
void decai__schema_add(decai__schema *s, decai__all *all, const decai__json_node *node);
/* From a state, any text of a value for which all hold; the state behind it. */
uint32_t decai__schema_emit(decai__schema *s, uint32_t from, decai__all all);
/* What $ref and allOf of the list bring in, to its end. */
void decai__schema_spread(decai__schema *s, decai__all *all);
uint32_t decai__schema_space(decai__schema *s, uint32_t from);
uint32_t decai__schema_shared(decai__schema *s, uint32_t from, enum decai__schema_shared which);
uint32_t decai__schema_call(decai__schema *s, uint32_t from, uint32_t rule);
/* The rule remembered under these, or a new one that is (and *fresh). */
uint32_t decai__schema_rule(decai__schema *s, const void *node, uint64_t least, uint64_t most, bool *fresh);
/* The keyword of the only schema of all that has it; NULL: none has. Two that have it
 * are an error, DECAI_E_UNSUPPORTED. */
const decai__json_node *decai__schema_only(decai__schema *s, const decai__all *all, const char *keyword);
/* A count: the largest (or smallest) of all, or `none`. */
uint64_t decai__schema_count(decai__schema *s, const decai__all *all, const char *keyword, bool largest, uint64_t none);
/* A JSON value as it stands in the schema. */
uint32_t decai__schema_literal(decai__schema *s, uint32_t from, const decai__json_node *value);
/* The values of enum and const that have the types; false: neither is there. schema.c */
bool decai__schema_listed(decai__schema *s, const decai__all *all, const decai__json_node **values, size_t *count, size_t max);
bool decai__schema_equal(const decai__json *doc, const decai__json_node *a, const decai__json_node *b);

/* ---- one file a type ------------------------------------------------------------------ */

uint32_t decai__schema_object(decai__schema *s, uint32_t from, const decai__all *all);     /* schema_object.c */
uint32_t decai__schema_array(decai__schema *s, uint32_t from, const decai__all *all);
uint32_t decai__schema_string(decai__schema *s, uint32_t from, const decai__all *all);     /* schema_string.c */
uint32_t decai__schema_number(decai__schema *s, uint32_t from, const decai__all *all, bool integer);   /* schema_number.c */
/* multipleOf: m / 10^places; m 0: none. schema_multiple.c. */
typedef struct decai__step { uint32_t m, places; } decai__step;
#define DECAI__MULTIPLE_MAX   4096
#define DECAI__MULTIPLE_PAIRS (1u << 18)             /* states of the bounds, times remainders and places */
decai__step decai__schema_step(decai__schema *s, const decai__all *all, bool integer);
/* Those of an automaton's numbers that are multiples. */
void decai__schema_multiples(decai__schema *s, uint32_t from, uint32_t to, const decai__auto *numbers, decai__step step);
/* Any string, with quotes: the shared rule. */
void decai__schema_any_string(decai__net *n, uint32_t from, uint32_t to, uint64_t least, uint64_t most);
/* The text of a string for which a regular expression holds, without its quotes. */
uint32_t decai__schema_pattern(decai__schema *s, uint32_t from, const char *text, size_t len);          /* schema_pattern.c */
/* Any character, as strings spell it; schema_string.c. */
void decai__schema_character(decai__net *n, uint32_t from, uint32_t to, enum decai__spelling form);
/* One character of the set, as JSON spells it within a string. */
void decai__schema_characters(decai__net *n, uint32_t from, uint32_t to, const decai__range *set, size_t count);
uint32_t decai__schema_text(decai__net *n, uint32_t from, const char *text, size_t len);   /* within quotes */

/* Do no two of these hold for one value? Only what is plain to see. */
bool decai__schema_disjoint(decai__schema *s, const decai__all *a, const decai__all *b);    /* schema_choice.c */
/* Values of enum and const of all, or false: neither is there. */
bool decai__schema_values(decai__schema *s, const decai__all *all, const decai__json_node **values, size_t *count, size_t max);
uint32_t decai__schema_types(decai__schema *s, const decai__all *all);

/* The net of "tools": what follows the mark of a call; toolcall_grammar.c. */
int32_t decai__tools_read(decai__net *n, uint32_t *root, const decai_tokenizer *tokenizer, const char *text, size_t len);
/* The net of a schema's text. */
int32_t decai__schema_read(decai__net *n, uint32_t *root, const char *text, size_t len, bool compact);

#endif /* DECAI__SCHEMA_H */
