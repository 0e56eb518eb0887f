/* toolcall_accept.c - JSON byte by byte: is what came so far the beginning of a value?
 *
 * The same language as codec's strict JSON but for names that repeat: no NUL, no half of
 * a surrogate pair, at most DECAI_JSON_DEPTH_MAX levels; the bytes are UTF-8 already. A
 * stack of bits says what is an array, so memory is constant and each byte one step.
 */
#include "tok/norm_work.h"
#include "tok/toolcall.h"

enum {
    VALUE, ITEM,                     /* a value; a value or ] */
    MEMBER, NAME, COLON, NEXT,       /* a name or }; a name; , or the end of what is open */
    STRING, ESCAPE, HEX, WORD,
    MINUS, ZERO, DIGITS, POINT, FRACTION, EXPONENT, SIGN, POWER
};

static bool
in_array(const decai__accept *a)
{
    return a->arrays >> (a->depth - 1) & 1;
}

/* A value has ended. */
static int
ended(decai__accept *a)
{
    a->state = NEXT;
    return a->depth ? DECAI__ACCEPT_MORE : DECAI__ACCEPT_DONE;
}

static int
open(decai__accept *a, bool array)
{
    if (a->depth == DECAI_JSON_DEPTH_MAX) return DECAI__ACCEPT_BAD;
    uint64_t bit = (uint64_t)1 << a->depth++;
    a->arrays = array ? a->arrays | bit : a->arrays & ~bit;
    a->state = array ? ITEM : MEMBER;
    return DECAI__ACCEPT_MORE;
}

static int
shut(decai__accept *a, char c)
{
    if (!a->depth || c != (in_array(a) ? ']' : '}')) return DECAI__ACCEPT_BAD;
    a->depth--;
    return ended(a);
}

static int
string(decai__accept *a, bool key)
{
    a->state = STRING;
    a->key = key;
    a->high = false;
    return DECAI__ACCEPT_MORE;
}

static int
value(decai__accept *a, char c)
{
    switch (c) {
    case '{': return open(a, false);
    case '[': return open(a, true);
    case '"': return string(a, false);
    case 't': a->word = "rue"; break;
    case 'f': a->word = "alse"; break;
    case 'n': a->word = "ull"; break;
    case '-': a->state = MINUS; return DECAI__ACCEPT_MORE;
    default:
        if (c < '0' || c > '9') return DECAI__ACCEPT_BAD;
        a->state = c == '0' ? ZERO : DIGITS;
        return DECAI__ACCEPT_MORE;
    }
    a->state = WORD;
    return DECAI__ACCEPT_MORE;
}

/* ---- strings --------------------------------------------------------------------------- */

static int
character(decai__accept *a, uint32_t code)
{
    a->out_len = (uint8_t)decai__utf8_put(code, a->out);
    a->state = STRING;
    return DECAI__ACCEPT_MORE;
}

static int
escape(decai__accept *a, char c)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (c == 'u') {
        a->state = HEX;
        a->digits = 0;
        a->code &= 0xffff0000u;
        return DECAI__ACCEPT_MORE;
    }
    if (a->high) return DECAI__ACCEPT_BAD;
    for (size_t i = 0; from[i]; i++)
        if (c == from[i]) return character(a, (uint8_t)to[i]);
    return DECAI__ACCEPT_BAD;
}

/* A digit of \uXXXX; of a pair, the first half waits in the upper bits of code. */
static int
hex(decai__accept *a, char c)
{
    uint32_t digit = c >= '0' && c <= '9' ? (uint32_t)(c - '0') : (c | 32) >= 'a' && (c | 32) <= 'f' ? (uint32_t)((c | 32) - 'a' + 10) : 16;
    if (digit == 16) return DECAI__ACCEPT_BAD;
    a->code = (a->code & 0xffff0000u) | ((a->code & 0xffffu) << 4 & 0xffffu) | digit;
    if (++a->digits < 4) return DECAI__ACCEPT_MORE;
    uint32_t unit = a->code & 0xffffu;
    bool low = unit >= 0xdc00 && unit < 0xe000;
    if (!unit || low != a->high) return DECAI__ACCEPT_BAD;
    if (low) {
        uint32_t first = a->code >> 16;
        a->high = false;
        return character(a, 0x10000 + ((first - 0xd800) << 10) + (unit - 0xdc00));
    }
    if (unit < 0xd800 || unit >= 0xe000) return character(a, unit);
    a->high = true;
    a->code = unit << 16;
    a->state = STRING;
    return DECAI__ACCEPT_MORE;
}

static int
in_string(decai__accept *a, char c)
{
    if (c == '\\') {
        a->state = ESCAPE;
        return DECAI__ACCEPT_MORE;
    }
    if (a->high || (uint8_t)c < ' ') return DECAI__ACCEPT_BAD;
    if (c != '"') {
        a->out[0] = (uint8_t)c;
        a->out_len = 1;
        return DECAI__ACCEPT_MORE;
    }
    if (!a->key) return ended(a);
    a->state = COLON;
    return DECAI__ACCEPT_MORE;
}

/* ---- numbers ------------------------------------------------------------------------------ */

static int
number(decai__accept *a, char c)
{
    bool digit = c >= '0' && c <= '9', whole = decai__accept_whole(a);
    uint8_t s = a->state;
    if (digit && s != ZERO) {
        a->state = s == MINUS ? (c == '0' ? ZERO : DIGITS) : s == POINT ? FRACTION : s == EXPONENT || s == SIGN ? POWER : s;
        return DECAI__ACCEPT_MORE;
    }
    if (c == '.' && (s == ZERO || s == DIGITS)) a->state = POINT;
    else if ((c | 32) == 'e' && whole && s != POWER) a->state = EXPONENT;
    else if ((c == '+' || c == '-') && s == EXPONENT) a->state = SIGN;
    else if (!whole) return DECAI__ACCEPT_BAD;
    else return a->depth ? (a->state = NEXT, decai__accept_byte(a, c)) : DECAI__ACCEPT_BEFORE;
    return DECAI__ACCEPT_MORE;
}

bool
decai__accept_whole(const decai__accept *a)
{
    return a->state == ZERO || a->state == DIGITS || a->state == FRACTION || a->state == POWER;
}

int
decai__accept_byte(decai__accept *a, char c)
{
    a->out_len = 0;
    switch (a->state) {
    case STRING: return in_string(a, c);
    case ESCAPE: return escape(a, c);
    case HEX: return hex(a, c);
    case WORD:
        if (c != *a->word) return DECAI__ACCEPT_BAD;
        return *++a->word ? DECAI__ACCEPT_MORE : ended(a);
    default:
        if (a->state >= MINUS) return number(a, c);
    }
    if (decai__is_blank(c)) return DECAI__ACCEPT_MORE;
    switch (a->state) {
    case ITEM: return c == ']' ? shut(a, c) : value(a, c);
    case MEMBER: return c == '"' ? string(a, true) : shut(a, c);
    case NAME: return c == '"' ? string(a, true) : DECAI__ACCEPT_BAD;
    case COLON: return c == ':' ? (a->state = VALUE, DECAI__ACCEPT_MORE) : DECAI__ACCEPT_BAD;
    case NEXT: return c == ',' && a->depth ? (a->state = in_array(a) ? VALUE : NAME, DECAI__ACCEPT_MORE) : shut(a, c);
    default: return value(a, c);
    }
}
