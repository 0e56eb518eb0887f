/* toolcall_grammar.h - what the two files that make grammars of tool calls share. */
#ifndef DECAI__TOOLCALL_GRAMMAR_H
#define DECAI__TOOLCALL_GRAMMAR_H

#include "tok/schema.h"
#include "tok/toolcall.h"

#define DECAI__TOOLS_MAX       256
#define DECAI__TOOLS_MARKS_MAX 8

typedef struct decai__tools {
    decai__schema s;
    const decai__call_format *f;
    const decai__json_node *tools[DECAI__TOOLS_MAX]; /* their "function" objects */
    const char *names[DECAI__TOOLS_MAX];
    size_t count;
    bool parallel;
    const decai_tokenizer *tokenizer;
    struct { char text[DECAI__CALL_MARK_MAX]; size_t len; } control[DECAI__CONTROL_MAX];   /* as net->control */
    bool whole, must, thinking;      /* of whole answers; a call must come in them; they begin inside reasoning */
} decai__tools;

/* Marks of which a text has none before its end: where each leads to, or DECAI__NONE for
 * one that may not come. */
typedef struct decai__tools_marks {
    const char *mark[DECAI__TOOLS_MARKS_MAX];
    uint32_t to[DECAI__TOOLS_MARKS_MAX];
    size_t count;
    uint32_t end;                    /* the text may end there, without a mark; or DECAI__NONE */
    bool bare;                       /* it does not begin with { or [ */
    const char *opening;             /* another mark, behind blanks at the beginning alone; or NULL */
    uint32_t opening_to;
} decai__tools_marks;

/* toolcall_grammar.c */
int32_t decai__tools_fail(decai__tools *m, int32_t code, const char *why);
uint32_t decai__tools_calls(decai__tools *m, uint32_t from);   /* behind a call's mark; the state behind the calls */
uint32_t decai__tools_arguments(decai__tools *m, uint32_t from, size_t tool);
void decai__tools_plain(decai__tools *m, const decai__json_node *schema);   /* refuses what a strict text without quotes cannot keep */
bool decai__tools_required(decai__tools *m, const decai__json_node *schema, const char *name);

/* toolcall_program.c: NAME and its arguments in brackets; any: whatever they are. */
uint32_t decai__tools_program(decai__tools *m, uint32_t from, size_t tool, bool any);

/* toolcall_whole.c */
/* The text, and where it has control tokens, these. */
uint32_t decai__tools_put(decai__tools *m, uint32_t from, const char *text);
/* One of the texts, each up to a NUL, the list up to another. */
uint32_t decai__tools_one(decai__tools *m, uint32_t from, const char *list);
void decai__tools_text(decai__tools *m, uint32_t from, const decai__tools_marks *marks);
/* A text up to the mark, and the mark; the state behind it. */
uint32_t decai__tools_text_to(decai__tools *m, uint32_t from, const char *mark);
/* Whole answers: text, calls, text. */
void decai__tools_whole(decai__tools *m, uint32_t from, uint32_t to);

#endif /* DECAI__TOOLCALL_GRAMMAR_H */
