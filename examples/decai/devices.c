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

/* One device as JSON; false: there is none of this number. */
static bool
device_line(text *t, decai_context *ctx, size_t index)
{
    size_t len = 0;
    int32_t r = decai_device_at(ctx, NULL, 0, &len, index);
    if (r == 0) return false;
    if (r != DECAI_E_SPACE) check(r, "devices");
    text_reserve(t, len);
    check(decai_device_at(ctx, (uint8_t *)t->data, len, &len, index), "devices");
    while (t->len && strchr(" \n", t->data[t->len - 1])) text_reserve(t, t->len - 1);
    return true;
}

/* ---- in a child ------------------------------------------------------------- */

enum { PASSED, FAILED, NONE = 9 };

static int
probe_child(size_t index, int fd)
{
    decai_context *ctx = context_make(-1, true);
    text line = {0};
    if (!device_line(&line, ctx, index)) return NONE;
    if (write(fd, line.data, line.len) != (ssize_t)line.len) return FAILED;
    return decai_device_verify(ctx, index) ? FAILED : PASSED;
}

/* Describes and tests one device; false: there is none of this number. */
static bool
probe(text *line, size_t index, const char **result)
{
    int ends[2], status = 0;
    if (pipe(ends)) die(EXIT_FAILED, "devices: no pipe");
    fflush(stdout);                  /* or the child would print it again */
    pid_t pid = fork();
    if (pid < 0) die(EXIT_FAILED, "devices: no child process");
    if (!pid) {
        close(ends[0]);
        _exit(probe_child(index, ends[1]));
    }
    close(ends[1]);
    char block[4096];
    ssize_t n;
    while ((n = read(ends[0], block, sizeof block)) > 0) text_add(line, block, (size_t)n);
    close(ends[0]);
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NONE) return false;
    *result = WIFSIGNALED(status) ? "crashed" : WEXITSTATUS(status) == PASSED ? "passed" : "failed";
    return true;
}

/* ---- the list ------------------------------------------------------------------ */

static void
print_line(const text *line, const char *result)
{
    static const char *const fields[] = {"index", "backend", "name", "driver"};
    colours c = colours_for(stdout);
    text value = {0};
    json_field(&value, line->data, fields[0]);
    printf("%2s  ", value.data);
    json_field(&value, line->data, fields[1]);
    printf("%s%-7s%s ", c.bold, value.data, c.reset);
    json_field(&value, line->data, fields[2]);
    printf("%s", value.data);
    if (json_field(&value, line->data, fields[3])) printf("%s, driver %s%s", c.dim, value.data, c.reset);
    json_field(&value, line->data, "fit");
    if (!strcmp(value.data, "0")) printf("%s, lacks what the library needs%s", c.red, c.reset);
    if (json_field(&value, line->data, "flavour")) {
        text best = {0};
        json_field(&best, line->data, "best_flavour");
        printf("%s, kernels %s%s", c.dim, value.data, c.reset);
        if (strcmp(best.data, value.data)) printf("%s (%s not passed here yet)%s", c.dim, best.data, c.reset);
        text_free(&best);
    }
    if (result) printf("  %s%s%s", strcmp(result, "passed") ? c.red : c.green, result, c.reset);
    printf("\n");
    text_free(&value);
}

/* The JSON object of the line with the probe's result in it. */
static void
json_line(text *all, const text *line, const char *result)
{
    text_printf(all, "%s", all->len ? "," : "");
    text_add(all, line->data, line->len - (result ? 1 : 0));
    if (result) text_printf(all, ",\"probe\":\"%s\"}", result);
}

int
devices_main(int argc, char **argv)
{
    bool json = false, probing = false, bad = false, described = true;
    const flag flags[] = {
        {"--probe", NULL, "run the known-answer test of each device in a child process", NULL, &probing},
        {"--json", NULL, "one JSON array, nothing else", NULL, &json},
    };
    if (flags_read(argc, argv, flags, 2, "usage: decai devices [--probe] [--json]\n\nExit code 1: a probe did not pass.\n"))
        die(EXIT_USAGE, "devices takes no names");

    text all = {0};
    decai_context *ctx = probing ? NULL : context_make(-1, json);
    /* A driver that ends the child before it could say what it is would do so for
     * every number: then the list ends. */
    for (size_t i = 0; described; i++) {
        text line = {0};
        const char *result = NULL;
        if (!(probing ? probe(&line, i, &result) : device_line(&line, ctx, i))) break;
        described = line.len > 0;
        if (!described) text_printf(&line, "{\"index\":%zu,\"backend\":\"opencl\",\"name\":\"a driver that does not answer\",\"fit\":0}", i);
        bad |= result && strcmp(result, "passed");
        if (json) json_line(&all, &line, result);
        else print_line(&line, result);
        text_free(&line);
    }
    if (json) printf("[%s]\n", all.data ? all.data : "");
    text_free(&all);
    decai_destroy(ctx);
    return bad ? EXIT_WRONG : EXIT_OK;
}
