/* serve_sample.c - the members that say how tokens are drawn, the same on every route
 * that draws them, and the session's options they become.
 *
 * Names and bounds are OpenAI's where OpenAI has the member; top_k, min_p, typical_p,
 * repetition_penalty, ignore_eos and grammar are what other local servers call theirs. */
#include "serve.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool
params_open(params *p, call *c)
{
    decai_json *json = NULL;
    int32_t r = decai_json_open(&json, c->s->ctx, c->body.data ? c->body.data : "", c->body.len);
    *p = (params){.call = c, .json = json, .temperature = 1, .top_p = 1, .typical_p = 1, .repetition = 1, .n = 1, .top = -1,
        .input = -1, .tools = -1, .choice = -1, .strict = -1, .single = -1, .metadata = -1, .format = -1};
    if (r) call_fail(c, r, NULL);
    return !r;
}

void
params_free(params *p)
{
    for (size_t i = 0; i < p->stop_count; i++) text_free(&p->stops[i]);
    text_free(&p->bias);
    text_free(&p->instructions);
    text_free(&p->variables);
    text_free(&p->wanted);
    decai_destroy(p->grammar);
    decai_destroy(p->json);
}

/* ---- one member each ------------------------------------------------------------------ */

static bool temperature(params *p, int32_t v) { return read_f64(p, v, 0, 2, &p->temperature); }
static bool top_p(params *p, int32_t v) { return read_f64(p, v, 0, 1, &p->top_p); }
static bool min_p(params *p, int32_t v) { return read_f64(p, v, 0, 1, &p->min_p); }
static bool typical_p(params *p, int32_t v) { return read_f64(p, v, 0, 1, &p->typical_p); }
static bool top_k(params *p, int32_t v) { return read_i64(p, v, 0, 1048576, &p->top_k); }
static bool presence(params *p, int32_t v) { return read_f64(p, v, -2, 2, &p->presence); }
static bool frequency(params *p, int32_t v) { return read_f64(p, v, -2, 2, &p->frequency); }
static bool repetition(params *p, int32_t v) { return read_f64(p, v, 0.001, 1000, &p->repetition); }
static bool count(params *p, int32_t v) { return read_i64(p, v, 1, SERVE_CHOICES_MAX, &p->n); }
static bool max_tokens(params *p, int32_t v) { return read_i64(p, v, 1, DECAI_CONTEXT_TOKENS_MAX, &p->max_tokens); }
static bool stream(params *p, int32_t v) { return read_bool(p, v, &p->stream); }
static bool receipt(params *p, int32_t v) { return read_bool(p, v, &p->receipt); }
static bool ignore_end(params *p, int32_t v) { return read_bool(p, v, &p->ignore_end); }

static bool
seed(params *p, int32_t v)
{
    p->seeded = true;
    return read_i64(p, v, 0, INT64_MAX, &p->seed);
}

static bool
stop(params *p, int32_t v)
{
    bool one = value_type(p, v) == DECAI_JSON_STRING;
    size_t n = one ? 1 : value_count(p, v);
    if (!one && !read_type(p, v, DECAI_JSON_ARRAY, "a string or an array of strings")) return false;
    if (n > SERVE_STOPS_MAX) return refuse_value(p, v, NULL, "%zu stop texts, at most %d", n, SERVE_STOPS_MAX);
    for (size_t i = 0; i < n; i++) {
        int32_t at = one ? v : value_at(p, v, i);
        text *t = &p->stops[p->stop_count++];
        if (!read_text(p, at, t)) return false;
        if (!t->len || t->len > DECAI_STOP_BYTES_MAX)
            return refuse_value(p, at, NULL, "has %zu bytes, must have 1 to %d", t->len, DECAI_STOP_BYTES_MAX);
    }
    return true;
}

/* {"token id": -100..100}: an object's keys are looked at as numbers. */
static bool
bias(params *p, int32_t v)
{
    if (!read_type(p, v, DECAI_JSON_OBJECT, "an object of token ids and numbers")) return false;
    if (value_count(p, v) > DECAI_LOGIT_BIAS_MAX)
        return refuse_value(p, v, NULL, "%zu tokens, at most %d", value_count(p, v), DECAI_LOGIT_BIAS_MAX);
    for (size_t i = 0; i < value_count(p, v); i++) {
        int32_t at = value_at(p, v, i);
        char key[16] = "", *end;
        size_t len = 0;
        double value;
        if (decai_json_key_get(p->json, key, sizeof key - 1, &len, at)) len = 0;
        key[len] = 0;
        unsigned long id = strtoul(key, &end, 10);
        if (!len || *end || key[0] < '0' || key[0] > '9' || id >= p->call->model->vocabulary)
            return refuse_value(p, at, NULL, "the key must be a token's id, below %llu", (unsigned long long)p->call->model->vocabulary);
        if (!read_f64(p, at, -100, 100, &value)) return false;
        text_printf(&p->bias, value <= -100 ? "%s%lu:-inf" : "%s%lu:%.3f", i ? "," : "", id, value);
    }
    return true;
}

