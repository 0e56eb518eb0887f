/* decai.h - the whole library. Each header below is the contract of one room. */
#ifndef DECAI_H
#define DECAI_H

#include "decai/base.h"
#include "decai/asset.h"
#include "decai/codec.h"
#include "decai/compute.h"
#include "decai/hash.h"
#include "decai/infer.h"
#include "decai/job.h"
#include "decai/key.h"
#include "decai/model.h"
#include "decai/proof.h"
#include "decai/reward.h"
#include "decai/store.h"
#include "decai/tok.h"
#include "decai/wallet.h"

#endif /* DECAI_H */
