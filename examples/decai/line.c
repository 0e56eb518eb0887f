/* line.c - a line editor for a terminal that knows the usual escape sequences.
 *
 * The terminal stays raw from one line to the next, so that no key becomes a signal
 * in between, until line_release or the end of the program. After each key the whole line is
 * drawn again: up to the row where the prompt began, clear, prompt and text, then
 * back to the cursor. Columns are counted by character width, so wide and combining
 * characters stay in place.
 *
 *     Left Right Home End, ^B ^F ^A ^E     move       Alt-B Alt-F, ^Left ^Right   by words
 *     Backspace Delete ^H ^D               one character
 *     ^W ^U ^K                             word before; all before; all behind
 *     Up Down ^P ^N                        history    ^L  clear the screen
 *     Enter  done    Alt-Enter  a line end inside    ^C  interrupted    ^D on nothing  the end
 *
 * A pasted text (bracketed paste) is taken as it is, line ends inside included. */
#define _XOPEN_SOURCE 700

#include "line.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>
#include <wchar.h>

struct line {
    bool terminal;
    const char *path;
    char *history[LINE_HISTORY_MAX];
    size_t count;
    /* of the line at hand */
    text now, kept;                  /* kept: what was typed while history is shown */
    size_t at, shown;                /* cursor, in bytes; place in the history (count: none) */
    int row;                         /* the cursor's, from the prompt's */
    const char *prompt;
    struct termios before;
};

/* Names for keys that are escape sequences, above every byte. */
enum { LEFT = 256, RIGHT, UP, DOWN, HOME, END, DELETE, WORD_LEFT, WORD_RIGHT, NEW_LINE, PASTE, PASTE_END, OTHER };

/* ---- characters --------------------------------------------------------------- */

static bool inside(char c) { return ((unsigned char)c & 0xc0) == 0x80; }

/* Columns of the character at p, and where the next one begins. */
static int
width(const char *p, const char *end, const char **next)
{
    wchar_t c;
    mbstate_t state = {0};
    size_t n = mbrtowc(&c, p, (size_t)(end - p), &state);
    if (n == 0 || n == (size_t)-1 || n == (size_t)-2) {
        *next = p + 1;
        return 1;
    }
    *next = p + n;
    int w = wcwidth(c);
    return w < 0 ? 1 : w;            /* control characters are drawn as one sign */
}

/* The place before the character that ends at `at`: what combines goes with its letter. */
static size_t
back(const text *t, size_t at)
{
    const char *next;
    while (at) {
        for (at--; at && inside(t->data[at]); at--) { }
        if (width(t->data + at, t->data + t->len, &next)) break;
    }
    return at;
}

static size_t
forward(const text *t, size_t at)
{
    const char *next;
    if (at == t->len) return at;
    (void)width(t->data + at, t->data + t->len, &next);
    at = (size_t)(next - t->data);
    while (at < t->len && !width(t->data + at, t->data + t->len, &next)) at = (size_t)(next - t->data);
    return at;
}

static bool blank(char c) { return c == ' ' || c == '\n' || c == '\t'; }

static size_t
word_back(const text *t, size_t at)
{
    while (at && blank(t->data[at - 1])) at--;
    while (at && !blank(t->data[at - 1])) at--;
    return at;
}

static size_t
word_forward(const text *t, size_t at)
{
    while (at < t->len && blank(t->data[at])) at++;
    while (at < t->len && !blank(t->data[at])) at++;
    return at;
}

/* ---- drawing ---------------------------------------------------------------------- */

static int
columns(void)
{
    struct winsize w;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) || w.ws_col < 8 ? 80 : w.ws_col;
}

static void
out(const char *data, size_t len)
{
    while (len) {
        ssize_t n = write(STDOUT_FILENO, data, len);
        if (n < 0 && errno != EINTR) return;
        if (n > 0) data += n, len -= (size_t)n;
    }
}

