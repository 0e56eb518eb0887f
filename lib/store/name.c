/* name.c - names of accounts and assets, one alphabet for every room.
 *
 *     1 .. DECAI_NAME_MAX bytes of  A-Z a-z 0-9 . _ -
 *
 * It leaves out what would have to be escaped somewhere (quotes, spaces, <, &)
 * and the colon, which separates the market's own accounts ("stake:alice",
 * "ext:burn") from anybody's: no name can reach one of those.
 */
#include "store/store.h"

int32_t
decai__name_check(const char *name, const char *field)
{
    if (!name || !*name) return decai__fail(DECAI_E_INVALID, "%s: empty", field);
    size_t n = 0;
    for (; name[n]; n++) {
        char c = name[n];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                    c == '_' || c == '-';
        if (n == DECAI_NAME_MAX)
            return decai__fail(DECAI_E_LIMIT, "%s: more than %d bytes", field, DECAI_NAME_MAX);
        if (!good) return decai__fail(DECAI_E_INVALID, "%s: byte %zu is none of A-Z a-z 0-9 . _ -", field, n);
    }
    return 0;
}
