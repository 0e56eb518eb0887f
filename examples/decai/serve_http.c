/* serve_http.c - decai serve: HTTP by libmicrohttpd.
 *
 * One thread reads and writes for all connections. A request is judged by its headers
 * (key, origin, size, kind), its body is gathered up to a limit, then it goes to
 * whoever answers it and its connection is suspended. A suspended connection is not
 * looked at by libmicrohttpd, so http_watch polls those: a client that went away while
 * its prompt was read or its answer was collected cancels the call.
 *
 * Against pages of others that a browser on this machine has open: a POST must say
 * application/json, which a foreign page cannot without asking first; the answer to
 * that question is no, unless --cors names the page's origin; a request that names
 * another origin is refused; and where no key protects a loopback address, the Host
 * must be a name of this machine, so that no foreign name can be pointed at it. */
#define _GNU_SOURCE                  /* POLLRDHUP */
#include "serve.h"

#include <microhttpd.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

static const route routes[] = {
    {"POST", "/v1/chat/completions", false, NULL, chat_read, false},
    {"POST", "/v1/completions", false, NULL, completions_read, false},
    {"POST", "/v1/responses", false, NULL, responses_read, false},
    {"POST", "/v1/embeddings", false, NULL, embeddings_read, false},
    {"POST", "/tokenize", false, NULL, tokenize_read, false},
    {"POST", "/detokenize", false, NULL, detokenize_read, false},
    {"GET", "/v1/models", false, routes_models, NULL, false},
    {"GET", "/v1/models/*", false, routes_model, NULL, false},
    {"GET", "/health", true, routes_health, NULL, false},
    {"GET", "/", true, routes_page, NULL, false},
    {"GET", "/decai/status", false, routes_status, NULL, false},
    {"POST", "/decai/verify", false, NULL, verify_read, true},
    {"GET", "/metrics", false, routes_metrics, NULL, false},
};

/* ---- judging a request by its headers ------------------------------------------------- */

static const char *
header_of(call *c, const char *name)
{
    return MHD_lookup_connection_value(c->connection, MHD_HEADER_KIND, name);
}

static bool
path_is(const char *pattern, const char *path)
{
    size_t n = strlen(pattern);
    return pattern[n - 1] == '*' ? !strncmp(path, pattern, n - 1) && path[n - 1] : !strcmp(pattern, path);
}

/* Looks at every key for every request: how long it takes says nothing. */
static bool
key_known(const server *s, const char *given)
{
    uint8_t hash[32];
    unsigned found = 0;
    if (decai_hash_keccak256(hash, sizeof hash, (const uint8_t *)given, strlen(given))) return false;
    for (size_t i = 0; i < s->key_count; i++) {
        unsigned differs = 0;
        for (size_t k = 0; k < sizeof hash; k++) differs |= (unsigned)(hash[k] ^ s->keys[i][k]);
        found |= differs == 0;
    }
    return found;
}

static bool
authorised(call *c)
{
    const char *given = header_of(c, "Authorization");
    if (!c->s->key_count || c->route->open) return true;
    return given && !strncasecmp(given, "Bearer ", 7) && key_known(c->s, given + 7);
}

/* Is the header's host a name of this machine? Without the port. */
static bool
host_is_local(const char *host)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        size_t n = strlen(names[i]);
        if (!strncasecmp(host, names[i], n) && (!host[n] || host[n] == ':')) return true;
    }
    return false;
}

static bool
origin_listed(const server *s, const char *origin)
{
    for (size_t i = 0; i < s->origin_count; i++)
        if (!strcmp(s->origins[i], "*") || !strcmp(s->origins[i], origin)) return true;
    return false;
}

/* No Origin, one that --cors names, or our own page's. */
static bool
origin_allowed(call *c)
{
    const char *origin = header_of(c, "Origin"), *host = header_of(c, "Host");
    if (!origin) return true;
    if (origin_listed(c->s, origin)) {
        text_reserve(&c->origin, 0);
        text_add(&c->origin, origin, strlen(origin));
        return true;
    }
    const char *name = strstr(origin, "://");
    return host && name && !strcasecmp(name + 3, host);
}

