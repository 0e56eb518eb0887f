/* toolcall_whole.c - whole answers as a grammar: free text, and calls behind their mark.
 *
 *     answer = reasoning? text (mark calls text)*
 *
 * A text has no mark in it: the automaton of Aho and Corasick over the marks, where to
 * complete one is to leave the text. So nothing is forced until the model writes the
 * mark, and then a call of a tool must follow; a mark that is none cannot be written.
 * Where an object alone is a call (llama3), a text begins with neither { nor [.
 *
 * Control tokens that a mark is or has in it are letters of their own (grammar.h): they
 * come where the format has them, and nowhere else. The mark that ends a text may also be
 * spelled by other tokens: who reads the answer cannot tell these apart.
 *
 * Not built, by name: formats whose marks are words that answers have for other reasons
 * (gemma's fence, command-r's Action:, functionary-v3.2's >>>). Harmony's answers are
 * messages: reasoning and words before calls, each with its end, then a call or the last
 * words.
 */
#include <string.h>

#include "tok/toolcall_grammar.h"
#include "tok/tok.h"
#include "tok/unicode.h"

#define MARK_MAX   DECAI__CALL_MARK_MAX
#define SPELL_MAX  (2 * DECAI__TOOLS_MARKS_MAX)      /* each mark as text, and with its control tokens */
#define LETTER_MAX ((SPELL_MAX + 1) * MARK_MAX)
#define CONTROL    0x110000u                         /* letters from here on are control tokens */

/* ---- control tokens ------------------------------------------------------------------------ */

/* The control token that the text begins with, the longest, or -1. */
static int32_t
control_at(const decai__tools *m, const char *text)
{
    int32_t found = -1;
    size_t left = strlen(text);
    for (uint32_t i = 0; i < m->s.net->control_count; i++)
        if (m->control[i].len <= left && !memcmp(text, m->control[i].text, m->control[i].len)
            && (found < 0 || m->control[i].len > m->control[found].len)) found = (int32_t)i;
    return found;
}

static bool
has_control(const decai__tools *m, const char *text)
{
    for (; text && *text; text++)
        if (control_at(m, text) >= 0) return true;
    return false;
}

static void
put_control(decai__tools *m, uint32_t from, uint32_t to, uint32_t number)
{
    uint32_t between = decai__net_state(m->s.net);
    decai__net_bytes(m->s.net, from, between, DECAI__CONTROL_BYTE, DECAI__CONTROL_BYTE);
    decai__net_bytes(m->s.net, between, to, (uint8_t)number, (uint8_t)number);
}

uint32_t
decai__tools_put(decai__tools *m, uint32_t from, const char *text)
{
    while (*text) {
        int32_t number = control_at(m, text);
        if (number < 0) {
            from = decai__net_text(m->s.net, from, text++, 1);
            continue;
        }
        uint32_t to = decai__net_state(m->s.net);
        put_control(m, from, to, (uint32_t)number);
        text += m->control[number].len;
        from = to;
    }
    return from;
}

uint32_t
decai__tools_one(decai__tools *m, uint32_t from, const char *list)
{
    uint32_t to = decai__net_state(m->s.net);
    do {
        decai__net_empty(m->s.net, decai__tools_put(m, from, list), to);
        list += strlen(list) + 1;
    } while (*list);
    return to;
}

/* Control tokens that are in a mark of the format; one that ends a generation is no part of it. */
static void
find_control(decai__tools *m)
{
    const decai__call_format *f = m->f;
    const char *marks[] = { f->begin, f->other, f->end, f->stop, f->think, f->think_end, f->dropped[0], f->dropped[1], f->dropped[2], f->dropped[3],
        f->p.head, f->p.key, f->p.key_end, f->p.value, f->p.value_end, f->p.close, f->form == DECAI__CALL_CHANNEL ? "<|message|><|end|><|constrain|>" : "[CALL_ID]" };
    decai__net *n = m->s.net;
    for (int32_t id = 0; id < (int32_t)decai__tok_count(m->tokenizer); id++) {
        size_t len, i = 0;
        if (decai__tok_kind(m->tokenizer, id) != DECAI_TOKEN_CONTROL || decai__tok_is_end(m->tokenizer, id)) continue;
        const uint8_t *bytes = decai__tok_bytes(m->tokenizer, id, &len);
        if (len < 2 || len >= DECAI__CALL_MARK_MAX || memchr(bytes, 0, len)) continue;
        char *text = m->control[n->control_count].text;
        memcpy(text, bytes, len);
        text[len] = 0;
        while (i < DECAI__COUNT(marks) && !(marks[i] && strstr(marks[i], text))) i++;
        if (i == DECAI__COUNT(marks)) continue;
        m->control[n->control_count].len = len;
        n->control[n->control_count++] = id;
        if (n->control_count == DECAI__CONTROL_MAX) return;
    }
}

