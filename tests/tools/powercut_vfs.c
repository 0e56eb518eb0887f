/* powercut_vfs.c - a SQLite VFS that loses power. Included by the tests that
 * use it (they link the library and SQLite statically bound together).
 *
 * Writes go to the real file at once, so that the running program sees what it
 * wrote; beside them we keep, per file, the old content of every 512-byte
 * sector that was changed since the file's last sync. At the cut
 *
 *     each such sector is put back to its old content, or not: a coin decides
 *     a file that grew unsynced is cut back to its synced size, or not
 *     a file created since the directory was last synced vanishes, or not
 *     a file deleted since then comes back, or not
 *     the shared-memory file is gone: it was memory
 *
 * which is every state that a disk with 512-byte sectors and a reordering cache
 * may be left in, as far as SQLite is told to expect (SQLITE_IOCAP_POWERSAFE_
 * OVERWRITE; sqlite.org/psow.html). From the moment of the cut until it is
 * applied every write, sync and delete fails: the program is dead and does not
 * know it.
 *
 * SQLite's unix VFS syncs the directory when a new journal or WAL is first
 * synced, and in xDelete if asked; that is modelled the same way. */
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PC_SECTOR 512
#define PC_NODES  16

typedef struct pc_node {
    char path[512];
    bool used, created;                          /* created: not yet in the directory on disk */
    bool log;                                    /* journal or WAL */
    int64_t durable_size;
    int32_t *slot;                               /* sector -> index in undo, or -1 */
    size_t slots;
    struct pc_undo { int64_t sector; uint8_t old[PC_SECTOR]; } *undo;
    size_t undos, undo_cap;
    uint8_t *deleted;                            /* content of an unsynced delete */
    int64_t deleted_size;                        /* -1: not deleted */
} pc_node;

static struct {
    sqlite3_vfs vfs, *real;
    pc_node node[PC_NODES];
    uint64_t random;
    int64_t countdown;                           /* writes and syncs until the cut; 0: never */
    int64_t ops, syncs;                          /* counted since registered */
    int64_t full_after;                          /* bytes until SQLITE_FULL; < 0: never */
    bool dead;
} pc;

typedef struct pc_file {
    sqlite3_file base;
    pc_node *node;
    sqlite3_file *real;
} pc_file;

static uint64_t
pc_random(void)
{
    pc.random ^= pc.random << 13;
    pc.random ^= pc.random >> 7;
    pc.random ^= pc.random << 17;
    return pc.random;
}

static bool pc_coin(void) { return pc_random() >> 40 & 1; }

static sqlite3_file *real_of(sqlite3_file *f) { return ((pc_file *)f)->real; }

/* One write, sync or delete happens. True: the power went off before it ended. */
static bool
pc_tick(void)
{
    pc.ops++;
    if (pc.dead) return true;
    if (pc.countdown && --pc.countdown == 0) pc.dead = true;
    return false;                                /* the op of the cut itself may still reach the disk */
}

/* ---- nodes --------------------------------------------------------------------- */

static pc_node *
pc_find(const char *path, bool make)
{
    pc_node *empty = NULL;
    for (size_t i = 0; i < PC_NODES; i++) {
        if (pc.node[i].used && strcmp(pc.node[i].path, path) == 0) return &pc.node[i];
        if (!pc.node[i].used && !empty) empty = &pc.node[i];
    }
    if (!make || !empty) return NULL;
    memset(empty, 0, sizeof *empty);
    snprintf(empty->path, sizeof empty->path, "%s", path);
    empty->used = true;
    empty->deleted_size = -1;
    return empty;
}

static void
pc_forget(pc_node *n)
{
    for (size_t i = 0; i < n->slots; i++) n->slot[i] = -1;
    n->undos = 0;
}

static void
pc_directory_synced(void)
{
    for (size_t i = 0; i < PC_NODES; i++) {
        pc_node *n = &pc.node[i];
        n->created = false;
        if (n->deleted_size >= 0) {
            free(n->deleted);
            n->deleted = NULL;
            n->deleted_size = -1;
        }
    }
}

static void
pc_save_sector(pc_node *n, sqlite3_file *real, int64_t sector)
{
    if ((size_t)sector >= n->slots) {
        size_t slots = (size_t)sector * 2 + 64;
        n->slot = realloc(n->slot, slots * sizeof *n->slot);
        for (size_t i = n->slots; i < slots; i++) n->slot[i] = -1;
        n->slots = slots;
    }
    if (n->slot[sector] >= 0) return;
    if (n->undos == n->undo_cap) {
        n->undo_cap = n->undo_cap * 2 + 64;
        n->undo = realloc(n->undo, n->undo_cap * sizeof *n->undo);
    }
    struct pc_undo *u = &n->undo[n->undos];
    u->sector = sector;
    memset(u->old, 0, sizeof u->old);
    real->pMethods->xRead(real, u->old, PC_SECTOR, sector * PC_SECTOR);   /* short reads zero-fill */
    n->slot[sector] = (int32_t)n->undos++;
}

