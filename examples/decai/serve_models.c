/* serve_models.c - the models of decai serve, and who of them is in memory.
 *
 * All files are opened, and their tokenizers and templates made, before the first
 * request. What is big is an engine: its weights, arranged to be computed with. Engines
 * stand on the library's shelf, within --memory bytes; each is made when the first
 * request asks for it. Who wants one stands in a line:
 *
 *     the first in the line asks the shelf; is there no room, one of the other models is
 *     asked to give its engine back: the one that has been idle longest, else, where
 *     none is idle, the one that has had its engine longest, if that is SERVE_TURN_S
 *     seconds at least; that one takes in nothing new and ends what it has begun
 *
 * so that every model gets its turn however busy the others are, and those that have
 * their engine go on while another one's is made. */
#include "serve.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* ---- names -------------------------------------------------------------------------- */

served *
models_find(server *s, const char *name)
{
    for (size_t i = 0; i < s->model_count; i++)
        if (!strcmp(s->models[i].name.data, name)) return &s->models[i];
    return NULL;
}

/* "NAME=FILE" gives both. A file that is there, or has a folder before the =, is a FILE. */
static const char *
split(const char *option, const char *given, text *name)
{
    const char *equals = strchr(given, '=');
    text_reserve(name, 0);
    if (!equals || file_exists(given) || memchr(given, '/', (size_t)(equals - given))) return given;
    if (equals == given || !equals[1]) die(EXIT_USAGE, "%s: \"%s\" is not NAME=FILE", option, given);
    text_add(name, given, (size_t)(equals - given));
    return equals + 1;
}

/* The file that an option which may be repeated gives to a model, or NULL; the first
 * model's needs no name. */
static const char *
file_for(const served *m, const char *option, const char *const *given)
{
    const char *found = NULL;
    text name = {0};
    for (size_t i = 0; given[i]; i++) {
        const char *file = split(option, given[i], &name);
        if (name.len ? !strcmp(name.data, m->name.data) : !m->index) found = file;
    }
    text_free(&name);
    return found;
}

static void
names_check(server *s, const char *option, const char *const *given)
{
    text name = {0};
    for (size_t i = 0; given[i]; i++) {
        (void)split(option, given[i], &name);
        if (name.len && !models_find(s, name.data)) die(EXIT_USAGE, "%s: \"%s\" is not a --model's name", option, name.data);
    }
    text_free(&name);
}

/* ---- a model without its engine --------------------------------------------------------- */

static void
name_model(served *m, const char *name)
{
    const char *base = strrchr(m->path, '/') ? strrchr(m->path, '/') + 1 : m->path;
    size_t n = strlen(name ? name : base);
    if (!name && n > 5 && !strcmp(base + n - 5, ".gguf")) n -= 5;
    text_reserve(&m->name, 0);
    text_add(&m->name, name ? name : base, n);
    if (!m->name.len || m->name.len > DECAI_SHELF_NAME_MAX - 8)
        die(EXIT_USAGE, "--model: a name of %zu bytes, must have 1 to %d", m->name.len, DECAI_SHELF_NAME_MAX - 8);
    for (size_t i = 0; i < m->index; i++)
        if (!strcmp(m->s->models[i].name.data, m->name.data)) die(EXIT_USAGE, "--model: two are called \"%s\"; NAME=FILE names one", m->name.data);
}

static bool
metadata(const served *m, text *out, const char *key)
{
    size_t len = 0;
    text_reserve(out, 0);
    int32_t r = decai_model_metadata_get(m->weights, NULL, 0, &len, key);
    if (r && r != DECAI_E_SPACE) return false;
    text_reserve(out, len);
    return !len || !decai_model_metadata_get(m->weights, (uint8_t *)out->data, len, &len, key);
}