/* ---- texts without marks ---------------------------------------------------------------- */

/* Marks as letters: code points, or control tokens. A node is the beginning of a mark; of
 * equal ones the first mark's. */
typedef struct texts {
    decai__tools *m;
    const decai__tools_marks *k;
    size_t count;
    uint32_t mark[SPELL_MAX][MARK_MAX], len[SPELL_MAX], to[SPELL_MAX];
    uint32_t state[SPELL_MAX][MARK_MAX];             /* by mark and length */
    uint32_t opening[MARK_MAX], opening_len;
    uint32_t letters[LETTER_MAX], letter_count;      /* of all marks, ascending */
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

static uint32_t
spell(texts *t, const char *text, bool control, uint32_t *out)
{
    const uint8_t *p = (const uint8_t *)text, *end = p + strlen(text);
    uint32_t len = 0;
    while (p < end) {
        int32_t number = control ? control_at(t->m, (const char *)p) : -1;
        if (number >= 0) p += t->m->control[number].len;
        out[len] = number >= 0 ? CONTROL + (uint32_t)number : decai__utf8_next(p, end, &p);
        letter_add(t, out[len++]);
    }
    return len;
}

static void
read_marks(texts *t)
{
    for (size_t i = 0; i < 2 * t->k->count; i++) {
        const char *text = t->k->mark[i / 2];
        if (i % 2 && !has_control(t->m, text)) continue;
        size_t at = t->count++;
        t->len[at] = spell(t, text, i % 2, t->mark[at]);
        t->to[at] = t->k->to[i / 2];
        for (uint32_t n = 0; n < t->len[at]; n++) {
            size_t same = 0;
            while (same < at && !begins(t, same, t->mark[at], n)) same++;
            t->state[at][n] = same < at ? t->state[same][n] : decai__net_state(t->m->s.net);
        }
    }
    if (t->k->opening) t->opening_len = spell(t, t->k->opening, false, t->opening);
}

static void
put_range(texts *t, uint32_t from, uint32_t to, uint32_t low, uint32_t high)
{
    if (low >= CONTROL) put_control(t->m, from, to, low - CONTROL);
    else if (low <= high) decai__net_ranges(t->m->s.net, from, to, &(decai__range){ low, high }, 1);
}

/* The edge of a letter from a node: to the longest beginning of a mark that text and
 * letter end with, or out of the text. A control token that goes on with no mark has none. */
static void
put_letter(texts *t, uint32_t from, const uint32_t *text, uint32_t len, uint32_t letter)
{
    uint32_t all[MARK_MAX];
    if (len) memcpy(all, text, len * sizeof *all);
    all[len++] = letter;
    for (uint32_t skip = 0; skip <= len; skip++)
        for (size_t i = 0; i < t->count; i++) {
            uint32_t rest = len - skip;
            if (!begins(t, i, all + skip, rest) || (!rest && letter >= CONTROL)) continue;
            uint32_t to = rest == t->len[i] ? t->to[i] : t->state[i][rest];
            if (to != DECAI__NONE) put_range(t, from, to, letter, letter);
            return;
        }
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
        uint32_t letter = t->letters[i];
        if (letter < CONTROL) put_others(t, from, low, letter - 1, first), low = letter + 1;
        if (letter != but) put_letter(t, from, text, len, letter);
    }
    put_others(t, from, low, CONTROL - 1, first);
    if (t->k->end != DECAI__NONE) decai__net_empty(t->m->s.net, from, t->k->end);
}