static void
refuse_route(call *c, bool other_method)
{
    if (other_method) call_refuse(c, 405, NULL, NULL, "%s: this path takes another method", c->path.data);
    else call_refuse(c, 404, NULL, "unknown_url", "%s: there is nothing here", c->path.data);
}

static void
route_find(call *c, const char *method)
{
    bool other = false;
    if (!strcmp(method, "HEAD")) method = "GET";
    for (size_t i = 0; i < sizeof routes / sizeof *routes && !c->route; i++) {
        if (!path_is(routes[i].path, c->path.data)) continue;
        other = true;
        if (!strcmp(routes[i].method, method)) c->route = &routes[i];
    }
    if (!c->route) refuse_route(c, other);
}

/* May be refused here; else route is set. */
static void
judge(call *c, const char *method)
{
    const char *host = header_of(c, "Host"), *kind = header_of(c, "Content-Type"), *length = header_of(c, "Content-Length");
    c->has_body = length ? strcmp(length, "0") != 0 : header_of(c, "Transfer-Encoding") != NULL;
    if (c->s->loopback && !c->s->key_count && (!host || !host_is_local(host)))
        call_refuse(c, 403, NULL, "host_not_allowed", "Host: not a name of this machine; API keys (--api-keys) would let it in");
    else if (!origin_allowed(c)) call_refuse(c, 403, NULL, "origin_not_allowed", "Origin: pages of this origin may not ask; see --cors");
    else if (!strcmp(method, "OPTIONS")) call_end(c, c->origin.len ? 204 : 403, "text/plain");
    else route_find(c, method);
    if (c->done) return;
    if (!authorised(c)) call_refuse(c, 401, NULL, "invalid_api_key", "Authorization: \"Bearer KEY\" with a key of this server is needed");
    else if (atomic_load(&c->s->draining) && !c->route->open) call_refuse(c, 503, NULL, "shutting_down", "the server is shutting down");
    else if (length && strtoll(length, NULL, 10) > c->s->body_max)
        call_refuse(c, 413, NULL, "request_too_large", "the body has %s bytes, at most %lld", length, (long long)c->s->body_max);
    else if (c->route->read && (!kind || strncasecmp(kind, "application/json", 16)))
        call_refuse(c, 415, NULL, NULL, "Content-Type: must be application/json");
}

/* ---- connections, and who went away ------------------------------------------------------- */

/* An open connection, and the call on it. All of them are polled ten times a second
 * for clients that closed their side. libmicrohttpd does not look at one that is
 * suspended, and its epoll misses an end that came together with the last bytes. */
typedef struct peer {
    int fd;
    call *call;
    struct peer *before, *after;
} peer;

static void
peer_call(server *s, peer *p, call *c)
{
    if (!p) return;
    pthread_mutex_lock(&s->list_lock);
    p->call = c;
    pthread_mutex_unlock(&s->list_lock);
}

static void
peer_add(server *s, struct MHD_Connection *connection, void **slot)
{
    peer *p = calloc(1, sizeof *p);
    *slot = p;
    if (!p) return;                  /* it is served all the same */
    p->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    pthread_mutex_lock(&s->list_lock);
    p->after = s->peers;
    if (s->peers) s->peers->before = p;
    s->peers = p;
    pthread_mutex_unlock(&s->list_lock);
}

static void
peer_remove(server *s, peer *p)
{
    if (!p) return;
    pthread_mutex_lock(&s->list_lock);
    if (p->before) p->before->after = p->after;
    else s->peers = p->after;
    if (p->after) p->after->before = p->before;
    pthread_mutex_unlock(&s->list_lock);
    free(p);
}

static void
on_connection(void *user, struct MHD_Connection *connection, void **slot, enum MHD_ConnectionNotificationCode code)
{
    server *s = user;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        atomic_fetch_add(&s->open_connections, 1);
        peer_add(s, connection, slot);
    } else {
        atomic_fetch_sub(&s->open_connections, 1);
        peer_remove(s, *slot);
        *slot = NULL;
    }
}

