/* verify.c - decai verify: how much of a receipt is true.
 *
 * What is at hand decides how deep it goes: form and signatures always, the
 * commitments with an opening, every number of the run with the model as well.
 * The shipped model is used unasked where the receipt names it, because a receipt
 * whose numbers were not computed again proves only who signed it. */
#include "cli.h"

#include <string.h>

typedef struct arguments {
    bool json, no_replay;
    const char *opening, *model, *backend;
} arguments;

/* The shipped model, if it is the one that the receipt names; else NULL. */
static decai_model *
model_named(decai_context *ctx, decai_receipt *receipt, progress *p)
{
    const char *path = model_shipped();
    if (!path) return NULL;
    text about = {0}, named = {0}, own = {0};
    uint8_t root[32];
    decai_model *model = model_open(ctx, path, p);
    check(decai_model_root_get(model, root, sizeof root), path);
    text_hex(&own, root, sizeof root);
    FETCH(&about, "receipt", decai_receipt_format(receipt, out, cap, &len));
    json_field(&named, about.data, "model_root");
    if (strcmp(named.data, own.data)) {
        decai_destroy(model);
        model = NULL;
    }
    text_free(&about);
    text_free(&named);
    text_free(&own);
    return model;
}

static decai_engine *
engine_for(decai_context *ctx, decai_receipt *receipt, const arguments *a, progress *p)
{
    if (a->no_replay) return NULL;
    decai_model *model = a->model ? model_open(ctx, a->model, p) : a->opening ? model_named(ctx, receipt, p) : NULL;
    if (!model) return NULL;
    decai_engine *engine = engine_make(ctx, model, a->backend);
    decai_destroy(model);
    return engine;
}

/* One line for people, beside the JSON that is the answer. */
static void
say(const arguments *a, int32_t result, const char *reason, uint64_t committed, bool replayed)
{
    colours c = colours_for(stderr);
    if (result) fprintf(stderr, "%swrong%s: %s\n", c.red, c.reset, reason);
    else if (committed == DECAI_COVER_SIGNATURE)
        fprintf(stderr, "%sright%s: every number was computed again; nobody has signed it\n", c.green, c.reset);
    else if (!committed) fprintf(stderr, "%sright%s: every number was computed again\n", c.green, c.reset);
    else
        fprintf(stderr, "%snothing wrong, but not everything was checked%s: \"committed\" lists what is only claimed%s\n", c.bold,
            c.reset, replayed ? "" : !a->opening ? "; the opening is missing (--opening)" : "; to do the work again, give --model");
}

static int
verify(decai_context *ctx, const char *path, const arguments *a)
{
    progress p;
    text file = {0}, opening = {0}, shown = {0}, reason = {0};
    decai_receipt *receipt = NULL;
    decai_task *task = NULL;
    decai_verification *v = NULL;
    progress_init(&p, a->json);
    file_read(&file, path);
    if (a->opening) file_read(&opening, a->opening);
    check(decai_receipt_load(&receipt, ctx, (const uint8_t *)file.data, file.len), path);
    decai_engine *engine = engine_for(ctx, receipt, a, &p);
    check(decai_verification_start(&task, &v, receipt, a->opening ? (const uint8_t *)opening.data : NULL, opening.len, engine), path);
    check(task_finish(task, &p), path);
    uint64_t replayed, committed;
    int32_t result = decai_verification_get(v, &replayed, &committed);
    if (result != DECAI_E_INTEGRITY) check(result, path);
    FETCH(&shown, path, decai_verification_format(v, out, cap, &len));
    printf("%s\n", shown.data);
    fflush(stdout);
    json_field(&reason, shown.data, "reason");
    if (!a->json) say(a, result, reason.data, committed, engine != NULL);
    decai_destroy(v);
    decai_destroy(receipt);
    decai_destroy(engine);
    text_free(&file);
    text_free(&opening);
    text_free(&shown);
    text_free(&reason);
    return result ? EXIT_WRONG : EXIT_OK;
}

int
verify_main(int argc, char **argv)
{
    arguments a = {.backend = "auto"};
    const flag flags[] = {
        {"--opening", "FILE", "the opening; default: RECEIPT with .opening, if it is there", &a.opening, NULL},
        {"--model", "FILE", "replay with this model; default: the shipped one, if the receipt names it", &a.model, NULL},
        {"--backend", "NAME", "auto, scalar, native or opencl; all find the same", &a.backend, NULL},
        {"--no-replay", NULL, "form, signatures and commitments only", NULL, &a.no_replay},
        {"--json", NULL, "one JSON object, nothing else", NULL, &a.json},
    };
    int n = flags_read(argc, argv, flags, sizeof flags / sizeof *flags,
        "usage: decai verify RECEIPT [options]\n\n"
        "Checks form and signatures; with an opening the commitments to the tokens;\n"
        "with a model as well, every number of the run. Exit code 1: it is wrong.\n");
    if (n != 1) die(EXIT_USAGE, "verify takes one RECEIPT");
    backend_check(a.backend);
    text beside = {0};
    text_printf(&beside, "%s.opening", argv[0]);
    if (!a.opening && file_exists(beside.data)) a.opening = beside.data;
    decai_context *ctx = context_make(-1, a.json);
    int code = verify(ctx, argv[0], &a);
    decai_destroy(ctx);
    text_free(&beside);
    return code;
}
