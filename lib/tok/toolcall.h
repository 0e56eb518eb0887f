/* toolcall.h - tool calls in what models write. */
#ifndef DECAI__TOOLCALL_H
#define DECAI__TOOLCALL_H

#include "codec/codec.h"
#include "tok/tok.h"

/* What stands behind a call's mark. */
enum decai__call_form {
    DECAI__CALL_OBJECT,      /* {"name": .., "arguments" or "parameters": ..}, or an array of these */
    DECAI__CALL_NAMED,       /* NAME, a separator, the arguments as JSON, perhaps fenced by ``` */
    DECAI__CALL_XML,         /* <function=NAME> <parameter=KEY> value </parameter> </function> */
    DECAI__CALL_CHANNEL      /* harmony: the header of a message says who it is for */
};

typedef struct decai__call_format {
    const char *name;
    enum decai__call_form form;
    const char *begin, *end;         /* marks; end NULL: none */
    const char *other;               /* another mark that begins one, part of it; or NULL */
    const char *stop;                /* NAMED: what ends the name */
    bool bare;                       /* a text that begins with { is a call, too */
    const char *think, *think_end;   /* marks of reasoning */
    const char *dropped[3];          /* marks that say nothing */
} decai__call_format;

/* NULL: none has this name; none is recognised. */
const decai__call_format *decai__call_format_find(const char *name);
const decai__call_format *decai__call_format_of(const char *template_text, size_t len);

/* The answer as JSON, appended; flags: DECAI_ANSWER_*. */
int32_t decai__answer_parse(decai__buf *out, const decai__call_format *f, const char *text, size_t len, int32_t flags);

/* Bytes of the JSON value at the beginning of text: 0 none begins there, SIZE_MAX it is not
 * complete. Brackets and strings are balanced, no more is checked. */
size_t decai__json_span(const char *text, size_t len);
/* The value of a member of an object's text (its own text, checked); NULL: none. */
const char *decai__json_member(const char *object, size_t len, const char *key, size_t *value_len);

#endif /* DECAI__TOOLCALL_H */