/* One character into the frame; the column after it. A terminal leaves the cursor
 * on the last column until the next character comes: the frame breaks lines itself. */
static void
put(text *frame, const char *p, const char *next, int w, int wide, int *row, int *column)
{
    if (*column + w > wide) {
        text_add(frame, "\r\n", 2);
        *column = 0;
        ++*row;
    }
    unsigned char c = (unsigned char)*p;
    if (c < 0x20 || c == 0x7f) text_add(frame, "\xc2\xb7", 2);   /* a dot for what cannot be drawn */
    else text_add(frame, p, (size_t)(next - p));
    *column += w;
}

static void
draw(line *l)
{
    text frame = {0};
    int wide = columns(), row = 0, column = 0, cursor_row = 0, cursor_column = 0;
    const char *next, *end = l->now.data + l->now.len;

    if (l->row) text_printf(&frame, "\033[%dA", l->row);
    text_add(&frame, "\r\033[J", 4);
    for (const char *p = l->prompt, *stop = p + strlen(p); p < stop; p = next) {
        int w = width(p, stop, &next);
        put(&frame, p, next, w, wide, &row, &column);
    }
    for (const char *p = l->now.data;; p = next) {
        if (p == l->now.data + l->at) cursor_row = row, cursor_column = column;
        if (p == end) break;
        int w = width(p, end, &next);
        if (*p == '\n') {
            text_add(&frame, "\r\n", 2);
            row++;
            column = 0;
        } else {
            put(&frame, p, next, w, wide, &row, &column);
        }
    }
    if (cursor_column == wide) {
        cursor_row++;
        cursor_column = 0;
        if (cursor_row > row) text_add(&frame, "\r\n", 2), row++;
    }
    if (row > cursor_row) text_printf(&frame, "\033[%dA", row - cursor_row);
    text_add(&frame, "\r", 1);
    if (cursor_column) text_printf(&frame, "\033[%dC", cursor_column);
    out(frame.data, frame.len);
    l->row = cursor_row;
    text_free(&frame);
}

/* ---- keys -------------------------------------------------------------------------- */

static int
byte_in(void)
{
    unsigned char c;
    ssize_t n;
    do n = read(STDIN_FILENO, &c, 1);
    while (n < 0 && errno == EINTR);
    return n == 1 ? c : -1;
}

/* Behind ESC [: digits and semicolons, then a letter or ~. */
static int
sequence(void)
{
    static const struct { const char *name; int key; } known[] = {
        {"A", UP}, {"B", DOWN}, {"C", RIGHT}, {"D", LEFT}, {"H", HOME}, {"F", END}, {"1~", HOME}, {"7~", HOME}, {"4~", END},
        {"8~", END}, {"3~", DELETE}, {"1;5C", WORD_RIGHT}, {"1;5D", WORD_LEFT}, {"1;3C", WORD_RIGHT}, {"1;3D", WORD_LEFT},
        {"200~", PASTE}, {"201~", PASTE_END},
    };
    char name[16] = {0};
    for (size_t n = 0; n + 1 < sizeof name; n++) {
        int c = byte_in();
        if (c < 0) return -1;
        name[n] = (char)c;
        if (c >= 0x40 && c <= 0x7e) break;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(name, known[i].name)) return known[i].key;
    return OTHER;
}

static int
key_in(void)
{
    int c = byte_in();
    if (c != 27) return c;
    c = byte_in();
    if (c == '[') return sequence();
    if (c == 'O') {
        c = byte_in();
        return c == 'H' ? HOME : c == 'F' ? END : c == 'A' ? UP : c == 'B' ? DOWN : c == 'C' ? RIGHT : c == 'D' ? LEFT : OTHER;
    }
    return c == 'b' ? WORD_LEFT : c == 'f' ? WORD_RIGHT : c == '\r' || c == '\n' ? NEW_LINE : c < 0 ? -1 : OTHER;
}

/* ---- editing -------------------------------------------------------------------------- */

