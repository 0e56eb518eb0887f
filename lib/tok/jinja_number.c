/* jinja_number.c - the filters of numbers: abs, int, float, round, filesizeformat. */
#include <math.h>
#include <string.h>

#include "tok/jinja_filter.h"

decai__j_val
decai__j_f_abs(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    if (!decai__j_bind_args(r, a, "", 0, NULL)) return decai__j_undef(r);
    if (in.type <= J_UNDEF) return decai__j_undef_raise(r, in);
    if (in.type == J_FLOAT) return decai__j_float(fabs(in.u.f));
    if (in.type == J_BIG) return in.u.s[0] == '-' ? decai__j_negate(r, in, true) : in;
    if (!decai__j_is_int(in)) return DJ_ERROR(r, "abs: a number is needed, not %s", decai__j_type_name(in));
    return in.u.i < 0 ? decai__j_negate(r, in, true) : decai__j_int(in.u.i);
}

/* ---- int ----------------------------------------------------------------------------- */

static bool
is_space(char c)
{
    return c == ' ' || (c >= 9 && c <= 13) || (c >= 28 && c <= 31);
}

/* 0x, 0o, 0b: what may stand before the digits of this base (0: any of them). */
static int64_t
prefix(const char *s, size_t n, int64_t base, size_t *skip)
{
    *skip = 0;
    if (n > 2 && s[0] == '0') {
        char c = (char)(s[1] | 32);
        int64_t has = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 0;
        if (has && (base == 0 || base == has)) {
            *skip = 2 + (n > 3 && s[2] == '_');
            return has;
        }
    }
    return base ? base : 10;
}

bool
decai__j_int_parse(decai__j_run *r, decai__j_val s, int64_t base, decai__j_val *out)
{
    const char *p = s.u.s;
    size_t n = s.n, skip;
    char *text = NULL;
    if ((base != 0 && (base < 2 || base > 36)) || !decai__j_pay(r, 1 + s.n / 8)) return false;
    decai__j_val t = decai__j_strip(r, s, decai__j_none(), true, true);
    p = t.u.s;
    n = t.n;
    while (n && is_space(*p)) p++, n--;
    bool minus = n && *p == '-';
    if (n && (*p == '-' || *p == '+')) p++, n--;
    int64_t b = prefix(p, n, base, &skip);
    bool zero_only = base == 0 && !skip && n > 1 && *p == '0';   /* base 0 refuses 012 */
    p += skip;
    n -= skip;
    if (!n || *p == '_' || p[n - 1] == '_') return false;
    uint64_t v = 0;
    bool big = false;
    for (size_t i = 0; i < n; i++) {
        char c = p[i];
        if (c == '_' && p[i - 1] != '_') continue;
        int64_t d = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'z' ? (c | 32) - 'a' + 10 : 99;
        if (d >= b || (zero_only && d)) return false;
        big |= __builtin_mul_overflow(v, (uint64_t)b, &v);
        big |= __builtin_add_overflow(v, (uint64_t)d, &v);
    }
    if (!big && v <= INT64_MAX) {
        *out = decai__j_int(minus ? -(int64_t)v : (int64_t)v);
        return true;
    }
    if (b != 10 || n > 4300 || !(text = decai__j_alloc(r, n + 1))) {
        decai__j_raise(r, DECAI_E_UNSUPPORTED, "an integer beyond 64 bits");
        return false;
    }
    size_t len = 0;
    if (minus) text[len++] = '-';
    for (size_t i = 0; i < n; i++)
        if (p[i] != '_' && (p[i] != '0' || len > (size_t)minus)) text[len++] = p[i];
    *out = (decai__j_val){ .type = J_BIG, .n = (uint32_t)len, .u.s = text };
    return true;
}

static bool
int_of_float(decai__j_run *r, double v, decai__j_val *out)
{
    if (v - v != 0) return false;
    if (fabs(v) >= 9223372036854775808.0) {
        decai__j_raise(r, DECAI_E_UNSUPPORTED, "an integer beyond 64 bits");
        return false;
    }
    *out = decai__j_int((int64_t)v);
    return true;
}

decai__j_val
decai__j_f_int(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    decai__j_val arg[2], v = decai__j_int(0);
    double d = 0;
    if (!decai__j_bind_args(r, a, "default base", 0, arg)) return decai__j_undef(r);
    decai__j_val otherwise = arg[0].type == J_MISSING ? decai__j_int(0) : arg[0];
    int64_t base = arg[1].type == J_MISSING ? 10 : decai__j_want_int(r, arg[1], "int: base");
    if (in.type <= J_UNDEF) return decai__j_undef_raise(r, in);
    if (decai__j_is_int(in)) return decai__j_int(in.u.i);
    if (in.type == J_BIG) return in;
    if (in.type == J_FLOAT) {
        if (in.u.f - in.u.f != 0 && in.u.f == in.u.f) return DJ_ERROR(r, "int: infinity has no integer");
        return int_of_float(r, in.u.f, &v) ? v : otherwise;
    }
    if (in.type != J_STR) return otherwise;
    if (decai__j_int_parse(r, in, base, &v)) return v;
    if (!r->error && decai__j_pay(r, 16 + 2 * (size_t)in.n) && decai__j_float_parse(in.u.s, in.n, &d) && int_of_float(r, d, &v)) return v;
    return otherwise;
}

