/* jinja_format.c - "..." % args and "...".format(args), as far as templates go.
 *
 *   %[(name)][-+ 0#][width][.precision]  s r a d i u o x X c e E f F g G %
 *   {[name|index][.attr|[key]]*[!r|!s][:[[fill]<>=^][+- ][#][0][width][,_][.precision][type]]}
 *
 * A field's path is looked up like the template's own x.y and x[y]: nothing is
 * reachable that the template could not reach. Format specifications with fields
 * inside ("{:{width}}") are refused by name. */
#include <string.h>

#include "tok/jinja_tree.h"

typedef struct spec {
    char fill[4];
    uint8_t fill_len;
    char align, sign, comma, type;
    bool alt, zero;
    int64_t width, precision;        /* -1: not given */
} spec;

/* ---- pieces ------------------------------------------------------------------------ */

/* Put what was written since `from` into width, by align and fill. */
static void
pad(decai__j_run *r, size_t from, const spec *s, char standard)
{
    if (s->width <= 0 || r->error) return;
    decai__j_val text = decai__j_taken(r, from);
    int64_t n = decai__j_chars(r, text), gap = s->width - n;
    char align = s->align ? s->align : standard;
    if (gap <= 0) {
        decai__j_put(r, text.u.s, text.n);
        return;
    }
    if (!decai__j_pay(r, (size_t)gap / 8)) return;
    size_t sign = 0;
    if (align == '=') {
        sign = text.n && (text.u.s[0] == '-' || text.u.s[0] == '+' || text.u.s[0] == ' ');
        if (s->alt && text.n >= sign + 2 && text.u.s[sign] == '0' && strchr("xXob", text.u.s[sign + 1])) sign += 2;
        decai__j_put(r, text.u.s, sign);
    }
    int64_t left = align == '<' ? 0 : align == '^' ? gap / 2 : gap;
    for (int64_t i = 0; i < left && !r->error; i++) decai__j_put(r, s->fill, s->fill_len);
    decai__j_put(r, text.u.s + sign, text.n - sign);
    for (int64_t i = left; i < gap && !r->error; i++) decai__j_put(r, s->fill, s->fill_len);
}

static void
put_based(decai__j_run *r, uint64_t u, unsigned base, bool upper)
{
    char b[64];
    size_t n = sizeof b;
    do {
        unsigned d = (unsigned)(u % base);
        b[--n] = (char)(d < 10 ? '0' + d : (upper ? 'A' : 'a') + d - 10);
    } while (u /= base);
    decai__j_put(r, b + n, sizeof b - n);
}

/* Groups of three digits in the whole part of what was put since `from`. */
static void
group(decai__j_run *r, size_t from, char comma, bool hex)
{
    if (!comma || r->error) return;
    decai__j_val t = decai__j_taken(r, from);
    size_t size = hex ? 4 : 3, begin = 0, end;
    while (begin < t.n && !(t.u.s[begin] >= '0' && t.u.s[begin] <= '9')) begin++;
    for (end = begin; end < t.n && ((t.u.s[end] >= '0' && t.u.s[end] <= '9') || (hex && t.u.s[end] != '.'));) end++;
    decai__j_put(r, t.u.s, begin);
    for (size_t i = begin; i < end; i++) {
        decai__j_put_byte(r, t.u.s[i]);
        if (i + 1 < end && (end - i - 1) % size == 0) decai__j_put_byte(r, comma);
    }
    decai__j_put(r, t.u.s + end, t.n - end);
}

static void
put_sign(decai__j_run *r, bool minus, char sign)
{
    if (minus) decai__j_put_byte(r, '-');
    else if (sign == '+' || sign == ' ') decai__j_put_byte(r, sign);
}

/* An integer in one of the types d o x X b c. */
static void
put_integer(decai__j_run *r, decai__j_val v, const spec *s)
{
    char t = s->type;
    if (v.type == J_BIG) {
        if (t != 'd' && t != 'n') decai__j_raise(r, DECAI_E_UNSUPPORTED, "an integer beyond 64 bits");
        put_sign(r, v.u.s[0] == '-', s->sign);
        decai__j_put(r, v.u.s + (v.u.s[0] == '-'), v.n - (v.u.s[0] == '-'));
        return;
    }
    if (t == 'c') {
        if (v.u.i < 0 || v.u.i > 0x10ffff || (v.u.i >= 0xd800 && v.u.i < 0xe000)) DJ_ERROR(r, "%%c: no such character");
        else decai__j_put_rune(r, (uint32_t)v.u.i);
        return;
    }
    put_sign(r, v.u.i < 0, s->sign);
    if (s->alt && t != 'd' && t != 'n') {
        decai__j_put_byte(r, '0');
        decai__j_put_byte(r, t);
    }
    uint64_t u = v.u.i < 0 ? 0 - (uint64_t)v.u.i : (uint64_t)v.u.i;
    put_based(r, u, t == 'x' || t == 'X' ? 16 : t == 'o' ? 8 : t == 'b' ? 2 : 10, t == 'X');
}