static void
pc_save(pc_node *n, sqlite3_file *real, int64_t from, int64_t to)
{
    for (int64_t s = from / PC_SECTOR; s * PC_SECTOR < to; s++) pc_save_sector(n, real, s);
}

/* ---- file methods ----------------------------------------------------------------- */

static int pc_close(sqlite3_file *f) { return real_of(f)->pMethods->xClose(real_of(f)); }

static int
pc_read(sqlite3_file *f, void *buf, int n, sqlite3_int64 at)
{
    return real_of(f)->pMethods->xRead(real_of(f), buf, n, at);
}

static int
pc_write(sqlite3_file *f, const void *buf, int n, sqlite3_int64 at)
{
    pc_file *p = (pc_file *)f;
    if (pc_tick()) return SQLITE_IOERR_WRITE;
    if (pc.full_after >= 0) {
        if (pc.full_after < n) return SQLITE_FULL;
        pc.full_after -= n;
    }
    pc_save(p->node, p->real, at, at + n);
    return p->real->pMethods->xWrite(p->real, buf, n, at);
}

static int
pc_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    pc_file *p = (pc_file *)f;
    sqlite3_int64 now = 0;
    if (pc_tick()) return SQLITE_IOERR_TRUNCATE;
    p->real->pMethods->xFileSize(p->real, &now);
    pc_save(p->node, p->real, size, now);
    return p->real->pMethods->xTruncate(p->real, size);
}

static int
pc_sync(sqlite3_file *f, int flags)
{
    pc_file *p = (pc_file *)f;
    sqlite3_int64 size = 0;
    (void)flags;
    if (pc_tick() || pc.dead) return SQLITE_IOERR_FSYNC;     /* dies inside the sync: nothing is promised */
    pc.syncs++;
    p->real->pMethods->xFileSize(p->real, &size);
    p->node->durable_size = size;
    pc_forget(p->node);
    if (p->node->log && p->node->created) pc_directory_synced();
    return SQLITE_OK;                            /* no real fsync: the model is the disk */
}

static int pc_size(sqlite3_file *f, sqlite3_int64 *n) { return real_of(f)->pMethods->xFileSize(real_of(f), n); }
static int pc_lock(sqlite3_file *f, int l) { return real_of(f)->pMethods->xLock(real_of(f), l); }
static int pc_unlock(sqlite3_file *f, int l) { return real_of(f)->pMethods->xUnlock(real_of(f), l); }
static int pc_reserved(sqlite3_file *f, int *o) { return real_of(f)->pMethods->xCheckReservedLock(real_of(f), o); }
static int pc_control(sqlite3_file *f, int op, void *a) { return real_of(f)->pMethods->xFileControl(real_of(f), op, a); }
static int pc_sector(sqlite3_file *f) { (void)f; return PC_SECTOR; }
static int pc_traits(sqlite3_file *f) { (void)f; return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }
static int
pc_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, out);
}
static int pc_shm_lock(sqlite3_file *f, int at, int n, int how) { return real_of(f)->pMethods->xShmLock(real_of(f), at, n, how); }
static void pc_shm_barrier(sqlite3_file *f) { real_of(f)->pMethods->xShmBarrier(real_of(f)); }
static int pc_shm_unmap(sqlite3_file *f, int gone) { return real_of(f)->pMethods->xShmUnmap(real_of(f), gone); }

static const sqlite3_io_methods pc_methods = {
    2, pc_close, pc_read, pc_write, pc_truncate, pc_sync, pc_size, pc_lock, pc_unlock, pc_reserved, pc_control,
    pc_sector, pc_traits, pc_shm_map, pc_shm_lock, pc_shm_barrier, pc_shm_unmap, NULL, NULL,
};

/* ---- VFS methods ------------------------------------------------------------------ */

static int
pc_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
    pc_file *p = (pc_file *)f;
    int existed = 0;
    (void)v;
    memset(p, 0, sizeof *p);
    p->real = (sqlite3_file *)(void *)(p + 1);
    if (name) pc.real->xAccess(pc.real, name, SQLITE_ACCESS_EXISTS, &existed);
    if (!existed && pc_tick()) return SQLITE_CANTOPEN;
    int rc = pc.real->xOpen(pc.real, name, p->real, flags, out_flags);
    if (rc != SQLITE_OK) return rc;
    p->node = pc_find(name ? name : "(temp)", true);
    if (!p->node) {
        p->real->pMethods->xClose(p->real);
        return SQLITE_CANTOPEN;
    }
    p->node->log = (flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)) != 0;
    if (!existed) {
        p->node->created = p->node->deleted_size < 0;
        p->node->durable_size = 0;
        pc_forget(p->node);
    } else if (!p->node->undos && !p->node->created) {
        sqlite3_int64 size = 0;
        p->real->pMethods->xFileSize(p->real, &size);
        p->node->durable_size = size;
    }
    p->base.pMethods = &pc_methods;
    return SQLITE_OK;
}

