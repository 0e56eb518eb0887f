/* serve_routes.c - what is answered at once: models, health, metrics, the page, what runs. */
#include "serve.h"

#include <string.h>

/* serve_page.html, made into bytes by the Makefile. */
static const unsigned char page[] = {
#include "serve_page.inc"
    0};

static void
answer(call *c, const text *body, int status, const char *type)
{
    call_write(c, body->data, body->len);
    call_end(c, status, type);
}

static const char *const states[] = {"absent", "loading", "ready"};      /* ENGINE_* */

static void
model_json(const served *m, text *out)
{
    engine_about about;
    engine_thread_about(m->runner, &about);
    text_printf(out, "{\"id\":");
    text_json(out, m->name.data, m->name.len);
    text_printf(out, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"decai\",\"decai\":{\"root\":\"%s\",\"context\":%zu,\"vocabulary\":%llu,"
        "\"encoder\":%s,\"chat_template\":%s,\"bytes\":%llu,\"state\":\"%s\"}}", (long long)m->created, m->root.data, m->context,
        (unsigned long long)m->vocabulary, m->encoder ? "true" : "false", m->chat ? "true" : "false", (unsigned long long)m->bytes,
        states[about.state]);
}

void
routes_models(call *c)
{
    text out = {0};
    text_printf(&out, "{\"object\":\"list\",\"data\":[");
    for (size_t i = 0; i < c->s->model_count; i++) {
        if (i) text_add(&out, ",", 1);
        model_json(&c->s->models[i], &out);
    }
    text_printf(&out, "]}\n");
    answer(c, &out, 200, "application/json");
    text_free(&out);
}

void
routes_model(call *c)
{
    const char *asked = c->path.data + strlen("/v1/models/");
    const served *m = models_find(c->s, asked);
    text out = {0};
    if (!m) {
        call_refuse(c, 404, "model", "model_not_found", "model: \"%s\" is not served here", asked);
        return;
    }
    model_json(m, &out);
    answer(c, &out, 200, "application/json");
    text_free(&out);
}

void
routes_health(call *c)
{
    text out = {0};
    bool leaving = atomic_load(&c->s->draining);
    text_printf(&out, "{\"status\":\"%s\"}\n", leaving ? "draining" : "ok");
    answer(c, &out, leaving ? 503 : 200, "application/json");
    text_free(&out);
}

void
routes_metrics(call *c)
{
    text out = {0};
    metrics_print(c->s, &out);
    answer(c, &out, 200, "text/plain; version=0.0.4; charset=utf-8");
    text_free(&out);
}

/* What runs, for the page. */
void
routes_status(call *c)
{
    text out = {0}, models = {0};
    size_t waits = 0;
    uint64_t tokens = 0;
    engine_about about;
    text_printf(&models, "[");
    for (size_t i = 0; i < c->s->model_count; i++) {
        const served *m = &c->s->models[i];
        engine_thread_about(m->runner, &about);
        waits += about.waits;
        tokens += about.tokens;
        text_printf(&models, "%s{\"id\":", i ? "," : "");
        text_json(&models, m->name.data, m->name.len);
        text_printf(&models, ",\"state\":\"%s\",\"seconds\":%.1f,\"bytes\":%llu,\"running\":%zu,\"waiting\":%zu}", states[about.state],
            about.seconds, (unsigned long long)m->bytes, about.runs, about.waits);
    }
    text_printf(&out, "{\"tokens\":%llu,\"waiting\":%zu,\"memory\":%lld,\"models\":%s],\"running\":[", (unsigned long long)tokens, waits,
        (long long)c->s->memory, models.data);
    for (size_t i = 0; i < c->s->model_count; i++) engine_thread_status(c->s->models[i].runner, &out);
    text_printf(&out, "]}\n");
    answer(c, &out, 200, "application/json");
    text_free(&models);
    text_free(&out);
}

void
routes_page(call *c)
{
    call_write(c, (const char *)page, sizeof page - 1);
    call_end(c, 200, "text/html; charset=utf-8");
}

/* 'sha256-...' of what stands between two marks of the page. */
static void
add_hash(server *s, const char *from, const char *to)
{
    const char *begin = strstr((const char *)page, from) + strlen(from), *end = strstr(begin, to);
    uint8_t hash[32];
    check(decai_hash_sha256(s->ctx, hash, sizeof hash, (const uint8_t *)begin, (size_t)(end - begin)), "page");
    text_printf(&s->policy, "'sha256-");
    base64_add(&s->policy, hash, sizeof hash);
    text_printf(&s->policy, "'; ");
}

void
routes_policy(server *s)
{
    text_printf(&s->policy, "default-src 'none'; connect-src 'self'; script-src ");
    add_hash(s, "<script>", "</script>");
    text_printf(&s->policy, "style-src ");
    add_hash(s, "<style>", "</style>");
    text_printf(&s->policy, "base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
}
