/* jinja_filter.c - the table of filters, and the filters of single values.
 *
 * Each takes the value before the bar and the arguments, as Jinja2 3.1 defines
 * them; names and order of arguments are those of jinja2/filters.py. Four are
 * known and refused: random (no two renderings would agree), urlize, wordwrap,
 * striptags and pprint (no chat template has a use for them). */
#include <string.h>

#include "tok/jinja_filter.h"

static decai__j_val
f_attr(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    decai__j_val name;
    if (!decai__j_bind_args(r, a, "name", 1, &name)) return decai__j_undef(r);
    if (name.type != J_STR) return DJ_ERROR(r, "attr: a name is needed");
    uint16_t which = decai__j_method_find(name.u.s, name.n);
    if (in.type <= J_UNDEF || in.type == J_NS || decai__j_method_has(in, which)) return decai__j_attr(r, in, name, which);
    return decai__j_undef(r);
}

static decai__j_val
f_case(decai__j_run *r, decai__j_val in, const decai__j_args *a, char how)
{
    if (!decai__j_bind_args(r, a, "", 0, NULL)) return decai__j_undef(r);
    return decai__j_str_case(r, decai__j_to_str(r, in), how);
}

static decai__j_val f_upper(decai__j_run *r, decai__j_val in, const decai__j_args *a) { return f_case(r, in, a, 'u'); }
static decai__j_val f_lower(decai__j_run *r, decai__j_val in, const decai__j_args *a) { return f_case(r, in, a, 'l'); }
static decai__j_val f_capitalize(decai__j_run *r, decai__j_val in, const decai__j_args *a) { return f_case(r, in, a, 'c'); }

static bool
title_border(uint32_t c)
{
    return c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || decai__j_is_space(c);
}

/* Jinja2's title: a word begins at the text's start and behind - ( { [ < and space;
 * its first letter goes up, the rest down as a text of its own. */
static decai__j_val
f_title(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    if (!decai__j_bind_args(r, a, "", 0, NULL)) return decai__j_undef(r);
    decai__j_val s = decai__j_to_str(r, in);
    const char *p = s.u.s, *end = p + s.n;
    size_t from = r->out.len;
    decai__j_pay_bytes(r, s.n * (size_t)8);
    while (p < end && !r->error) {
        uint32_t c = decai__j_rune(&p, end), to[3];
        if (title_border(c)) {
            decai__j_put_rune(r, c);
            continue;
        }
        for (size_t i = 0, n = decai__j_upper(c, to); i < n; i++) decai__j_put_rune(r, to[i]);
        const char *rest = p, *next = p;
        while (p < end && !title_border(decai__j_rune(&next, end))) p = next;
        decai__j_put_val(r, decai__j_str_case(r, decai__j_str(rest, (size_t)(p - rest)), 'l'));
    }
    return decai__j_taken(r, from);
}

static decai__j_val
f_center(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    decai__j_val width;
    if (!decai__j_bind_args(r, a, "width", 0, &width)) return decai__j_undef(r);
    return decai__j_justify(r, decai__j_to_str(r, in), width.type == J_MISSING ? 80 : decai__j_want_int(r, width, "center"), decai__j_lit(" "), 'c');
}

static decai__j_val
f_default(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    decai__j_val arg[2];
    if (!decai__j_bind_args(r, a, "default_value boolean", 0, arg)) return decai__j_undef(r);
    bool use = in.type <= J_UNDEF || (decai__j_truth(r, arg[1]) && !decai__j_truth(r, in));
    return !use ? in : arg[0].type == J_MISSING ? decai__j_lit("") : arg[0];
}

static decai__j_val
f_escape(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    return decai__j_bind_args(r, a, "", 0, NULL) ? decai__j_escape(r, in) : decai__j_undef(r);
}

static decai__j_val
f_forceescape(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    if (!decai__j_bind_args(r, a, "", 0, NULL)) return decai__j_undef(r);
    decai__j_val s = decai__j_to_str(r, in);
    s.flag = 0;
    return decai__j_escape(r, s);
}

