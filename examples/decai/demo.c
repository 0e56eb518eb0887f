/* demo.c - decai demo: one job's whole life, in acts.
 *
 *   1 asset    the model gets a manifest, signed by its owner
 *   2 market   money in, stakes, an order, four bids, an auction
 *   3 compute  two providers run it; one of them cheats
 *   4 proof    the verifier replays, disputes, and the referee decides
 *   5 money    settlement: provider, royalty, verifier, refund, slashing
 *   6 reward   the epoch's work is paid by a Merkle root
 *   7 again    everything is checked once more from the database alone */
#include "demo.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void
demo_say(demo *d, const char *format, ...)
{
    if (d->json) return;
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    fflush(stdout);
}

static void
act(demo *d, const char *title)
{
    demo_say(d, "\n%s%s%s", d->c.bold, title, d->c.reset);
}

void
demo_save(demo *d, const char *name, const void *data, size_t len)
{
    text path = {0};
    text_printf(&path, "%s/%s", d->dir, name);
    file_write(path.data, data, len);
    text_free(&path);
}

/* ---- 1: the model becomes an asset ---------------------------------------------------- */

static void
act_asset(demo *d)
{
    act(d, "1. The model becomes an asset");
    d->model = model_open(d->ctx, d->model_file, &d->bar);
    check(decai_tokenizer_create(&d->tok, d->model, NULL), "tokenizer");
    check(decai_model_root_get(d->model, d->model_root, 32), "model root");
    text terms = {0}, cbor = {0}, root = {0};
    text_printf(&terms, "{\"name\":\"decai-actions\",\"owner\":\"%s\",\"licence\":\"MIT\",\"chain_id\":%d,"
        "\"royalties\":[{\"to\":\"%s\",\"parts\":1000}]}", d->owner.text, CHAIN_ID, d->owner.text);
    check(decai_manifest_parse(&d->manifest, d->model, terms.data, terms.len), "manifest");
    FETCH(&cbor, "manifest", decai_manifest_encode(d->manifest, out, cap, &len));
    uint8_t signature[65];
    demo_sign(d, &d->owner, DECAI_INTENT_MANIFEST, cbor.data, cbor.len, signature);
    demo_save(d, "manifest.cbor", cbor.data, cbor.len);
    check(decai_manifest_verify(d->manifest, d->model), "what runs is what was tokenized");
    text_hex(&root, d->model_root, 32);
    demo_say(d, "    model root %s", root.data);
    demo_say(d, "    owner %s signs its manifest: 10 %% royalty, licence MIT", d->owner.name);
    text_free(&terms);
    text_free(&cbor);
    text_free(&root);
}

/* ---- 2: the market ---------------------------------------------------------------------- */

static void
money_in(demo *d)
{
    char key[64];
    check(decai_deposit_submit(d->market, "ada", ASSET, "10000000", "deposit-ada"), "deposit");
    for (int i = 0; i < PROVIDERS; i++) {
        const char *name = d->provider[i].name;
        snprintf(key, sizeof key, "deposit-%s", name);
        check(decai_deposit_submit(d->market, name, ASSET, "3000000", key), "deposit");
        snprintf(key, sizeof key, "stake-%s", name);
        check(decai_stake_add(d->market, name, ASSET, "2000000", key), "stake");
    }
    demo_say(d, "    ada deposits 10.00 %s; four providers stake 2.00 each", ASSET);
}

/* The market's request: what an order is in every detail. */
static void
order_write(demo *d, const uint8_t prompt[32], int64_t deadline_ms)
{
    text root = {0}, prompt_hex = {0}, nonce = {0};
    text_hex(&root, d->model_root, 32);
    text_hex(&prompt_hex, prompt, 32);
    text_hex(&nonce, d->nonce, 32);
    text_printf(&d->order_json, "{\"requester\":\"ada\",\"verifier\":\"vera\",\"asset\":\"%s\",\"job_spec\":\"%s\","
        "\"model_root\":\"%s\",\"prompt\":\"%s\",\"max_price\":\"" MAX_PRICE "\",\"verifier_fee\":\"100000\","
        "\"stake\":\"1000000\",\"redundancy\":%d,\"deadline_ms\":%lld,\"nonce\":\"%s\","
        "\"split\":{\"provider\":9000,\"royalties\":[{\"account\":\"olga\",\"parts\":1000}]},"
        "\"slash\":{\"requester\":6,\"verifier\":3,\"burn\":1}}",
        ASSET, prompt_hex.data + 2, root.data + 2, prompt_hex.data + 2, LEASES, (long long)deadline_ms, nonce.data + 2);
    text_free(&root);
    text_free(&prompt_hex);
    text_free(&nonce);
}

