/* jinja_float.c - doubles to text and back, exactly, without the C library.
 *
 * Python prints the shortest decimal that reads back as the same double, and
 * rounds what it is asked to round half to even on the exact binary value. The
 * C library's own functions follow the host's locale, so this is done here with
 * big integers: Steele and White, "How to print floating-point numbers
 * accurately" (1990), in Dragon4's form; reading is long division of the digits
 * by the power of ten. Short decimals (up to 15 digits, powers up to 10^22) are
 * exact in double arithmetic and take the short way, after Clinger (1990). */
#include <math.h>
#include <string.h>

#include "tok/jinja_tree.h"

/* ---- big integers: little-endian words ----------------------------------------- */

enum { BIG_WORDS = 256, DIGITS_READ = 800 };       /* 8192 bits; 800 digits and 10^1200 fit */
typedef struct big { uint32_t n; uint32_t w[BIG_WORDS]; } big;

static void
big_trim(big *b)
{
    while (b->n && !b->w[b->n - 1]) b->n--;
}

static void
big_set(big *b, uint64_t v)
{
    b->w[0] = (uint32_t)v;
    b->w[1] = (uint32_t)(v >> 32);
    b->n = 2;
    big_trim(b);
}

/* b = b * m + add */
static void
big_mul(big *b, uint32_t m, uint32_t add)
{
    uint64_t carry = add;
    for (uint32_t i = 0; i < b->n; i++) {
        carry += (uint64_t)b->w[i] * m;
        b->w[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry && b->n < BIG_WORDS) b->w[b->n++] = (uint32_t)carry;
}

static void
big_pow10(big *b, int e)
{
    for (; e >= 9; e -= 9) big_mul(b, 1000000000, 0);
    for (; e > 0; e--) big_mul(b, 10, 0);
}

static void
big_shift(big *b, uint32_t bits)
{
    uint32_t words = bits / 32;
    bits %= 32;
    if (!b->n || b->n + words + 1 > BIG_WORDS) return;
    b->w[b->n] = 0;
    for (uint32_t i = b->n + 1; i-- > 0;) {
        uint32_t low = bits && i ? b->w[i - 1] >> (32 - bits) : 0;
        b->w[i + words] = b->w[i] << bits | low;
    }
    memset(b->w, 0, words * sizeof b->w[0]);
    b->n += words + 1;
    big_trim(b);
}

static int
big_cmp(const big *a, const big *b)
{
    if (a->n != b->n) return a->n < b->n ? -1 : 1;
    for (uint32_t i = a->n; i-- > 0;)
        if (a->w[i] != b->w[i]) return a->w[i] < b->w[i] ? -1 : 1;
    return 0;
}

static void
big_sub(big *a, const big *b)
{
    int64_t borrow = 0;
    for (uint32_t i = 0; i < a->n; i++) {
        borrow += (int64_t)a->w[i] - (i < b->n ? b->w[i] : 0);
        a->w[i] = (uint32_t)borrow;
        borrow >>= 32;
    }
    big_trim(a);
}

static int
big_cmp_sum(const big *a, const big *b, const big *c)     /* a + b against c */
{
    big sum = *a;
    uint64_t carry = 0;
    for (uint32_t i = 0; i < b->n || carry; i++) {
        if (i >= sum.n) sum.w[sum.n++] = 0;
        carry += (uint64_t)sum.w[i] + (i < b->n ? b->w[i] : 0);
        sum.w[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return big_cmp(&sum, c);
}

static uint32_t
big_bits(const big *b)
{
    return b->n ? b->n * 32 - (uint32_t)__builtin_clz(b->w[b->n - 1]) : 0;
}

/* The next decimal digit of num / den < 10; num keeps the rest. */
static int
big_digit(big *num, const big *den)
{
    int d = 0;
    while (big_cmp(num, den) >= 0) {
        big_sub(num, den);
        d++;
    }
    return d;
}

/* ---- printing ---------------------------------------------------------------------- */

/* v = num / den * 10^exp10 with 1 <= num / den < 10; up and down are half the
 * distances to v's neighbours on the same scale. */
typedef struct scaled { big num, den, up, down; int exp10; bool even; } scaled;

static void
scale(scaled *s, double v)
{
    uint64_t bits, m;
    memcpy(&bits, &v, sizeof bits);
    int e = (int)(bits >> 52 & 0x7ff);
    m = bits & 0xfffffffffffffu;
    bool edge = m == 0 && e > 1;                    /* the lower neighbour is nearer */
    if (e) m |= 1ull << 52;
    else e = 1;
    e -= 1075;
    s->even = !(m & 1);
    big_set(&s->num, m);
    big_set(&s->den, 1);
    big_set(&s->up, 1);
    big_shift(&s->num, (uint32_t)(e > 0 ? e : 0) + 1 + edge);
    big_shift(&s->den, (uint32_t)(e < 0 ? -e : 0) + 1 + edge);
    big_shift(&s->up, (uint32_t)(e > 0 ? e : 0));
    s->down = s->up;
    if (edge) big_shift(&s->up, 1);
    int k = (int)floor(log10(v) + 1e-9);            /* right, or one off */
    if (k >= 0) {
        big_pow10(&s->den, k);
    } else {
        big_pow10(&s->num, -k);
        big_pow10(&s->up, -k);
        big_pow10(&s->down, -k);
    }
    if (big_cmp(&s->num, &s->den) < 0) {
        k--;
        big_mul(&s->num, 10, 0);
        big_mul(&s->up, 10, 0);
        big_mul(&s->down, 10, 0);
    }
    big ten = s->den;
    big_mul(&ten, 10, 0);
    if (big_cmp(&s->num, &ten) >= 0) {
        k++;
        s->den = ten;
    }
    s->exp10 = k;
}

/* One more in the last place; true if all were nines and it became 1 of the next power. */
static bool
bump(char *digits, int n)
{
    for (int i = n; i-- > 0;) {
        if (digits[i] != '9') {
            digits[i]++;
            return false;
        }
        digits[i] = '0';
    }
    digits[0] = '1';
    return true;
}

int
decai__j_digits_shortest(double v, char digits[17], int *exp10)
{
    scaled s;
    int n = 0;
    scale(&s, v);
    for (;;) {
        int d = big_digit(&s.num, &s.den);
        int low = big_cmp(&s.num, &s.down), high = big_cmp_sum(&s.num, &s.up, &s.den);
        bool under = s.even ? low <= 0 : low < 0, over = s.even ? high >= 0 : high > 0;
        digits[n++] = (char)('0' + d);
        if (under || over || n == 17) {
            bool round_up = over;
            if (under && over) {
                big_mul(&s.num, 2, 0);
                int c = big_cmp(&s.num, &s.den);
                round_up = c > 0 || (c == 0 && d % 2);
            }
            if (round_up && bump(digits, n)) s.exp10++;
            break;
        }
        big_mul(&s.num, 10, 0);
        big_mul(&s.up, 10, 0);
        big_mul(&s.down, 10, 0);
    }
    while (n > 1 && digits[n - 1] == '0') n--;
    *exp10 = s.exp10;
    return n;
}

int
decai__j_digits_exact(double v, int count, bool fixed, char *digits, int cap, int *exp10)
{
    scaled s;
    scale(&s, v);
    int n = fixed ? s.exp10 + 1 + count : count;
    *exp10 = s.exp10;
    if (n < 0) return 0;
    if (n > cap) n = cap;
    for (int i = 0; i < n; i++) {
        digits[i] = (char)('0' + big_digit(&s.num, &s.den));
        if (i + 1 < n) big_mul(&s.num, 10, 0);
    }
    if (n == 0) big_mul(&s.den, 10, 0);             /* the digit before the first one is 0 */
    big_mul(&s.num, 2, 0);
    int c = big_cmp(&s.num, &s.den);
    if (c > 0 || (c == 0 && n && (digits[n - 1] - '0') % 2)) {
        if (n == 0) {
            digits[n++] = '1';
            ++*exp10;
        } else if (bump(digits, n)) {
            ++*exp10;
            if (fixed && n < cap) digits[n++] = '0';
        }
    }
    return n;
}

static void
put_exponent(decai__j_run *r, int e)
{
    decai__j_put_byte(r, 'e');
    decai__j_put_byte(r, e < 0 ? '-' : '+');
    if (e < 0) e = -e;
    if (e < 10) decai__j_put_byte(r, '0');
    decai__j_put_int(r, e);
}

static bool
put_special(decai__j_run *r, double v)
{
    if (v != v) decai__j_put_lit(r, "nan");
    else if (v - v != 0) decai__j_put_lit(r, v > 0 ? "inf" : "-inf");
    else return false;
    return true;
}

static void
put_zeros(decai__j_run *r, int n)
{
    while (n-- > 0) decai__j_put_byte(r, '0');
}

/* Digits with the point where exp10 puts it; at least `after` places behind it. */
static void
put_plain(decai__j_run *r, const char *digits, int n, int exp10, int after)
{
    int whole = exp10 + 1;
    if (whole <= 0) decai__j_put_byte(r, '0');
    else decai__j_put(r, digits, (size_t)(n < whole ? n : whole));
    put_zeros(r, whole - (whole > 0 ? n : whole));
    int places = n > whole ? n - whole : 0;
    if (places < after) places = after;
    if (!places) return;
    decai__j_put_byte(r, '.');
    int zeros = whole < 0 ? -whole : 0;
    if (zeros > places) zeros = places;
    put_zeros(r, zeros);
    int from = whole > 0 ? whole : 0, have = n > from ? n - from : 0;
    if (have > places - zeros) have = places - zeros;
    if (have > 0) decai__j_put(r, digits + from, (size_t)have);
    put_zeros(r, places - zeros - have);
}

static void
put_scientific(decai__j_run *r, const char *digits, int n, int exp10, int after)
{
    decai__j_put(r, digits, 1);
    if (n > 1 || after > 0) decai__j_put_byte(r, '.');
    if (n > 1) decai__j_put(r, digits + 1, (size_t)n - 1);
    put_zeros(r, after - (n - 1));
    put_exponent(r, exp10);
}

void
decai__j_put_float(decai__j_run *r, double v)
{
    char digits[17];
    int exp10;
    if (put_special(r, v)) return;
    if (signbit(v)) decai__j_put_byte(r, '-');
    if (v == 0) {
        decai__j_put(r, "0.0", 3);
        return;
    }
    decai__j_pay(r, fabs(v) < 1e22 && fabs(v) > 1e-22 ? 32 : 400);
    int n = decai__j_digits_shortest(fabs(v), digits, &exp10);
    if (exp10 < -4 || exp10 >= 16) put_scientific(r, digits, n, exp10, 0);
    else put_plain(r, digits, n, exp10, 1);
}

void
decai__j_put_float_as(decai__j_run *r, double v, char how, int precision, bool alt)
{
    char digits[1200];
    int exp10 = 0, n = 1;
    if (put_special(r, v)) return;
    if (precision > 400) precision = 400;
    if (signbit(v)) decai__j_put_byte(r, '-');
    decai__j_pay(r, 64 + 16 * (size_t)precision + (fabs(v) < 1e22 ? 0 : 10000));
    if (how == 'g' && precision == 0) precision = 1;
    digits[0] = '0';
    if (v != 0)
        n = decai__j_digits_exact(fabs(v), how == 'f' ? precision : how == 'e' ? precision + 1 : precision, how == 'f',
            digits, sizeof digits, &exp10);
    if (how == 'f') {
        if (n == 0) digits[0] = '0', n = 1, exp10 = 0;
        put_plain(r, digits, n, exp10, precision);
        if (alt && !precision) decai__j_put_byte(r, '.');
        return;
    }
    int after = precision;
    if (how == 'g') {
        after = precision - 1;
        if (!alt) {
            while (n > 1 && digits[n - 1] == '0') n--;
            after = 0;
        }
        if (exp10 >= -4 && exp10 < precision) {
            put_plain(r, digits, n, exp10, alt && after > exp10 ? after - exp10 : 0);
            return;
        }
    }
    put_scientific(r, digits, n, exp10, after);
}

/* ---- reading ------------------------------------------------------------------------------ */

typedef struct decimal { char digits[DIGITS_READ + 1]; int n; int64_t exp10; bool negative; } decimal;

/* The digits without leading zeros and the power of ten behind the last one. */
static void
decimal_read(decimal *d, const char *s, size_t len)
{
    bool point = false, rest = false;
    size_t i = 0;
    *d = (decimal){ .n = 0 };
    if (i < len && (s[i] == '-' || s[i] == '+')) d->negative = s[i++] == '-';
    for (; i < len && s[i] != 'e' && s[i] != 'E'; i++) {
        if (s[i] == '.') {
            point = true;
            continue;
        }
        if (d->n == 0 && s[i] == '0') {
            d->exp10 -= point;
        } else if (d->n < DIGITS_READ) {
            d->digits[d->n++] = s[i];
            d->exp10 -= point;
        } else {
            rest |= s[i] != '0';
            d->exp10 += !point;
        }
    }
    if (rest) d->digits[d->n - 1] |= 1;              /* sticky: only whether more follows matters */
    if (i >= len) return;
    bool minus = false;
    int64_t e = 0;
    i++;
    if (i < len && (s[i] == '-' || s[i] == '+')) minus = s[i++] == '-';
    for (; i < len; i++)
        if (e < 100000000) e = e * 10 + (s[i] - '0');
    d->exp10 += minus ? -e : e;
}

/* 53 bits of num / den, half to even. */
static double
divide(big *num, big *den)
{
    int shift = (int)big_bits(den) - (int)big_bits(num) + 64;
    if (shift > 0) big_shift(num, (uint32_t)shift);
    else big_shift(den, (uint32_t)-shift);
    /* The quotient has 64 or 65 bits: take it bit by bit from the top. */
    uint64_t q = 0;
    int extra = 0;
    big step = *den;
    big_shift(&step, 64);
    for (int bit = 64; bit >= 0; bit--) {
        bool hit = big_cmp(num, &step) >= 0;
        if (hit) big_sub(num, &step);
        if (q >> 63) {
            extra = 1 + hit;                         /* the 65th bit, below the 64 kept */
            break;
        }
        q = q << 1 | hit;
        for (uint32_t i = 0; i < step.n; i++)        /* step /= 2 */
            step.w[i] = step.w[i] >> 1 | (i + 1 < step.n ? step.w[i + 1] << 31 : 0);
        big_trim(&step);
    }
    int e = -shift + (extra ? 1 : 0);
    bool sticky = num->n || extra == 2;
    int drop = 11;                                   /* of q's 64 bits, 53 stay */
    if (e + 11 < -1074) drop = -1074 - e;            /* subnormal: fewer */
    if (drop > 64) return 0;
    uint64_t low = drop == 64 ? q : q & (((uint64_t)1 << drop) - 1), half = (uint64_t)1 << (drop - 1);
    uint64_t kept = drop == 64 ? 0 : q >> drop;
    if (low > half || (low == half && (sticky || kept & 1))) kept++;
    return ldexp((double)kept, e + drop);
}

double
decai__j_float_of(const char *s, size_t n)
{
    static const double power[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14,
        1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
    decimal d;
    big num, den;
    double v = 0;
    decimal_read(&d, s, n);
    if (d.n == 0 || d.exp10 + d.n < -400) {
        v = 0;
    } else if (d.exp10 + d.n > 400) {
        v = (double)INFINITY;
    } else if (d.n <= 15 && d.exp10 >= -22 && d.exp10 <= 22) {
        for (int i = 0; i < d.n; i++) v = v * 10 + (d.digits[i] - '0');
        v = d.exp10 < 0 ? v / power[-d.exp10] : v * power[d.exp10];
    } else {
        big_set(&num, 0);
        num.n = 0;
        for (int i = 0; i < d.n; i++) {
            if (!num.n) big_set(&num, (uint64_t)(d.digits[i] - '0'));
            else big_mul(&num, 10, (uint32_t)(d.digits[i] - '0'));
        }
        big_set(&den, 1);
        if (d.exp10 > 0) big_pow10(&num, (int)d.exp10);
        else big_pow10(&den, (int)-d.exp10);
        v = divide(&num, &den);
    }
    return d.negative ? -v : v;
}

double
decai__j_div_ints(int64_t a, int64_t b)
{
    big num, den;
    if (a == 0) return b < 0 ? -0.0 : 0.0;
    big_set(&num, a < 0 ? 0 - (uint64_t)a : (uint64_t)a);
    big_set(&den, b < 0 ? 0 - (uint64_t)b : (uint64_t)b);
    double v = divide(&num, &den);
    return (a < 0) != (b < 0) ? -v : v;
}

static bool
word_is(const char *s, size_t n, const char *word)
{
    if (strlen(word) != n) return false;
    for (size_t i = 0; i < n; i++)
        if ((s[i] | 32) != word[i]) return false;
    return true;
}

/* digits with single underscores between them */
static size_t
take_digits(const char *s, size_t n, char *out, size_t *len)
{
    size_t i = 0;
    while (i < n && ((s[i] >= '0' && s[i] <= '9') || (s[i] == '_' && i && i + 1 < n && s[i - 1] != '_'
            && s[i + 1] >= '0' && s[i + 1] <= '9'))) {
        if (s[i] != '_' && *len < 1000) out[(*len)++] = s[i];
        i++;
    }
    return i;
}

bool
decai__j_float_parse(const char *s, size_t n, double *out)
{
    char b[1040];
    size_t len = 0, i = 0, a, f = 0;
    while (n && (s[n - 1] == ' ' || (s[n - 1] >= 9 && s[n - 1] <= 13))) n--;
    while (i < n && (s[i] == ' ' || (s[i] >= 9 && s[i] <= 13))) i++;
    bool negative = i < n && s[i] == '-';
    if (i < n && (s[i] == '-' || s[i] == '+')) i++;
    if (word_is(s + i, n - i, "inf") || word_is(s + i, n - i, "infinity") || word_is(s + i, n - i, "nan")) {
        *out = (s[i] | 32) == 'n' ? (double)NAN : negative ? -(double)INFINITY : (double)INFINITY;
        return true;
    }
    a = take_digits(s + i, n - i, b, &len);
    i += a;
    if (i < n && s[i] == '.') {
        b[len++] = '.';
        i++;
        f = take_digits(s + i, n - i, b, &len);
        i += f;
    }
    if (!a && !f) return false;
    if (i < n && (s[i] == 'e' || s[i] == 'E')) {
        b[len++] = 'e';
        i++;
        if (i < n && (s[i] == '-' || s[i] == '+')) b[len++] = s[i++];
        size_t e = take_digits(s + i, n - i, b, &len);
        if (!e) return false;
        i += e;
    }
    if (i != n) return false;
    *out = decai__j_float_of(b, len);
    if (negative) *out = -*out;
    return true;
}

double
decai__j_num(decai__j_val v)
{
    if (v.type == J_FLOAT) return v.u.f;
    if (v.type == J_BIG) return decai__j_float_of(v.u.s, v.n);
    return (double)v.u.i;
}
