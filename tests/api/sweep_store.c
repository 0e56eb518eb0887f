/* sweep_store.c - a call of each exported function of room store that succeeds. */
#include "sweep.h"

static int32_t
store_open(decai_context *ctx, decai_store **out)
{
    return decai_store_open(out, ctx, ":memory:", NULL);
}

static int32_t
setup(decai_context *ctx, void **state)
{
    return store_open(ctx, (decai_store **)state);
}

static void
teardown(decai_context *ctx, void *state)
{
    (void)ctx;
    decai_destroy(state);
}

static int32_t
run_open(decai_context *ctx, void *state)
{
    decai_store *s = NULL;
    (void)state;
    int32_t r = store_open(ctx, &s);
    decai_destroy(s);
    return r;
}

static int32_t
run_audit(decai_context *ctx, void *state)
{
    (void)ctx;
    return decai_store_audit(state);
}

static int32_t
run_schema(decai_context *ctx, void *state)
{
    int64_t schema;
    (void)ctx;
    return decai_store_schema_get(state, &schema);
}

const sweep_case sweep_store[];
const sweep_case sweep_store[] = {
    {"decai_store_open", NULL, run_open, NULL},
    {"decai_store_audit", setup, run_audit, teardown},
    {"decai_store_schema_get", setup, run_schema, teardown},
    {0},
};