static void
upper_from(decai__j_run *r, size_t from)
{
    for (size_t i = from; i < r->out.len; i++)
        if (r->out.data[i] >= 'a' && r->out.data[i] <= 'z') r->out.data[i] = (char)(r->out.data[i] - 32);
}

static void
put_real(decai__j_run *r, double v, const spec *s, char type)
{
    size_t from = r->out.len;
    char low = (char)(type | 32);
    int precision = s->precision < 0 ? 6 : (int)DECAI__MIN(s->precision, 1000);
    if (precision > 400) {
        decai__j_raise(r, DECAI_E_UNSUPPORTED, "a precision above 400");
        return;
    }
    bool minus = __builtin_signbit(v) && v == v;
    if (!minus) put_sign(r, false, s->sign);
    decai__j_put_float_as(r, v, low, precision, s->alt);
    if (type != low) upper_from(r, from);
}

static int64_t
digits(const char **p, const char *end)
{
    int64_t n = -1;
    for (; *p < end && **p >= '0' && **p <= '9'; ++*p) {
        n = (n < 0 ? 0 : n) * 10 + (**p - '0');
        if (n > INT32_MAX) n = INT32_MAX;
    }
    return n;
}

/* ---- percent -------------------------------------------------------------------------- */

typedef struct percent { decai__j_val args; uint32_t next; bool mapping, used; bool markup; const decai__j_args *kw; } percent;

static decai__j_val
percent_next(decai__j_run *r, percent *p)
{
    p->used = true;
    if (p->args.type == J_TUPLE) {
        if (p->next < p->args.u.list->count) return p->args.u.list->items[p->next++];
    } else if (p->next++ == 0) {
        return p->args;
    }
    return DJ_ERROR(r, "not enough arguments for the format");
}

static decai__j_val
percent_named(decai__j_run *r, percent *p, decai__j_val name)
{
    p->mapping = true;
    if (p->kw) {
        decai__j_pay(r, p->kw->kw_count / 4);
        for (uint32_t i = 0; i < p->kw->kw_count; i++)
            if (decai__j_str_is(p->kw->kw[i].name, name.u.s, name.n)) return p->kw->kw[i].val;
        return DJ_ERROR(r, "the format has no value for %.*s", (int)DECAI__MIN(name.n, 40u), name.u.s);
    }
    if (p->args.type != J_DICT) return DJ_ERROR(r, "the format needs a dict");
    decai__j_entry *e = decai__j_dict_find(r, p->args.u.dict, name);
    return e ? e->val : DJ_ERROR(r, "the format has no value for %.*s", (int)DECAI__MIN(name.n, 40u), name.u.s);
}

static void
percent_text(decai__j_run *r, const percent *p, decai__j_val v, const spec *s)
{
    size_t from = r->out.len;
    if (s->type == 's') decai__j_put_val(r, p->markup ? decai__j_escape(r, v) : v);
    else decai__j_put_repr(r, v);
    if (p->markup && s->type != 's') {
        decai__j_val text = decai__j_taken(r, from);
        decai__j_put_escaped(r, text.u.s, text.n);
    }
    if (s->precision >= 0) {
        decai__j_val text = decai__j_taken(r, from);
        decai__j_put(r, text.u.s, decai__j_offset(text, s->precision));
    }
    pad(r, from, s, '>');
}