/* What ada signs shows model, prompt, price and deadline to her wallet's policy;
 * its salt is the hash of the whole request, so the signature covers fees, splits
 * and slashing too. */
static void
order_submit(demo *d, int64_t now_ms)
{
    uint8_t prompt[32], salt[32], id[32], signature[65];
    text doc = {0}, salted = {0};
    demo_random(d, salt, sizeof salt);
    demo_random(d, d->nonce, sizeof d->nonce);
    text_add(&salted, (const char *)salt, 32);
    text_add(&salted, d->prompt, strlen(d->prompt));
    hash_of(prompt, salted.data, salted.len);
    order_write(d, prompt, now_ms + 600000);
    check(decai_order_hash(d->ctx, id, 32, d->order_json.data, d->order_json.len), "order");
    FETCH(&doc, "order", decai_order_encode(d->ctx, out, cap, &len, d->model_root, 32, prompt, 32, MAX_PRICE, ASSET,
        LEASES, (uint64_t)now_ms + 600000, id, 32, CHAIN_ID));
    demo_sign(d, &d->requester, DECAI_INTENT_ORDER, doc.data, doc.len, signature);
    check(decai_order_submit(d->market, d->order, 32, d->order_json.data, d->order_json.len, "ada", signature,
        sizeof signature, "order-1"), "order");
    demo_say(d, "    ada signs an order: \"%s\", %d runs, at most 1.00 %s each", d->prompt, LEASES, ASSET);
    text_free(&doc);
    text_free(&salted);
}

static void
auction(demo *d)
{
    static const char *const prices[PROVIDERS] = {"700000", "850000", "640000", "900000"};
    text order = {0};
    text_hex(&order, d->order, 32);
    for (int i = 0; i < PROVIDERS; i++) {
        text bid = {0};
        char key[64];
        int64_t sequence;
        text_printf(&bid, "{\"order\":\"%s\",\"provider\":\"%s\",\"price\":\"%s\"}", order.data + 2, d->provider[i].name, prices[i]);
        snprintf(key, sizeof key, "bid-%s", d->provider[i].name);
        check(decai_bid_submit(d->market, &sequence, bid.data, bid.len, key), "bid");
        demo_say(d, "    %-7s bids 0.%.2s %s", d->provider[i].name, prices[i], ASSET);
        text_free(&bid);
    }
    int64_t winners;
    check(decai_auction_settle(d->market, &winners, d->order, 32), "auction");
    /* The two lowest, cirrus (0.64) and aurora (0.70), which will cheat. */
    d->run[0].provider = &d->provider[2];
    d->run[1].provider = &d->provider[0];
    for (int i = 0; i < LEASES; i++) {
        int64_t expires;
        char key[64];
        snprintf(key, sizeof key, "lease-%s", d->run[i].provider->name);
        check(decai_lease_take(d->market, &d->run[i].fence, &expires, d->order, 32, d->run[i].provider->name, key), "lease");
        demo_say(d, "    %s%s%s wins and takes its lease, fence %llu", d->c.green, d->run[i].provider->name, d->c.reset,
            (unsigned long long)d->run[i].fence);
    }
    text_free(&order);
}

static void
act_market(demo *d)
{
    act(d, "2. An order, four bids, an auction");
    text path = {0};
    text_printf(&path, "%s/market.sqlite", d->dir);
    check(decai_store_open(&d->store, d->ctx, path.data, NULL), "store");
    check(decai_market_open(&d->market, d->store, NULL), "market");
    money_in(d);
    order_submit(d, d->seeded ? d->clock_ms : (int64_t)time(NULL) * 1000);
    auction(d);
    text_free(&path);
}

/* ---- 3: the work --------------------------------------------------------------------------- */

