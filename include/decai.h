/* decai.h - the whole library. Each header below is the contract of one room. */
#ifndef DECAI_H
#define DECAI_H

#include "decai/base.h"
#include "decai/hash.h"
#include "decai/codec.h"
#include "decai/key.h"
#include "decai/store.h"
#include "decai/compute.h"
#include "decai/model.h"
#include "decai/tok.h"
#include "decai/infer.h"
#include "decai/wallet.h"
#include "decai/asset.h"
#include "decai/proof.h"
#include "decai/job.h"
#include "decai/reward.h"

#endif /* DECAI_H */