static void
insert(line *l, const char *data, size_t len)
{
    size_t behind = l->now.len - l->at;
    if (l->now.len + len > LINE_BYTES_MAX) return;
    text_reserve(&l->now, l->now.len + len);
    memmove(l->now.data + l->at + len, l->now.data + l->at, behind);
    memcpy(l->now.data + l->at, data, len);
    l->at += len;
}

static void
erase(line *l, size_t from, size_t to)
{
    memmove(l->now.data + from, l->now.data + to, l->now.len - to);
    text_reserve(&l->now, l->now.len - (to - from));
    l->at = from;
}

/* Whatever comes up to the end of the paste, line ends as \n. */
static void
paste(line *l)
{
    text got = {0};
    for (int c; (c = key_in()) != PASTE_END && c >= 0;) {
        char byte = (char)(c == '\r' ? '\n' : c);
        if (c < 256 && byte != 0) text_add(&got, &byte, 1);
    }
    if (got.len) insert(l, got.data, got.len);
    text_free(&got);
}

static void
show_history(line *l, size_t place)
{
    if (place > l->count) return;
    if (l->shown == l->count) {
        text_reserve(&l->kept, 0);
        text_add(&l->kept, l->now.data, l->now.len);
    }
    const char *from = place == l->count ? l->kept.data : l->history[place];
    size_t len = place == l->count ? l->kept.len : strlen(from);
    l->shown = place;
    text_reserve(&l->now, 0);
    text_add(&l->now, from, len);
    l->at = len;
}

static void
edit(line *l, int key)
{
    text *t = &l->now;
    switch (key) {
    case LEFT: case 2: l->at = back(t, l->at); break;
    case RIGHT: case 6: l->at = forward(t, l->at); break;
    case HOME: case 1: l->at = 0; break;
    case END: case 5: l->at = t->len; break;
    case WORD_LEFT: l->at = word_back(t, l->at); break;
    case WORD_RIGHT: l->at = word_forward(t, l->at); break;
    case 8: case 127: erase(l, back(t, l->at), l->at); break;
    case DELETE: case 4: erase(l, l->at, forward(t, l->at)); break;
    case 21: erase(l, 0, l->at); break;
    case 11: erase(l, l->at, t->len); break;
    case 23: erase(l, word_back(t, l->at), l->at); break;
    case UP: case 16: if (l->shown) show_history(l, l->shown - 1); break;
    case DOWN: case 14: show_history(l, l->shown + 1); break;
    case NEW_LINE: insert(l, "\n", 1); break;
    case PASTE: paste(l); break;
    case 12:
        out("\033[H\033[2J", 7);
        l->row = 0;
        break;
    default:
        if (key >= 32 && key < 256) {
            char c = (char)key;
            insert(l, &c, 1);
        }
    }
}

/* LINE_*, or -1: go on. */
static int
ends(const line *l, int key)
{
    if (key == '\r' || key == '\n') return LINE_READ;
    if (key == 3) return LINE_INTERRUPTED;
    return key < 0 || (key == 4 && !l->now.len) ? LINE_END : -1;
}

/* More of a character, or of a burst of keys, is there already: draw later. */
static bool
more(const line *l)
{
    int waiting = 0;
    return (l->at && inside(l->now.data[l->at - 1]) && l->at < l->now.len) || (!ioctl(STDIN_FILENO, FIONREAD, &waiting) && waiting > 0);
}

/* The terminal as it was: for whoever leaves by exit() meanwhile. */
static struct termios found;
static bool is_raw;

void
line_release(void)
{
    if (is_raw) tcsetattr(STDIN_FILENO, TCSADRAIN, &found);
    is_raw = false;
}

static bool
take_terminal(const line *l)
{
    struct termios raw = l->before;
    raw.c_iflag &= (tcflag_t)~(BRKINT | ICRNL | INPCK | ISTRIP | IXON);
    raw.c_lflag &= (tcflag_t)~(ECHO | ICANON | IEXTEN | ISIG);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    found = l->before;
    is_raw = is_raw || !tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    return is_raw;
}

