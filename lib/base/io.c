/* io.c - what rooms that keep files of their own need of a descriptor: whole reads,
 * whole writes, and a name made of a digest. Where a file comes from, and whether it is
 * to be trusted, is decided where it is opened.
 */
#include <errno.h>
#include <unistd.h>

#include "base/base.h"

bool
decai__read_all(int fd, uint8_t *out, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = read(fd, out + got, len - got);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        got += (size_t)n;
    }
    return true;
}

bool
decai__write_all(int fd, const uint8_t *data, size_t len)
{
    for (size_t put = 0; put < len;) {
        ssize_t n = write(fd, data + put, len - put);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        put += (size_t)n;
    }
    return true;
}

void
decai__digest_name(char *name, const uint8_t digest[32], const char *ending)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < 32; i++) {
        name[2 * i] = digits[digest[i] >> 4];
        name[2 * i + 1] = digits[digest[i] & 15];
    }
    for (size_t i = 64; (name[i] = *ending) != 0; i++) ending++;
}
