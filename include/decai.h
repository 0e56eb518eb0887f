/* decai.h - the whole library. Each header below is the contract of one room. */
#ifndef DECAI_H
#define DECAI_H

#include "decai/base.h"
#include "decai/compute.h"

#endif /* DECAI_H */