static decai__j_val
f_safe(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    if (!decai__j_bind_args(r, a, "", 0, NULL)) return decai__j_undef(r);
    decai__j_val s = decai__j_to_str(r, in);
    s.flag |= DJ_MARKUP;
    return s;
}

static decai__j_val
f_string(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    return decai__j_bind_args(r, a, "", 0, NULL) ? decai__j_to_str(r, in) : decai__j_undef(r);
}

static decai__j_val
f_format(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    if (a->count && a->kw_count) return DJ_ERROR(r, "format: arguments with and without names");
    if (a->kw_count) return decai__j_percent_kw(r, decai__j_to_str(r, in), a);
    decai__j_list l = { a->pos, a->count, a->count };
    return decai__j_percent(r, decai__j_to_str(r, in), decai__j_tuple_val(&l));
}

static decai__j_val
f_trim(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    decai__j_val chars;
    if (!decai__j_bind_args(r, a, "chars", 0, &chars)) return decai__j_undef(r);
    if (chars.type != J_MISSING && chars.type != J_NONE && chars.type != J_STR)
        return DJ_ERROR(r, "trim: characters are needed, not %s", decai__j_type_name(chars));
    return decai__j_strip(r, decai__j_to_str(r, in), chars, true, true);
}

static decai__j_val
f_replace(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    decai__j_val arg[3];
    if (!decai__j_bind_args(r, a, "old new count", 2, arg)) return decai__j_undef(r);
    int64_t count = arg[2].type == J_MISSING || arg[2].type == J_NONE ? -1 : decai__j_want_int(r, arg[2], "replace");
    decai__j_val s = decai__j_to_str(r, in), from = decai__j_to_str(r, arg[0]), to = decai__j_to_str(r, arg[1]);
    s.flag = from.flag = to.flag = 0;
    return decai__j_replace(r, s, from, to, count);
}

static decai__j_val
f_indent(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    decai__j_val arg[3];
    if (!decai__j_bind_args(r, a, "width first blank", 0, arg)) return decai__j_undef(r);
    decai__j_val with = arg[0].type == J_STR ? arg[0]
        : decai__j_binary(r, O_MUL, decai__j_lit(" "), arg[0].type == J_MISSING ? decai__j_int(4) : decai__j_int(decai__j_want_int(r, arg[0], "indent")));
    if (in.type != J_STR) {
        if (in.type <= J_UNDEF) return decai__j_undef_raise(r, in);
        return DJ_ERROR(r, "indent: a text is needed, not %s", decai__j_type_name(in));
    }
    if (in.flag & DJ_MARKUP && with.type == J_STR && arg[0].type == J_STR) with.flag |= DJ_MARKUP;
    bool first = decai__j_truth(r, arg[1]), blank = decai__j_truth(r, arg[2]);
    size_t from = r->out.len;
    /* The filter adds a newline and splits again: a last line that is empty stays one. */
    decai__j_list *lines = decai__j_lines(r, decai__j_concat(r, in, decai__j_lit("\n")), false);
    if (first && !r->error) decai__j_put(r, with.u.s, with.n);
    for (uint32_t i = 0; lines && i < lines->count && decai__j_pay(r, 1); i++) {
        decai__j_val line = lines->items[i];
        if (i) decai__j_put_byte(r, '\n');
        if (i && (blank || line.n)) decai__j_put(r, with.u.s, with.n);
        decai__j_put(r, line.u.s, line.n);
    }
    decai__j_val out = decai__j_taken(r, from);
    out.flag = in.flag;
    return out;
}

