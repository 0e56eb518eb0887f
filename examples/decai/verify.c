/* verify.c - decai verify: how much of a receipt is true. */
#include "cli.h"

#include <string.h>

static decai_engine *
engine_of(decai_context *ctx, const char *path, const char *backend, progress *p)
{
    decai_engine *engine = NULL;
    decai_options *o = NULL;
    decai_model *model = model_open(ctx, path, p);
    check(decai_options_create(&o, ctx), "options");
    check(decai_options_set_str(o, "compute.backend", backend), "--backend");
    check(decai_engine_create(&engine, model, o), path);
    decai_destroy(o);
    decai_destroy(model);
    return engine;
}

int
verify_main(int argc, char **argv)
{
    bool json = false;
    const char *opening_path = NULL, *model = NULL, *backend = "auto";
    const flag flags[] = {
        {"--opening", "FILE", "the opening; default: RECEIPT with .opening, if it is there", &opening_path, NULL},
        {"--model", "FILE", "replay with this model", &model, NULL},
        {"--backend", "NAME", "auto, scalar, native or opencl", &backend, NULL},
        {"--json", NULL, "one JSON object, nothing else", NULL, &json},
    };
    int n = flags_read(argc, argv, flags, 4,
        "usage: decai verify RECEIPT [options]\n\n"
        "Checks form and signatures; with an opening the commitments to the tokens;\n"
        "with a model as well, every number of the run. Exit code 1: it is wrong.\n");
    if (n != 1) die(EXIT_USAGE, "verify takes one RECEIPT");

    decai_context *ctx = context_make(-1);
    progress p;
    progress_init(&p, json);
    text file = {0}, opening = {0}, beside = {0}, shown = {0};
    file_read(&file, argv[0]);
    text_printf(&beside, "%s.opening", argv[0]);
    if (!opening_path && file_exists(beside.data)) opening_path = beside.data;
    if (opening_path) file_read(&opening, opening_path);

    decai_receipt *receipt = NULL;
    decai_task *task = NULL;
    decai_verification *v = NULL;
    check(decai_receipt_load(&receipt, ctx, (const uint8_t *)file.data, file.len), argv[0]);
    decai_engine *engine = model ? engine_of(ctx, model, backend, &p) : NULL;
    check(decai_verification_start(&task, &v, receipt, opening_path ? (const uint8_t *)opening.data : NULL, opening.len, engine), "verify");
    check(task_finish(task, &p), "verify");
    uint64_t replayed, committed;
    int32_t result = decai_verification_get(v, &replayed, &committed);
    if (result != DECAI_E_INTEGRITY) check(result, "verify");
    FETCH(&shown, "verify", decai_verification_format(v, out, cap, &len));
    printf("%s\n", shown.data);
    if (!json && !result && committed) {
        colours c = colours_for(stderr);
        fprintf(stderr, "%snot everything was checked%s: \"committed\" lists what is only claimed%s\n", c.bold, c.reset,
            model ? "" : "; give --model (and an opening) to do the work again");
    }
    decai_destroy(v);
    decai_destroy(receipt);
    decai_destroy(engine);
    decai_destroy(ctx);
    text_free(&file);
    text_free(&opening);
    text_free(&beside);
    text_free(&shown);
    return result ? EXIT_WRONG : EXIT_OK;
}
