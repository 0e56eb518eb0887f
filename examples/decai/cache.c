/* cache.c - decai cache: the folder of compiled OpenCL programs.
 *
 * The library keeps nothing on disk by itself. The tool gives it a folder of the
 * user's: $XDG_CACHE_HOME/decai, else ~/.cache/decai. */
#include "cli.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The folder's path, made if it is not there; false: this user has none. */
static bool
cache_path(text *path)
{
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (base && *base == '/') text_printf(path, "%s", base);
    else if (home && *home == '/') text_printf(path, "%s/.cache", home);
    else return false;
    if (mkdir(path->data, 0700) && errno != EEXIST) return false;
    text_printf(path, "/decai");
    return true;
}

void
cache_use(decai_options *o, const char *backend)
{
    text path = {0};
    if (!strcmp(backend, "opencl") && cache_path(&path)) check(decai_options_set_str(o, "compute.cache_dir", path.data), "cache");
    text_free(&path);
}

/* A program of ours: 64 digits and an ending. */
static bool
ours(const char *name)
{
    return strspn(name, "0123456789abcdef") == 64 && (!strcmp(name + 64, ".clbin") || !strcmp(name + 64, ".new"));
}

int
cache_main(int argc, char **argv)
{
    text path = {0};
    size_t count = 0;
    uint64_t bytes = 0;
    int left = flags_read(argc, argv, NULL, 0, "usage: decai cache [clear]\n\n"
        "Where compiled OpenCL programs are kept and how much they take; clear removes them.\n");
    bool clear = left == 1 && !strcmp(argv[0], "clear");
    if (left > 1 || (left == 1 && !clear)) die(EXIT_USAGE, "cache: only \"clear\" may follow");
    if (!cache_path(&path)) die(EXIT_FAILED, "cache: neither XDG_CACHE_HOME nor HOME names a folder");
    DIR *d = opendir(path.data);
    for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
        struct stat st;
        if (!ours(e->d_name) || fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW)) continue;
        if (clear && unlinkat(dirfd(d), e->d_name, 0)) die(EXIT_FAILED, "cache: %s cannot be removed", e->d_name);
        count++;
        bytes += (uint64_t)st.st_size;
    }
    if (d) closedir(d);
    printf("%s: %zu programs, %.1f MiB%s\n", path.data, count, (double)bytes / 1048576.0, clear ? ", removed" : "");
    text_free(&path);
    return EXIT_OK;
}
