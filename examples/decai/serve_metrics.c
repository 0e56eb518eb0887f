/* serve_metrics.c - what the server counts, as Prometheus reads it.
 *
 * Names and buckets of the gen_ai series are OpenTelemetry's (semantic conventions for
 * generative AI, metrics), with dots as underscores and the unit behind, which is how
 * OpenTelemetry's own exporter writes them. */
#include "serve.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BUCKETS_MAX = 16, STATUS_MAX = 600 };

static const struct {
    const char *name, *help, *label;
    double bucket[BUCKETS_MAX];
} series[SERIES_COUNT] = {
    {"gen_ai_server_request_duration_seconds", "From the request's arrival to the end of its answer.", "",
        {.01, .02, .04, .08, .16, .32, .64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}},
    {"gen_ai_server_time_to_first_token_seconds", "From the request's arrival to the first token.", "",
        {.001, .005, .01, .02, .04, .06, .08, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10}},
    {"gen_ai_server_time_per_output_token_seconds", "Of an answer, a token after the first.", "",
        {.01, .025, .05, .075, .1, .15, .2, .3, .4, .5, .75, 1, 2.5}},
    {"gen_ai_client_token_usage", "Tokens of a request.", ",gen_ai_token_type=\"input\"",
        {1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}},
    {"gen_ai_client_token_usage", NULL, ",gen_ai_token_type=\"output\"",
        {1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}},
};

typedef struct histogram {
    uint64_t count, bucket[BUCKETS_MAX];
    double sum;
} histogram;

struct metrics {
    pthread_mutex_t lock;
    histogram (*histograms)[OPERATION_COUNT][SERIES_COUNT];   /* of each model */
    uint64_t status[STATUS_MAX], cancelled;
    double started;
};

double
seconds_now(void)
{
    return cpu_seconds(CLOCK_MONOTONIC);
}

double
cpu_seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

metrics *
metrics_open(size_t models)
{
    metrics *m = calloc(1, sizeof *m);
    if (m) m->histograms = calloc(models, sizeof *m->histograms);
    if (!m || !m->histograms) die(EXIT_FAILED, "out of memory");
    pthread_mutex_init(&m->lock, NULL);
    m->started = cpu_seconds(CLOCK_REALTIME);
    return m;
}

void
metrics_close(metrics *m)
{
    pthread_mutex_destroy(&m->lock);
    free(m->histograms);
    free(m);
}

void
metrics_observe(const served *of, int operation, int which, double value)
{
    metrics *m = of->s->metrics;
    histogram *h = &m->histograms[of->index][operation][which];
    pthread_mutex_lock(&m->lock);
    h->count++;
    h->sum += value;
    for (size_t i = 0; i < BUCKETS_MAX && series[which].bucket[i] > 0; i++)
        if (value <= series[which].bucket[i]) h->bucket[i]++;
    pthread_mutex_unlock(&m->lock);
}

void
metrics_status(metrics *m, int status)
{
    pthread_mutex_lock(&m->lock);
    if (status > 0 && status < STATUS_MAX) m->status[status]++;
    pthread_mutex_unlock(&m->lock);
}

void
metrics_cancelled(metrics *m)
{
    pthread_mutex_lock(&m->lock);
    m->cancelled++;
    pthread_mutex_unlock(&m->lock);
}

static void
head(text *out, const char *name, const char *kind, const char *help)
{
    text_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind);
}

static void
print_histogram(const served *m, text *out, int operation, int which, const histogram *h)
{
    static const char *const operations[OPERATION_COUNT] = {"chat", "text_completion", "embeddings"};
    const char *name = series[which].name;
    text labels = {0};
    if (!h->count) return;
    text_printf(&labels, "gen_ai_operation_name=\"%s\",gen_ai_provider_name=\"decai\",gen_ai_request_model=", operations[operation]);
    text_json(&labels, m->name.data, m->name.len);
    text_printf(&labels, "%s", series[which].label);
    for (size_t i = 0; i < BUCKETS_MAX && series[which].bucket[i] > 0; i++)
        text_printf(out, "%s_bucket{%s,le=\"%.10g\"} %llu\n", name, labels.data, series[which].bucket[i], (unsigned long long)h->bucket[i]);
    text_printf(out, "%s_bucket{%s,le=\"+Inf\"} %llu\n", name, labels.data, (unsigned long long)h->count);
    text_printf(out, "%s_sum{%s} %.9g\n%s_count{%s} %llu\n", name, labels.data, h->sum, name, labels.data, (unsigned long long)h->count);
    text_free(&labels);
}