static void
result_submit(demo *d, run *r)
{
    text bytes = {0}, name = {0};
    uint8_t id[32];
    char key[64];
    check(decai_receipt_id_get(r->receipt, id, 32), "receipt");
    FETCH(&bytes, "receipt", decai_receipt_encode(r->receipt, out, cap, &len));
    snprintf(key, sizeof key, "result-%s", r->provider->name);
    check(decai_result_submit(d->market, d->order, 32, r->fence, id, 32, (const uint8_t *)bytes.data, bytes.len, key), "result");
    text_printf(&name, "receipt-%s.cbor", r->provider->name);
    demo_save(d, name.data, bytes.data, bytes.len);
    text_printf(&name, ".opening");
    demo_save(d, name.data, r->opening.data, r->opening.len);
    text_free(&bytes);
    text_free(&name);
}

static void
act_compute(demo *d)
{
    act(d, "3. Both winners run the prompt");
    for (int i = 0; i < LEASES; i++) {
        demo_compute(d, &d->run[i], i == 1);
        result_submit(d, &d->run[i]);
    }
    demo_say(d, "    both deliver signed receipts; form and signatures are perfect");
}

/* ---- 4: proof -------------------------------------------------------------------------------- */

static void
verify_one(demo *d, run *r)
{
    text bytes = {0};
    decai_receipt *receipt = NULL;
    decai_task *task = NULL;
    decai_verification *v = NULL;
    uint64_t replayed, committed;
    FETCH(&bytes, "result", decai_result_get(d->market, out, cap, &len, d->order, 32, r->fence));
    check(decai_receipt_load(&receipt, d->ctx, (const uint8_t *)bytes.data, bytes.len), "receipt");
    check(decai_verification_start(&task, &v, receipt, (const uint8_t *)r->opening.data, r->opening.len, d->verifier_engine), "verify");
    check(task_finish(task, &d->bar), "verify");
    int32_t e = decai_verification_get(v, &replayed, &committed);
    if (e) snprintf(r->finding, sizeof r->finding, "%s", decai_error_detail());
    r->verdict = e ? DECAI_VERDICT_REJECTED : DECAI_VERDICT_ACCEPTED;
    if (e) demo_say(d, "    %s%s does not check%s: %s", d->c.red, r->provider->name, d->c.reset, r->finding);
    else demo_say(d, "    %s%s checks%s: %llu tokens replayed bit for bit on another backend", d->c.green, r->provider->name,
        d->c.reset, (unsigned long long)r->tokens);
    decai_destroy(v);
    decai_destroy(receipt);
    text_free(&bytes);
}

static void
dispute(demo *d)
{
    decai_task *task = NULL;
    decai_dispute *dispute = NULL;
    run *a = &d->run[0], *b = &d->run[1];
    check(decai_dispute_start(&task, &dispute, a->receipt, (const uint8_t *)a->opening.data, a->opening.len, a->engine,
        b->receipt, (const uint8_t *)b->opening.data, b->opening.len, b->engine, d->model_root, 32), "dispute");
    check(task_finish(task, &d->bar), "dispute");
    check(decai_dispute_get(dispute, &d->loser, &d->at_token, &d->at_layer, &d->at_op, &d->at_row, &d->at_leaf), "dispute");
    FETCH(&d->dispute, "dispute", decai_dispute_format(dispute, out, cap, &len));
    text tensor = {0};
    json_field(&tensor, d->dispute.data, "tensor");
    demo_say(d, "    dispute: the first difference is at token %lld, layer %lld, op %lld (%s), row %lld, leaf %lld",
        (long long)d->at_token, (long long)d->at_layer, (long long)d->at_op, tensor.data, (long long)d->at_row, (long long)d->at_leaf);
    text_free(&tensor);
    demo_say(d, "    the referee recomputes that leaf alone, one sum of at most 256 products: %s%s is wrong%s", d->c.red,
        d->loser == 2 ? b->provider->name : d->loser == 1 ? a->provider->name : "nobody", d->c.reset);
    decai_destroy(dispute);
}

static void
act_proof(demo *d)
{
    act(d, "4. The verifier looks");
    decai_options *o = NULL;
    check(decai_options_create(&o, d->ctx), "options");
    check(decai_options_set_str(o, "compute.backend", "native"), "backend");
    check(decai_engine_create(&d->verifier_engine, d->model, o), "engine");
    decai_destroy(o);
    for (int i = 0; i < LEASES; i++) verify_one(d, &d->run[i]);
    dispute(d);
    for (int i = 0; i < LEASES; i++) {
        run *r = &d->run[i];
        char key[64];
        snprintf(key, sizeof key, "verdict-%s", r->provider->name);
        bool guilty = d->loser & (i ? 2 : 1);
        if (guilty != (r->verdict == DECAI_VERDICT_REJECTED)) die(EXIT_WRONG, "referee and replay disagree about %s", r->provider->name);
        check(decai_verdict_submit(d->market, d->order, 32, r->fence, "vera", r->verdict, (const uint8_t *)d->dispute.data,
            guilty ? d->dispute.len : 0, key), "verdict");
    }
}

