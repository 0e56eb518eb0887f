/* decai.h - the whole library. Each header below is the contract of one room. */
#ifndef DECAI_H
#define DECAI_H

#include "decai/base.h"
#include "decai/codec.h"
#include "decai/hash.h"
#include "decai/job.h"
#include "decai/reward.h"
#include "decai/store.h"

#endif /* DECAI_H */
