/* inspect.c - decai inspect: what is in this file?
 *
 * The first bytes say what to try: "GGUF" is a model, a length and a bracket are
 * one in safetensors, a bracket or quote alone is JSON;
 * the rest is CBOR, and is asked whether it is a receipt or a manifest. */
#include "cli.h"

#include <errno.h>
#include <string.h>

/* What a file is, and its content: JSON, or for bare CBOR its diagnostic notation. */
typedef struct finding {
    const char *kind;
    bool json;
    text shown;
} finding;

/* The six fields of an opening, as the diagnostic notation shows them. */
static bool
opening_like(const char *shown)
{
    static const char *const parts[] = {"{\n  0: 1,\n  1: h'", "\n  2: h'", "\n  3: [", "\n  4: h'", "\n  5: ["};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(shown, parts[i])) return false;
    return true;
}

static void
inspect_cbor(decai_context *ctx, const char *path, const text *file, finding *f)
{
    const uint8_t *data = (const uint8_t *)file->data;
    decai_receipt *receipt = NULL;
    decai_manifest *manifest = NULL;
    if (decai_receipt_load(&receipt, ctx, data, file->len) == 0) {
        f->kind = "receipt";
        f->json = true;
        FETCH(&f->shown, path, decai_receipt_format(receipt, out, cap, &len));
    } else if (decai_manifest_decode(&manifest, ctx, data, file->len) == 0) {
        f->kind = "manifest";
        f->json = true;
        FETCH(&f->shown, path, decai_manifest_format(manifest, out, cap, &len));
    } else {
        size_t size = 0;
        int32_t r = decai_cbor_format(ctx, NULL, 0, &size, data, file->len);
        if (r < 0 && r != DECAI_E_SPACE)
            die(EXIT_FAILED, "%s: neither a model, receipt, opening, manifest, CBOR nor JSON (%s)", path, decai_error_detail());
        FETCH(&f->shown, path, decai_cbor_format(ctx, out, cap, &len, data, file->len));
        f->kind = opening_like(f->shown.data) ? "opening" : "cbor";
    }
    decai_destroy(receipt);
    decai_destroy(manifest);
}

/* A model may be larger than memory: only its first bytes are read here. A
 * safetensors file is a length and a JSON object; an index goes by its name. */
static bool
starts_as_model(const char *path)
{
    static const char index[] = ".safetensors.index.json";
    char front[9] = "";
    size_t len = strlen(path);
    FILE *f = fopen(path, "rb");
    if (!f) die(EXIT_FAILED, "%s: %s", path, strerror(errno));
    size_t n = fread(front, 1, sizeof front, f);
    fclose(f);
    if (len >= sizeof index && !strcmp(path + len - (sizeof index - 1), index)) return true;
    if (n >= 4 && !memcmp(front, "GGUF", 4)) return true;
    return n == sizeof front && front[8] == '{' && !front[6] && !front[7];
}

static void
inspect(decai_context *ctx, const char *path, bool quiet, finding *f)
{
    text file = {0};
    progress p;
    progress_init(&p, quiet);
    if (starts_as_model(path)) {
        decai_model *model = model_open(ctx, path, &p);
        f->kind = "model";
        f->json = true;
        FETCH(&f->shown, path, decai_model_format(model, out, cap, &len));
        decai_destroy(model);
        return;
    }
    file_read(&file, path);
    if (file.len && strchr("{[\" \n\t\r", file.data[0])) {
        check(decai_json_verify(ctx, file.data, file.len), path);
        f->kind = "json";
        f->json = true;
        text_add(&f->shown, file.data, file.len);
    } else {
        inspect_cbor(ctx, path, &file, f);
    }
    text_free(&file);
}

int
inspect_main(int argc, char **argv)
{
    bool json = false;
    const flag flags[] = {{"--json", NULL, "one JSON object {\"file\", \"kind\", \"content\"}, nothing else", NULL, &json}};
    if (flags_read(argc, argv, flags, 1,
            "usage: decai inspect FILE [--json]\n\n"
            "FILE is a GGUF model (of several files the first), a safetensors model or its\n"
            "index, a receipt, an opening, a manifest, other CBOR, or JSON.\n") != 1)
        die(EXIT_USAGE, "inspect takes one FILE");

    decai_context *ctx = context_make(-1, json);
    finding f = {0};
    inspect(ctx, argv[0], json, &f);
    while (f.shown.len && strchr(" \n", f.shown.data[f.shown.len - 1])) text_reserve(&f.shown, f.shown.len - 1);
    if (json) {
        text j = {0};
        text_printf(&j, "{\"file\":");
        text_json(&j, argv[0], strlen(argv[0]));
        text_printf(&j, ",\"kind\":\"%s\",\"content\":", f.kind);
        if (f.json) text_add(&j, f.shown.data, f.shown.len);
        else text_json(&j, f.shown.data, f.shown.len);
        printf("%s}\n", j.data);
        text_free(&j);
    } else {
        colours c = colours_for(stderr);
        fprintf(stderr, "%s%s: %s%s\n", c.dim, argv[0], f.kind, c.reset);
        printf("%s\n", f.shown.data);
    }
    text_free(&f.shown);
    decai_destroy(ctx);
    return EXIT_OK;
}
