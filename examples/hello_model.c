/* hello_model.c - load a model and stream its answer.
 *
 *   make examples
 *   build/release/examples/hello_model examples/model/decai-actions.q8_0.gguf "please send 25 usdc to Maria"
 *
 * The one idea: a context owns everything; model, tokenizer, engine and session
 * are made from each other in that order; tokens are pulled one at a time. */
#include <stdio.h>
#include <string.h>

#include <decai.h>

enum { PROMPT_MAX = 512 };

/* Prompt in, text out as it grows. Returns 0 or the library's error. */
static int32_t
answer(decai_session *session, decai_tokenizer *tokenizer, decai_token_stream *stream, const char *prompt)
{
    int32_t ids[PROMPT_MAX], token, r;
    size_t n = 0;
    r = decai_tokenizer_encode(tokenizer, ids, PROMPT_MAX - 1, &n, (const uint8_t *)prompt, strlen(prompt), DECAI_ENCODE_ADD);
    if (r < 0) return r;
    /* This model was trained with a token between request and answer. */
    if (decai_tokenizer_id_get(tokenizer, &token, (const uint8_t *)"<|sep|>", 7) == 0) ids[n++] = token;
    if ((r = decai_session_add(session, ids, n)) < 0) return r;

    /* A token can end inside a character: the stream holds such bytes back. */
    while ((r = decai_session_next(session, &token)) == 1) {
        uint8_t text[DECAI_TOKEN_STREAM_MAX];
        size_t len = 0;
        if ((r = decai_token_stream_add(stream, text, sizeof text, &len, token)) < 0) break;
        fwrite(text, 1, len, stdout);
        fflush(stdout);
    }
    printf("\n");
    return r;
}

int
main(int argc, char **argv)
{
    decai_context *context = NULL;
    decai_options *options = NULL;
    decai_model *model = NULL;
    decai_tokenizer *tokenizer = NULL;
    decai_engine *engine = NULL;
    decai_session *session = NULL;
    decai_token_stream *stream = NULL;
    int32_t r;
    if (argc != 3) {
        fprintf(stderr, "usage: hello_model MODEL.gguf PROMPT\n");
        return 2;
    }
    if ((r = decai_context_create(&context, NULL)) < 0) goto done;
    if ((r = decai_model_load(&model, context, argv[1], NULL)) < 0) goto done;
    if ((r = decai_tokenizer_create(&tokenizer, model, NULL)) < 0) goto done;
    if ((r = decai_engine_create(&engine, model, NULL)) < 0) goto done;
    if ((r = decai_options_create(&options, context)) < 0) goto done;
    if ((r = decai_options_set_i64(options, "infer.max_tokens", 128)) < 0) goto done;
    if ((r = decai_session_create(&session, engine, options)) < 0) goto done;
    if ((r = decai_token_stream_create(&stream, tokenizer, 0)) < 0) goto done;
    r = answer(session, tokenizer, stream, argv[2]);
done:
    if (r < 0) fprintf(stderr, "%s: %s\n", decai_error_name(r), decai_error_detail());
    /* Any order is right, and NULL is nothing: children keep their parents. */
    decai_destroy(stream);
    decai_destroy(session);
    decai_destroy(options);
    decai_destroy(engine);
    decai_destroy(tokenizer);
    decai_destroy(model);
    decai_destroy(context);
    return r < 0;
}