/* What is said of it before its engine is there, by the rules that the engine has. */
static void
describe(served *m, int64_t context)
{
    text kind = {0}, value = {0}, key = {0};
    uint8_t root[32];
    struct stat st;
    (void)metadata(m, &kind, "general.architecture");
    text_printf(&key, "%s.context_length", kind.data);
    size_t own = metadata(m, &value, key.data) ? strtoull(value.data, NULL, 10) : DECAI_CONTEXT_TOKENS_MAX;
    size_t asked = context ? (size_t)context : 2048;
    m->context = asked < own ? asked : own;
    text_reserve(&key, 0);
    text_printf(&key, "%s.attention.causal", kind.data);
    m->encoder = strstr(kind.data, "bert") || (metadata(m, &value, key.data) && !strcmp(value.data, "false"));
    check(decai_model_root_get(m->weights, root, sizeof root), m->path);
    text_hex(&m->root, root, sizeof root);
    m->created = stat(m->path, &st) ? 0 : (int64_t)st.st_mtime;
    text_free(&kind);
    text_free(&value);
    text_free(&key);
}

static void
vocabulary_open(served *m)
{
    static const char between[] = "<|sep|>";
    check(decai_tokenizer_create(&m->tok, m->weights, NULL), m->path);
    check(decai_tokenizer_count(m->tok, &m->vocabulary), m->path);
    if (decai_tokenizer_special_get(m->tok, &m->separator, "separator") &&
        decai_tokenizer_id_get(m->tok, &m->separator, (const uint8_t *)between, sizeof between - 1))
        m->separator = -1;
}

static void
template_open(served *m, const char *path)
{
    text source = {0};
    size_t len = 0;
    if (path) file_read(&source, path);
    int32_t r = decai_template_create(&m->chat, m->s->ctx, m->weights, path ? (source.data ? source.data : "") : NULL, source.len, NULL);
    if (r != DECAI_E_NOT_FOUND || path) check(r, path ? path : "chat template");
    if (m->chat && decai_template_calls_get(m->chat, NULL, 0, &len) == DECAI_E_SPACE)
        check(decai_template_calls_get(m->chat, (uint8_t *)text_reserve(&m->call_form, len), len, &len), "chat template");
    text_free(&source);
}

static uint64_t
put_on_shelf(server *s, decai_model *model, const char *name)
{
    uint64_t sum = 0, size = 0, dims[DECAI_MODEL_DIMS_MAX];
    const char *tensor;
    int32_t type;
    for (size_t i = 0; decai_model_tensor_at(model, &tensor, &type, dims, DECAI_MODEL_DIMS_MAX, &size, i) == 1; i++) sum += size;
    if (s->memory && sum > (uint64_t)s->memory) die(EXIT_USAGE, "--memory: %s alone has %llu bytes", name, (unsigned long long)sum);
    check(decai_shelf_add(s->shelf, model, name), name);
    return sum;
}

static void
draft_open(served *m, const char *path, progress *p)
{
    if (m->encoder) die(EXIT_USAGE, "--draft: %s gives vectors, no tokens to guess", m->name.data);
    decai_model *draft = model_open(m->s->ctx, path, p);         /* the shelf keeps it */
    text_printf(&m->draft, "%s\tdraft", m->name.data);
    m->bytes += put_on_shelf(m->s, draft, m->draft.data);
    if (m->s->memory && m->bytes > (uint64_t)m->s->memory)
        die(EXIT_USAGE, "--memory: %s and its --draft have %llu bytes", m->name.data, (unsigned long long)m->bytes);
    decai_destroy(draft);
}

void
models_open(server *s, const models_given *g)
{
    progress p;
    decai_options *o = NULL;
    text name = {0};
    progress_init(&p, false);
    check(decai_options_create(&o, s->ctx), "options");
    check(decai_options_set_str(o, "compute.backend", g->backend), "--backend");
    cache_use(o, g->backend);
    if (g->context) check(decai_options_set_i64(o, "infer.context", g->context), "--context");
    check(decai_options_set_str(o, "infer.kv_type", g->kv_type), "--kv-type");
    check(decai_options_set_i64(o, "infer.shelf_bytes", s->memory), "--memory");
    check(decai_shelf_create(&s->shelf, s->ctx, o), "shelf");
    decai_destroy(o);
    for (size_t i = 0; !i || g->files[i]; i++) {
        if (i == SERVE_MODELS_MAX) die(EXIT_USAGE, "--model: more than %d", SERVE_MODELS_MAX);
        served *m = &s->models[s->model_count++];
        m->s = s;
        m->index = i;
        m->path = model_path(g->files[i] ? split("--model", g->files[i], &name) : NULL);
        name_model(m, name.len ? name.data : i ? NULL : g->name);
        m->weights = model_open(s->ctx, m->path, &p);
        describe(m, g->context);
        m->bytes = put_on_shelf(s, m->weights, m->name.data);
        vocabulary_open(m);
    }
    names_check(s, "--template", g->templates);
    names_check(s, "--draft", g->drafts);
    for (size_t i = 0; i < s->model_count; i++) {
        const char *template = file_for(&s->models[i], "--template", g->templates), *draft = file_for(&s->models[i], "--draft", g->drafts);
        if (!s->models[i].encoder) template_open(&s->models[i], template);
        if (s->models[i].chat && !g->allow_special) s->models[i].guard = guard_open(s->models[i].tok);
        if (draft) draft_open(&s->models[i], draft, &p);
    }
    text_free(&name);
}