static decai__j_val
f_truncate(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    decai__j_val arg[4];
    if (!decai__j_bind_args(r, a, "length killwords end leeway", 0, arg)) return decai__j_undef(r);
    int64_t length = arg[0].type == J_MISSING ? 255 : decai__j_want_int(r, arg[0], "truncate: length");
    int64_t leeway = arg[3].type == J_MISSING || arg[3].type == J_NONE ? 5 : decai__j_want_int(r, arg[3], "truncate: leeway");
    decai__j_val end = arg[2].type == J_MISSING ? decai__j_lit("...") : arg[2];
    if (end.type != J_STR) return DJ_ERROR(r, "truncate: the end must be a text");
    int64_t keep = length - decai__j_chars(r, end), n = decai__j_length(r, in);
    if (keep < 0 || leeway < 0) return DJ_ERROR(r, "truncate: length or leeway too small");
    if (r->error || n <= length + leeway) return in;
    if (in.type != J_STR) return DJ_ERROR(r, "truncate: a text is needed, not %s", decai__j_type_name(in));
    decai__j_val head = decai__j_sub(in, 0, decai__j_offset(in, keep));
    if (!decai__j_truth(r, arg[1])) {
        const char *space = decai__j_find_last(r, head.u.s, head.n, " ", 1);
        if (space) head = decai__j_sub(head, 0, (size_t)(space - head.u.s));
    }
    return decai__j_add(r, head, end);
}

static decai__j_val
f_wordcount(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    if (!decai__j_bind_args(r, a, "", 0, NULL)) return decai__j_undef(r);
    decai__j_val s = decai__j_to_str(r, in);
    const char *p = s.u.s, *end = p + s.n;
    int64_t words = 0;
    bool inside = false;
    decai__j_pay_bytes(r, s.n * (size_t)4);
    while (p < end) {
        uint32_t c = decai__j_rune(&p, end);
        bool word = c == '_' || decai__j_is_alpha(c) || decai__j_is_numeric(c);
        words += word && !inside;
        inside = word;
    }
    return decai__j_int(words);
}

static void
put_quoted(decai__j_run *r, decai__j_val v, bool query)
{
    static const char hex[] = "0123456789ABCDEF";
    decai__j_val s = decai__j_to_str(r, v);
    decai__j_pay_bytes(r, s.n);
    for (uint32_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.u.s[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("_.-~", c))
            || (c == '/' && !query)) {
            decai__j_put_byte(r, (char)c);
        } else if (c == ' ' && query) {
            decai__j_put_byte(r, '+');
        } else {
            char b[3] = { '%', hex[c >> 4], hex[c & 15] };
            decai__j_put(r, b, 3);
        }
    }
}

static decai__j_val
f_urlencode(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    decai__j_walk w;
    decai__j_val item;
    bool first = true;
    if (!decai__j_bind_args(r, a, "", 0, NULL)) return decai__j_undef(r);
    size_t from = r->out.len;
    if (in.type == J_STR || !decai__j_is_iterable(in)) {
        put_quoted(r, in, false);
        return decai__j_taken(r, from);
    }
    if (in.type == J_DICT) in = (decai__j_val){ .type = J_VIEW, .aux = DJ_ITEMS, .u.dict = in.u.dict };
    if (!decai__j_walk_begin(r, &w, in)) return decai__j_undef(r);
    while (decai__j_walk_next(r, &w, &item)) {
        decai__j_list *pair = decai__j_collect(r, item);
        if (!pair || pair->count != 2) return DJ_ERROR(r, "urlencode: pairs are needed");
        if (!first) decai__j_put_byte(r, '&');
        first = false;
        put_quoted(r, pair->items[0], true);
        decai__j_put_byte(r, '=');
        put_quoted(r, pair->items[1], true);
    }
    return decai__j_taken(r, from);
}