static size_t
open_files(void)
{
    size_t n = 0;
    DIR *d = opendir("/proc/self/fd");
    if (!d) return 0;
    while (readdir(d)) n++;
    closedir(d);
    return n > 3 ? n - 3 : 0;        /* ".", "..", and the folder itself */
}

static size_t
resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f) return 0;
    if (fscanf(f, "%*u %lu", &pages) != 1) pages = 0;
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static void
print_process(const metrics *m, text *out)
{
    head(out, "process_cpu_seconds_total", "counter", "Processor time of the whole process.");
    text_printf(out, "process_cpu_seconds_total %.6f\n", cpu_seconds(CLOCK_PROCESS_CPUTIME_ID));
    head(out, "process_resident_memory_bytes", "gauge", "Memory in use.");
    text_printf(out, "process_resident_memory_bytes %zu\n", resident_bytes());
    head(out, "process_open_fds", "gauge", "Open files and connections.");
    text_printf(out, "process_open_fds %zu\n", open_files());
    head(out, "process_start_time_seconds", "gauge", "Since 1970.");
    text_printf(out, "process_start_time_seconds %.3f\n", m->started);
}

static double running(const engine_about *a) { return (double)a->runs; }
static double waiting(const engine_about *a) { return (double)a->waits; }
static double output(const engine_about *a) { return (double)a->tokens; }
static double processor(const engine_about *a) { return a->cpu; }
static double ready(const engine_about *a) { return a->state == ENGINE_READY; }
static double loading(const engine_about *a) { return a->state == ENGINE_WANTED ? a->seconds : 0; }
static double loads(const engine_about *a) { return (double)a->loads; }
static double failures(const engine_about *a) { return (double)a->failures; }

/* One value a model. */
static const struct {
    const char *name, *kind, *help;
    double (*value)(const engine_about *);
} gauges[] = {
    {"decai_choices_running", "gauge", "Answers that the engine works on.", running},
    {"decai_choices_waiting", "gauge", "Answers that wait for their turn, or for the engine.", waiting},
    {"decai_output_tokens_total", "counter", "Tokens handed out.", output},
    {"decai_engine_cpu_seconds_total", "counter", "Processor time of the engine's thread inside the library.", processor},
    {"decai_engine_ready", "gauge", "1 while the model's engine is in memory.", ready},
    {"decai_engine_loading_seconds", "gauge", "How long the engine has been waited for; 0 while it is not.", loading},
    {"decai_engine_loads_total", "counter", "How often the engine was made or taken back.", loads},
    {"decai_engine_failures_total", "counter", "Engines or schedulers that failed.", failures},
};

static void
print_server(server *s, text *out)
{
    engine_about about[SERVE_MODELS_MAX];
    head(out, "decai_http_connections", "gauge", "Open connections.");
    text_printf(out, "decai_http_connections %zu\n", atomic_load(&s->open_connections));
    for (size_t i = 0; i < s->model_count; i++) engine_thread_about(s->models[i].runner, &about[i]);
    for (size_t k = 0; k < sizeof gauges / sizeof *gauges; k++) {
        head(out, gauges[k].name, gauges[k].kind, gauges[k].help);
        for (size_t i = 0; i < s->model_count; i++) {
            text_printf(out, "%s{gen_ai_request_model=", gauges[k].name);
            text_json(out, s->models[i].name.data, s->models[i].name.len);
            text_printf(out, "} %.15g\n", gauges[k].value(&about[i]));
        }
    }
}

void
metrics_print(server *s, text *out)
{
    metrics *m = s->metrics;
    const char *last = "";
    print_server(s, out);
    pthread_mutex_lock(&m->lock);
    head(out, "decai_http_requests_total", "counter", "Requests answered, by status.");
    for (int i = 0; i < STATUS_MAX; i++)
        if (m->status[i]) text_printf(out, "decai_http_requests_total{status=\"%d\"} %llu\n", i, (unsigned long long)m->status[i]);
    head(out, "decai_cancelled_total", "counter", "Calls whose client went away.");
    text_printf(out, "decai_cancelled_total %llu\n", (unsigned long long)m->cancelled);
    for (int i = 0; i < SERIES_COUNT; i++) {
        if (strcmp(last, series[i].name)) head(out, series[i].name, "histogram", series[i].help);
        last = series[i].name;
        for (size_t j = 0; j < s->model_count; j++)
            for (int k = 0; k < OPERATION_COUNT; k++) print_histogram(&s->models[j], out, k, i, &m->histograms[j][k][i]);
    }
    pthread_mutex_unlock(&m->lock);
    print_process(m, out);
}