decai__j_val
decai__j_f_float(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    decai__j_val arg[1];
    double d = 0;
    if (!decai__j_bind_args(r, a, "default", 0, arg)) return decai__j_undef(r);
    if (in.type <= J_UNDEF) return decai__j_undef_raise(r, in);
    if (decai__j_is_num(in)) return decai__j_float(decai__j_num(in));
    decai__j_val s = in.type == J_STR ? decai__j_strip(r, in, decai__j_none(), true, true) : in;
    if (in.type == J_STR && decai__j_pay(r, 16 + 2 * (size_t)s.n) && decai__j_float_parse(s.u.s, s.n, &d)) return decai__j_float(d);
    return arg[0].type == J_MISSING ? decai__j_float(0) : arg[0];
}

/* ---- round ------------------------------------------------------------------------------ */

/* Half to even on the exact value, so many places behind the point. */
static double
round_places(double v, int64_t places)
{
    char digits[800], text[832];
    int exp10;
    if (v == 0 || v - v != 0 || places > 330) return v;
    if (places < -330) return copysign(0.0, v);
    int n = decai__j_digits_exact(fabs(v), (int)places, true, digits, sizeof digits, &exp10);
    if (n <= 0) return copysign(0.0, v);
    memcpy(text, digits, (size_t)n);
    size_t len = (size_t)n;
    int e = exp10 - n + 1, u = e < 0 ? -e : e;
    text[len++] = 'e';
    if (e < 0) text[len++] = '-';
    if (u >= 100) text[len++] = (char)('0' + u / 100);
    if (u >= 10) text[len++] = (char)('0' + u / 10 % 10);
    text[len++] = (char)('0' + u % 10);
    return copysign(decai__j_float_of(text, len), v);
}

static decai__j_val
round_int(decai__j_run *r, int64_t v, int64_t places)
{
    int64_t unit = 1;
    if (places >= 0) return decai__j_int(v);
    for (; places < 0; places++)
        if (unit > INT64_MAX / 10) return decai__j_int(0);
        else unit *= 10;
    int64_t rest = v % unit, half = unit / 2, size = rest < 0 ? -rest : rest, down = v - rest;
    bool odd = down / unit % 2 != 0;
    if (size > half || (size == half && odd))
        if (__builtin_add_overflow(down, v < 0 ? -unit : unit, &down))
            return decai__j_raise(r, DECAI_E_UNSUPPORTED, "an integer beyond 64 bits");
    return decai__j_int(down);
}

decai__j_val
decai__j_f_round(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    decai__j_val arg[2];
    if (!decai__j_bind_args(r, a, "precision method", 0, arg)) return decai__j_undef(r);
    int64_t places = arg[0].type == J_MISSING ? 0 : decai__j_want_int(r, arg[0], "round: precision");
    bool ceil_it = decai__j_str_is(arg[1], "ceil", 4), floor_it = decai__j_str_is(arg[1], "floor", 5);
    if (arg[1].type != J_MISSING && !ceil_it && !floor_it && !decai__j_str_is(arg[1], "common", 6))
        return DJ_ERROR(r, "round: method must be common, ceil or floor");
    if (in.type <= J_UNDEF) return decai__j_undef_raise(r, in);
    if (!decai__j_is_num(in)) return DJ_ERROR(r, "round: a number is needed, not %s", decai__j_type_name(in));
    if (!ceil_it && !floor_it) {
        if (decai__j_is_int(in)) return round_int(r, in.u.i, places);
        if (in.type == J_BIG) return in;
        if (!decai__j_pay(r, fabs(in.u.f) < 1e22 && places < 22 ? 200 : 10000)) return decai__j_undef(r);
        return decai__j_float(round_places(in.u.f, places));
    }
    double scale = pow(10, (double)places), v = decai__j_num(in) * scale;
    if (v - v != 0 || scale == 0) return DJ_ERROR(r, "round: no integer near the value");
    return decai__j_float((ceil_it ? ceil(v) : floor(v)) / scale);
}

decai__j_val
decai__j_f_filesizeformat(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    static const char *const names[2][8] = { { "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB" },
        { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB" } };
    decai__j_val arg[1];
    double bytes = 0;
    if (!decai__j_bind_args(r, a, "binary", 0, arg)) return decai__j_undef(r);
    if (in.type <= J_UNDEF) return decai__j_undef_raise(r, in);
    decai__j_pay(r, in.type == J_STR ? 2 * (size_t)in.n : 1);
    if (in.type == J_STR ? !decai__j_float_parse(in.u.s, in.n, &bytes) : !decai__j_is_num(in))
        return DJ_ERROR(r, "filesizeformat: a number is needed");
    if (in.type != J_STR) bytes = decai__j_num(in);
    bool binary = decai__j_truth(r, arg[0]);
    double base = binary ? 1024 : 1000, unit = base;
    size_t from = r->out.len;
    if (bytes == 1) {
        decai__j_put_lit(r, "1 Byte");
    } else if (bytes < base) {
        decai__j_put_int(r, (int64_t)bytes);
        decai__j_put_lit(r, " Bytes");
    } else {
        int i = 0;
        for (unit *= base; i < 7 && !(bytes < unit); i++) unit *= base;
        decai__j_put_float_as(r, base * bytes / unit, 'f', 1, false);
        decai__j_put_byte(r, ' ');
        decai__j_put_lit(r, names[binary][i]);
    }
    return decai__j_taken(r, from);
}
