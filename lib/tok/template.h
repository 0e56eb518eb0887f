/* template.h - what api.c and other rooms may use of chat templates. */
#ifndef DECAI__TEMPLATE_H
#define DECAI__TEMPLATE_H

#include "codec/codec.h"
#include "decai/tok.h"
#include "model/model.h"
#include "tok/jinja_tree.h"

/* text NULL: the model's. Arguments are checked. */
int32_t decai__template_create(decai_template **out, decai_context *ctx, const decai_model *model, const char *text,
    size_t len, const decai_options *opts);
int32_t decai__template_format(const decai_template *t, uint8_t *out, size_t cap, size_t *len, const char *text,
    size_t text_len);

/* Its own text. */
const char *decai__template_text(const decai_template *t, size_t *len);

#endif /* DECAI__TEMPLATE_H */
