/* error.c - error numbers and the sentence that goes with the last one.
 *
 * The number is the contract; the sentence helps a person. It is kept per
 * thread, so that two threads never read each other's failure, and it is the
 * only mutable state of the library that no handle owns. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

static _Thread_local char last_detail[DECAI_DETAIL_MAX + 1];

typedef struct error_row {
    int32_t code;
    const char *name;
} error_row;

static const error_row errors[] = {
#define ERROR_NAME(code, name) {code, name},
#include "errors.inc"
#undef ERROR_NAME
};

int32_t
decai__fail(int32_t code, const char *format, ...)
{
    decai__assert(code < 0);
    va_list args;
    va_start(args, format);
    vsnprintf(last_detail, sizeof last_detail, format, args);
    va_end(args);
    return code;
}

const char *
decai__error_name(int32_t code)
{
    if (code >= 0) return "ok";
    for (size_t i = 0; i < DECAI__COUNT(errors); i++)
        if (errors[i].code == code) return errors[i].name;
    return "DECAI_E_UNKNOWN";
}

const char *
decai__error_detail(void)
{
    return last_detail;
}