/* ---- 5: settlement ------------------------------------------------------------------------------ */

static void
balance(demo *d, const char *account, char out80[80])
{
    size_t len = 0;
    check(decai_ledger_get(d->market, out80, 79, &len, account, ASSET), account);
    out80[len] = 0;
}

static const char *
why_paid(demo *d, const person *p)
{
    if (p == &d->requester) return "what the order did not use, and her part of the slashed stake";
    if (p == &d->owner) return "royalty of the model";
    if (p == &d->verifier) return "fee, and her part of the slashed stake";
    return "price of the work, less the royalty";
}

static void
act_money(demo *d)
{
    act(d, "5. Settlement, in one transaction");
    person *p;
    char stake_account[80], lock_account[80], before[80], after[80];
    for (int i = 0; (p = people_at(d, i)); i++) balance(d, p->name, d->before[i]);
    snprintf(stake_account, sizeof stake_account, "stake:%s", d->run[1].provider->name);
    snprintf(lock_account, sizeof lock_account, "lock:%s", d->run[1].provider->name);
    balance(d, lock_account, before);
    int32_t state;
    check(decai_job_settle(d->market, &state, d->order, 32), "settle");
    balance(d, lock_account, after);
    char staked[80];
    balance(d, stake_account, staked);
    /* What left the lock and did not come back as stake was slashed. */
    long long slashed = atoll(before) - atoll(after) - (atoll(staked) - 1000000);
    snprintf(d->slashed, sizeof d->slashed, "%lld", slashed);
    for (int i = 0; (p = people_at(d, i)); i++) {
        balance(d, p->name, after);
        snprintf(d->paid[i], sizeof d->paid[i], "%lld", atoll(after) - atoll(d->before[i]));
        if (strcmp(d->paid[i], "0")) demo_say(d, "    %-7s + %.3f %s  %s", p->name, atof(d->paid[i]) / 1e6, ASSET, why_paid(d, p));
    }
    demo_say(d, "    %s%s loses %.2f %s of stake%s", d->c.red, d->run[1].provider->name, (double)slashed / 1e6, ASSET, d->c.reset);
}

/* ---- 6: reward ------------------------------------------------------------------------------------ */

static void
claims_save(demo *d, decai_payout *payout)
{
    uint64_t count;
    check(decai_payout_get(payout, d->payout_root, 32, &count), "payout");
    text_printf(&d->claims, "{\"epoch\":%d,\"root\":\"", DEMO_EPOCH);
    text_hex(&d->claims, d->payout_root, 32);
    text_printf(&d->claims, "\",\"claims\":[");
    for (uint64_t i = 0; i < count; i++) {
        char name[80];
        uint8_t address[20], amount[32];
        size_t name_len = 0;
        text proof = {0};
        check(decai_claim_at(payout, name, sizeof name - 1, &name_len, address, 20, amount, 32, i), "claim");
        FETCH(&proof, "claim", decai_claim_prove(payout, out, cap, &len, i));
        check(decai_payout_verify(d->payout_root, 32, i, address, 20, amount, 32, (const uint8_t *)proof.data, proof.len), "claim");
        text_printf(&d->claims, "%s{\"index\":%llu,\"account\":\"%.*s\",\"address\":\"", i ? "," : "", (unsigned long long)i, (int)name_len, name);
        text_hex(&d->claims, address, 20);
        text_printf(&d->claims, "\",\"amount\":\"");
        text_hex(&d->claims, amount, 32);
        text_printf(&d->claims, "\",\"proof\":\"");
        text_hex(&d->claims, (const uint8_t *)proof.data, proof.len);
        text_printf(&d->claims, "\"}");
        text_free(&proof);
    }
    text_printf(&d->claims, "]}\n");
    demo_save(d, "claims.json", d->claims.data, d->claims.len);
}