/* ---- what the answer must look like ---------------------------------------------------- */

/* The same text again finds the grammar, with the masks that were worked out for it. */
bool
read_grammar(params *p, int32_t value, const char *kind, const char *source, size_t len)
{
    served *m = p->call->model;
    text named = {0};
    uint8_t hash[32];
    text_printf(&named, "%s:", kind);
    text_add(&named, source, len);
    hash_of(hash, named.data, named.len);
    text_free(&named);
    decai_destroy(p->grammar);
    p->grammar = NULL;
    for (size_t i = 0; i < SERVE_GRAMMARS_MAX; i++)
        if (m->grammars[i].grammar && !memcmp(m->grammars[i].hash, hash, sizeof hash)) {
            p->grammar = m->grammars[i].grammar;
            return !decai_retain(p->grammar);
        }
    if (decai_grammar_create(&p->grammar, m->tok, kind, source, len, NULL)) {
        char detail[DECAI_DETAIL_MAX + 1];
        snprintf(detail, sizeof detail, "%s", decai_error_detail());
        return refuse_value(p, value, NULL, "%s", detail);
    }
    size_t at = m->grammar_next++ % SERVE_GRAMMARS_MAX;
    decai_destroy(m->grammars[at].grammar);
    m->grammars[at].grammar = p->grammar;
    memcpy(m->grammars[at].hash, hash, sizeof hash);
    return !decai_retain(p->grammar);
}

static bool
grammar(params *p, int32_t v)
{
    text t = {0};
    bool good = read_text(p, v, &t) && read_grammar(p, v, "gbnf", t.data, t.len);
    text_free(&t);
    return good;
}

static bool
read_schema(params *p, int32_t at)
{
    static const char *const known[] = {"type", "name", "description", "schema", "strict"};
    int32_t schema, other;
    text source = {0};
    if (!read_type(p, at, DECAI_JSON_OBJECT, "an object")) return false;
    for (size_t i = 0; i < value_count(p, at); i++) {
        bool found = false;
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            found |= decai_json_get(p->json, &other, at, known[k]) == 1 && other == value_at(p, at, i);
        if (!found) return refuse_value(p, value_at(p, at, i), NULL, "not known here");
    }
    if (!value_get(p, &schema, at, "schema")) return refuse_value(p, at, "schema", "missing");
    value_source(p, schema, &source);
    bool good = read_grammar(p, schema, "json_schema", source.data, source.len);
    text_free(&source);
    return good;
}

bool
read_format(params *p, int32_t value, bool nested)
{
    static const char any[] = "{\"type\":\"object\",\"additionalProperties\":true}";
    int32_t type, inner = value;
    if (!read_type(p, value, DECAI_JSON_OBJECT, "an object")) return false;
    if (!value_get(p, &type, value, "type")) return refuse_value(p, value, "type", "missing");
    if (value_is(p, type, "text")) return true;
    if (value_is(p, type, "json_object")) return read_grammar(p, type, "json_schema", any, sizeof any - 1);
    if (!value_is(p, type, "json_schema")) return refuse_value(p, type, NULL, "must be \"text\", \"json_object\" or \"json_schema\"");
    if (nested && !value_get(p, &inner, value, "json_schema")) return refuse_value(p, value, "json_schema", "missing");
    return read_schema(p, inner);
}

bool
read_stream_options(params *p, int32_t v)
{
    int32_t usage;
    if (!read_type(p, v, DECAI_JSON_OBJECT, "an object")) return false;
    for (size_t i = 0; i < value_count(p, v); i++) {
        int32_t at = value_at(p, v, i);
        if (!value_get(p, &usage, v, "include_usage") || usage != at) return refuse_value(p, at, NULL, "not known here");
        if (!read_bool(p, at, &p->usage)) return false;
    }
    return true;
}

bool
read_variables(params *p, int32_t v)
{
    static const char *const taken[] = {"messages", "tools", "documents", "add_generation_prompt"};
    if (!read_type(p, v, DECAI_JSON_OBJECT, "an object of the template's variables")) return false;
    for (size_t i = 0; i < value_count(p, v); i++) {
        int32_t at = value_at(p, v, i), other;
        text key = {0};
        for (size_t k = 0; k < sizeof taken / sizeof *taken; k++)
            if (decai_json_get(p->json, &other, v, taken[k]) == 1 && other == at) return refuse_value(p, at, NULL, "comes from the request itself");
        if (!value_key(p, at, &key)) return refuse_value(p, at, NULL, "without a name");
        text_add(&p->variables, ",", 1);
        text_json(&p->variables, key.data, key.len);
        text_add(&p->variables, ":", 1);
        value_source(p, at, &p->variables);
        text_free(&key);
    }
    return true;
}

bool
read_effort(params *p, int32_t v)
{
    static const char *const words[] = {"none", "minimal", "low", "medium", "high", "xhigh"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!value_is(p, v, words[i])) continue;
        text_printf(&p->variables, ",\"reasoning_effort\":\"%s\"", words[i]);
        return true;
    }
    return refuse_value(p, v, NULL, "must be none, minimal, low, medium, high or xhigh");
}

