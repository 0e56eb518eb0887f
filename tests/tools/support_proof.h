/* support_proof.h - a small model run to a receipt, through the public interface. */
#ifndef DECAI_TESTS_SUPPORT_PROOF_H
#define DECAI_TESTS_SUPPORT_PROOF_H

#include "decai.h"
#include "support_gguf.h"

#define SUPPORT_OUTPUT 6             /* tokens that a run produces */

typedef struct support_run {
    decai_model *model;
    decai_tokenizer *tok;
    decai_engine *engine;
    decai_receipt *receipt;
    uint8_t *opening;
    size_t opening_len;
} support_run;

/* Model bytes for these tests: two layers, two leaves in ffn_down; malloc'd. */
void support_model(uint8_t **bytes, size_t *len, void (*tamper)(void *, const char *, uint8_t *, size_t), void *user);
/* Load and make an engine on the native backend. 0 or an error. */
int32_t support_engine(support_run *r, decai_context *ctx, const uint8_t *bytes, size_t len);
/* A session as a provider makes it, the fixed prompt added. */
int32_t support_session(decai_session **out, decai_context *ctx, decai_engine *engine);
int32_t support_finish(decai_session *s);                       /* pull all tokens */
/* Receipt and opening of a session. market: with job id, nonce, chain, expiry. */
int32_t support_receipt(support_run *r, decai_context *ctx, decai_session *s, int market);
/* All of it. */
int32_t support_run_make(support_run *r, decai_context *ctx, const uint8_t *bytes, size_t len, int market);
/* Let a receipt name another model, as a cheat would: a new receipt and id. */
int32_t support_forge(support_run *r, decai_context *ctx, const uint8_t root[32]);
void support_run_free(support_run *r);

#endif
