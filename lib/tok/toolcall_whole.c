/* toolcall_whole.c - whole answers as a grammar: free text, and calls behind their mark.
 *
 *     answer = reasoning? text (mark calls text)*
 *
 * A text has no mark in it: the automaton of Aho and Corasick over the marks, where to
 * complete one is to leave the text. So nothing is forced until the model writes the
 * mark, and then a call of a tool must follow; a mark that is none cannot be written.
 * Where an object alone is a call (llama3), a text begins with neither { nor [.
 *
 * Not built, by name: formats whose marks are words that answers have for other reasons
 * (gemma's fence, command-r's Action:, functionary-v3.2's >>>), and vocabularies in which
 * a mark is, or has in it, a control token: those are never part of a grammar's text, so
 * the model could not write its own mark.
 */
#include <stdio.h>
#include <string.h>

#include "tok/toolcall_grammar.h"
#include "tok/tok.h"
#include "tok/unicode.h"

#define MARK_MAX   DECAI__CALL_MARK_MAX
#define LETTER_MAX (DECAI__TOOLS_MARKS_MAX * MARK_MAX)

/* ---- texts without marks ---------------------------------------------------------------- */

/* Marks as code points. A node is the beginning of a mark; of equal ones the first mark's. */
typedef struct texts {
    decai__tools *m;
    const decai__tools_marks *k;
    uint32_t mark[DECAI__TOOLS_MARKS_MAX][MARK_MAX], len[DECAI__TOOLS_MARKS_MAX];
    uint32_t state[DECAI__TOOLS_MARKS_MAX][MARK_MAX];          /* by mark and length */
    uint32_t opening[MARK_MAX], opening_len;                   /* what has come of it, and all */
    uint32_t letters[LETTER_MAX + MARK_MAX + 1], letter_count; /* of all marks, ascending */
} texts;

static bool
begins(const texts *t, size_t mark, const uint32_t *text, uint32_t len)
{
    return len <= t->len[mark] && !memcmp(t->mark[mark], text, len * sizeof *text);
}

static void
letter_add(texts *t, uint32_t letter)
{
    uint32_t at = t->letter_count;
    while (at && t->letters[at - 1] >= letter) at--;
    if (at < t->letter_count && t->letters[at] == letter) return;
    memmove(t->letters + at + 1, t->letters + at, (t->letter_count++ - at) * sizeof *t->letters);
    t->letters[at] = letter;
}

static void
read_marks(texts *t)
{
    for (size_t i = 0; i < t->k->count; i++) {
        const uint8_t *p = (const uint8_t *)t->k->mark[i], *end = p + strlen(t->k->mark[i]);
        while (p < end) letter_add(t, t->mark[i][t->len[i]++] = decai__utf8_next(p, end, &p));
        for (uint32_t n = 0; n < t->len[i]; n++) {
            size_t same = 0;
            while (same < i && !begins(t, same, t->mark[i], n)) same++;
            t->state[i][n] = same < i ? t->state[same][n] : decai__net_state(t->m->s.net);
        }
    }
    const uint8_t *p = (const uint8_t *)t->k->opening, *end = p ? p + strlen(t->k->opening) : NULL;
    while (p < end) letter_add(t, t->opening[t->opening_len++] = decai__utf8_next(p, end, &p));
    letter_add(t, 0x110000);                         /* an end for ranges */
}

/* The edge of a letter from a node: to the longest beginning of a mark that text and
 * letter end with, or out of the text. */
static void
put_letter(texts *t, uint32_t from, const uint32_t *text, uint32_t len, uint32_t letter)
{
    uint32_t all[MARK_MAX];
    const decai__range one = { letter, letter };
    if (len) memcpy(all, text, len * sizeof *all);
    all[len++] = letter;
    for (uint32_t skip = 0; skip <= len; skip++)
        for (size_t i = 0; i < t->k->count; i++) {
            uint32_t rest = len - skip;
            if (!begins(t, i, all + skip, rest)) continue;
            uint32_t to = rest == t->len[i] ? t->k->to[i] : t->state[i][rest];
            if (to != DECAI__NONE) decai__net_ranges(t->m->s.net, from, to, &one, 1);
            return;
        }
}

