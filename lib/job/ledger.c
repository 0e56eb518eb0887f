/* ledger.c - double entry in integers.
 *
 * A transaction is a list of moves, each of one amount from one account to
 * another; a move is written as two postings:
 *
 *     line 2i      from   credit 0   amount        taken
 *     line 2i + 1  to     credit 1   amount        given
 *
 * A balance is what was given minus what was taken. Inside the market nobody
 * may be below zero; the world outside is three accounts, so that each asset as
 * a whole sums to zero, always:
 *
 *     ext:deposit   -(all that ever came in)
 *     ext:paid      all that ever went out
 *     ext:burn      all that was destroyed
 *
 * The cached balance of an account lives in its row, 256-bit magnitude and a
 * sign; it is changed in the transaction that writes the postings. Moves are
 * applied one after the other: a transaction that passes through zero by its
 * order of moves alone is refused, so put incomes before expenses.
 *
 * Before the caller commits, the rows just written are read back and summed
 * per asset. That is not distrust of arithmetic but of everything between the
 * struct and the row: binding, column order, a trigger, a second writer.
 */
#include <string.h>

#include "job/job.h"

#define MOVES_MAX    32768                       /* DECAI_BIDS_MAX bidders, and some */
#define ACCOUNTS_MAX 4096                        /* distinct accounts of one transaction */

/* ---- signed 256-bit amounts -------------------------------------------------- */

bool
decai__signed_add(decai__signed *a, const decai__u256 *b)
{
    if (!a->negative) return decai__u256_add(&a->magnitude, &a->magnitude, b);
    if (decai__u256_cmp(&a->magnitude, b) > 0) return decai__u256_sub(&a->magnitude, &a->magnitude, b);
    a->negative = false;
    return decai__u256_sub(&a->magnitude, b, &a->magnitude);
}

bool
decai__signed_sub(decai__signed *a, const decai__u256 *b)
{
    if (a->negative) return decai__u256_add(&a->magnitude, &a->magnitude, b);
    if (decai__u256_cmp(&a->magnitude, b) >= 0) return decai__u256_sub(&a->magnitude, &a->magnitude, b);
    a->negative = true;
    return decai__u256_sub(&a->magnitude, b, &a->magnitude);
}

size_t
decai__signed_format(char out[DECAI__U256_TEXT_MAX + 2], const decai__signed *a)
{
    size_t sign = a->negative ? 1 : 0;
    out[0] = '-';
    return sign + decai__u256_format(out + sign, &a->magnitude);
}

/* ---- moves ---------------------------------------------------------------------- */

void
decai__moves_init(decai__moves *m, decai_context *ctx)
{
    *m = (decai__moves){.ctx = ctx};
}

void
decai__moves_free(decai__moves *m)
{
    decai__free(m->ctx, m->list);
    m->list = NULL;
    m->count = m->cap = 0;
}

static void
account_name(char out[DECAI__ACCOUNT_MAX], const char *prefix, const char *name)
{
    size_t p = strlen(prefix), n = strlen(name);
    decai__assert(p + n < DECAI__ACCOUNT_MAX);
    memcpy(out, prefix, p);
    memcpy(out + p, name, n + 1);
}

void
decai__moves_add(decai__moves *m, const char *from_prefix, const char *from, const char *to_prefix,
    const char *to, const decai__u256 *amount)
{
    if (m->error || decai__u256_is_zero(amount)) return;
    if (m->count == MOVES_MAX) {
        m->error = decai__fail(DECAI_E_LIMIT, "ledger: more than %d moves in one transaction", MOVES_MAX);
        return;
    }
    if (m->count == m->cap) {
        size_t cap = m->cap ? m->cap * 2 : 16;
        decai__move *list = decai__realloc(m->ctx, m->list, m->cap * sizeof *list, cap * sizeof *list);
        if (!list) {
            m->error = decai__fail(DECAI_E_NOMEM, "ledger: no memory for moves");
            return;
        }
        m->list = list;
        m->cap = cap;
    }
    decai__move *v = &m->list[m->count++];
    account_name(v->from, from_prefix, from);
    account_name(v->to, to_prefix, to);
    v->amount = *amount;
}

/* ---- accounts of one transaction -------------------------------------------------- */

typedef struct account {
    const char *name;                            /* in the moves */
    int64_t id;
    decai__signed balance;
} account;

typedef struct post {
    decai_store *store;
    const char *asset;
    account *accounts;
    size_t count, cap;
} post;

/* 1 found | 0 no such account | error */
static int32_t
read_balance(decai_store *s, const char *name, const char *asset, int64_t *id, decai__signed *out)
{
    decai__query q;
    uint8_t be[32];
    int32_t r = decai__query_one(&q, s, DECAI__SQL_ACCOUNT_FIND, "tt", name, asset);
    if (r != 1) return r;
    *id = decai__query_i64(&q, 0);
    out->negative = decai__query_i64(&q, 1) != 0;
    r = decai__query_fixed(&q, 2, be, 32);
    decai__query_done(&q);
    if (r) return r;
    out->magnitude = decai__u256_from_be(be);
    return 1;
}

int32_t
decai__ledger_balance(decai_store *s, const char *name, const char *asset, decai__signed *out)
{
    int64_t id;
    *out = (decai__signed){0};
    int32_t r = read_balance(s, name, asset, &id, out);
    return r < 0 ? r : 0;
}