static void
percent_number(decai__j_run *r, decai__j_val v, spec *s)
{
    size_t from = r->out.len;
    bool real = strchr("eEfFgG", s->type) != NULL;
    if (v.type <= J_UNDEF) {
        decai__j_undef_raise(r, v);
    } else if (s->type == 'c' && v.type == J_STR && decai__j_chars(r, v) == 1) {
        decai__j_put(r, v.u.s, v.n);
    } else if (!decai__j_is_num(v)) {
        DJ_ERROR(r, "%%%c: a number is needed, not %s", s->type, decai__j_type_name(v));
    } else if (real) {
        put_real(r, decai__j_num(v), s, s->type);
    } else {
        if (v.type == J_FLOAT) {
            if (s->type != 'd' || v.u.f - v.u.f != 0 || v.u.f >= 9.2e18 || v.u.f <= -9.2e18)
                DJ_ERROR(r, "%%%c: an integer is needed, not float", s->type);
            v = decai__j_int(r->error ? 0 : (int64_t)v.u.f);
        }
        size_t at = r->out.len;
        put_integer(r, v, s);
        if (s->precision >= 0 && s->type != 'c') {   /* so many digits at least */
            decai__j_val t = decai__j_taken(r, at);
            size_t sign = t.n && (t.u.s[0] < '0' || t.u.s[0] > '9');
            decai__j_put(r, t.u.s, sign);
            for (int64_t i = (int64_t)(t.n - sign); i < s->precision && decai__j_pay(r, 1); i++) decai__j_put_byte(r, '0');
            decai__j_put(r, t.u.s + sign, t.n - sign);
        }
    }
    s->align = s->align == '<' ? '<' : s->zero && s->type != 'c' ? '=' : '>';
    if (s->zero && s->align == '=') s->fill[0] = '0';
    pad(r, from, s, '>');
}

/* One field behind its '%'; returns where it ends. */
static const char *
percent_field(decai__j_run *r, percent *p, const char *at, const char *end)
{
    spec s = { .fill = " ", .fill_len = 1, .width = -1, .precision = -1 };
    decai__j_val v = decai__j_missing();
    if (at < end && *at == '(') {
        const char *close = ++at;
        int depth = 1;
        for (; close < end && depth; close++) depth += *close == '(' ? 1 : *close == ')' ? -1 : 0;
        if (depth) {
            DJ_ERROR(r, "a name in the format has no end");
            return end;
        }
        v = percent_named(r, p, decai__j_str(at, (size_t)(close - 1 - at)));
        at = close;
    }
    for (; at < end && *at && strchr("-+ 0#", *at); at++) {
        if (*at == '-') s.align = '<';
        else if (*at == '+' || (*at == ' ' && !s.sign)) s.sign = *at;
        else if (*at == '0') s.zero = true;
        else if (*at == '#') s.alt = true;
    }
    if (at < end && *at == '*') {
        s.width = decai__j_want_int(r, percent_next(r, p), "format: width");
        if (s.width < 0) s.align = '<', s.width = -s.width;
        at++;
    } else {
        s.width = digits(&at, end);
    }
    if (at < end && *at == '.') {
        at++;
        s.precision = at < end && *at == '*' ? (at++, decai__j_want_int(r, percent_next(r, p), "format: precision"))
                                             : digits(&at, end);
        if (s.precision < 0) s.precision = 0;
    }
    while (at < end && (*at == 'l' || *at == 'h' || *at == 'L')) at++;
    if (at == end) {
        DJ_ERROR(r, "the format ends within a field");
        return end;
    }
    s.type = *at++;
    if (s.type == '%') {
        decai__j_put_byte(r, '%');
        return at;
    }
    if (s.type == 'i' || s.type == 'u') s.type = 'd';
    if (v.type == J_MISSING) v = percent_next(r, p);
    if (s.type == 's' || s.type == 'r' || s.type == 'a') percent_text(r, p, v, &s);
    else if (strchr("doxXceEfFgG", s.type)) percent_number(r, v, &s);
    else DJ_ERROR(r, "the format has no field of this type");
    return at;
}

static decai__j_val
percent_run(decai__j_run *r, decai__j_val format, percent *p)
{
    size_t from = r->out.len;
    const char *at = format.u.s, *end = at + format.n;
    p->markup = format.flag & DJ_MARKUP;
    while (at < end && decai__j_pay(r, 1)) {
        const char *mark = memchr(at, '%', (size_t)(end - at));
        if (!mark) mark = end;
        decai__j_put(r, at, (size_t)(mark - at));
        at = mark < end ? percent_field(r, p, mark + 1, end) : end;
    }
    bool one = p->args.type != J_TUPLE;
    /* What has no items by key must be used up. */
    if (!r->error && !p->kw && !p->mapping
        && (one ? p->next == 0 && p->args.type != J_DICT && p->args.type != J_LIST && p->args.type > J_UNDEF
                : p->next < p->args.u.list->count))
        DJ_ERROR(r, "more arguments than the format has fields");
    decai__j_val out = decai__j_taken(r, from);
    out.flag = format.flag;
    return out;
}

decai__j_val
decai__j_percent(decai__j_run *r, decai__j_val format, decai__j_val args)
{
    percent p = { .args = args };
    return percent_run(r, format, &p);
}