static void
put_range(texts *t, uint32_t from, uint32_t to, uint32_t low, uint32_t high)
{
    if (low <= high) decai__net_ranges(t->m->s.net, from, to, &(decai__range){ low, high }, 1);
}

/* Letters that begin no mark. Before the first word blanks stay there, and brackets lead
 * nowhere where an object alone is a call. */
static void
put_others(texts *t, uint32_t from, uint32_t low, uint32_t high, bool first)
{
    const char *special = t->k->bare ? "\t\n\r [{" : "\t\n\r ";
    for (const char *c = special; first && *c; c++) {
        uint32_t at = (uint8_t)*c;
        if (at < low || at > high) continue;
        put_range(t, from, t->state[0][0], low, at - 1);
        if (decai__is_blank(*c)) put_range(t, from, from, at, at);
        low = at + 1;
    }
    put_range(t, from, t->state[0][0], low, high);
}

/* All edges of a node but that of one letter, 0: of none. */
static void
put_node(texts *t, uint32_t from, const uint32_t *text, uint32_t len, bool first, uint32_t but)
{
    uint32_t low = 1;
    for (uint32_t i = 0; i < t->letter_count; i++) {
        put_others(t, from, low, t->letters[i] - 1, first);
        low = t->letters[i] + 1;
        if (t->letters[i] <= 0x10ffff && t->letters[i] != but) put_letter(t, from, text, len, t->letters[i]);
    }
    if (t->k->end != DECAI__NONE) decai__net_empty(t->m->s.net, from, t->k->end);
}

/* The beginning of the text: blanks, then perhaps the opening mark, letter by letter. */
static void
put_opening(texts *t, uint32_t from)
{
    decai__net *n = t->m->s.net;
    for (uint32_t i = 0; i < t->opening_len || !i; i++) {
        uint32_t letter = i < t->opening_len ? t->opening[i] : 0, to = i + 1 < t->opening_len ? decai__net_state(n) : t->k->opening_to;
        put_node(t, from, t->opening, i, !i, letter);
        if (!letter) return;
        put_range(t, from, to, letter, letter);
        from = to;
    }
}

void
decai__tools_text(decai__tools *m, uint32_t from, const decai__tools_marks *marks)
{
    decai__net *n = m->s.net;
    texts *t = decai__calloc(n->ctx, 1, sizeof *t);
    if (!t) {
        decai__tools_fail(m, DECAI_E_NOMEM, "no memory");
        return;
    }
    t->m = m;
    t->k = marks;
    read_marks(t);
    for (size_t i = 0; i < marks->count && !n->error; i++)
        for (uint32_t len = 0; len < t->len[i]; len++) {
            size_t same = 0;
            while (same < i && !begins(t, same, t->mark[i], len)) same++;
            if (same < i) continue;
            put_node(t, t->state[i][len], t->mark[i], len, false, 0);
        }
    uint32_t first = marks->bare || marks->opening ? decai__net_state(n) : t->state[0][0];
    if (first != t->state[0][0]) put_opening(t, first);
    decai__net_empty(n, from, first);
    decai__free(n->ctx, t);
}

uint32_t
decai__tools_text_to(decai__tools *m, uint32_t from, const char *mark)
{
    decai__tools_marks k = { .mark = { mark }, .to = { decai__net_state(m->s.net) }, .count = 1, .end = DECAI__NONE };
    decai__tools_text(m, from, &k);
    return k.to[0];
}

/* ---- answers ------------------------------------------------------------------------------ */

/* Is a control token part of a mark? */
static bool
has_control(const decai_tokenizer *t, const char *mark, char *found, size_t cap)
{
    size_t n = mark ? strlen(mark) : 0, len;
    for (int32_t id = 0; n && id < (int32_t)decai__tok_count(t); id++) {
        if (decai__tok_kind(t, id) != DECAI_TOKEN_CONTROL) continue;
        const uint8_t *bytes = decai__tok_bytes(t, id, &len);
        for (size_t i = 0; len > 1 && len < cap && i + len <= n; i++) {
            if (memcmp(mark + i, bytes, len)) continue;
            memcpy(found, bytes, len);
            found[len] = 0;
            return true;
        }
    }
    return false;
}