static void
act_reward(demo *d)
{
    act(d, "6. The epoch's rewards, by recorded work");
    for (int i = 0; i < LEASES; i++) {
        run *r = &d->run[i];
        char units[32], key[64];
        if (r->verdict != DECAI_VERDICT_ACCEPTED) continue;
        snprintf(units, sizeof units, "%llu", (unsigned long long)r->tokens);
        snprintf(key, sizeof key, "work-%s", r->provider->name);
        check(decai_work_add(d->store, DEMO_EPOCH, r->provider->name, r->provider->address, 20, units, key), "work");
    }
    check(decai_work_add(d->store, DEMO_EPOCH, "vera", d->verifier.address, 20, "10", "work-vera"), "work");
    check(decai_work_add(d->store, DEMO_EPOCH, "olga", d->owner.address, 20, "5", "work-olga"), "work");
    decai_payout *payout = NULL;
    check(decai_epoch_settle(&payout, d->store, DEMO_EPOCH, "DECAI", "1000000000"), "epoch");
    claims_save(d, payout);
    decai_destroy(payout);
    text root = {0};
    text_hex(&root, d->payout_root, 32);
    demo_say(d, "    payout root %s, every claim verified", root.data);
    text_free(&root);
}

/* ---- 7: once more, from the database alone ------------------------------------------------------------ */

static void
recheck_receipts(demo *d)
{
    for (int i = 0; i < LEASES; i++) {
        run *r = &d->run[i];
        text bytes = {0}, opening = {0}, path = {0};
        decai_receipt *receipt = NULL;
        decai_verification *v = NULL;
        uint64_t replayed = 0, committed;
        bool honest = r->verdict == DECAI_VERDICT_ACCEPTED;
        FETCH(&bytes, "result", decai_result_get(d->market, out, cap, &len, d->order, 32, r->fence));
        check(decai_receipt_load(&receipt, d->ctx, (const uint8_t *)bytes.data, bytes.len), "receipt");
        /* The tokens are private: the database has only their commitments. */
        text_printf(&path, "%s/receipt-%s.cbor.opening", d->dir, r->provider->name);
        file_read(&opening, path.data);
        check(decai_receipt_verify(&v, receipt, (const uint8_t *)opening.data, opening.len, d->verifier_engine), "verify");
        int32_t e = decai_verification_get(v, &replayed, &committed);
        bool signed_well = (replayed & DECAI_COVER_SIGNATURE) != 0;
        if (honest == (e == 0) && signed_well) d->receipts_verified++;
        decai_destroy(v);
        decai_destroy(receipt);
        text_free(&bytes);
        text_free(&opening);
        text_free(&path);
    }
}

static void
act_again(demo *d)
{
    act(d, "7. Everything again, from the database and the openings alone");
    text path = {0};
    text_printf(&path, "%s/market.sqlite", d->dir);
    decai_destroy(d->market);
    decai_destroy(d->store);
    d->market = NULL;
    d->store = NULL;
    check(decai_store_open(&d->store, d->ctx, path.data, NULL), "store");
    check(decai_store_audit(d->store), "store");
    check(decai_market_open(&d->market, d->store, NULL), "market");
    FETCH(&d->audit, "audit", decai_ledger_audit(d->market, out, cap, &len));
    d->conserved = true;             /* an audit that fails does not return */
    decai_payout *payout = NULL;
    uint8_t root[32];
    uint64_t count;
    check(decai_payout_load(&payout, d->store, DEMO_EPOCH), "payout");
    check(decai_payout_get(payout, root, 32, &count), "payout");
    if (memcmp(root, d->payout_root, 32)) die(EXIT_WRONG, "the database gives another payout root");
    decai_destroy(payout);
    recheck_receipts(d);
    demo_say(d, "    every asset sums to zero; %d receipts checked: one right, one proven wrong; payout root equal", d->receipts_verified);
    text_free(&path);
}

/* ---- the whole ------------------------------------------------------------------------------------------ */

