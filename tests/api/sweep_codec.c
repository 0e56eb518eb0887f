/* sweep_codec.c - the allocation sweep's fixtures for codec. */
#include <string.h>

#include "sweep.h"

static int32_t hex(decai_context *ctx, void *state)
{
    char text[8];
    uint8_t data[4];
    size_t len = 0;
    (void)ctx, (void)state;
    int32_t r = decai_hex_encode(text, sizeof text, &len, (const uint8_t *)"decai", 4);
    return r ? r : decai_hex_decode(data, sizeof data, &len, text, len);
}

static int32_t json(decai_context *ctx, void *state)
{
    /* an escape, and keys enough that their list grows */
    static const char text[] = "{\"a\\n\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6,\"g\":7,\"h\":8,\"i\":9,\"j\":10,\"k\":11,"
        "\"l\":12,\"m\":13,\"n\":14,\"o\":15,\"p\":16,\"q\":17,\"r\":[\"\\u00e9\"]}";
    (void)state;
    return decai_json_verify(ctx, text, sizeof text - 1);
}

static int32_t json_open(decai_context *ctx, void *state)
{
    static const char text[] = "{\"a\\n\":[1,\"\\u00e9\",[2,[3,4,5,6,7,8,9,10]]],\"b\":null}";
    decai_json *json = NULL;
    char out[64];
    size_t len = 0;
    int32_t value = 0, type;
    uint64_t count;
    (void)state;
    int32_t r = decai_json_open(&json, ctx, text, sizeof text - 1);
    if (!r) r = decai_json_get(json, &value, 0, "a\n");
    if (r == 1) r = decai_json_key_get(json, out, sizeof out, &len, value);
    if (!r) r = decai_json_at(json, &value, value, 1);
    if (r == 1) r = decai_json_type_get(json, &type, &count, value);
    if (!r) r = decai_json_text_get(json, out, sizeof out, &len, value);
    if (!r) r = decai_json_format(json, out, sizeof out, &len, value);
    if (!r) r = decai_json_path_get(json, out, sizeof out, &len, value);
    decai_destroy(json);
    return r;
}

static const uint8_t item[] = { 0xa2, 0x01, 0x63, 'a', 'b', 'c', 0x02, 0x46, 0x84, 0x01, 0x02, 0x03, 0x41, 0xff };

static int32_t cbor_verify(decai_context *ctx, void *state)
{
    (void)ctx, (void)state;
    return decai_cbor_verify(item, sizeof item);
}

static int32_t cbor_format(decai_context *ctx, void *state)
{
    char text[256];
    size_t len = 0;
    (void)state;
    return decai_cbor_format(ctx, text, sizeof text, &len, item, sizeof item);
}

const sweep_case sweep_codec[] = {
    { "decai_hex_encode", NULL, hex, NULL },
    { "decai_hex_decode", NULL, hex, NULL },
    { "decai_json_verify", NULL, json, NULL },
    { "decai_json_open", NULL, json_open, NULL },
    { "decai_json_type_get", NULL, json_open, NULL },
    { "decai_json_at", NULL, json_open, NULL },
    { "decai_json_get", NULL, json_open, NULL },
    { "decai_json_key_get", NULL, json_open, NULL },
    { "decai_json_text_get", NULL, json_open, NULL },
    { "decai_json_format", NULL, json_open, NULL },
    { "decai_json_path_get", NULL, json_open, NULL },
    { "decai_cbor_verify", NULL, cbor_verify, NULL },
    { "decai_cbor_format", NULL, cbor_format, NULL },
    { NULL, NULL, NULL, NULL },
};
