/* template.c - decai template: a conversation through a chat template.
 *
 * The template is a file's (--file) or a model's own (--model). What is printed is
 * the rendering and nothing else, without a newline of ours behind it. */
#include "cli.h"

#include <string.h>

static decai_options *
template_options(decai_context *ctx, const char *name, const char *time_s)
{
    decai_options *o = NULL;
    check(decai_options_create(&o, ctx), "options");
    if (name) check(decai_options_set_str(o, "tok.template_name", name), "--name");
    if (time_s)
        check(decai_options_set_i64(o, "tok.template_time_s", number_of(time_s, "--time", 0, 253402300799LL)), "--time");
    return o;
}

int
template_main(int argc, char **argv)
{
    const char *path = NULL, *model_file = NULL, *name = NULL, *time_s = NULL;
    const flag flags[] = {
        {"--file", "T.jinja", "the template", &path, NULL},
        {"--model", "M.gguf", "the model whose template, and whose special tokens, to use", &model_file, NULL},
        {"--name", "NAME", "which of the model's named templates; default: the main one", &name, NULL},
        {"--time", "SECONDS", "the time that strftime_now shows, since 1970 UTC; default: now", &time_s, NULL},
    };
    int n = flags_read(argc, argv, flags, sizeof flags / sizeof *flags,
        "usage: decai template --file T.jinja CONVERSATION.json\n"
        "       decai template --model M.gguf [--name NAME] CONVERSATION.json\n"
        "CONVERSATION.json: an array of messages, or an object of the template's variables\n"
        "(messages, tools, add_generation_prompt, bos_token, ...)\n");
    if (n != 1 || (!path && !model_file)) die(EXIT_USAGE, "template takes --file or --model, and CONVERSATION.json");

    decai_context *ctx = context_make(0, false);
    decai_options *o = template_options(ctx, name, time_s);
    decai_model *model = NULL;
    decai_template *t = NULL;
    text source = {0}, json = {0}, out_text = {0};
    progress p;
    progress_init(&p, true);
    if (path) file_read(&source, path);
    file_read(&json, argv[0]);
    if (model_file) model = model_open(ctx, model_file, &p);
    check(decai_template_create(&t, ctx, model, path ? (source.data ? source.data : "") : NULL, source.len, o),
        path ? path : model_file);
    FETCH(&out_text, argv[0], decai_template_format(t, out, cap, &len, json.data ? json.data : "", json.len));
    fwrite(out_text.data ? out_text.data : "", 1, out_text.len, stdout);
    decai_destroy(t);
    decai_destroy(model);
    decai_destroy(o);
    decai_destroy(ctx);
    text_free(&source);
    text_free(&json);
    text_free(&out_text);
    return EXIT_OK;
}

void
chat_encode(decai_context *ctx, decai_model *model, decai_tokenizer *tok, text *ids, const char *prompt)
{
    decai_template *t = NULL;
    text json = {0}, rendered = {0};
    check(decai_template_create(&t, ctx, model, NULL, 0, NULL), "--chat");
    /* The variables that apply_chat_template of transformers gives. */
    text_printf(&json, "{\"messages\":[{\"role\":\"user\",\"content\":");
    text_json(&json, prompt, strlen(prompt));
    text_printf(&json, "}],\"tools\":null,\"documents\":null,\"add_generation_prompt\":true}");
    guard *words = guard_open(tok);
    const char *mark;
    check(guard_mark(words, ctx, &json, &mark), "--chat");
    FETCH(&rendered, "--chat", decai_template_format(t, out, cap, &len, json.data, json.len));
    text_reserve(ids, 0);
    check(guard_encode(words, ids, rendered.data ? rendered.data : "", rendered.len, mark), "prompt");
    guard_close(words);
    decai_destroy(t);
    text_free(&json);
    text_free(&rendered);
}
