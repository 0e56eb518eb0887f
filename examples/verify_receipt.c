/* verify_receipt.c - is this receipt true?
 *
 *   build/release/decai demo
 *   build/release/examples/verify_receipt examples/model/decai-actions.q8_0.gguf \
 *       decai-demo/receipt-aurora.cbor decai-demo/receipt-aurora.cbor.opening
 *
 * The one idea: a receipt that does not check is a result, not an error. The
 * verification says what was computed again and what is still only claimed. Exit
 * status: 0 right, 1 wrong, 2 wrong usage, 3 it could not be looked at. */
#include <stdio.h>

#include <decai.h>

enum { FILE_MAX = 1 << 20 };

static uint8_t receipt_bytes[FILE_MAX], opening_bytes[FILE_MAX];

/* Returns the length, 0 if it cannot be read or is too long. */
static size_t
read_file(uint8_t *out, const char *path)
{
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(out, 1, FILE_MAX, f) : 0;
    if (f) fclose(f);
    if (!n) fprintf(stderr, "%s: cannot be read\n", path);
    return n < FILE_MAX ? n : 0;
}

static int
report(decai_verification *found)
{
    uint64_t replayed = 0, committed = 0;
    int32_t r = decai_verification_get(found, &replayed, &committed);
    if (r == DECAI_E_INTEGRITY) {
        printf("wrong: %s\n", decai_error_detail());
        return 1;
    }
    printf("right%s\n", committed ? ", as far as it could be checked" : ": every number was computed again");
    return r < 0 ? 3 : 0;
}

int
main(int argc, char **argv)
{
    decai_context *context = NULL;
    decai_model *model = NULL;
    decai_engine *engine = NULL;
    decai_receipt *receipt = NULL;
    decai_verification *found = NULL;
    int32_t r;
    if (argc != 4) {
        fprintf(stderr, "usage: verify_receipt MODEL.gguf RECEIPT OPENING\n");
        return 2;
    }
    size_t receipt_len = read_file(receipt_bytes, argv[2]), opening_len = read_file(opening_bytes, argv[3]);
    if (!receipt_len || !opening_len) return 3;

    if ((r = decai_context_create(&context, NULL)) < 0) goto done;
    if ((r = decai_receipt_load(&receipt, context, receipt_bytes, receipt_len)) < 0) goto done;
    if ((r = decai_model_load(&model, context, argv[1], NULL)) < 0) goto done;
    if ((r = decai_engine_create(&engine, model, NULL)) < 0) goto done;
    r = decai_receipt_verify(&found, receipt, opening_bytes, opening_len, engine);
done:
    if (r < 0) fprintf(stderr, "%s: %s\n", decai_error_name(r), decai_error_detail());
    int status = r < 0 ? 3 : report(found);
    decai_destroy(found);
    decai_destroy(engine);
    decai_destroy(model);
    decai_destroy(receipt);
    decai_destroy(context);
    return status;
}
