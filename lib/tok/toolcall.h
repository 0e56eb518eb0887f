/* toolcall.h - tool calls in what models write. */
#ifndef DECAI__TOOLCALL_H
#define DECAI__TOOLCALL_H

#include "codec/codec.h"
#include "tok/tok.h"

#define DECAI__CALL_NAME_MAX  128    /* bytes of a tool's or a parameter's name, or of a call's id */
#define DECAI__CALL_MARK_MAX  48     /* bytes of a mark, its end included */
#define DECAI__CALL_DROPPED   4

/* What stands behind a call's mark. */
enum decai__call_form {
    DECAI__CALL_OBJECT,      /* {"name": .., "arguments" or "parameters": ..}, or an array of these */
    DECAI__CALL_KEYED,       /* {NAME: arguments}, or an array of these */
    DECAI__CALL_NAMED,       /* NAME, a separator, the arguments as JSON, perhaps fenced by ``` */
    DECAI__CALL_PARAMETERS,  /* NAME, then every parameter between marks */
    DECAI__CALL_PYTHON,      /* [NAME(KEY=value, ..), ..], or OBJECT */
    DECAI__CALL_NOTED,       /* NAME{KEY:value, ..}, strings between marks */
    DECAI__CALL_CHANNEL      /* harmony: the header of a message says who it is for */
};

/* Marks of PARAMETERS. Names may stand in quotes, attributes behind them. */
typedef struct decai__call_marks {
    const char *head;                /* before the name, or NULL */
    const char *name_end;            /* NULL: a new line, or the next mark */
    const char *key, *key_end;
    const char *value;               /* between key and value, or NULL */
    const char *value_end, *close;
    bool lines;                      /* a new line at a value's beginning and end is none of it */
} decai__call_marks;

typedef struct decai__call_format {
    const char *name;
    enum decai__call_form form;
    const char *begin, *end;         /* marks; end NULL: none */
    const char *other;               /* another mark that begins one, part of it; or NULL */
    const char *stop;                /* NAMED: what ends the name; NOTED: both marks of strings */
    bool bare;                       /* a text that begins with { is a call, too */
    const char *think, *think_end;   /* marks of reasoning */
    const char *dropped[DECAI__CALL_DROPPED];   /* marks that say nothing */
    decai__call_marks p;
} decai__call_format;

/* NULL: none has this name; none is recognised. */
const decai__call_format *decai__call_format_find(const char *name);
const decai__call_format *decai__call_format_of(const char *template_text, size_t len);

/* The answer as JSON, appended; flags: DECAI_ANSWER_*. */
int32_t decai__answer_parse(decai__buf *out, const decai__call_format *f, const char *text, size_t len, int32_t flags);

/* ---- JSON byte by byte: toolcall_accept.c ----------------------------------------------- */

enum { DECAI__ACCEPT_BAD = -1, DECAI__ACCEPT_MORE, DECAI__ACCEPT_DONE, DECAI__ACCEPT_BEFORE };

/* One value, strict; {0} before its first byte. */
typedef struct decai__accept {
    uint8_t state, digits;
    bool key, high;                  /* the string is a member's name; the first of two surrogates came */
    uint8_t depth;
    uint32_t code;
    uint64_t arrays;                 /* by depth: an array, not an object */
    const char *word;                /* the rest of true, false, null */
    uint8_t out[4], out_len;         /* what this byte completed of a string, unescaped */
} decai__accept;

/* MORE; DONE: the byte ended the value; BEFORE: a number ended before it, it is not part of it; BAD. */
int decai__accept_byte(decai__accept *a, char c);
/* Could the value end here? For numbers, whose end nothing marks. */
bool decai__accept_whole(const decai__accept *a);

/* ---- an answer while it comes: toolcall_answer.c, _call.c, _param.c, _literal.c --------------- */

enum { DECAI__CALL_FAIL = -1, DECAI__CALL_MORE, DECAI__CALL_DONE };

/* kind: DECAI_ANSWER_CONTENT and so on. */
typedef struct decai__event { int32_t kind; uint32_t call; size_t len; } decai__event;