/* Its client is gone: wake it if it sleeps, to end. */
static bool
cut_off(call *c)
{
    pthread_mutex_lock(&c->lock);
    bool slept = c->suspended;
    if (slept) {
        atomic_store(&c->gone, true);
        c->suspended = false;
        MHD_resume_connection(c->connection);
    }
    pthread_mutex_unlock(&c->lock);
    return slept;
}

static void
peer_closed(peer *p)
{
    /* One that is being written to finds out by itself; the others are nudged, again and
     * again: an event that comes while libmicrohttpd reads is lost as well. */
    if (p->call && cut_off(p->call)) return;
    if (!p->call || !atomic_load(&p->call->handed)) (void)shutdown(p->fd, SHUT_RD);
}

void
http_watch(server *s)
{
    size_t n = 0, room = atomic_load(&s->open_connections) + 16;
    struct pollfd *fds = malloc(room * sizeof *fds);
    peer **peers = malloc(room * sizeof *peers);
    pthread_mutex_lock(&s->list_lock);
    for (peer *p = s->peers; p && fds && peers && n < room; p = p->after) {
        fds[n] = (struct pollfd){.fd = p->fd, .events = POLLRDHUP};
        peers[n++] = p;
    }
    /* Under the list's lock none is closed, so these descriptors are theirs. */
    if (n && poll(fds, n, 0) > 0)
        for (size_t i = 0; i < n; i++)
            if (fds[i].revents & (POLLRDHUP | POLLHUP | POLLERR)) peer_closed(peers[i]);
    pthread_mutex_unlock(&s->list_lock);
    free(fds);
    free(peers);
}

/* ---- sending -------------------------------------------------------------------------------- */

/* Called by libmicrohttpd when it can send: 0 suspends until there is more. */
static ssize_t
give(void *user, uint64_t pos, char *buffer, size_t max)
{
    call *c = user;
    ssize_t n = 0;
    (void)pos;
    pthread_mutex_lock(&c->lock);
    size_t waiting = c->out.len - c->taken;
    if (atomic_load(&c->gone)) {
        n = MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (waiting) {
        n = (ssize_t)(waiting < max ? waiting : max);
        memcpy(buffer, c->out.data + c->taken, (size_t)n);
        c->taken += (size_t)n;
    } else if (c->done) {
        n = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        c->suspended = true;
        MHD_suspend_connection(c->connection);
    }
    pthread_mutex_unlock(&c->lock);
    return n;
}

static void
give_end(void *user)
{
    call_drop(user);
}

static void
add_headers(call *c, struct MHD_Response *r)
{
    MHD_add_response_header(r, "Content-Type", c->type);
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(r, "Cache-Control", "no-store");
    if (c->id[0]) MHD_add_response_header(r, "X-Request-Id", c->id);
    if (c->header.len) MHD_add_response_header(r, "X-Decai-Receipt", c->header.data);
    if (c->origin.len) {
        MHD_add_response_header(r, "Access-Control-Allow-Origin", c->origin.data);
        MHD_add_response_header(r, "Access-Control-Expose-Headers", "X-Request-Id, X-Decai-Receipt");
        MHD_add_response_header(r, "Vary", "Origin");
    }
    if (c->status == 204) {
        MHD_add_response_header(r, "Access-Control-Allow-Methods", "GET, POST");
        MHD_add_response_header(r, "Access-Control-Allow-Headers", "Authorization, Content-Type");
        MHD_add_response_header(r, "Access-Control-Max-Age", "600");
    }
    if (!strcmp(c->type, "text/html; charset=utf-8"))
        MHD_add_response_header(r, "Content-Security-Policy", c->s->policy.data);
    if (c->status == 401) MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
    if (c->status == 429 || c->status == 503) MHD_add_response_header(r, "Retry-After", "1");
    if (atomic_load(&c->s->draining)) MHD_add_response_header(r, "Connection", "close");
}

static enum MHD_Result
send_answer(call *c)
{
    struct MHD_Response *r;
    atomic_fetch_add(&c->owners, 1);                 /* the response's, until it is sent */
    if (c->streaming) r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, give, c, give_end);
    else r = MHD_create_response_from_buffer_with_free_callback_cls(c->out.len, c->out.data ? c->out.data : "", give_end, c);
    if (!r) {
        call_drop(c);
        return MHD_NO;
    }
    add_headers(c, r);
    metrics_status(c->s->metrics, c->status);
    enum MHD_Result sent = MHD_queue_response(c->connection, (unsigned)c->status, r);
    MHD_destroy_response(r);
    return sent;
}

