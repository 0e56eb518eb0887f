/* jinja_case.c - upper, lower, capitalize, title and swapcase of whole texts.
 *
 * ASCII goes byte by byte; anything else by code point, as Python does it: some
 * become several, and a capital sigma becomes a final one at a word's end. */
#include <string.h>

#include "tok/jinja_tree.h"

/* Is the sigma at p the last letter of a word? begin and end: of the whole text. */
static bool
final_sigma(const char *begin, const char *p, const char *end)
{
    const char *q = p;
    uint32_t c = 0;
    bool cased = false;
    while (q > begin) {
        const char *s;
        do q--;
        while (q > begin && ((uint8_t)*q & 0xc0) == 0x80);
        s = q;
        c = decai__j_rune(&s, end);
        if (decai__j_is_ignorable(c)) continue;
        cased = decai__j_is_cased(c);
        break;
    }
    if (!cased) return false;
    decai__j_rune(&p, end);
    while (p < end) {
        c = decai__j_rune(&p, end);
        if (!decai__j_is_ignorable(c)) return !decai__j_is_cased(c);
    }
    return true;
}

static size_t
lower_at(const char *begin, const char *p, const char *end, uint32_t c, uint32_t to[3])
{
    if (c != 0x3a3) return decai__j_lower(c, to);
    to[0] = final_sigma(begin, p, end) ? 0x3c2 : 0x3c3;
    return 1;
}

static decai__j_val
ascii_case(decai__j_run *r, decai__j_val s, bool upper)
{
    uint32_t i = 0;
    char a = upper ? 'a' : 'A', z = upper ? 'z' : 'Z';
    while (i < s.n && !(s.u.s[i] >= a && s.u.s[i] <= z)) i++;
    if (i == s.n) return s;                          /* nothing to change */
    char *p = decai__j_alloc(r, s.n);
    if (!p) return s;
    for (i = 0; i < s.n; i++) p[i] = s.u.s[i] >= a && s.u.s[i] <= z ? (char)(s.u.s[i] ^ 32) : s.u.s[i];
    s.u.s = p;
    return s;
}

decai__j_val
decai__j_str_case(decai__j_run *r, decai__j_val s, char how)
{
    if (!decai__j_pay_bytes(r, s.n)) return s;
    if ((how == 'u' || how == 'l') && decai__j_ascii(s.u.s, s.n)) return ascii_case(r, s, how == 'u');
    decai__j_pay(r, s.n / 2);
    const char *begin = s.u.s, *end = begin + s.n, *p = begin;
    size_t from = r->out.len;
    bool first = true, inside = false;
    while (p < end) {
        const char *at = p;
        uint32_t c = decai__j_rune(&p, end), to[3];
        bool up = how == 'u' || (how == 's' && decai__j_is_lower(c)), keep = how == 's' && !up && !decai__j_is_upper(c);
        bool title = (how == 'c' && first) || (how == 't' && !inside);
        size_t n = title ? decai__j_title(c, to) : up ? decai__j_upper(c, to) : lower_at(begin, at, end, c, to);
        if (keep) decai__j_put_rune(r, c);
        for (size_t i = 0; i < n && !keep; i++) decai__j_put_rune(r, to[i]);
        inside = decai__j_is_cased(c);
        first = false;
    }
    decai__j_val out = decai__j_taken(r, from);
    out.flag = s.flag;
    return out;
}