static decai__j_val
f_xmlattr(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    decai__j_val space;
    if (!decai__j_bind_args(r, a, "autospace", 0, &space)) return decai__j_undef(r);
    if (in.type <= J_UNDEF) return decai__j_undef_raise(r, in);
    if (in.type != J_DICT) return DJ_ERROR(r, "xmlattr: a dict is needed, not %s", decai__j_type_name(in));
    size_t from = r->out.len;
    for (uint32_t i = 0; i < in.u.dict->count && decai__j_pay(r, 1); i++) {
        const decai__j_entry *e = &in.u.dict->e[i];
        if (e->val.type == J_NONE || e->val.type <= J_UNDEF) continue;
        if (e->key.type != J_STR) return DJ_ERROR(r, "xmlattr: names are needed as keys");
        for (uint32_t k = 0; k < e->key.n; k++)
            if (strchr(" \t\n\r\f\v/>=", e->key.u.s[k]) && e->key.u.s[k]) return DJ_ERROR(r, "xmlattr: not a name");
        if (r->out.len > from || space.type == J_MISSING || decai__j_truth(r, space)) decai__j_put_byte(r, ' ');
        decai__j_put_val(r, decai__j_escape(r, e->key));
        decai__j_put_lit(r, "=\"");
        decai__j_put_val(r, decai__j_escape(r, e->val));
        decai__j_put_byte(r, '"');
    }
    return decai__j_taken(r, from);
}

static decai__j_val
f_refused(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    (void)in;
    (void)a;
    return decai__j_raise(r, DECAI_E_UNSUPPORTED, "this filter is not part of the library");
}

static decai__j_val
f_tojson(decai__j_run *r, decai__j_val in, const decai__j_args *a)
{
    return decai__j_tojson(r, in, a);
}

/* ---- the table: sorted by name ------------------------------------------------------- */

static const struct { const char *name; decai__j_filter *call; } filters[] = {
    { "abs", decai__j_f_abs }, { "attr", f_attr }, { "batch", decai__j_f_batch }, { "capitalize", f_capitalize },
    { "center", f_center }, { "count", decai__j_f_length }, { "d", f_default }, { "default", f_default },
    { "dictsort", decai__j_f_dictsort }, { "e", f_escape }, { "escape", f_escape }, { "filesizeformat", decai__j_f_filesizeformat },
    { "first", decai__j_f_first }, { "float", decai__j_f_float }, { "forceescape", f_forceescape }, { "format", f_format },
    { "groupby", decai__j_f_groupby }, { "indent", f_indent }, { "int", decai__j_f_int }, { "items", decai__j_f_items },
    { "join", decai__j_f_join }, { "last", decai__j_f_last }, { "length", decai__j_f_length }, { "list", decai__j_f_list }, { "lower", f_lower },
    { "map", decai__j_f_map }, { "max", decai__j_f_max }, { "min", decai__j_f_min }, { "pprint", f_refused }, { "random", f_refused },
    { "reject", decai__j_f_reject }, { "rejectattr", decai__j_f_rejectattr }, { "replace", f_replace }, { "reverse", decai__j_f_reverse },
    { "round", decai__j_f_round }, { "safe", f_safe }, { "select", decai__j_f_select }, { "selectattr", decai__j_f_selectattr },
    { "slice", decai__j_f_slice }, { "sort", decai__j_f_sort }, { "string", f_string }, { "striptags", f_refused },
    { "sum", decai__j_f_sum }, { "title", f_title }, { "tojson", f_tojson }, { "trim", f_trim }, { "truncate", f_truncate },
    { "unique", decai__j_f_unique }, { "upper", f_upper }, { "urlencode", f_urlencode }, { "urlize", f_refused },
    { "wordcount", f_wordcount }, { "wordwrap", f_refused }, { "xmlattr", f_xmlattr },
};

uint16_t
decai__j_filter_find(const char *name, size_t n)
{
    for (size_t i = 0; i < DECAI__COUNT(filters); i++)
        if (strlen(filters[i].name) == n && !memcmp(filters[i].name, name, n)) return (uint16_t)i;
    return DJ_UNKNOWN;
}

decai__j_val
decai__j_filter_call(decai__j_run *r, uint16_t which, decai__j_val in, const decai__j_args *a)
{
    return r->error ? decai__j_undef(r) : filters[which].call(r, in, a);
}
