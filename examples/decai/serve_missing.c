/* serve_missing.c - in place of serve*.c where libmicrohttpd was not there at build time. */
#include "cli.h"

#include <string.h>

int
serve_main(int argc, char **argv)
{
    static const char why[] = "this program was built without libmicrohttpd; install the package libmicrohttpd-dev (Debian, Ubuntu) and build again";
    if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        printf("usage: decai serve: %s\n", why);
        return EXIT_OK;
    }
    die(EXIT_FAILED, "serve: %s", why);
}
