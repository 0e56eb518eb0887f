/* prefix.h - pages of caches by the tokens that lead to them. Private to the room. */
#ifndef DECAI__INFER_PREFIX_H
#define DECAI__INFER_PREFIX_H

#include "infer/engine.h"

#define PREFIX_BUCKETS 4096

/* prefix_disk.c: the folder of infer.prefix_dir. */
typedef struct decai__prefix_disk {
    decai_context *ctx;
    int dir;                         /* -1: none */
    int32_t contract;
    uint8_t root[32];
    uint64_t used, most;             /* bytes of files */
    uint64_t loaded, saved;
} decai__prefix_disk;

/* dir "": none. root NULL: DECAI_E_STATE. DECAI_E_IO, DECAI_E_DENIED: the folder. */
int32_t decai__prefix_disk_open(decai__prefix_disk *d, decai_context *ctx, const char *dir, uint64_t most, const uint8_t *root,
    int32_t contract);
void decai__prefix_disk_close(decai__prefix_disk *d);
void decai__prefix_key(uint8_t out[32], const decai__prefix_disk *d, const uint8_t *parent, const int32_t *tokens);
/* The page into the session's cache, behind all that it holds; roots of its positions,
 * allocated, or NULL. 1: it is there | 0: not known, or not to be used | DECAI_E_DEVICE */
int32_t decai__prefix_disk_load(decai__prefix_disk *d, const uint8_t key[32], decai_session *s, size_t page, uint8_t **roots);
void decai__prefix_disk_save(decai__prefix_disk *d, const uint8_t key[32], decai_session *s, size_t page, const uint8_t *roots);

/* One page: 64 tokens behind those of its parent, and what they left in the caches. */
typedef struct prefix_node {
    struct prefix_node *parent;      /* NULL: the first page */
    struct prefix_node *chain;       /* of the bucket */
    struct prefix_node *newer, *older;
    decai__kv_page *page;
    uint8_t *roots;                  /* token roots of its positions, or NULL */
    size_t bytes;
    uint32_t children, pins;
    uint64_t hash;
    uint8_t key[32];                 /* of its file; where there is a folder */
    int32_t tokens[DECAI__KV_PAGE];
} prefix_node;

typedef struct decai__prefix {
    decai_context *ctx;
    const decai__compute *c;         /* whose pages they are */
    prefix_node **bucket;            /* NULL: nothing is kept */
    prefix_node *newest, *oldest;
    size_t bytes, most, count;
    uint64_t hits;                   /* pages taken over */
    decai__prefix_disk disk;
} decai__prefix;

/* most 0: nothing is kept. */
int32_t decai__prefix_open(decai__prefix *p, decai_context *ctx, size_t most);
void decai__prefix_close(decai__prefix *p);
/* Throw out the longest unused until `bytes` are left at most (pinned ones stay). */
void decai__prefix_shrink(decai__prefix *p, size_t bytes);

/* A session's place in the tree: the node of its last full page. */
typedef struct decai__prefix_place { prefix_node *node; bool lost; size_t pages; } decai__prefix_place;
/* Take over what is known behind the session's length, but never its last token
 * before `target`. Moves length. Under the backend's lock. */
int32_t decai__prefix_adopt(decai__prefix *p, decai__prefix_place *at, decai_session *s, size_t target);
/* Keep the session's full pages up to its length. What finds no memory is not kept. */
void decai__prefix_keep(decai__prefix *p, decai__prefix_place *at, decai_session *s);
void decai__prefix_leave(decai__prefix_place *at);

#endif /* DECAI__INFER_PREFIX_H */
