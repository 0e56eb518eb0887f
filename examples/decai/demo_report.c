/* demo_report.c - report.html: the job's life on one self-contained page.
 *
 * The page holds the market's own JSON reports, as the database gives them, what
 * the demo saw itself (answers, dispute, claims), and a short script that draws
 * both. Its lines are in demo_page.h. */
#include "demo.h"

#include <string.h>

#include "demo_page.h"

static void
lines(text *t, const char *const *line)
{
    for (; *line; line++) text_add(t, *line, strlen(*line));
}

/* JSON inside a script element: "</" must not end it. */
static void
embed(text *t, const char *json, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (json[i] == '<') text_printf(t, "\\u003c");
        else text_add(t, json + i, 1);
    }
}

static void
embed_text(text *t, const char *name, const char *value, size_t len)
{
    text json = {0};
    text_json(&json, value ? value : "", len);
    text_printf(t, ",\"%s\":", name);
    embed(t, json.data, json.len);
    text_free(&json);
}

static void
embed_query(demo *d, text *t, const char *query)
{
    text json = {0};
    FETCH(&json, query, decai_market_format(d->market, out, cap, &len, query, NULL, 0));
    text_printf(t, ",\"%s\":", query);
    embed(t, json.data, json.len);
    text_free(&json);
}

static void
embed_runs(demo *d, text *t)
{
    text_printf(t, ",\"runs\":[");
    for (int i = 0; i < LEASES; i++) {
        run *r = &d->run[i];
        text_printf(t, "%s{\"provider\":\"%s\",\"good\":%s,\"tokens\":%llu", i ? "," : "", r->provider->name,
            r->verdict == DECAI_VERDICT_ACCEPTED ? "true" : "false", (unsigned long long)r->tokens);
        embed_text(t, "answer", r->answer.data, r->answer.len);
        embed_text(t, "finding", r->finding, strlen(r->finding));
        text_printf(t, "}");
    }
    text_printf(t, "]");
}

static void
embed_names(demo *d, text *t)
{
    const struct { const char *name; const uint8_t *bytes; } names[] = {
        {"model root", d->model_root}, {"order", d->order}, {"logits hash", d->logits_hash}, {"payout root", d->payout_root}};
    text_printf(t, ",\"names\":[");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        text_printf(t, "%s[\"%s\",\"", i ? "," : "", names[i].name);
        text_hex(t, names[i].bytes, 32);
        text_printf(t, "\"]");
    }
    text_printf(t, "]");
}

static void
embed_data(demo *d, text *t)
{
    static const char *const queries[] = {"timeline", "bids", "money", "balances"};
    text_printf(t, "{\"asset\":\"%s\",\"max_price\":\"%s\",\"conserved\":%s,\"receipts\":%d,\"slashed\":\"%s\",\"seconds\":%.1f", ASSET,
        MAX_PRICE, d->conserved ? "true" : "false", d->receipts_verified, d->slashed, d->seconds);
    embed_text(t, "prompt", d->prompt, strlen(d->prompt));
    embed_text(t, "device", d->device.data, d->device.len);
    embed_text(t, "tampered", d->tampered.data, d->tampered.len);
    embed_runs(d, t);
    embed_names(d, t);
    text_printf(t, ",\"dispute\":");
    embed(t, d->dispute.data, d->dispute.len);
    text_printf(t, ",\"claims\":");
    embed(t, d->claims.data, d->claims.len);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) embed_query(d, t, queries[i]);
    text_printf(t, "}");
}

void
demo_report(demo *d)
{
    text t = {0};
    text_printf(&t, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>decai demo: one job&rsquo;s life</title>\n"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<style>\n");
    lines(&t, page_style);
    text_printf(&t, "</style></head><body><main>\n");
    lines(&t, page_body);
    text_printf(&t, "</main>\n<script type=\"application/json\" id=\"data\">");
    embed_data(d, &t);
    text_printf(&t, "</script>\n<script>\n");
    lines(&t, page_script);
    text_printf(&t, "</script>\n</body></html>\n");
    demo_save(d, "report.html", t.data, t.len);
    text_free(&t);
}
