/* schema_string.c - strings of a JSON Schema, in JSON's spelling.
 *
 * A character is itself, or \" \\ \/ \b \f \n \r \t, or \uXXXX; characters beyond U+FFFF
 * are two of the latter, and halves of such pairs and U+0000 are not written. minLength
 * and maxLength count characters. Strings of more than SHORT characters at most have no
 * \uXXXX: a character is then 9 states instead of 24.
 *
 * A format is a regular expression of ours (schema_pattern.c), narrower than the format:
 *
 *     date        years 0001..9999, days as the month has them, 29 February left out
 *     time        hh:mm:ss, fractions, Z or an offset; no leap second
 *     date-time   both, joined by T
 *     uuid ipv4 ipv6 (eight groups) hostname email uri (scheme://...) duration
 */
#include <string.h>

#include "tok/schema.h"

#define SHORT 256

/* ---- one character ---------------------------------------------------------------------- */

static void
bytes(decai__net *n, uint32_t from, uint32_t to, const char *ranges)
{
    for (; *ranges; ranges += 2) decai__net_bytes(n, from, to, (uint8_t)ranges[0], (uint8_t)ranges[1]);
}

#define HEX "09afAF"

/* \uXXXX behind the u, to `to`. */
static void
hex_escape(decai__net *n, uint32_t from, uint32_t to)
{
    uint32_t h3 = decai__net_state(n), h2 = decai__net_state(n), h1 = decai__net_state(n), d = decai__net_state(n);
    uint32_t z3 = decai__net_state(n), z2 = decai__net_state(n), z1 = decai__net_state(n);
    uint32_t s2 = decai__net_state(n), s1 = decai__net_state(n), low = decai__net_state(n), lu = decai__net_state(n), ld = decai__net_state(n), lh = decai__net_state(n);
    bytes(n, from, h3, "19acAC""efEF");
    bytes(n, h3, h2, HEX);
    bytes(n, h2, h1, HEX);
    bytes(n, h1, to, HEX);
    bytes(n, from, z3, "00");                        /* 0000 is none */
    bytes(n, z3, h2, "19afAF");
    bytes(n, z3, z2, "00");
    bytes(n, z2, h1, "19afAF");
    bytes(n, z2, z1, "00");
    bytes(n, z1, to, "19afAF");
    bytes(n, from, d, "ddDD");                       /* D800..DBFF, then DC00..DFFF */
    bytes(n, d, h2, "07");
    bytes(n, d, s2, "89abAB");
    bytes(n, s2, s1, HEX);
    bytes(n, s1, low, HEX);
    bytes(n, low, lu, "\\\\");
    bytes(n, lu, ld, "uu");
    bytes(n, ld, lh, "ddDD");
    uint32_t last = decai__net_state(n);
    bytes(n, lh, last, "cfCF");
    bytes(n, last, h1, HEX);
}

void
decai__schema_character(decai__net *n, uint32_t from, uint32_t to, enum decai__spelling form)
{
    static const decai__range plain[] = { { 0x20, 0x21 }, { 0x23, 0x5b }, { 0x5d, 0x10ffff } };
    decai__net_ranges(n, from, to, plain, 3);
    if (form == DECAI__SPELL_PLAIN) return;
    uint32_t escape = decai__net_state(n);
    bytes(n, from, escape, "\\\\");
    bytes(n, escape, to, "\"\"\\\\//bbffnnrrtt");
    if (form == DECAI__SPELL_ESCAPES) return;
    uint32_t u = decai__net_state(n);
    bytes(n, escape, u, "uu");
    hex_escape(n, u, to);
}

void
decai__schema_any_string(decai__net *n, uint32_t from, uint32_t to, uint64_t least, uint64_t most)
{
    uint32_t first = decai__net_state(n), last = decai__net_state(n);
    decai__piece p = { first, 0, first, last };
    decai__schema_character(n, first, last, most == UINT64_MAX || most <= SHORT ? DECAI__SPELL_UNICODE : DECAI__SPELL_ESCAPES);
    p.last = n->error ? first : (uint32_t)n->states - 1;
    p = decai__net_repeat(n, p, (uint32_t)DECAI__MIN(least, DECAI_GRAMMAR_STATE_MAX + 1),
        most == UINT64_MAX ? DECAI__NONE : (uint32_t)DECAI__MIN(most, DECAI_GRAMMAR_STATE_MAX + 1));
    decai__net_bytes(n, from, p.from, '"', '"');
    decai__net_bytes(n, p.to, to, '"', '"');
}

/* ---- given texts and sets --------------------------------------------------------------------- */

static const char escaped[] = "\bb\ff\nn\rr\tt\"\"\\\\";

static void
hex_byte(decai__net *n, uint32_t from, uint32_t to, uint32_t c)
{
    static const char digits[] = "0123456789abcdef";
    char text[6] = { '\\', 'u', '0', '0', digits[c >> 4 & 15], digits[c & 15] };
    decai__net_empty(n, decai__net_text(n, from, text, 6), to);
}

/* A character that a string cannot hold as itself. */
static void
escape(decai__net *n, uint32_t from, uint32_t to, uint32_t c)
{
    for (const char *e = escaped; *e; e += 2)
        if ((uint8_t)*e == c) {
            char text[2] = { '\\', e[1] };
            decai__net_empty(n, decai__net_text(n, from, text, 2), to);
            return;
        }
    hex_byte(n, from, to, c);
}