static int
edit_line(line *l)
{
    int key, end;
    if (!take_terminal(l)) return LINE_END;
    out("\033[?2004h", 8);
    draw(l);
    while ((end = ends(l, key = key_in())) < 0) {
        edit(l, key);
        if (!more(l)) draw(l);
    }
    l->at = l->now.len;
    draw(l);
    out("\033[?2004l\r\n", 10);
    return end;
}

/* ---- history ---------------------------------------------------------------------------- */

static void
remember(line *l, const char *data)
{
    if (!*data || (l->count && !strcmp(l->history[l->count - 1], data))) return;
    char *copy = strdup(data);
    if (!copy) return;
    if (l->count == LINE_HISTORY_MAX) {
        free(l->history[0]);
        memmove(l->history, l->history + 1, (LINE_HISTORY_MAX - 1) * sizeof *l->history);
        l->count--;
    }
    l->history[l->count++] = copy;
}

/* One line a line; line ends inside are written as \n, backslashes as \\. */
static void
history_read(line *l)
{
    FILE *f = fopen(l->path, "r");
    char *row = NULL;
    size_t cap = 0;
    for (ssize_t n; f && (n = getline(&row, &cap, f)) > 0;) {
        char *to = row;
        for (const char *p = row; *p && *p != '\n'; p++) {
            if (*p == '\\' && p[1]) *to++ = *++p == 'n' ? '\n' : *p;
            else *to++ = *p;
        }
        *to = 0;
        remember(l, row);
    }
    free(row);
    if (f) fclose(f);
}

static void
history_write(const line *l)
{
    int fd = open(l->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    for (size_t i = 0; f && i < l->count; i++) {
        for (const char *p = l->history[i]; *p; p++)
            if (*p == '\n') fputs("\\n", f);
            else if (*p == '\\') fputs("\\\\", f);
            else fputc(*p, f);
        fputc('\n', f);
    }
    if (f) fclose(f);
    else if (fd >= 0) close(fd);
}

/* ---- the door ---------------------------------------------------------------------------- */

line *
line_open(const char *path)
{
    const char *term = getenv("TERM");
    line *l = calloc(1, sizeof *l);
    if (!l) die(EXIT_FAILED, "out of memory");
    l->path = path;
    l->terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && !(term && !strcmp(term, "dumb")) && !tcgetattr(STDIN_FILENO, &l->before);
    if (l->terminal && atexit(line_release)) l->terminal = false;
    if (!setlocale(LC_CTYPE, "C.UTF-8")) setlocale(LC_CTYPE, "");    /* widths of characters */
    if (l->terminal && path) history_read(l);
    return l;
}

void
line_close(line *l)
{
    if (!l) return;
    line_release();
    if (l->terminal && l->path) history_write(l);
    for (size_t i = 0; i < l->count; i++) free(l->history[i]);
    text_free(&l->now);
    text_free(&l->kept);
    free(l);
}

static int
plain_line(line *l)
{
    int c;
    while ((c = getchar()) != EOF && c != '\n') {
        char byte = (char)c;
        if (l->now.len < LINE_BYTES_MAX) text_add(&l->now, &byte, 1);
    }
    return c == EOF && !l->now.len ? LINE_END : LINE_READ;
}

int
line_read(line *l, text *line_out, const char *prompt)
{
    fflush(stdout);
    text_reserve(&l->now, 0);
    text_reserve(&l->kept, 0);
    l->at = 0;
    l->row = 0;
    l->shown = l->count;
    l->prompt = prompt;
    int r = l->terminal ? edit_line(l) : plain_line(l);
    text_reserve(line_out, 0);
    if (r == LINE_READ) {
        text_add(line_out, l->now.data, l->now.len);
        if (l->terminal) remember(l, l->now.data);
    }
    return r;
}
