#include "model/internal.h"
int32_t
decai__safetensors_load(decai__loader *l, const char *path, bool index)
{
    (void)l; (void)index;
    return decai__fail(DECAI_E_UNSUPPORTED, "%s: safetensors", path);
}
