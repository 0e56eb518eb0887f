/* demo.h - the demo's cast and props, shared by its acts and its report. */
#ifndef DECAI_CLI_DEMO_H
#define DECAI_CLI_DEMO_H

#include "cli.h"

#define ASSET        "USDC"          /* amounts are in millionths of it */
#define CHAIN_ID     31337           /* the chain of a local test node */
#define PROVIDERS    4
#define LEASES       2
#define MAX_PRICE    "1000000"
#define DEMO_EPOCH   1
#define DEMO_TOKENS  96           /* an answer is no longer */

typedef struct person {
    const char *name;
    decai_key *key;
    decai_wallet *wallet;
    uint8_t address[20];
    char text[48];                   /* the address for people */
} person;

/* One lease: who ran it, with what, and what came out. */
typedef struct run {
    person *provider;
    decai_engine *engine;
    decai_receipt *receipt;
    text opening, answer;
    uint64_t fence;
    uint64_t tokens;
    int32_t verdict;
    char finding[DECAI_DETAIL_MAX + 1];
} run;

typedef struct demo {
    /* how it was asked for */
    bool json;
    const char *dir, *model_file, *backend, *prompt;
    bool seeded;
    uint64_t seed, random_count;
    int64_t clock_ms;
    progress bar;
    colours c;

    /* who and what */
    decai_context *ctx;
    decai_model *model;
    decai_tokenizer *tok;
    decai_manifest *manifest;
    decai_store *store;
    decai_market *market;
    person requester, owner, verifier, provider[PROVIDERS];
    run run[LEASES];
    decai_engine *verifier_engine;

    /* what came out */
    uint8_t model_root[32], order[32], logits_hash[32], payout_root[32], nonce[32];
    text order_json, dispute, claims, device, audit;
    text lie, tampered;              /* the cheat's model file, and where it differs */
    int32_t loser;
    int64_t at_token, at_layer, at_op, at_row, at_leaf;
    int32_t receipts_verified;
    bool conserved;
    char slashed[80];
    char before[PROVIDERS + 3][80], paid[PROVIDERS + 3][80];   /* in the order of people_at */
    double seconds;
} demo;

person *people_at(demo *d, int i);   /* requester, owner, verifier, providers; NULL past the end */
void demo_cast(demo *d);             /* contexts, keys, wallets: demo_cast.c */
void demo_free(demo *d);
void demo_sign(demo *d, person *p, int32_t kind, const void *data, size_t len, uint8_t signature[65]);
/* Random bytes: the seed's, or the system's. */
void demo_random(demo *d, uint8_t *out, size_t len);
/* A provider runs the job; the cheat with a model that is not the one asked for. */
void demo_compute(demo *d, run *r, bool cheat);   /* demo_compute.c */
/* Prompt in, answer out; prints as it grows if asked. 0 or an error. */
int32_t demo_generate(demo *d, decai_session *s, text *answer, bool print, uint64_t *tokens);
decai_model *cheat_model(demo *d);   /* demo_cheat.c */
void cheat_forge(demo *d, run *r, decai_model *ran);
void demo_report(demo *d);           /* DIR/report.html: demo_report.c */
void demo_say(demo *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
void demo_save(demo *d, const char *name, const void *data, size_t len);

#endif