/* ---- a request, from its first line to its end -------------------------------------------------- */

static call *
call_make(server *s, struct MHD_Connection *connection, const char *method, const char *path)
{
    call *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->s = s;
    c->model = &s->models[0];
    c->connection = connection;
    c->began = seconds_now();
    c->top = -1;
    atomic_init(&c->owners, 1);
    atomic_init(&c->gone, false);
    pthread_mutex_init(&c->lock, NULL);
    snprintf(c->method, sizeof c->method, "%s", method);
    call_name(c, "req_");
    text_reserve(&c->path, 0);
    text_add(&c->path, path, strlen(path));
    c->peer = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    peer_call(s, c->peer, c);
    atomic_fetch_add(&s->calls, 1);
    return c;
}

/* The body is whole. The connection sleeps before anybody can wake it. */
static void
hand_over(call *c)
{
    server *s = c->s;
    atomic_store(&c->handed, true);
    if (c->route->now) {
        c->route->now(c);
        return;
    }
    if (c->received > (size_t)s->body_max) {
        call_refuse(c, 413, NULL, "request_too_large", "the body has more than %lld bytes", (long long)s->body_max);
        return;
    }
    pthread_mutex_lock(&c->lock);
    c->suspended = true;
    MHD_suspend_connection(c->connection);
    pthread_mutex_unlock(&c->lock);
    if (!worker_add(c->route->slow ? &s->checker : &s->reader, c, (size_t)s->queue))
        call_refuse(c, 429, NULL, "queue_full", "too many requests wait: %lld", (long long)s->queue);
}

/* All bodies together have a limit, too: connections are many. */
static void
body_add(call *c, const char *data, size_t len)
{
    size_t max = SERVE_BODIES_MAX * (size_t)c->s->body_max;
    c->held += len;
    if (atomic_fetch_add(&c->s->held, len) + len > max)
        call_refuse(c, 503, NULL, "overloaded", "too many bodies are being sent: %zu bytes of them at most", max);
    else text_add(&c->body, data, len);
}

static enum MHD_Result
on_request(void *user, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
    const char *data, size_t *size, void **slot)
{
    server *s = user;
    call *c = *slot;
    (void)version;
    if (!c) {
        if (atomic_load(&s->stopping)) return MHD_NO;
        *slot = c = call_make(s, connection, method, url);
        if (!c) return MHD_NO;
        judge(c, method);
        /* What is refused and has a body waits for it, or the client might never see the answer. */
        return c->done && (!c->has_body || c->status == 413) ? send_answer(c) : MHD_YES;
    }
    if (*size) {
        c->received += *size;
        /* Too much is read to its end, to be answered; far too much is cut off. */
        if (c->received > 2 * (size_t)s->body_max + 65536) return MHD_NO;
        if (!c->done && c->received <= (size_t)s->body_max) body_add(c, data, *size);
        *size = 0;
        return MHD_YES;
    }
    if (atomic_load(&c->gone)) return MHD_NO;
    if (!atomic_load(&c->handed) && !c->done) hand_over(c);
    pthread_mutex_lock(&c->lock);
    bool ready = c->ready;
    pthread_mutex_unlock(&c->lock);
    return ready ? send_answer(c) : MHD_YES;
}

