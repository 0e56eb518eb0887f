/* inspect.c - decai inspect: what is in this file? */
#include "cli.h"

#include <string.h>

/* A CBOR file may be a receipt, a manifest, or anything of the subset. */
static void
inspect_cbor(decai_context *ctx, const text *file, text *shown)
{
    const uint8_t *data = (const uint8_t *)file->data;
    decai_receipt *receipt = NULL;
    decai_manifest *manifest = NULL;
    if (decai_receipt_load(&receipt, ctx, data, file->len) == 0) {
        FETCH(shown, "receipt", decai_receipt_format(receipt, out, cap, &len));
    } else if (decai_manifest_decode(&manifest, ctx, data, file->len) == 0) {
        FETCH(shown, "manifest", decai_manifest_format(manifest, out, cap, &len));
    } else {
        FETCH(shown, "file", decai_cbor_format(ctx, out, cap, &len, data, file->len));
    }
    decai_destroy(receipt);
    decai_destroy(manifest);
}

int
inspect_main(int argc, char **argv)
{
    bool json = false;
    const flag flags[] = {{"--json", NULL, "the same: models, receipts and manifests are always shown as JSON", NULL, &json}};
    if (flags_read(argc, argv, flags, 1,
            "usage: decai inspect FILE\n\nFILE: a GGUF model, a receipt, an opening, a manifest, or JSON\n") != 1)
        die(EXIT_USAGE, "inspect takes one FILE");

    decai_context *ctx = context_make(-1);
    text file = {0}, shown = {0};
    progress p;
    progress_init(&p, json);
    file_read(&file, argv[0]);
    if (file.len >= 4 && !memcmp(file.data, "GGUF", 4)) {
        decai_model *model = model_open(ctx, argv[0], &p);
        FETCH(&shown, "model", decai_model_format(model, out, cap, &len));
        decai_destroy(model);
    } else if (file.len && strchr("{[\"", file.data[0])) {
        check(decai_json_verify(ctx, file.data, file.len), argv[0]);
        text_add(&shown, file.data, file.len);
    } else {
        inspect_cbor(ctx, &file, &shown);
    }
    printf("%s%s", shown.data ? shown.data : "", shown.len && shown.data[shown.len - 1] == '\n' ? "" : "\n");
    text_free(&file);
    text_free(&shown);
    decai_destroy(ctx);
    return EXIT_OK;
}