static int32_t
account_open(post *p, const char *name, account **out)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->accounts[i].name, name) == 0) {
            *out = &p->accounts[i];
            return 0;
        }
    if (p->count == p->cap) return decai__fail(DECAI_E_LIMIT, "ledger: more than %zu accounts at once", p->cap);

    account *a = &p->accounts[p->count];
    *a = (account){.name = name};
    int32_t r = read_balance(p->store, name, p->asset, &a->id, &a->balance);
    if (r < 0) return r;
    if (r == 0) {
        static const uint8_t zero[32];
        decai__query q;
        r = decai__query_one(&q, p->store, DECAI__SQL_ACCOUNT_ADD, "ttib", name, p->asset, (int64_t)0, zero);
        if (r < 0) return r;
        a->id = decai__query_i64(&q, 0);
        decai__query_done(&q);
    }
    p->count++;
    *out = a;
    return 0;
}

static int32_t
apply_move(post *p, const decai__move *v, int64_t txn, int64_t line)
{
    account *from, *to;
    uint8_t be[32];
    int32_t r = account_open(p, v->from, &from);
    if (r == 0) r = account_open(p, v->to, &to);
    if (r) return r;

    if (!decai__signed_sub(&from->balance, &v->amount) || !decai__signed_add(&to->balance, &v->amount))
        return decai__fail(DECAI_E_LIMIT, "ledger: %s of %s would pass 2^256-1", p->asset, v->from);
    if (from->balance.negative && strcmp(v->from, "ext:deposit") != 0) {
        char text[DECAI__U256_TEXT_MAX + 1];
        decai__u256_format(text, &from->balance.magnitude);
        return decai__fail(DECAI_E_FUNDS, "%s: lacks %s %s", v->from, text, p->asset);
    }
    decai__u256_to_be(be, &v->amount);
    r = decai__query_run(p->store, NULL, DECAI__SQL_POSTING_ADD, "iiiib", txn, line, from->id, (int64_t)0, be);
    if (r < 0) return r;
    r = decai__query_run(p->store, NULL, DECAI__SQL_POSTING_ADD, "iiiib", txn, line + 1, to->id, (int64_t)1, be);
    return r < 0 ? r : 0;
}

static int32_t
write_balances(post *p)
{
    for (size_t i = 0; i < p->count; i++) {
        const account *a = &p->accounts[i];
        uint8_t be[32];
        int64_t changes = 0;
        decai__u256_to_be(be, &a->balance.magnitude);
        int32_t r = decai__query_run(p->store, &changes, DECAI__SQL_ACCOUNT_SET, "iib", a->id,
                                     (int64_t)a->balance.negative, be);
        if (r < 0) return r;
        if (changes != 1)
            return decai__fail(DECAI_E_INTEGRITY, "ledger: account %s: %lld rows changed", a->name, (long long)changes);
    }
    return 0;
}

/* What is in the file, not what we meant to write. */
static int32_t
check_rows(decai_store *s, int64_t txn, const char *asset, size_t lines)
{
    decai__query q;
    decai__signed sum = {0};
    size_t seen = 0;
    int32_t r = decai__query_start(&q, s, DECAI__SQL_POSTING_OF_TXN, "i", txn);
    if (r) return r;
    while ((r = decai__query_step(&q)) == 1) {
        char name[DECAI_NAME_MAX + 1];
        uint8_t be[32];
        if ((r = decai__query_text(&q, 0, name, sizeof name)) || (r = decai__query_fixed(&q, 2, be, 32))) break;
        decai__u256 amount = decai__u256_from_be(be);
        bool fits = decai__query_i64(&q, 1) ? decai__signed_add(&sum, &amount) : decai__signed_sub(&sum, &amount);
        if (!fits || strcmp(name, asset) != 0) {
            r = decai__fail(DECAI_E_INTEGRITY, "ledger: transaction %lld: asset %s among %s", (long long)txn, name, asset);
            break;
        }
        seen++;
    }
    decai__query_done(&q);
    if (r) return r;
    if (seen != lines || !decai__u256_is_zero(&sum.magnitude))
        return decai__fail(DECAI_E_INTEGRITY, "ledger: transaction %lld does not sum to zero in %s", (long long)txn, asset);
    return 0;
}

static int32_t
add_txn(decai_store *s, const char *kind, int64_t order_seq, int64_t now_ms, int64_t *txn)
{
    decai__query q;
    int32_t r = order_seq ? decai__query_one(&q, s, DECAI__SQL_TXN_ADD, "tii", kind, order_seq, now_ms)
                          : decai__query_one(&q, s, DECAI__SQL_TXN_ADD, "tni", kind, now_ms);
    if (r < 0) return r;
    *txn = decai__query_i64(&q, 0);
    decai__query_done(&q);
    return 0;
}

int32_t
decai__ledger_post(decai_store *s, const char *kind, int64_t order_seq, const char *asset,
    const decai__moves *m, int64_t now_ms)
{
    int64_t txn = 0;
    if (m->error) return m->error;
    if (m->count == 0) return 0;

    decai_context *ctx = decai__context_of(s);
    post p = {.store = s, .asset = asset, .cap = DECAI__MIN(2 * m->count, (size_t)ACCOUNTS_MAX)};
    p.accounts = decai__alloc(ctx, p.cap * sizeof *p.accounts);
    if (!p.accounts) return decai__fail(DECAI_E_NOMEM, "ledger: no memory for accounts");

    int32_t r = add_txn(s, kind, order_seq, now_ms, &txn);
    for (size_t i = 0; i < m->count && r == 0; i++) r = apply_move(&p, &m->list[i], txn, (int64_t)(2 * i));
    if (r == 0) r = write_balances(&p);
    if (r == 0) r = check_rows(s, txn, asset, 2 * m->count);
    decai__free(ctx, p.accounts);
    return r;
}