static int
pc_delete(sqlite3_vfs *v, const char *name, int sync_dir)
{
    pc_node *n = pc_find(name, false);
    (void)v;
    if (pc_tick()) return SQLITE_IOERR_DELETE;
    if (n && !n->created && !sync_dir && n->deleted_size < 0) {
        FILE *f = fopen(name, "rb");
        if (f) {
            n->deleted = malloc((size_t)n->durable_size + 1);
            n->deleted_size = (int64_t)fread(n->deleted, 1, (size_t)n->durable_size, f);
            fclose(f);
        }
    }
    int rc = pc.real->xDelete(pc.real, name, 0);
    if (n) {
        n->created = false;
        pc_forget(n);
        n->durable_size = 0;
    }
    if (sync_dir) pc_directory_synced();
    return rc;
}

static int pc_access(sqlite3_vfs *v, const char *n, int fl, int *o) { (void)v; return pc.real->xAccess(pc.real, n, fl, o); }
static int pc_full_path(sqlite3_vfs *v, const char *n, int c, char *o) { (void)v; return pc.real->xFullPathname(pc.real, n, c, o); }
static int pc_randomness(sqlite3_vfs *v, int n, char *o) { (void)v; return pc.real->xRandomness(pc.real, n, o); }
static int pc_sleep(sqlite3_vfs *v, int us) { (void)v; return pc.real->xSleep(pc.real, us); }
static int pc_time(sqlite3_vfs *v, double *o) { (void)v; return pc.real->xCurrentTime(pc.real, o); }
static int pc_last_error(sqlite3_vfs *v, int n, char *o) { (void)v; return pc.real->xGetLastError ? pc.real->xGetLastError(pc.real, n, o) : 0; }
static int pc_time64(sqlite3_vfs *v, sqlite3_int64 *o) { (void)v; return pc.real->xCurrentTimeInt64(pc.real, o); }

/* ---- what tests call ---------------------------------------------------------------- */

static void
pc_register(uint64_t seed)
{
    memset(&pc, 0, sizeof pc);
    pc.random = seed * 0x9e3779b97f4a7c15u + 1;
    pc.full_after = -1;
    pc.real = sqlite3_vfs_find(NULL);
    pc.vfs = (sqlite3_vfs){
        .iVersion = 2, .szOsFile = (int)sizeof(pc_file) + pc.real->szOsFile, .mxPathname = pc.real->mxPathname,
        .zName = "powercut", .xOpen = pc_open, .xDelete = pc_delete, .xAccess = pc_access,
        .xFullPathname = pc_full_path, .xRandomness = pc_randomness, .xSleep = pc_sleep, .xCurrentTime = pc_time,
        .xGetLastError = pc_last_error, .xCurrentTimeInt64 = pc_time64,
    };
    sqlite3_vfs_register(&pc.vfs, 0);
}

static void
pc_forget_all(void)
{
    for (size_t i = 0; i < PC_NODES; i++) {
        free(pc.node[i].slot);
        free(pc.node[i].undo);
        free(pc.node[i].deleted);
    }
    memset(pc.node, 0, sizeof pc.node);
}

static void
pc_unregister(void)
{
    sqlite3_vfs_unregister(&pc.vfs);
    pc_forget_all();
}

static void
pc_apply(pc_node *n)
{
    if (n->deleted_size >= 0 && access(n->path, F_OK) != 0 && pc_coin()) {
        FILE *f = fopen(n->path, "wb");
        if (f) {
            fwrite(n->deleted, 1, (size_t)n->deleted_size, f);
            fclose(f);
        }
        return;
    }
    if (access(n->path, F_OK) != 0) return;
    if (n->created && pc_coin()) {
        unlink(n->path);
        return;
    }
    FILE *f = fopen(n->path, "r+b");
    if (!f) return;
    fseek(f, 0, SEEK_END);
    int64_t size = ftell(f);
    for (size_t i = 0; i < n->undos; i++) {
        if (!pc_coin()) continue;
        fseek(f, (long)(n->undo[i].sector * PC_SECTOR), SEEK_SET);
        fwrite(n->undo[i].old, 1, PC_SECTOR, f);
    }
    fclose(f);
    /* Sectors are whole, files are not: end where one of the two ends was. */
    int64_t end = pc_coin() ? size : n->durable_size;
    if (n->undos && truncate(n->path, (off_t)end) != 0) return;
}

/* The power is back: the files are what the disk kept. Every connection must
 * have been closed before (it could not write any more). */
static void
pc_cut(const char *shm_path)
{
    for (size_t i = 0; i < PC_NODES; i++)
        if (pc.node[i].used) pc_apply(&pc.node[i]);
    unlink(shm_path);
    pc_forget_all();
    pc.dead = false;
    pc.countdown = 0;
}