const field sample_fields[] = {
    {"model", NULL}, {"temperature", temperature}, {"top_p", top_p}, {"top_k", top_k}, {"min_p", min_p},
    {"typical_p", typical_p}, {"presence_penalty", presence}, {"frequency_penalty", frequency},
    {"repetition_penalty", repetition}, {"logit_bias", bias}, {"seed", seed}, {"stop", stop}, {"n", count},
    {"max_tokens", max_tokens}, {"stream", stream}, {"stream_options", read_stream_options}, {"ignore_eos", ignore_end},
    {"decai_receipt", receipt}, {"grammar", grammar}, {"user", NULL}, {"safety_identifier", NULL}, {"prompt_cache_key", NULL}, {NULL, NULL},
};

/* ---- options --------------------------------------------------------------------------------- */

static int64_t
any_seed(void)
{
    uint64_t seed = 0;
    int fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, &seed, sizeof seed) != sizeof seed) seed = (uint64_t)(seconds_now() * 1e9);
    if (fd >= 0) close(fd);
    return (int64_t)(seed >> 1);
}

static int32_t
options_set(const params *p, decai_options *o, size_t which)
{
    bool penalties = p->presence != 0 || p->frequency != 0 || p->repetition != 1;
    const struct { const char *key; double value; } reals[] = {
        {"infer.temperature", p->temperature}, {"infer.top_p", p->top_p}, {"infer.min_p", p->min_p},
        {"infer.typical_p", p->typical_p}, {"infer.presence_penalty", p->presence},
        {"infer.frequency_penalty", p->frequency}, {"infer.repeat_penalty", p->repetition},
    };
    /* OpenAI's penalties look at the answer; a repetition penalty at the prompt as well. */
    const struct { const char *key; int64_t value; } numbers[] = {
        {"infer.top_k", p->top_k}, {"infer.max_tokens", p->max_tokens}, {"infer.ignore_end", p->ignore_end},
        {"infer.activation_tree", p->receipt}, {"infer.penalty_last_n", penalties ? -1 : 64},
        {"infer.penalty_prompt", p->repetition != 1},
        {"infer.seed", (int64_t)(((uint64_t)(p->seeded ? p->seed : any_seed()) + which) & INT64_MAX)},
    };
    int32_t r = 0;
    for (size_t i = 0; !r && i < sizeof reals / sizeof *reals; i++) r = decai_options_set_f64(o, reals[i].key, reals[i].value);
    for (size_t i = 0; !r && i < sizeof numbers / sizeof *numbers; i++) r = decai_options_set_i64(o, numbers[i].key, numbers[i].value);
    if (!r && p->bias.len) r = decai_options_set_str(o, "infer.logit_bias", p->bias.data);
    return r;
}

decai_options *
params_options(const params *p, size_t which)
{
    decai_options *o = NULL;
    int32_t r = decai_options_create(&o, p->call->s->ctx);
    if (!r) r = options_set(p, o, which);
    if (!r) return o;
    decai_destroy(o);
    call_fail(p->call, r, NULL);
    return NULL;
}

/* ---- into the engine --------------------------------------------------------------------------- */

static bool
too_long(call *c, const served *m)
{
    for (size_t i = 0; i < c->count; i++) {
        size_t n = c->choices[i].ids.len / sizeof(int32_t);
        if (!n) call_refuse(c, 400, NULL, NULL, "the prompt has no tokens");
        else if (n >= m->context)
            call_refuse(c, 400, NULL, "context_length_exceeded", "the prompt has %zu tokens, at most %zu with one for the answer", n,
                m->context - 1);
        if (c->done) return true;
    }
    return false;
}

void
call_run(call *c, const params *p)
{
    server *s = c->s;
    served *m = c->model;
    if (m->encoder) {
        call_refuse(c, 400, "model", NULL, "model: an encoder, which has no next token; it serves /v1/embeddings");
        return;
    }
    if (too_long(c, m)) return;
    for (size_t i = 0; i < c->count; i++)
        if (!(c->choices[i].options = params_options(p, i))) return;
    for (size_t i = 0; i < p->stop_count; i++) text_add(&c->stops[i], p->stops[i].data, p->stops[i].len);
    c->stop_count = p->stop_count;
    for (size_t i = 0; i < c->count; i += (size_t)p->n) c->prompt_tokens += c->choices[i].ids.len / sizeof(int32_t);
    c->grammar = p->grammar;
    if (c->grammar) (void)decai_retain(c->grammar);
    c->calls = p->tools >= 0;
    c->forced = p->forced;
    c->stream = p->stream;
    c->usage = p->usage;
    c->receipt = p->receipt;
    c->top = p->top;
    c->created = (int64_t)cpu_seconds(CLOCK_REALTIME);
    call_name(c, c->form->prefix);
    if (!engine_thread_add(m->runner, c)) call_refuse(c, 429, NULL, "queue_full", "too many requests wait: %lld", (long long)s->queue);
}
