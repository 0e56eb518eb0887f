/* jinja_time.c - strftime_now: the time that the rendering was given, in UTC, with
 * English names whatever the host speaks. Days to a date after H. Hinnant,
 * "chrono-compatible low-level date algorithms" (civil_from_days). */
#include <stdio.h>
#include <string.h>

#include "tok/jinja_tree.h"

typedef struct date { int64_t year; int month, day, weekday, yearday, hour, minute, second; } date;

static int64_t
floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static bool
leap(int64_t y)
{
    return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static date
date_of(int64_t seconds)
{
    static const int before[] = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 };
    date d;
    int64_t days = floor_div(seconds, 86400), rest = seconds - days * 86400;
    d.weekday = (int)((days % 7 + 11) % 7);          /* 1970-01-01 was a Thursday */
    d.hour = (int)(rest / 3600);
    d.minute = (int)(rest / 60 % 60);
    d.second = (int)(rest % 60);
    days += 719468;                                  /* from 0000-03-01 */
    int64_t era = floor_div(days, 146097), doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    d.day = (int)(doy - (153 * mp + 2) / 5 + 1);
    d.month = (int)(mp < 10 ? mp + 3 : mp - 9);
    d.year = yoe + era * 400 + (d.month <= 2);
    d.yearday = before[d.month - 1] + d.day + (d.month > 2 && leap(d.year));
    return d;
}

static void
put_number(decai__j_run *r, int64_t v, int width, char pad)
{
    char b[24];
    int n = 0;
    uint64_t u = (uint64_t)(v < 0 ? -v : v);
    do b[n++] = (char)('0' + u % 10);
    while (u /= 10);
    while (n < width && pad) b[n++] = pad;
    while (n > 0) decai__j_put_byte(r, b[--n]);
}

/* ISO 8601's week: the week of the year's first Thursday is the first. */
static int
iso_week(const date *d, int64_t *year)
{
    int monday = (d->weekday + 6) % 7, week = (d->yearday - monday + 9) / 7;
    *year = d->year;
    if (week == 0) {
        *year = d->year - 1;
        int days = 365 + leap(*year);
        return (d->yearday + days - monday + 9) / 7;
    }
    if (week == 53 && d->yearday - monday + 3 > 365 + leap(d->year)) {
        *year = d->year + 1;
        return 1;
    }
    return week;
}

static const char *const months[] = { "January", "February", "March", "April", "May", "June", "July", "August",
    "September", "October", "November", "December" };
static const char *const weekdays[] = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" };

static bool
put_field(decai__j_run *r, const date *d, int64_t now, char c, char pad)
{
    char zero = pad == '-' ? 0 : pad == '_' ? ' ' : '0', blank = pad == '-' ? 0 : pad == '0' ? '0' : ' ';
    int h12 = d->hour % 12 ? d->hour % 12 : 12;
    int64_t year;
    int week = iso_week(d, &year);
    switch (c) {
    case 'Y': put_number(r, d->year, 0, 0); break;
    case 'y': put_number(r, d->year % 100, 2, zero); break;
    case 'C': put_number(r, d->year / 100, 2, zero); break;
    case 'm': put_number(r, d->month, 2, zero); break;
    case 'd': put_number(r, d->day, 2, zero); break;
    case 'e': put_number(r, d->day, 2, blank); break;
    case 'H': put_number(r, d->hour, 2, zero); break;
    case 'k': put_number(r, d->hour, 2, blank); break;
    case 'I': put_number(r, h12, 2, zero); break;
    case 'l': put_number(r, h12, 2, blank); break;
    case 'M': put_number(r, d->minute, 2, zero); break;
    case 'S': put_number(r, d->second, 2, zero); break;
    case 'f': put_number(r, 0, 6, '0'); break;
    case 'j': put_number(r, d->yearday, 3, zero); break;
    case 'u': put_number(r, d->weekday ? d->weekday : 7, 0, 0); break;
    case 'w': put_number(r, d->weekday, 0, 0); break;
    case 'U': put_number(r, (d->yearday + 6 - d->weekday) / 7, 2, zero); break;
    case 'W': put_number(r, (d->yearday + 6 - (d->weekday + 6) % 7) / 7, 2, zero); break;
    case 'V': put_number(r, week, 2, zero); break;
    case 'G': put_number(r, year, 0, 0); break;
    case 'g': put_number(r, year % 100, 2, zero); break;
    case 's': put_number(r, now, 0, 0); break;
    case 'B': decai__j_put_lit(r, months[d->month - 1]); break;
    case 'b':
    case 'h': decai__j_put(r, months[d->month - 1], 3); break;
    case 'A': decai__j_put_lit(r, weekdays[d->weekday]); break;
    case 'a': decai__j_put(r, weekdays[d->weekday], 3); break;
    case 'p': decai__j_put_lit(r, d->hour < 12 ? "AM" : "PM"); break;
    case 'P': decai__j_put_lit(r, d->hour < 12 ? "am" : "pm"); break;
    case 'n': decai__j_put_byte(r, '\n'); break;
    case 't': decai__j_put_byte(r, '\t'); break;
    case '%': decai__j_put_byte(r, '%'); break;
    case 'z':
    case 'Z': break;                                 /* the time has no zone, as in Python */
    default: return false;
    }
    return true;
}

/* Fields that stand for several others, in the C locale. */
static const char *
compound(char c)
{
    switch (c) {
    case 'c': return "%a %b %e %H:%M:%S %Y";
    case 'D':
    case 'x': return "%m/%d/%y";
    case 'F': return "%Y-%m-%d";
    case 'T':
    case 'X': return "%H:%M:%S";
    case 'R': return "%H:%M";
    case 'r': return "%I:%M:%S %p";
    default: return NULL;
    }
}

static void
put_time(decai__j_run *r, const date *d, const char *s, size_t n, bool whole)
{
    for (size_t i = 0; i < n && decai__j_pay(r, 1); i++) {
        if (s[i] != '%' || i + 1 == n) {
            decai__j_put_byte(r, s[i]);
            continue;
        }
        char c = s[++i], pad = 0;
        if ((c == '-' || c == '_' || c == '0') && i + 1 < n) {
            pad = c;
            c = s[++i];
        }
        const char *more = whole ? compound(c) : NULL;
        if (more) put_time(r, d, more, strlen(more), false);
        else if (!put_field(r, d, r->time_s, c, pad)) decai__j_raise(r, DECAI_E_UNSUPPORTED, "strftime_now: %%%c", c & 0x7f);
    }
}

decai__j_val
decai__j_strftime(decai__j_run *r, decai__j_val format)
{
    if (format.type != J_STR) return DJ_ERROR(r, "strftime_now: a format is needed, not %s", decai__j_type_name(format));
    date d = date_of(r->time_s);
    size_t from = r->out.len;
    put_time(r, &d, format.u.s, format.n, true);
    return decai__j_taken(r, from);
}
