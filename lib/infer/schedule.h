/* schedule.h - many sessions taking turns. Private to the room.
 *
 *     scheduler.c  the handle: submissions, cancels, events, statistics
 *     schedule.c   one step: who computes how many rows, the pass, the draws
 *     guess.c      who guesses how many tokens ahead
 *     draft.c      from what was said before
 *     draft_model.c  by a smaller model
 *     cost.c       what a pass costs by its rows
 *
 * A request is a session between decai_scheduler_submit and its last event:
 *
 *     QUEUED   waits for a place and for memory
 *     PROMPT   part of its tokens is computed
 *     DECODE   tokens[length] waits and is computed next
 *     OVER     nothing is computed any more; what is left to tell is told
 *
 * Everything below is guarded by `lock`, but for what a step computes: between
 * planning and booking nobody else touches sessions and heads. Only the thread inside
 * decai_scheduler_next (there is one: the handle's in-use flag) steps and tells, so
 * requests go away under its hands alone.
 */
#ifndef DECAI__INFER_SCHEDULE_H
#define DECAI__INFER_SCHEDULE_H

#include "infer/prefix.h"

#define SCHEDULE_DETAIL_MAX 256
#define DRAFT_MAX 31                 /* tokens guessed ahead of one step */

enum { REQUEST_QUEUED, REQUEST_PROMPT, REQUEST_DECODE, REQUEST_OVER };

/* draft.c: guesses at what a session says next, and how often they come true. */
#define DRAFT_KINDS 7
typedef struct decai__drafting {
    double right[2][DRAFT_KINDS];   /* share that came true, exponential means: of a match anywhere, of one
                                       where copying would go on; by its length */
    uint8_t seen[2][DRAFT_KINDS];        /* guesses that this is learned from */
    size_t place, length, count; /* the last guess: tokens[place..], by a match so long, for tokens[count..]; place 0: none */
    size_t copied, copied_count; /* copying went as far as tokens[copied], said as tokens[copied_count] */
    bool near;
} decai__drafting;
/* `most` tokens or none, and the chances that the first 1, 2, ... all come true. */
size_t decai__draft(decai__drafting *d, int32_t *draft, double *share, size_t most, const int32_t *tokens, size_t count);

/* cost.c */
#define COST_POINTS 5
typedef struct decai__cost {
    bool known;
    double ns;                   /* of a pass of one row; 0: could not be measured */
    double of[COST_POINTS];      /* of 1, 2, 4, 8, 16 rows, in passes of one */
} decai__cost;
double decai__cost_of(const decai__cost *c, double rows);
double decai__cost_weights(const decai_engine *e);   /* bytes that one row reads */
/* Takes the backend's lock. What cannot be measured is guessed. */
void decai__cost_measure(decai__cost *c, decai_engine *e);

/* draft_model.c: the same by a smaller model, on a session that follows the request's.
 * Only the stepping thread touches it. */
typedef struct decai__drafter {
    decai_session *session;      /* of the draft engine; NULL: none yet */
    size_t memory;               /* bytes of cache counted for it; 0: none */
    bool off;                    /* it failed, or there is no room: no more guesses for this request */
    double right;                /* share that came true, an exponential mean; 0: no guess yet */
} decai__drafter;
typedef struct decai__draft_model {  /* what a scheduler knows of its draft model */
    double right;                /* a mean; 0: unknown */
    uint32_t since, again, tried;        /* steps without it; after how many it is tried; guesses since */
    uint64_t drafted, taken, no_room;
} decai__draft_model;

typedef struct schedule_request {
    uint64_t id;
    decai_session *session;      /* its in-use flag is ours */
    int32_t priority, state;
    uint64_t order;              /* of submission */
    size_t first, target;        /* the new tokens: positions first..target-1 */
    size_t shared;               /* of them taken over, not computed */
    decai__prefix_place place;   /* in the tree of known pages */
    size_t memory;               /* bytes of cache it may need; held while PROMPT or DECODE */
    bool cancelled;
    bool suspect;                /* a pass with it failed; it goes alone once */
    /* what is to be told */
    bool tell_progress, tell_prompt;
    int32_t drawn[DRAFT_MAX + 1], draft[DRAFT_MAX];
    double share[DRAFT_MAX];     /* chances of the text's guesses */
    size_t head;                 /* drawn[i] came from head + i */
    size_t drawn_count, told;
    size_t last_head;            /* of the token told last; SIZE_MAX: none of this step */
    int32_t end;                 /* the last event's kind, 0 not yet; then its value */
    int64_t end_value;
    char detail[SCHEDULE_DETAIL_MAX];
    decai__drafting drafting;
    decai__drafter drafter;
    /* statistics */
    uint64_t rows, steps, virtual_rows, generated;
    size_t computed;             /* of the prompt */
    int64_t submitted_ns, started_ns, prompt_ns, token_ns;   /* clock; 0: not yet */
} schedule_request;