decai__j_val
decai__j_percent_kw(decai__j_run *r, decai__j_val format, const decai__j_args *a)
{
    percent p = { .args = decai__j_none(), .kw = a };
    return percent_run(r, format, &p);
}

/* ---- format ------------------------------------------------------------------------------ */

typedef struct braces { const decai__j_args *args; int64_t next; bool markup; } braces;

static bool
spec_read(decai__j_run *r, const char *p, const char *end, spec *s)
{
    *s = (spec){ .fill = " ", .fill_len = 1, .width = -1, .precision = -1 };
    const char *q = p;
    if (p < end) {
        decai__j_rune(&q, end);
        if (q < end && strchr("<>=^", *q) && *q) {
            s->fill_len = (uint8_t)(q - p);
            memcpy(s->fill, p, s->fill_len);
            s->align = *q;
            p = q + 1;
        } else if (*p && strchr("<>=^", *p)) {
            s->align = *p++;
        }
    }
    if (p < end && *p && strchr("+- ", *p)) s->sign = *p++;
    if (p < end && *p == '#') s->alt = true, p++;
    if (p < end && *p == '0') {
        s->zero = true;
        if (!s->align) s->align = '=', s->fill[0] = '0', s->fill_len = 1;
        p++;
    }
    s->width = digits(&p, end);
    if (p < end && (*p == ',' || *p == '_')) s->comma = *p++;
    if (p < end && *p == '.') {
        p++;
        s->precision = digits(&p, end);
        if (s->precision < 0) DJ_ERROR(r, "a precision is missing in the format");
    }
    if (p < end) s->type = *p++;
    if (p < end) DJ_ERROR(r, "a format specification cannot be read");
    return !r->error;
}

static void
put_spec_str(decai__j_run *r, decai__j_val v, const spec *s)
{
    size_t from = r->out.len;
    if ((s->type && s->type != 's') || s->sign || s->comma || s->alt || (s->align == '=' && !s->zero)) {
        DJ_ERROR(r, "a format specification that is not for texts");
        return;
    }
    decai__j_put(r, v.u.s, s->precision >= 0 ? decai__j_offset(v, s->precision) : v.n);
    spec t = *s;
    if (t.align == '=') t.align = '<';
    pad(r, from, &t, '<');
}

static void
put_spec_num(decai__j_run *r, decai__j_val v, spec *s)
{
    size_t from = r->out.len;
    char t = s->type;
    bool integer = v.type != J_FLOAT && (!t || strchr("dxXobcn", t));
    if (t && !strchr(v.type == J_FLOAT ? "eEfFgGn%" : "dxXobcneEfFgG%", t)) {
        DJ_ERROR(r, "a format specification that is not for numbers");
        return;
    }
    if (integer) {
        if (!t) s->type = 'd';
        if (s->precision >= 0) DJ_ERROR(r, "a precision is not for integers");
        put_integer(r, v, s);
        group(r, from, s->comma, s->type == 'x' || s->type == 'X' || s->type == 'o' || s->type == 'b');
    } else {
        double d = decai__j_num(v);
        if (!t && s->precision < 0) {
            if (!__builtin_signbit(d)) put_sign(r, false, s->sign);
            decai__j_put_float(r, d);
        } else if (!t || t == 'n') {
            if (!t) {
                decai__j_raise(r, DECAI_E_UNSUPPORTED, "a precision without a type");
                return;
            }
            put_real(r, d, s, 'g');
        } else if (t == '%') {
            put_real(r, d * 100, s, 'f');
            decai__j_put_byte(r, '%');
        } else {
            put_real(r, d, s, t);
        }
        group(r, from, s->comma, false);
    }
    if (s->zero && s->comma && s->width > 0) decai__j_raise(r, DECAI_E_UNSUPPORTED, "zeros and commas in one format");
    pad(r, from, s, '>');
}

static void
put_spec(decai__j_run *r, decai__j_val v, const char *p, const char *end, char conversion)
{
    spec s;
    if (conversion == 'r' || conversion == 'a') {
        size_t from = r->out.len;
        decai__j_put_repr(r, v);
        v = decai__j_taken(r, from);
    } else if (conversion == 's') {
        v = decai__j_to_str(r, v);
    }
    if (p == end) {
        decai__j_put_val(r, v);
    } else if (memchr(p, '{', (size_t)(end - p))) {
        decai__j_raise(r, DECAI_E_UNSUPPORTED, "fields inside a format specification");
    } else if (spec_read(r, p, end, &s)) {
        /* bool has int's formats; what has none takes no specification. */
        if (v.type == J_STR) put_spec_str(r, v, &s);
        else if (decai__j_is_num(v)) put_spec_num(r, v, &s);
        else DJ_ERROR(r, "a %s takes no format specification", decai__j_type_name(v));
    }
}

