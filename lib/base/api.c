/* api.c - the door of base: arguments are checked here, work is done behind. */
#include <string.h>

#include "base/context.h"

#define TEXT(x)  #x
#define VALUE(x) TEXT(x)

const char *
decai_version(void)
{
    return VALUE(DECAI_VERSION_MAJOR) "." VALUE(DECAI_VERSION_MINOR) "." VALUE(DECAI_VERSION_PATCH);
}

const char *
decai_error_name(int32_t code)
{
    return decai__error_name(code);
}

const char *
decai_error_detail(void)
{
    return decai__error_detail();
}

const char *
decai_api_json(void)
{
    return decai__api_json();
}

int32_t
decai_constant_get(int64_t *value, const char *name)
{
    if (!value) return decai__fail(DECAI_E_INVALID, "value: NULL");
    *value = 0;
    if (!name) return decai__fail(DECAI_E_INVALID, "name: NULL");
    return decai__constant_get(value, name);
}

int32_t
decai_feature_at(const char **name, int32_t *present, size_t index)
{
    if (!name || !present) return decai__fail(DECAI_E_INVALID, "%s: NULL", name ? "present" : "name");
    *name = NULL;
    *present = 0;
    return decai__feature_at(name, present, index);
}

int32_t
decai_options_create(decai_options **out, decai_context *context)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    int32_t r = context ? decai__enter_shared(context, DECAI__CONTEXT) : 0;
    return r ? r : decai__options_create(out, context);
}

static int32_t
put(decai_options *o, const char *key, int32_t type, int64_t i64, double f64, const void *data,
    size_t len, decai_fn fn, void *user)
{
    int32_t r = decai__enter(o, DECAI__OPTIONS);
    if (r) return r;
    if (!key) r = decai__fail(DECAI_E_INVALID, "key: NULL");
    else if (strnlen(key, DECAI_OPTION_KEY_MAX + 1) > DECAI_OPTION_KEY_MAX)
        r = decai__fail(DECAI_E_LIMIT, "key: more than %d bytes", DECAI_OPTION_KEY_MAX);
    else r = decai__options_put(o, key, type, i64, f64, data, len, fn, user);
    decai__leave(o);
    return r;
}

int32_t
decai_options_set_i64(decai_options *options, const char *key, int64_t value)
{
    return put(options, key, DECAI_OPTION_I64, value, 0, NULL, 0, NULL, NULL);
}

int32_t
decai_options_set_f64(decai_options *options, const char *key, double value)
{
    return put(options, key, DECAI_OPTION_F64, 0, value, NULL, 0, NULL, NULL);
}

int32_t
decai_options_set_str(decai_options *options, const char *key, const char *value)
{
    if (!value) return decai__fail(DECAI_E_INVALID, "value: NULL");
    return put(options, key, DECAI_OPTION_STR, 0, 0, value, strlen(value), NULL, NULL);
}

int32_t
decai_options_set_bytes(decai_options *options, const char *key, const uint8_t *value, size_t value_len)
{
    if (!value && value_len) return decai__fail(DECAI_E_INVALID, "value: NULL");
    return put(options, key, DECAI_OPTION_BYTES, 0, 0, value ? value : (const uint8_t *)"", value_len, NULL, NULL);
}

int32_t
decai_options_set_fn(decai_options *options, const char *key, decai_fn function, void *user)
{
    return put(options, key, DECAI_OPTION_FN, 0, 0, NULL, 0, function, user);
}

int32_t
decai_option_at(const char **key, int32_t *type, const char **doc, size_t index)
{
    if (!key || !type || !doc) return decai__fail(DECAI_E_INVALID, "an output is NULL");
    *key = *doc = NULL;
    *type = 0;
    return decai__option_at(key, type, doc, index);
}

int32_t
decai_context_create(decai_context **out, const decai_options *options)
{
    if (!out) return decai__fail(DECAI_E_INVALID, "out: NULL");
    *out = NULL;
    return decai__context_create(out, options);
}

int32_t
decai_retain(void *handle)
{
    return decai__retain(handle);
}

void
decai_destroy(void *handle)
{
    decai__destroy(handle);
}

int32_t
decai_task_wait(decai_task *task, int64_t timeout_ms)
{
    int32_t r = decai__enter(task, DECAI__TASK);
    if (r) return r;
    r = decai__task_wait(task, timeout_ms);
    decai__leave(task);
    return r;
}

int32_t
decai_task_cancel(decai_task *task)
{
    int32_t r = decai__enter_shared(task, DECAI__TASK);
    if (r) return r;
    decai__task_cancel(task);
    return 0;
}

int32_t
decai_task_fd(decai_task *task, int32_t *fd)
{
    if (!fd) return decai__fail(DECAI_E_INVALID, "fd: NULL");
    *fd = -1;
    int32_t r = decai__enter_shared(task, DECAI__TASK);
    return r ? r : decai__task_fd(task, fd);
}

int32_t
decai_task_progress(decai_task *task, const char **phase, uint64_t *done, uint64_t *total)
{
    if (!phase || !done || !total) return decai__fail(DECAI_E_INVALID, "an output is NULL");
    *phase = "";
    *done = *total = 0;
    int32_t r = decai__enter_shared(task, DECAI__TASK);
    if (r) return r;
    decai__task_progress(task, phase, done, total);
    return 0;
}