/* A request's part of a step. */
typedef struct schedule_turn {
    schedule_request *r;
    size_t n, heads;             /* rows; of the last of them a token is drawn */
    size_t most, hoped, text;    /* guesses: at most, known from the text, of these taken */
    size_t asked, guessed;       /* of the draft model: wanted, got */
    size_t asks;                 /* of it to be had, where it would be asked */
    double chance;               /* that so many of them come true */
    decai__turn *draft_turn;     /* of its pass */
    int32_t result;
    decai__turn *turn;           /* of the pass; NULL: it went by itself */
} schedule_turn;

struct decai_scheduler {
    decai__handle h;
    decai_engine *engine, *draft;        /* draft: NULL, or guesses */
    decai_session *draft_probe;  /* an empty session of it: keeps the engine, says what caches take */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool made;
    uint32_t active_max, queue_max;
    size_t memory_max;           /* 0: no limit */
    size_t prefix_max;

    schedule_request **requests;          /* active_max + queue_max places, in order of submission */
    decai_session **dead;        /* references to be given up without the lock: that may take the backend's */
    size_t dead_count;
    size_t count, active;        /* all; PROMPT or DECODE */
    size_t memory;               /* of active requests */
    uint64_t submitted;
    bool wake;
    atomic_uint urgent;          /* somebody new: a long pass may be given up */

    decai__prefix prefix;        /* touched by the stepping thread only */
    size_t prefix_count, prefix_bytes;                       /* for the others to see */
    uint64_t prefix_hits, prefix_loaded, prefix_saved;

    /* the step */
    decai__turn *turns, *draft_turns;    /* active_max of each */
    schedule_turn *parts;
    size_t turn_count;
    decai__heads heads, draft_heads;
    bool given_up;               /* the last pass was: the next one is not */
    bool stepped_back;           /* a long prompt did in the last pass: not in the next */
    /* what passes cost: nanoseconds, exponential means; 0: unknown */
    double decode_ns, row_ns;
    decai__cost cost, draft_cost;        /* measured once, where guesses are to be had */
    bool measure;                /* in this step */
    uint32_t draft_max;
    uint64_t drafted, draft_right;
    decai__draft_model model;            /* of these, the draft model's */

    uint64_t steps, rows, prompt_tokens, tokens, finished, failed, cancelled, preempted;
};

/* schedule.c: compute something; errors are told to requests. The lock is held on
 * entry and on return. */
void decai__schedule_step(decai_scheduler *s);
/* Sessions that ask for every position's logits, or carry a fault: their own code. */
bool decai__schedule_by_itself(const decai_session *session);
/* Nothing more is computed of it, and what was drawn and not told is dropped. */
void decai__schedule_end(decai_scheduler *s, schedule_request *r, int32_t kind, int64_t value);

/* Bytes of cache are somebody's; known pages make room. */
void decai__schedule_take(decai_scheduler *s, size_t bytes);
/* Without the lock. */
void decai__schedule_bury(decai_scheduler *s);

/* guess.c: with the lock, how many rows of guesses go with the turns; without it, ask
 * the draft model and measure costs. */
void decai__guess_plan(decai_scheduler *s);
void decai__guess_run(decai_scheduler *s);
/* What a draft pass of a row costs, in passes of a row of the model. */
double decai__guess_ratio(const decai_scheduler *s);

/* draft_model.c */
int32_t decai__scheduler_draft_set(decai_scheduler *s, decai_engine *draft);
/* With the lock. room: guesses it could give r, `most` at most. ask: n are wanted, if there
 * is memory. right: chance of a guess. shed: gives one cache up; false, there is none. */
size_t decai__drafter_room(const decai_scheduler *s, const schedule_request *r, size_t most);
double decai__drafter_behind(const decai_scheduler *s, const schedule_request *r);   /* cost of catching up, in passes */
size_t decai__drafter_left(const schedule_request *r);                              /* tokens still to come */
void decai__drafter_ask(decai_scheduler *s, schedule_turn *t, size_t n);
double decai__drafter_right(const decai_scheduler *s, const decai__drafter *d);
void decai__drafter_learn(decai_scheduler *s, decai__drafter *d, size_t guessed, size_t right);
void decai__drafter_free(decai_scheduler *s, decai__drafter *d);
bool decai__drafter_shed(decai_scheduler *s);
/* Without it: what was asked for, into the requests' drafts. */
void decai__drafter_guess(decai_scheduler *s);

/* scheduler.c */
int32_t decai__scheduler_create(decai_scheduler **out, decai_engine *engine, const decai_options *opts);
int32_t decai__scheduler_submit(decai_scheduler *s, decai_session *session, uint64_t id, int32_t priority,
    const int32_t *tokens, size_t count);
typedef struct schedule_event { int32_t kind; uint64_t id; int64_t value, total; } schedule_event;
int32_t decai__scheduler_next(decai_scheduler *s, schedule_event *event, int64_t timeout_ms);
int32_t decai__scheduler_cancel(decai_scheduler *s, uint64_t id);
int32_t decai__scheduler_top(decai_scheduler *s, int32_t *tokens, float *logprobs, size_t room, size_t *len, uint64_t id,
    uint32_t count);
int32_t decai__scheduler_format(decai_scheduler *s, decai__buf *out);

#endif /* DECAI__INFER_SCHEDULE_H */