/* Characters as themselves go into the net together: their last bytes are then shared. */
void
decai__schema_characters(decai__net *n, uint32_t from, uint32_t to, const decai__range *set, size_t count)
{
    static const decai__range plain[] = { { 0x20, 0x21 }, { 0x23, 0x5b }, { 0x5d, 0x10ffff } };
    decai__range parts[64];
    size_t ready = 0;
    for (size_t i = 0; i < count && !n->error; i++) {
        decai__range r = set[i];
        for (uint32_t c = DECAI__MAX(r.low, 1); c < 0x20 && c <= r.high; c++) escape(n, from, to, c);
        if (r.low <= '"' && '"' <= r.high) escape(n, from, to, '"');
        if (r.low <= '\\' && '\\' <= r.high) escape(n, from, to, '\\');
        for (size_t k = 0; k < 3; k++) {
            decai__range part = { DECAI__MAX(r.low, plain[k].low), DECAI__MIN(r.high, plain[k].high) };
            if (part.low > part.high) continue;
            parts[ready++] = part;
            if (ready < DECAI__COUNT(parts)) continue;
            decai__net_ranges(n, from, to, parts, ready);
            ready = 0;
        }
    }
    decai__net_ranges(n, from, to, parts, ready);
}

uint32_t
decai__schema_text(decai__net *n, uint32_t from, const char *text, size_t len)
{
    for (size_t i = 0; i < len && !n->error; i++) {
        uint8_t b = (uint8_t)text[i];
        uint32_t to = decai__net_state(n);
        if (b < 0x20 || b == '"' || b == '\\') escape(n, from, to, b);
        else decai__net_bytes(n, from, to, b, b);
        from = to;
    }
    return from;
}

/* ---- strings of a schema ---------------------------------------------------------------------------- */

#define YEAR  "(?:[0-9]{3}[1-9]|[0-9]{2}[1-9]0|[0-9][1-9]00|[1-9]000)"
#define DATE  YEAR "-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))"
#define TIME  "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,9})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
#define BYTE  "(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define LABEL "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"

static const struct { const char *name, *pattern; } formats[] = {
    { "date", "^" DATE "$" }, { "time", "^" TIME "$" }, { "date-time", "^" DATE "T" TIME "$" },
    { "uuid", "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$" },
    { "ipv4", "^" BYTE "(?:\\." BYTE "){3}$" }, { "ipv6", "^[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4}){7}$" },
    { "hostname", "^" LABEL "(?:\\." LABEL "){0,3}$" },
    { "email", "^[A-Za-z0-9_+-]{1,32}(?:\\.[A-Za-z0-9_+-]{1,31})?@" LABEL "(?:\\." LABEL "){1,3}$" },
    { "uri", "^[a-z][a-z0-9+.-]*://[A-Za-z0-9._~:@!$&'()*+,;=-]+(?:/[A-Za-z0-9._~:@!$&'()*+,;=-]*)*(?:\\?[A-Za-z0-9._~:@!$&'()*+,;=/?-]*)?$" },
    { "duration", "^P(?:[0-9]+W|(?:[0-9]+Y)?(?:[0-9]+M)?[0-9]+D(?:T[0-9]+H(?:[0-9]+M)?)?|T(?:[0-9]+H)?(?:[0-9]+M)?[0-9]+S|T[0-9]+[HM])$" },
};

static const char *
format_pattern(decai__schema *s, const decai__json_node *format)
{
    const char *name;
    size_t len;
    if (decai__json_str(s->doc, format, &name, &len)) {
        decai__schema_fail(s, DECAI_E_CORRUPT, "format", "not a text");
        return NULL;
    }
    for (size_t i = 0; i < DECAI__COUNT(formats); i++)
        if (!strcmp(formats[i].name, name)) return formats[i].pattern;
    decai__schema_fail(s, DECAI_E_UNSUPPORTED, "format", "this format is not built");
    return NULL;
}

uint32_t
decai__schema_string(decai__schema *s, uint32_t from, const decai__all *all)
{
    decai__net *n = s->net;
    const decai__json_node *pattern = decai__schema_only(s, all, "pattern"), *format = decai__schema_only(s, all, "format");
    uint64_t least = decai__schema_count(s, all, "minLength", true, 0), most = decai__schema_count(s, all, "maxLength", false, UINT64_MAX);
    const char *text = NULL;
    size_t len = 0;
    bool fresh;
    if (pattern && decai__json_str(s->doc, pattern, &text, &len)) decai__schema_fail(s, DECAI_E_CORRUPT, "pattern", "not a text");
    if (pattern && format) decai__schema_fail(s, DECAI_E_UNSUPPORTED, "format", "not built beside pattern");
    if ((pattern || format) && (least || most < UINT64_MAX))
        decai__schema_fail(s, DECAI_E_UNSUPPORTED, least ? "minLength" : "maxLength", "not built beside pattern or format");
    if (format && !n->error) {
        text = format_pattern(s, format);
        len = text ? strlen(text) : 0;
    }
    if (n->error) return from;
    if (text) return decai__net_text(n, decai__schema_pattern(s, decai__net_text(n, from, "\"", 1), text, len), "\"", 1);
    if (!least && most == UINT64_MAX) return decai__schema_shared(s, from, DECAI__S_STRING);
    if (most < least) return decai__net_state(n);    /* nothing leads there */
    uint32_t rule = decai__schema_rule(s, formats, least, most, &fresh);
    if (fresh && !n->error) decai__schema_any_string(n, n->rules[rule].start, n->rules[rule].end, least, most);
    return n->error ? from : decai__schema_call(s, from, rule);
}