static void
check(decai__tools *m, const decai_tokenizer *t)
{
    static const char *const words[] = { "gemma", "command-r", "functionary-v3.2", "harmony", "mistral-args", "deepseek", "kimi-k2" };
    const decai__call_format *f = m->f;
    const char *marks[] = { f->bare ? NULL : f->begin, f->other, f->end, f->think, f->think_end, f->dropped[0], f->dropped[1],
        f->p.head, f->p.key, f->p.key_end, f->p.value, f->p.value_end, f->p.close };
    char found[DECAI__CALL_MARK_MAX], why[128];
    for (size_t i = 0; i < DECAI__COUNT(words); i++)
        if (!strcmp(f->name, words[i])) decai__tools_fail(m, DECAI_E_UNSUPPORTED, "whole: not for this format, whose marks a grammar cannot speak of");
    for (size_t i = 0; i < DECAI__COUNT(marks) && !m->s.net->error; i++) {
        if (f->bare && i > 4) break;                 /* an object alone: its other marks need not come */
        if (!has_control(t, marks[i], found, sizeof found)) continue;
        snprintf(why, sizeof why, "whole: %s is a control token, which is no part of a grammar's text", found);
        decai__tools_fail(m, DECAI_E_UNSUPPORTED, why);
    }
}

/* The marks of the format: the one behind which calls come leads to `calls`. */
static decai__tools_marks
marks_of(const decai__tools *m, uint32_t calls, uint32_t end)
{
    const decai__call_format *f = m->f;
    bool around = f->form == DECAI__CALL_PARAMETERS && f->dropped[0];         /* one mark around all calls */
    const char *all[] = { around ? f->dropped[0] : f->begin, around ? f->begin : f->other, around ? f->dropped[2] : NULL,
        f->bare ? f->dropped[0] : NULL, f->bare ? f->dropped[1] : NULL };      /* behind them an object would be a call */
    decai__tools_marks k = { .end = end, .bare = f->bare };
    for (size_t i = 0; i < DECAI__COUNT(all); i++) {
        if (!all[i]) continue;
        k.to[k.count] = i ? DECAI__NONE : calls;
        k.mark[k.count++] = all[i];
    }
    return k;
}

void
decai__tools_whole(decai__tools *m, uint32_t from, uint32_t to, const decai_tokenizer *tokenizer)
{
    decai__net *n = m->s.net;
    check(m, tokenizer);
    if (n->error) return;
    uint32_t thought = decai__net_state(n), text = decai__net_state(n), call = decai__net_state(n), more = decai__net_state(n);
    decai__tools_marks first = marks_of(m, call, m->must ? DECAI__NONE : to), next = marks_of(m, m->parallel ? call : DECAI__NONE, to), opened = first;
    next.bare = false;
    opened.opening = m->f->think;
    opened.opening_to = thought;
    if (m->thinking && !m->f->think) decai__tools_fail(m, DECAI_E_INVALID, "thinking: this format has no marks of reasoning");
    if (m->thinking) decai__net_empty(n, from, thought);
    else decai__tools_text(m, from, &opened);
    if (m->f->think) {
        decai__net_empty(n, decai__tools_text_to(m, thought, m->f->think_end), text);
        decai__tools_text(m, text, &first);
    }
    decai__net_empty(n, decai__tools_calls(m, call), more);
    if (!m->f->bare) {
        decai__tools_text(m, more, &next);
        return;
    }
    /* An object at the beginning is a call, and the whole answer. */
    const uint32_t starts[] = { text, from };
    for (size_t i = 0; i < 2 - (size_t)m->thinking; i++) {
        uint32_t blank = decai__net_state(n);
        decai__net_empty(n, starts[i], blank);
        for (const char *c = " \t\n\r"; *c; c++) decai__net_bytes(n, blank, blank, (uint8_t)*c, (uint8_t)*c);
        decai__net_empty(n, blank, call);
    }
    decai__net_empty(n, more, to);
}