/* The beginning of the text: blanks, then perhaps the opening mark, letter by letter. */
static void
put_opening(texts *t, uint32_t from)
{
    decai__net *n = t->m->s.net;
    if (has_control(t->m, t->k->opening)) decai__net_empty(n, decai__tools_put(t->m, from, t->k->opening), t->k->opening_to);
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
    for (size_t i = 0; i < t->count && !n->error; i++)
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

static void
check(decai__tools *m)
{
    static const char *const words[] = { "gemma", "command-r", "functionary-v3.2" };
    for (size_t i = 0; i < DECAI__COUNT(words); i++)
        if (!strcmp(m->f->name, words[i])) decai__tools_fail(m, DECAI_E_UNSUPPORTED, "whole: not for this format, whose marks a grammar cannot speak of");
}

/* The marks of the format: the one behind which calls come leads to `calls`. Marks that
 * say nothing lead back to the text, as far as they are control tokens. */
static decai__tools_marks
marks_of(const decai__tools *m, uint32_t text, uint32_t calls, uint32_t end)
{
    const decai__call_format *f = m->f;
    bool around = (f->form == DECAI__CALL_PARAMETERS && f->dropped[0]) || !strcmp(f->name, "kimi-k2") || !strcmp(f->name, "deepseek");
    const char *all[] = { around ? f->dropped[0] : f->begin, around ? f->begin : f->other, around ? f->dropped[2] : NULL,
        f->bare ? f->dropped[0] : NULL, f->bare ? f->dropped[1] : NULL };      /* behind them an object would be a call */
    decai__tools_marks k = { .end = end, .bare = f->bare };
    for (size_t i = 0; i < DECAI__COUNT(all); i++) {
        if (!all[i]) continue;
        k.to[k.count] = i ? DECAI__NONE : calls;
        k.mark[k.count++] = all[i];
    }
    for (size_t i = 0; i < 2 && !around && !f->bare; i++) {
        if (!has_control(m, f->dropped[i])) continue;
        k.to[k.count] = text;
        k.mark[k.count++] = f->dropped[i];
    }
    return k;
}

/* ---- harmony ------------------------------------------------------------------------------- */

/* The words of a message: <|end|> leads to `next`, another mark nowhere. */
static void
put_words(decai__tools *m, uint32_t from, uint32_t next, uint32_t end)
{
    const decai__tools_marks k = { .mark = { "<|end|>", "<|start|>", "<|channel|>", "<|call|>", "<|return|>" },
        .to = { next, DECAI__NONE, DECAI__NONE, DECAI__NONE, DECAI__NONE }, .count = 5, .end = end };
    decai__tools_text(m, from, &k);
}

/* The answer begins behind <|start|>assistant, as each of its messages. */
static void
put_messages(decai__tools *m, uint32_t from, uint32_t to)
{
    static const char kind[] = " \0 <|constrain|>json\0<|constrain|>json\0 json\0";
    decai__net *n = m->s.net;
    uint32_t ended = decai__net_state(n), start = decai__net_state(n);
    decai__net_empty(n, from, start);
    put_words(m, decai__tools_one(m, start, "<|channel|>analysis<|message|>\0<|channel|>commentary<|message|>\0"), ended, DECAI__NONE);
    decai__net_empty(n, decai__tools_put(m, ended, "<|start|>assistant"), start);
    if (!m->must) put_words(m, decai__tools_put(m, start, "<|channel|>final<|message|>"), DECAI__NONE, to);
    uint32_t before = decai__tools_put(m, start, "<|channel|>commentary to=functions."), behind = decai__tools_put(m, start, " to=functions.");
    for (size_t i = 0; i < m->count && !n->error; i++) {
        uint32_t args = decai__net_state(n), head = decai__net_state(n);
        decai__net_empty(n, decai__net_text(n, before, m->names[i], strlen(m->names[i])), head);
        decai__net_empty(n, decai__tools_put(m, decai__net_text(n, behind, m->names[i], strlen(m->names[i])), "<|channel|>commentary"), head);
        /* No kind at all, or one of them. */
        decai__net_empty(n, decai__tools_put(m, head, "<|message|>"), args);
        decai__net_empty(n, decai__tools_put(m, decai__tools_one(m, head, kind), "<|message|>"), args);
        decai__net_empty(n, decai__tools_arguments(m, args, i), to);
    }
}

void
decai__tools_whole(decai__tools *m, uint32_t from, uint32_t to)
{
    decai__net *n = m->s.net;
    check(m);
    if (n->error) return;
    find_control(m);
    if (m->f->form == DECAI__CALL_CHANNEL) {
        if (m->thinking) decai__tools_fail(m, DECAI_E_INVALID, "thinking: this format has no marks of reasoning");
        put_messages(m, from, to);
        return;
    }
    uint32_t thought = decai__net_state(n), text = decai__net_state(n), call = decai__net_state(n), more = decai__net_state(n);
    uint32_t end = m->must ? DECAI__NONE : to;
    decai__tools_marks first = marks_of(m, text, call, end), next = marks_of(m, more, m->parallel ? call : DECAI__NONE, to), opened = first;
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
    uint32_t behind = decai__tools_calls(m, call);
    decai__net_empty(n, behind, more);
    if (has_control(m, m->f->end)) decai__net_empty(n, decai__tools_put(m, behind, m->f->end), more);
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