void
models_close(server *s)
{
    for (size_t i = 0; i < s->model_count; i++) {
        served *m = &s->models[i];
        text *const texts[] = {&m->name, &m->root, &m->fingerprint, &m->device, &m->call_form, &m->draft};
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) text_free(texts[k]);
        for (size_t k = 0; k < SERVE_GRAMMARS_MAX; k++) decai_destroy(m->grammars[k].grammar);
        guard_close(m->guard);
        decai_destroy(m->chat);
        decai_destroy(m->tok);
        decai_destroy(m->weights);
    }
    decai_destroy(s->shelf);
}

/* ---- engines, in turn ----------------------------------------------------------------------- */

struct asker { struct asker *next; };

/* Both engines or none. */
static int32_t
lend(served *m, decai_engine **engine, decai_engine **draft)
{
    int32_t r = decai_shelf_get(m->s->shelf, engine, m->name.data);
    if (!r && m->draft.len && draft) {
        r = decai_shelf_get(m->s->shelf, draft, m->draft.data);
        if (r) {
            decai_destroy(*engine);
            *engine = NULL;
        }
    }
    return r;
}

/* One of the others, to give back; none while one is at it. */
static void
make_room(server *s, const served *wants)
{
    engine_about about, best = {0};
    served *chosen = NULL;
    for (size_t i = 0; i < s->model_count; i++) {
        served *m = &s->models[i];
        engine_thread_about(m->runner, &about);
        if (m == wants || about.state != ENGINE_READY) continue;
        if (about.giving) return;
        bool idle = !about.runs && !about.waits, idle_best = chosen && !best.runs && !best.waits;
        if (!idle && about.seconds < SERVE_TURN_S) continue;
        if (chosen && (idle != idle_best ? idle_best : idle ? about.idle_s <= best.idle_s : about.seconds <= best.seconds)) continue;
        best = about;
        chosen = m;
    }
    if (chosen) engine_thread_give(chosen->runner);
}

static void
wait_a_little(server *s)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 50000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_cond_timedwait(&s->line_moved, &s->line_lock, &until);
}

int32_t
models_lend(served *m, decai_engine **engine, decai_engine **draft, bool (*wanted)(void *), void *user)
{
    server *s = m->s;
    asker self = {NULL}, **at;
    int32_t r = DECAI_E_FULL;
    pthread_mutex_lock(&s->line_lock);
    for (at = &s->line; *at; at = &(*at)->next) continue;
    *at = &self;
    while (r == DECAI_E_FULL && wanted(user)) {
        if (s->line == &self) {
            /* Nobody else comes to the front meanwhile. */
            pthread_mutex_unlock(&s->line_lock);
            r = lend(m, engine, draft);
            if (r == DECAI_E_FULL) make_room(s, m);
            pthread_mutex_lock(&s->line_lock);
        }
        if (r == DECAI_E_FULL) wait_a_little(s);
    }
    for (at = &s->line; *at != &self; at = &(*at)->next) continue;
    *at = self.next;
    pthread_cond_broadcast(&s->line_moved);
    pthread_mutex_unlock(&s->line_lock);
    return r == DECAI_E_FULL ? DECAI_E_CANCELLED : r;
}

void
models_returned(server *s)
{
    pthread_mutex_lock(&s->line_lock);
    pthread_cond_broadcast(&s->line_moved);
    pthread_mutex_unlock(&s->line_lock);
}
