/* devices.c - decai devices: what can compute here.
 *
 * Drivers run in the process that asks them, and a bad one can take it down. With
 * --probe each device is therefore asked and tested in a child process; what
 * happens to the child is the device's result. */
#include "cli.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void
device_line(text *out, decai_context *ctx, size_t index, int32_t *found)
{
    size_t len = 0;
    int32_t r = decai_device_at(ctx, NULL, 0, &len, index);
    *found = r == DECAI_E_SPACE || r == 1;
    if (r != DECAI_E_SPACE) {
        if (r < 0) check(r, "devices");
        return;
    }
    text_reserve(out, len);
    check(decai_device_at(ctx, (uint8_t *)out->data, len, &len, index), "devices");
}

/* In the child: describe and test one device. 9: no such device. */
static int
probe_child(size_t index, int fd)
{
    decai_context *ctx = context_make(-1);
    text line = {0};
    int32_t found;
    device_line(&line, ctx, index, &found);
    if (!found) return 9;
    if (write(fd, line.data, line.len) != (ssize_t)line.len) return 8;
    return decai_device_verify(ctx, index) ? 1 : 0;
}

static bool
probe(size_t index, text *line, const char **result)
{
    int ends[2];
    if (pipe(ends)) die(EXIT_FAILED, "pipe");
    pid_t pid = fork();
    if (pid < 0) die(EXIT_FAILED, "fork");
    if (!pid) {
        close(ends[0]);
        _exit(probe_child(index, ends[1]));
    }
    close(ends[1]);
    char block[4096];
    ssize_t n;
    while ((n = read(ends[0], block, sizeof block)) > 0) text_add(line, block, (size_t)n);
    close(ends[0]);
    int status = 0;
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 9) return false;
    if (WIFSIGNALED(status)) *result = "crashed";
    else *result = WEXITSTATUS(status) == 0 ? "passed" : "failed";
    if (!line->len) text_printf(line, "{\"index\":%zu}", index);
    return true;
}

int
devices_main(int argc, char **argv)
{
    bool json = false, probing = false;
    const flag flags[] = {
        {"--probe", NULL, "run the known-answer test of each device in a child process", NULL, &probing},
        {"--json", NULL, "one JSON array, nothing else", NULL, &json},
    };
    if (flags_read(argc, argv, flags, 2, "usage: decai devices [--probe] [--json]\n"))
        die(EXIT_USAGE, "devices takes no names");

    text all = {0};
    int bad = 0;
    decai_context *ctx = probing ? NULL : context_make(-1);
    for (size_t i = 0;; i++) {
        text line = {0};
        const char *result = NULL;
        int32_t found = 1;
        if (probing) found = probe(i, &line, &result);
        else device_line(&line, ctx, i, &found);
        if (!found) break;
        while (line.len && (line.data[line.len - 1] == '\n' || line.data[line.len - 1] == ' ')) text_reserve(&line, line.len - 1);
        if (result) {
            bad |= strcmp(result, "passed") != 0;
            text_reserve(&line, line.len - 1);   /* the closing brace */
            text_printf(&line, ",\"probe\":\"%s\"}", result);
        }
        text_printf(&all, "%s%s", i ? (json ? "," : "\n") : "", line.data);
        text_free(&line);
    }
    printf(json ? "[%s]\n" : "%s\n", all.data ? all.data : "");
    text_free(&all);
    decai_destroy(ctx);
    return bad ? EXIT_WRONG : EXIT_OK;
}
