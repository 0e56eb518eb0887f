/* hash_environment_test.c - hashing opens no configuration file of OpenSSL's,
 * whatever the environment says. A watch on the file tells; the control, a
 * load that the host asks for itself, must be seen by the same watch. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/crypto.h>

#include "hash/hash.h"

static char path[] = "/tmp/decai-openssl-XXXXXX";

/* How many opens of the file since the last call. */
static size_t opens(int watch)
{
    _Alignas(struct inotify_event) char events[4096];
    size_t count = 0;
    ssize_t n;
    while ((n = read(watch, events, sizeof events)) > 0)
        for (ssize_t at = 0; at < n; count++) {
            struct inotify_event head;
            memcpy(&head, events + at, sizeof head);
            at += (ssize_t)(sizeof head + head.len);
        }
    return count;
}

static void no_configuration(void **state)
{
    static const char text[] = "openssl_conf = main\n[main]\n";
    decai_context *ctx = NULL;
    OSSL_LIB_CTX *lib = NULL;
    uint8_t hash[32];
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, sizeof text - 1), (ssize_t)sizeof text - 1);
    close(fd);
    assert_int_equal(setenv("OPENSSL_CONF", path, 1), 0);
    int watch = inotify_init1(IN_NONBLOCK);
    assert_true(watch >= 0);
    assert_true(inotify_add_watch(watch, path, IN_OPEN) >= 0);

    assert_int_equal(decai_context_create(&ctx, NULL), 0);
    assert_int_equal(decai__sha256(ctx, hash, "abc", 3), 0);
    assert_int_equal(decai__hash_ossl(ctx, &lib), 0);
    assert_non_null(lib);
    decai__keccak256(hash, "abc", 3);
    decai_destroy(ctx);
    assert_int_equal(opens(watch), 0);

    assert_int_equal(OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL), 1);
    assert_true(opens(watch) > 0);
    close(watch);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(no_configuration) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