/* A line a request, for --log. What other threads still write is not looked at. */
static void
log_line(const call *c, bool lost)
{
    text line = {0};
    time_t now = time(NULL);
    struct tm t;
    char stamp[32];
    gmtime_r(&now, &t);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ", &t);
    text_printf(&line, "%s %s %s ", stamp, c->done ? c->id : "-", c->method);
    text_json_any(&line, c->path.data, c->path.len);
    text_printf(&line, " %d %.3f s", c->done ? c->status : 0, seconds_now() - c->began);
    if (c->done && c->prompt_tokens) {
        text_printf(&line, " model=");
        text_json(&line, c->model->name.data, c->model->name.len);
        text_printf(&line, " in=%llu out=%llu", (unsigned long long)c->prompt_tokens, (unsigned long long)c->output_tokens);
    }
    fprintf(stderr, "%s%s\n", line.data, lost ? " cut off" : "");
    text_free(&line);
}

static void
on_completed(void *user, struct MHD_Connection *connection, void **slot, enum MHD_RequestTerminationCode code)
{
    server *s = user;
    call *c = *slot;
    (void)connection;
    if (!c) return;
    *slot = NULL;
    peer_call(s, c->peer, NULL);
    pthread_mutex_lock(&c->lock);
    c->suspended = false;
    bool lost = !c->done || code != MHD_REQUEST_TERMINATED_COMPLETED_OK;
    pthread_mutex_unlock(&c->lock);
    if (s->log) log_line(c, lost);
    if (lost) {
        atomic_store(&c->gone, true);
        if (atomic_load(&c->submitted)) engine_thread_cancel(c->model->runner, c);
    }
    call_drop(c);
    atomic_fetch_sub(&s->calls, 1);
}

/* ---- beginning and end ----------------------------------------------------------------------------------- */

static void
quiet(void *user, const char *format, va_list args)
{
    (void)user;
    (void)format;
    (void)args;
}

static struct addrinfo *
address_of(const server *s)
{
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found = NULL;
    char port[16];
    snprintf(port, sizeof port, "%lld", (long long)s->port);
    int r = getaddrinfo(s->host, port, &wanted, &found);
    if (r) die(EXIT_FAILED, "--host: \"%s\": %s", s->host, gai_strerror(r));
    return found;
}

bool
http_start(server *s, uint16_t *port)
{
    struct addrinfo *a = address_of(s);
    text cert = {0}, key = {0};
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    if (a->ai_family == AF_INET6) flags |= MHD_USE_IPv6;
    if (s->cert) {
        flags |= MHD_USE_TLS;
        file_read(&cert, s->cert);
        file_read(&key, s->key);
    }
    const struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, cert.data}, {MHD_OPTION_HTTPS_MEM_KEY, 0, key.data}, {MHD_OPTION_END, 0, NULL}};
    const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    s->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER, quiet, NULL,
        MHD_OPTION_SOCK_ADDR, a->ai_addr, MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection, s,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)s->connections, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)s->timeout_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)32768, MHD_OPTION_LISTEN_BACKLOG_SIZE, 1024u, MHD_OPTION_ARRAY, s->cert ? tls : none, MHD_OPTION_END);
    freeaddrinfo(a);
    text_free(&cert);
    text_free(&key);
    if (!s->daemon) return false;
    *port = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    return true;
}

void
http_quiesce(server *s)
{
    struct sockaddr_storage from;
    int fd = MHD_quiesce_daemon(s->daemon);
    if (fd < 0) return;
    /* Who has connected already is told, not cut off. */
    for (;;) {
        socklen_t len = sizeof from;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 0) <= 0) break;
        int one = accept(fd, (struct sockaddr *)&from, &len);
        if (one < 0 || MHD_add_connection(s->daemon, one, (struct sockaddr *)&from, len) != MHD_YES) break;
    }
    close(fd);
}

void
http_stop(server *s)
{
    /* What still sleeps is woken to be cut off: libmicrohttpd wants none asleep. */
    pthread_mutex_lock(&s->list_lock);
    for (peer *p = s->peers; p; p = p->after)
        if (p->call) (void)cut_off(p->call);
    pthread_mutex_unlock(&s->list_lock);
    MHD_stop_daemon(s->daemon);
}
