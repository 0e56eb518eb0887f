/* curve.h - inside key: the one libsecp256k1 context of a decai context. */
#ifndef DECAI__KEY_CURVE_H
#define DECAI__KEY_CURVE_H

#include <secp256k1.h>

#include "base/base.h"

int32_t decai__curve(decai_context *ctx, const secp256k1_context **out);

#endif /* DECAI__KEY_CURVE_H */
