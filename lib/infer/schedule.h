/* schedule.h - many sessions taking turns. Private to the room.
 *
 *     scheduler.c  the handle: submissions, cancels, events, statistics
 *     schedule.c   one step: who computes how many rows, the pass, the draws
 *     draft.c      guesses at what comes next, from what was said before
 *     draft_model.c  guesses by a smaller model
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
#define DRAFT_MAX 15                 /* tokens guessed ahead of one step */

enum { REQUEST_QUEUED, REQUEST_PROMPT, REQUEST_DECODE, REQUEST_OVER };

/* draft.c: guesses at what a session says next, and how often they were right: by
 * whether the match was short or long. */
typedef struct decai__drafting {
    double right[2];             /* share of guesses that came true, exponential means; 0: no guess yet */
    uint32_t since[2];           /* steps without a guess, though there was a match */
    int32_t kind;                /* of the last guess */
} decai__drafting;
/* Up to `most` tokens; as many as are worth it where one more row costs `cost` of the
 * time in which a token is given anyway. */
size_t decai__draft(decai__drafting *d, int32_t *draft, size_t most, double cost, const int32_t *tokens, size_t count);
void decai__draft_learn(decai__drafting *d, size_t guessed, size_t right);

/* draft_model.c: the same by a smaller model, on a session that follows the request's.
 * Only the stepping thread touches it. */
typedef struct decai__drafter {
    decai_session *session;      /* of the draft engine; NULL: none yet */
    bool off;                    /* it failed: no more guesses for this request */
    double right;                /* share that came true, an exponential mean; 0: no guess yet */
    uint32_t since;              /* steps without a guess */
} decai__drafter;
typedef struct decai__draft_model {  /* what a scheduler knows of its draft model */
    double ns, right;            /* of a guess, without its row; means; 0: unknown */
    uint64_t drafted, taken;
    double shown_ns;                 /* ns, for others to see: it changes without the lock */
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
    size_t asked;                /* guesses wanted of the draft model; n grows by those that it gives */
    int32_t result;
    decai__turn *turn;           /* of the pass; NULL: it went by itself */
} schedule_turn;

struct decai_scheduler {
    decai__handle h;
    decai_engine *engine, *draft;        /* draft: NULL, or guesses */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool made;
    uint32_t active_max, queue_max;
    size_t memory_max;           /* 0: no limit */
    size_t prefix_max;

    schedule_request **requests;          /* active_max + queue_max places, in order of submission */
    size_t count, active;        /* all; PROMPT or DECODE */
    size_t memory;               /* of active requests */
    uint64_t submitted;
    bool wake;
    atomic_uint urgent;          /* somebody new: a long pass may be given up */

    decai__prefix prefix;        /* touched by the stepping thread only */
    size_t prefix_count, prefix_bytes;                       /* for the others to see */
    uint64_t prefix_hits, prefix_loaded, prefix_saved;

    /* the step */
    decai__turn *turns;          /* active_max of each */
    schedule_turn *parts;
    size_t turn_count;
    decai__heads heads;
    bool given_up;               /* the last pass was: the next one is not */
    bool stepped_back;           /* a long prompt did in the last pass: not in the next */
    /* what passes cost: nanoseconds, exponential means; 0: unknown */
    double decode_ns, row_ns, draft_ns;
    uint32_t draft_max, draft_steps;     /* steps with guesses since one without */
    uint64_t plain_steps;
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

/* draft_model.c */
int32_t decai__scheduler_draft_set(decai_scheduler *s, decai_engine *draft);
/* With the lock: as many guesses as are worth it where `decoding` sessions wait. */
size_t decai__drafter_plan(decai_scheduler *s, schedule_request *r, size_t most, size_t decoding);
/* Without it: into r->draft; how many. The draft computes at most `rows` to catch up. */
size_t decai__drafter_guess(decai_scheduler *s, schedule_request *r, size_t most, size_t rows);
void decai__drafter_learn(decai_scheduler *s, decai__drafter *d, size_t guessed, size_t right);
void decai__drafter_free(decai__drafter *d);

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
