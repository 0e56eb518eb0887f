/* shelf.h - engines under one budget. Private to the room. */
#ifndef DECAI__INFER_SHELF_H
#define DECAI__INFER_SHELF_H

#include "infer/engine.h"

typedef struct shelf_place {
    char *name;
    decai_model *model;
    decai_engine *engine;            /* NULL: not made, or given up */
    bool making;                     /* by a thread that does not hold the lock now */
    size_t bytes;
    uint64_t got;                    /* when, in gets */
} shelf_place;

struct decai_shelf {
    decai__handle h;
    pthread_mutex_t lock;            /* of all below */
    pthread_cond_t changed;          /* something was made, or that failed */
    bool made;
    decai_options *options;          /* a copy, or NULL */
    size_t most, bytes;              /* most 0: no limit; bytes of what is made or being made */
    shelf_place place[DECAI_SHELF_MODELS_MAX];
    size_t count, making;
    uint64_t gets, created, dropped;
};

int32_t decai__shelf_create(decai_shelf **out, decai_context *ctx, const decai_options *opts);
int32_t decai__shelf_add(decai_shelf *s, const char *name, decai_model *model);
int32_t decai__shelf_get(decai_shelf *s, decai_engine **out, const char *name);
int32_t decai__shelf_format(decai_shelf *s, decai__buf *out);

#endif /* DECAI__INFER_SHELF_H */