/* What is inside a call, between two of its bytes. */
typedef struct decai__call {
    uint8_t at;                      /* toolcall_call.c, toolcall_param.c: what comes next */
    bool json;                       /* PARAMETERS, PYTHON: JSON all the same */
    bool list, fenced, any;          /* an array; a fence to be closed; a call was in it */
    bool nested, keyed;              /* within "function" */
    bool known, begun, ended;        /* the name; the event of the call; its arguments */
    bool text, quoted, first;        /* PARAMETERS: a value is text; it may be a string of JSON; this is its first byte */
    uint32_t types;                  /* of its schema; 0: not known */
    decai__accept json_at, inner;    /* a value; the value that is in a string */
    char name[DECAI__CALL_NAME_MAX + 1], id[DECAI__CALL_NAME_MAX + 1];
    size_t name_len, id_len;
    char word[2 * DECAI__CALL_NAME_MAX];        /* what is being read: a key, a name, a part of a mark */
    size_t word_len;
    uint32_t parameters;
    struct { uint64_t arrays; uint32_t code, high; uint8_t depth, digits; char quote; bool comma, key; } literal;    /* PYTHON, NOTED */
} decai__call;

typedef struct decai__answer {
    decai_context *ctx;
    const decai__call_format *f;
    int32_t flags;
    const decai__json *tools;        /* or NULL */
    uint8_t state;
    bool analysis;                   /* CHANNEL: this message is reasoning */
    bool lead;                       /* blanks that come now are none of it */
    bool started;                    /* content has come */
    char mark[DECAI__CALL_MARK_MAX]; /* what may become a mark */
    size_t mark_len;
    decai__buf hold;                 /* what may become a call, its mark included */
    decai__buf blanks[2];            /* that may be the last: of content, of reasoning */
    size_t blanks_before;            /* of content, where the last call ended */
    uint32_t calls;                  /* that have begun */
    uint64_t steps;                  /* bytes looked at, some more than once: what tests hold to be linear */
    decai__call call;
    decai__buf kept;                 /* arguments before their name; a value that may be JSON; keys of a call */
    decai__buf keys;
    decai__buf bytes, events;        /* of events that nobody took */
} decai__answer;

void decai__answer_init(decai__answer *a, decai_context *ctx, const decai__call_format *f, int32_t flags);
void decai__answer_free(decai__answer *a);
/* More of the text; at a border of characters no event's bytes end within one. */
int32_t decai__answer_add(decai__answer *a, const char *text, size_t len);
/* No more comes: what is held is content. */
int32_t decai__answer_end(decai__answer *a);
/* Is something held back? */
bool decai__answer_holds(const decai__answer *a);

void decai__answer_put(decai__answer *a, int32_t kind, const void *data, size_t len);
/* A call has begun, surely: its name is in call.name. Nothing before it is held any more. */
void decai__answer_begin_call(decai__answer *a);
/* The call's arguments are complete and it has its id, if it has one. */
void decai__answer_end_call(decai__answer *a);
/* The next byte of a call: DECAI__CALL_*. */
int decai__call_byte(decai__answer *a, char c);
int decai__parameters_byte(decai__answer *a, char c);
int decai__literal_byte(decai__answer *a, char c);
/* Is what comes no call's, should it be no call or break off here? */
bool decai__call_loose(const decai__answer *a);
bool decai__parameters_loose(const decai__call *c);
/* The name in word, cleaned, as the call's: false, none can be that. */
bool decai__call_named(decai__call *c, const char *text, size_t len);
bool decai__call_word(decai__call *c, char byte);      /* false: it is full */
/* The name is known: the arguments come next, as JSON. */
void decai__call_open(decai__call *c);
/* An array of objects has begun. */
void decai__call_list(decai__call *c);
/* More of the arguments: a byte of a string, as JSON has it. */
void decai__call_escape(decai__answer *a, char byte);
bool decai__is_blank(char c);

/* ---- the types of parameters: toolcall_type.c -------------------------------------------------- */

/* Of a value, by its first byte; 0: of none. */
enum { DECAI__TYPE_STRING = 1, DECAI__TYPE_NUMBER = 2, DECAI__TYPE_OBJECT = 4, DECAI__TYPE_ARRAY = 8, DECAI__TYPE_BOOL = 16, DECAI__TYPE_NULL = 32, DECAI__TYPE_ANY = 63 };
uint32_t decai__type_of_byte(char first);
/* Types that the parameter of the tool may have, added up; 0: neither is among tools. */
uint32_t decai__type_of_parameter(const decai__json *tools, const char *tool, const char *parameter);

/* ---- the handle: toolcall_stream.c --------------------------------------------------------------- */

int32_t decai__answer_create(decai_answer **out, decai_context *ctx, const decai__call_format *f, const char *tools, size_t tools_len, int32_t flags);
int32_t decai__answer_piece(decai_answer *answer, const char *text, size_t len, bool last);
int32_t decai__answer_next(decai_answer *answer, uint8_t *out, size_t cap, size_t *len, int32_t *kind, int32_t *call);

#endif /* DECAI__TOOLCALL_H */
