/* serve_engine.h - the thread of a model, as serve_engine.c and serve_load.c share it. */
#ifndef DECAI_CLI_SERVE_ENGINE_H
#define DECAI_CLI_SERVE_ENGINE_H

#include "serve.h"

#define SERVE_FAILURES_MAX 8         /* of schedulers, without a token in between */

struct engine_thread {
    server *s;
    served *m;
    pthread_t thread;
    decai_engine *engine, *draft;    /* the thread's own, as what follows; NULL: it has none */
    choice *running, *embedding;     /* with the scheduler; to be embedded, in turn */
    size_t failed;                   /* schedulers since the last token */
    bool eager;                      /* it is wanted before any request */

    pthread_mutex_t lock;            /* of what follows */
    pthread_cond_t more;
    decai_scheduler *q;              /* NULL: an encoder's, or not there; only the thread changes it */
    choice *first, **last;           /* waiting */
    size_t waits, runs;
    bool stop, give;                 /* give: the engine is wanted back */
    int state;
    double since, used;              /* when the state began, when it last worked */
    double cpu;
    uint64_t tokens, loads, failures;
    text status;                     /* of what runs, not older than a quarter of a second */
    double shown;
};

/* ---- serve_engine.c */

void *engine_loop(void *user);
void choice_leave(engine_thread *e, choice **list, choice *ch);   /* one less; the last one drops the engine's part of the call */
void call_leave(call *c);
uint64_t number_of_choice(const choice *ch);                      /* the scheduler's */

/* ---- serve_load.c */

int32_t engine_load(engine_thread *e);            /* 0 | DECAI_E_CANCELLED: nobody wants it any more | what went wrong */
void engine_unload(engine_thread *e);
void engine_refuse_waiting(engine_thread *e, int32_t r);          /* what waits cannot be answered: r */
void engine_scheduler_failed(engine_thread *e, int32_t r);        /* what ran is lost */

#endif