static void
print_json(demo *d)
{
    text j = {0};
    person *p;
    text_printf(&j, "{\"conserved\":%s,\"receipts_verified\":%d,\"cheat\":{\"token\":%lld,\"layer\":%lld,\"op\":%lld,\"row\":%lld,\"leaf\":%lld},"
        "\"slashed\":\"%s\",\"payouts\":{", d->conserved ? "true" : "false", d->receipts_verified, (long long)d->at_token,
        (long long)d->at_layer, (long long)d->at_op, (long long)d->at_row, (long long)d->at_leaf, d->slashed);
    const char *comma = "";
    for (int i = 0; (p = people_at(d, i)); i++) {
        if (!strcmp(d->paid[i], "0")) continue;
        text_printf(&j, "%s\"%s\":\"%s\"", comma, p->name, d->paid[i]);
        comma = ",";
    }
    text_printf(&j, "},\"payout_root\":\"");
    text_hex(&j, d->payout_root, 32);
    text_printf(&j, "\",\"model_root\":\"");
    text_hex(&j, d->model_root, 32);
    text_printf(&j, "\",\"logits_hash\":\"");
    text_hex(&j, d->logits_hash, 32);
    text_printf(&j, "\",\"device\":\"%s\",\"seconds\":%.3f}", d->device.data, d->seconds);
    printf("%s\n", j.data);
    text_free(&j);
}

/* What lies there, for who finds the folder later; and the sign by which the next
 * demo knows that it may begin the folder again. */
static const char about_files[] =
    "Left by decai demo: one job's life.\n\n"
    "  report.html               look at this first, in any browser\n"
    "  market.sqlite             orders, bids, leases, results, verdicts, every posting\n"
    "  receipt-NAME.cbor         what a provider signed       (decai inspect, decai verify)\n"
    "  receipt-NAME.cbor.opening the tokens that it commits to (decai inspect)\n"
    "  manifest.cbor             what the model is and whose  (decai inspect)\n"
    "  claims.json               the epoch's payout with a Merkle proof for each claim\n";

static void
directory_make(demo *d)
{
    static const char *const parts[] = {"market.sqlite", "market.sqlite-wal", "market.sqlite-shm"};
    text sign = {0};
    text_printf(&sign, "%s/README.txt", d->dir);
    bool ours = file_exists(sign.data);
    if (mkdir(d->dir, 0777) && errno != EEXIST) die(EXIT_FAILED, "--dir: %s: %s", d->dir, strerror(errno));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        text path = {0};
        text_printf(&path, "%s/%s", d->dir, parts[i]);
        if (file_exists(path.data) && !ours)
            die(EXIT_FAILED, "--dir: %s: is not from an earlier demo, and is left alone", path.data);
        if (remove(path.data) && errno != ENOENT) die(EXIT_FAILED, "--dir: %s: %s", path.data, strerror(errno));
        text_free(&path);
    }
    demo_save(d, "README.txt", about_files, sizeof about_files - 1);
    text_free(&sign);
}

static double
now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int
demo_main(int argc, char **argv)
{
    demo d = {.dir = "decai-demo", .backend = "opencl", .prompt = "please send 25 usdc to Maria", .clock_ms = 1767225600000};
    const char *model = NULL, *seed = NULL;
    const flag flags[] = {
        {"--dir", "D", "where the demo leaves its files; default decai-demo", &d.dir, NULL},
        {"--seed", "N", "random numbers and clock from this seed: the same receipts each time", &seed, NULL},
        {"--model", "FILE", "another model than the shipped one", &model, NULL},
        {"--prompt", "TEXT", "what the job asks", &d.prompt, NULL},
        {"--backend", "NAME", "what the providers compute on: opencl (default), native or scalar", &d.backend, NULL},
        {"--json", NULL, "one JSON object, nothing else", NULL, &d.json},
    };
    if (flags_read(argc, argv, flags, sizeof flags / sizeof *flags, "usage: decai demo [options]\n\nOne job's whole life on this machine.\n"))
        die(EXIT_USAGE, "demo takes no names");
    double start = now_seconds();
    d.seeded = seed != NULL;
    if (seed) d.seed = (uint64_t)number_of(seed, "--seed", 0, INT64_MAX);
    backend_check(d.backend);
    d.model_file = model_path(model);
    d.c = colours_for(stdout);
    progress_init(&d.bar, d.json);
    directory_make(&d);
    demo_cast(&d);
    act_asset(&d);
    act_market(&d);
    act_compute(&d);
    act_proof(&d);
    act_money(&d);
    act_reward(&d);
    act_again(&d);
    d.seconds = now_seconds() - start;
    demo_report(&d);
    if (d.json) print_json(&d);
    else demo_say(&d, "\n%s%.1f s%s. Look at %s/report.html", d.c.bold, d.seconds, d.c.reset, d.dir);
    bool right = d.conserved && d.loser == 2 && d.receipts_verified == LEASES;
    demo_free(&d);
    return right ? EXIT_OK : EXIT_WRONG;
}