/* The first part of a field's name: by position or by name. */
static decai__j_val
field_root(decai__j_run *r, braces *b, decai__j_val name)
{
    int64_t at = 0;
    if (!name.n) {
        if (b->next < 0) return DJ_ERROR(r, "the format mixes numbered and unnumbered fields");
        at = b->next++;
    } else if (name.u.s[0] >= '0' && name.u.s[0] <= '9') {
        const char *p = name.u.s;
        if (b->next > 0) return DJ_ERROR(r, "the format mixes numbered and unnumbered fields");
        b->next = -1;
        at = digits(&p, p + name.n);
    } else {
        decai__j_pay(r, b->args->kw_count / 4);
        for (uint32_t i = 0; i < b->args->kw_count; i++)
            if (decai__j_str_is(b->args->kw[i].name, name.u.s, name.n)) return b->args->kw[i].val;
        return DJ_ERROR(r, "the format has no value for %.*s", (int)DECAI__MIN(name.n, 40u), name.u.s);
    }
    return at < b->args->count ? b->args->pos[at] : DJ_ERROR(r, "not enough arguments for the format");
}

static decai__j_val
field_value(decai__j_run *r, braces *b, const char *p, const char *end)
{
    const char *q = p;
    while (q < end && *q != '.' && *q != '[') q++;
    decai__j_val v = field_root(r, b, decai__j_str(p, (size_t)(q - p)));
    while (q < end && !r->error) {
        bool item = *q++ == '[';
        p = q;
        while (q < end && (item ? *q != ']' : *q != '.' && *q != '[')) q++;
        decai__j_val key = decai__j_str(p, (size_t)(q - p));
        if (!key.n || (item && q == end)) return DJ_ERROR(r, "an empty part in a field of the format");
        if (!item) {
            v = decai__j_attr(r, v, key, decai__j_method_find(key.u.s, key.n));
            continue;
        }
        q++;
        const char *d = p;
        int64_t n = digits(&d, p + key.n);
        v = decai__j_item(r, v, d == p + key.n ? decai__j_int(n) : key);
    }
    return v;
}

/* One field behind its '{'; returns where it ends. */
static const char *
field(decai__j_run *r, braces *b, const char *p, const char *end)
{
    const char *close = p, *name, *colon;
    int depth = 1;
    char conversion = 0;
    for (; close < end; close++) {
        depth += *close == '{' ? 1 : *close == '}' ? -1 : 0;
        if (!depth) break;
    }
    if (close == end) {
        DJ_ERROR(r, "a field of the format has no end");
        return end;
    }
    for (name = p; name < close && *name != ':' && *name != '!';) {
        if (*name == '[')
            while (name < close && *name != ']') name++;
        else name++;
    }
    colon = name;
    if (name < close && *name == '!') {
        conversion = name + 1 < close ? name[1] : 0;
        colon = name + 2;
        if (!conversion || !strchr("rsa", conversion) || (colon < close && *colon != ':')) {
            DJ_ERROR(r, "a conversion in the format cannot be read");
            return end;
        }
    }
    decai__j_val v = field_value(r, b, p, name);
    size_t from = r->out.len;
    put_spec(r, v, colon < close ? colon + 1 : close, close, conversion);
    if (b->markup && !(v.type == J_STR && v.flag & DJ_MARKUP)) {
        decai__j_val text = decai__j_taken(r, from);
        decai__j_put_escaped(r, text.u.s, text.n);
    }
    return close + 1;
}

decai__j_val
decai__j_format(decai__j_run *r, decai__j_val format, const decai__j_args *a)
{
    braces b = { a, 0, format.flag & DJ_MARKUP };
    const char *p = format.u.s, *end = p + format.n;
    size_t from = r->out.len;
    while (p < end && decai__j_pay(r, 1)) {
        const char *q = p;
        while (q < end && *q != '{' && *q != '}') q++;
        decai__j_put(r, p, (size_t)(q - p));
        if (q == end) break;
        if (q + 1 < end && q[1] == *q) {
            decai__j_put_byte(r, *q);
            p = q + 2;
        } else if (*q == '}') {
            DJ_ERROR(r, "a '}' alone in the format");
            break;
        } else {
            p = field(r, &b, q + 1, end);
        }
    }
    decai__j_val out = decai__j_taken(r, from);
    out.flag = format.flag;
    return out;
}
