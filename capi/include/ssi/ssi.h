/* SPDX-License-Identifier: BSD-3-Clause
 *
 * libssi's C API, for C99 and C++. `#include <ssi/ssi.h>`, link with `pkg-config --libs ssi-c`.
 *
 *     ssi_session *session;
 *     ssi_set *set;
 *     ssi_guard guard;
 *     ssi_set_options options = SSI_SET_OPTIONS_INIT;
 *     options.object_bytes = sizeof(double);
 *     if (ssi_init(&argc, &argv, &session) || ssi_set_create(session, "x", &options, &set)) ...
 *     if (ssi_grab(set, ssi_id(7), &guard) == SSI_OK) {
 *         *(double *)guard.writable += 1;
 *         ssi_put(&guard);
 *     }
 *
 * Results. A function that returns int returns SSI_OK (0) or a number of the table in
 * ssi/capi/errors.h, unless it says otherwise; ssi_last_error() then has the exact cause. What a
 * function gives back, it writes through its last arguments, and only on success, unless said.
 *
 * Misuse (a null handle, an id out of range, a put of what is not held, a second grab of an object,
 * guards out of order) is such an error and changes nothing. What ends the process, with a sentence
 * on standard error, is only this: a set's bookkeeping finds no memory, and an invariant of libssi
 * that is broken. Handles that were finalized or destroyed must not be used: as with FILE, libssi
 * cannot tell. No C++ exception leaves a function.
 *
 * Threads. All functions but ssi_init, ssi_init_comm and ssi_finalize may be called by any thread
 * at any time; collectives by one thread of a node at a time. A guard belongs to the thread that
 * made it, and only that thread may put it. What each verb promises: docs/consistency.md. */
#ifndef SSI_SSI_H
#define SSI_SSI_H

#include <stddef.h>
#include <stdint.h>

#include "ssi/capi/errors.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- errors ---- */

/* The cause of the calling thread's last failure in one line, "" when there was none. Kept until
 * this thread's next failure. */
const char *ssi_last_error(void);
/* The node that was at fault then (peer_lost: which one died), or SSI_NO_NODE. */
uint32_t ssi_last_error_node(void);
#define SSI_NO_NODE 0xffffffffu
/* What the operating system said then, as errno does; 0 when it had no part in it. */
int ssi_last_error_errno(void);
/* The sentence and the name of an error number: never NULL; for numbers that are none, those of
 * SSI_ERR_INTERNAL. */
const char *ssi_strerror(int error);
const char *ssi_error_name(int error);
/* What a program should exit with when this error ends it (libssi-errors(7)). */
int ssi_exit_code(int error);
const char *ssi_version(void);   /* "0.1.0" */

/* ---- sessions ---- */

typedef struct ssi_session ssi_session;

/* Joins the session of this run; collective over all ranks. Starts MPI when the application has not
 * and takes --ssi-* arguments out of argv. Both pointers may be NULL: then there are no flags. */
int ssi_init(int *argc, char ***argv, ssi_session **session);
/* The same over a communicator of the application: pass the address of an MPI_Comm. MPI may have
 * been initialised at any thread level, and is the application's to finalize. */
int ssi_init_comm(const void *mpi_comm, ssi_session **session);
/* Collective; let go of all guards before. Ends the session whatever it returns: the handle and
 * all handles that came from it are gone. ssi_finalize(NULL) does nothing. */
int ssi_finalize(ssi_session *session);
/* Ends the program. After the death of a node it leaves without MPI_Finalize, which would hang, and
 * with the exit code of peer_lost. */
void ssi_exit(int code);

int ssi_rank(const ssi_session *session);        /* 0 .. size - 1; -1 for NULL */
int ssi_size(const ssi_session *session);        /* -1 for NULL */
uint32_t ssi_node(const ssi_session *session);   /* this process's NodeId; SSI_NO_NODE for NULL */

/* Collectives: every node calls the same ones in the same order. Let go of guards first: who waits
 * for your object does not come. peer_lost when a node is dead, mismatch when one calls another. */
int ssi_barrier(ssi_session *session);
/* `length` bytes from the rank `root` to all; mismatch when lengths differ. */
int ssi_broadcast(ssi_session *session, int root, void *bytes, size_t length);
/* The same where only the root knows how many: it sends *length bytes; elsewhere up to `capacity`
 * bytes go to `bytes`, and *length becomes the number that was sent, also with too_large: that is
 * more than `capacity`. The root does not look at `capacity`. */
int ssi_broadcast_sized(ssi_session *session, int root, void *bytes, size_t capacity,
                        size_t *length);
/* `all` holds the `length` bytes that each rank gave, in the order of ranks: at the rank `root`, or
 * with SSI_EVERYBODY everywhere. Elsewhere `all` is not used, and may be NULL. */
#define SSI_EVERYBODY (-1)
int ssi_gather(ssi_session *session, int root, const void *mine, size_t length, void *all);

enum ssi_reduction { SSI_SUM = 0, SSI_MIN = 1, SSI_MAX = 2 };
/* Each of the `count` values becomes the reduction of that value of all nodes, on every node. */
int ssi_reduce_i64(ssi_session *session, enum ssi_reduction op, int64_t *values, size_t count);
int ssi_reduce_u64(ssi_session *session, enum ssi_reduction op, uint64_t *values, size_t count);
int ssi_reduce_f64(ssi_session *session, enum ssi_reduction op, double *values, size_t count);
enum ssi_number { SSI_I64 = 0, SSI_U64 = 1, SSI_F64 = 2 };
/* The same for the rank `root` alone (others lose their values), or for SSI_EVERYBODY. `values` is
 * an array of `count` numbers of that kind. */
int ssi_reduce(ssi_session *session, int root, enum ssi_reduction op, enum ssi_number kind,
               void *values, size_t count);
/* into[i] = into[i] op from[i], for i below `count`, where op is associative and the same on every
 * node. Both are arrays of the caller's elements, aligned to 16 bytes. Called by the thread that is
 * in the collective, for some of the elements at a time; must not call libssi. */
typedef void (*ssi_combine)(void *into, const void *from, size_t count, void *context);
/* A reduction of `count` elements of `element_bytes` bytes (at least 1) by a function of the
 * program. `root` as above. Always combined in the same order, so that a sum of floating point
 * numbers is always the same. mismatch when lengths differ. */
int ssi_reduce_with(ssi_session *session, int root, void *values, size_t count,
                    size_t element_bytes, ssi_combine combine, void *context);

/* ---- sets of objects ---- */

typedef struct ssi_set ssi_set;   /* belongs to its session; valid until ssi_finalize */

/* The 128-bit name of an object in its set; ordered by hi, then lo. */
typedef struct ssi_object_id {
    uint64_t hi;
    uint64_t lo;
} ssi_object_id;

static inline ssi_object_id ssi_id(uint64_t lo) {
    ssi_object_id id;
    id.hi = 0;
    id.lo = lo;
    return id;
}
static inline ssi_object_id ssi_id2(uint64_t hi, uint64_t lo) {
    ssi_object_id id;
    id.hi = hi;
    id.lo = lo;
    return id;
}

enum ssi_kind {
    SSI_FIXED = 0,      /* object_bytes each, born as zero bytes */
    SSI_VARIABLE = 1,   /* 0 bytes to 64 MiB, born empty; ssi_resize */
    SSI_TYPED = 2       /* made by a C++ program, of objects as its types encode them; C opens it */
};
enum ssi_coherence {
    SSI_COHERENT = 0,   /* copies and ownership stay where they were used last */
    SSI_HOME = 1        /* nothing stays: the last put sends the object home */
};

enum ssi_set_flag {
    /* An object whose ownership goes from node to node is not given out for one visit at a time
     * (docs/consistency.md), as it is by default. */
    SSI_NO_VISITS = 1
};

/* Grows at its end: initialise with SSI_SET_OPTIONS_INIT, which stores the size that the program
 * was compiled with, and set members by name. */
typedef struct ssi_set_options {
    size_t size;             /* sizeof(ssi_set_options) */
    uint64_t count;          /* ids are 0 .. count - 1; 0: any id */
    uint32_t kind;           /* enum ssi_kind */
    uint32_t object_bytes;   /* SSI_FIXED: 1 byte to 64 MiB */
    uint32_t coherence;      /* enum ssi_coherence */
    uint32_t flags;          /* enum ssi_set_flag, or 0 */
    /* NULL or "hashed"; "node:2" (all at that node); "blocked" (count / nodes consecutive ids per
     * node); "first_touch" (runs of consecutive ids, each at the node that first used one of it;
     * needs a count); "high_bits" (by hi); or a name given to ssi_register_placement. */
    const char *placement;
    /* Where objects are born and kept: NULL or "memory"; or a name given to ssi_register_linker or
     * ssi_register_record_file. */
    const char *linker;
    uint64_t memory_bytes;   /* most that its objects take in each node's memory; 0: no budget */
} ssi_set_options;
#define SSI_SET_OPTIONS_INIT \
    { sizeof(ssi_set_options), 0, SSI_FIXED, 0, SSI_COHERENT, 0, NULL, NULL, 0 }

/* The set of that name, made when it is new. Not collective: each node calls it when it needs the
 * set. mismatch when it exists with other options. */
int ssi_set_create(ssi_session *session, const char *name, const ssi_set_options *options,
                   ssi_set **set);
/* not_found when nobody created it. */
int ssi_set_open(ssi_session *session, const char *name, ssi_set **set);
/* Its objects are gone everywhere; who uses the set later gets not_found. */
int ssi_set_destroy(ssi_session *session, const char *name);
/* Its name, valid as long as the set; NULL for NULL. */
const char *ssi_set_name(const ssi_set *set);
/* Its number, which placement functions see and by which guards are ordered; the same on every
 * node. */
int ssi_set_number(const ssi_set *set, uint32_t *number);
/* What it was created with. Set options->size first, as by SSI_SET_OPTIONS_INIT; `placement`
 * and `linker` are never NULL, and valid as long as the set. */
int ssi_set_describe(const ssi_set *set, ssi_set_options *options);

/* slot = function(set, id, slots), a number below `slots`: pure, the same on every node, under the
 * same name, registered before the set is created or opened. At most 16 functions a process. */
typedef uint32_t (*ssi_placement)(uint32_t set, ssi_object_id id, uint32_t slots);
int ssi_register_placement(ssi_session *session, const char *name, ssi_placement function);

/* Counters of a set on this node since it was opened here. Grows at its end: set size first. */
typedef struct ssi_set_stats {
    size_t size;              /* sizeof(ssi_set_stats) */
    uint64_t gets, grabs;     /* acquisitions */
    uint64_t hits;            /* of these: served by what the node held */
    uint64_t remote_gets, remote_grabs;
    uint64_t invalidations;   /* copies given up for another node's grab */
    uint64_t transfers;       /* ownerships given away */
    uint64_t applies;         /* shipped functions executed here */
    uint64_t recalls;         /* of these: had to call the object home first */
    uint64_t evictions;       /* objects sent home by flush, SSI_HOME or a visit's end */
    uint64_t bytes_in, bytes_out;
    uint64_t objects;         /* entries now */
    uint64_t reads;           /* one-sided reads */
    uint64_t reads_by_message;   /* of these: asked another node for the bytes */
    uint64_t loads;           /* objects that the linker brought into memory */
    uint64_t write_backs;     /* values that it was given */
    uint64_t memory_bytes;    /* taken by its objects; counted where a budget is */
    uint64_t drops;           /* clean copies, and objects of a linker, that left memory */
    uint64_t bounces;         /* times that an object homed here was found to bounce */
    uint64_t visits;          /* ownerships that this home gave out for one visit */
    uint64_t atomics_in_place; /* atomics done in another node's memory, by no message */
} ssi_set_stats;
int ssi_stats(const ssi_set *set, ssi_set_stats *stats);

/* ---- objects: get, grab, put ---- */

/* A held object. On failure a verb leaves an empty guard (data NULL, size 0). Whatever a guard
 * holds must be put before it is used anew. Do not write to its members. */
typedef struct ssi_guard {
    const void *data;     /* the object's bytes, aligned to 16: unchanging while held */
    void *writable;       /* the same when held exclusively, else NULL */
    size_t size;          /* bytes */
    uint64_t opaque[5];
} ssi_guard;
#define SSI_GUARD_INIT { NULL, NULL, 0, { 0, 0, 0, 0, 0 } }

/* A shared copy; waits while another thread or node holds the object exclusively. A second get of
 * what the thread holds succeeds. A thread takes guards in ascending order: sets in the order of
 * their creation, then ids; the other order is deadlock at once. */
int ssi_get(ssi_set *set, ssi_object_id id, ssi_guard *guard);
/* Exclusive in the whole session. deadlock when this thread holds the object already. */
int ssi_grab(ssi_set *set, ssi_object_id id, ssi_guard *guard);
/* grab without fetching: the bytes are zero (SSI_VARIABLE: none), whatever they were. */
int ssi_grab_new(ssi_set *set, ssi_object_id id, ssi_guard *guard);
/* Like grab, in any order, but would_block instead of waiting for another holder. */
int ssi_try_grab(ssi_set *set, ssi_object_id id, ssi_guard *guard);
/* From shared to exclusive. Lets go and acquires anew: *changed (may be NULL) tells whether the
 * value may have changed in between. On failure the guard is empty, except after
 * invalid_argument and when the thread has other guards of the object (deadlock). */
int ssi_upgrade(ssi_guard *guard, int *changed);
/* SSI_VARIABLE, held exclusively: keeps the common prefix, zeroes what is new; data, writable and
 * size change. too_large, out_of_memory. */
int ssi_resize(ssi_guard *guard, size_t size);
/* Grows with every write; equal versions, equal bytes. */
int ssi_guard_version(const ssi_guard *guard, uint64_t *version);
/* Which object it is that the guard holds. */
int ssi_guard_id(const ssi_guard *guard, ssi_object_id *id);
/* Lets go. invalid_argument, and nothing happens, when this thread does not hold it. */
int ssi_put(ssi_guard *guard);
/* Lets go, like ssi_put, of an object whose bytes the program could not bring into order: the set's
 * next verb or ssi_sync fails, once, with this error number and text (NULL: the number's sentence).
 * invalid_argument for SSI_OK and for what is no error number; then the guard is as before. */
int ssi_put_failed(ssi_guard *guard, int error, const char *text);
/* How the calling thread holds the object now: the number of guards made by get, and 1 or 0 for a
 * grab. Either may be NULL. Sends nothing. */
int ssi_held(const ssi_set *set, ssi_object_id id, uint32_t *gets, int *grabbed);

/* ---- objects: other verbs ---- */

enum ssi_access { SSI_NONE = 0, SSI_READ = 1, SSI_WRITE = 2 };
/* What this node holds now; sends nothing; a hint by the time it returns. */
int ssi_find(const ssi_set *set, ssi_object_id id, enum ssi_access *access);
/* The node that keeps the object's directory entry. SSI_NO_NODE, with SSI_OK: the placement is
 * first_touch and this node does not know, as it has used neither the object nor others of its
 * run. */
int ssi_home(const ssi_set *set, ssi_object_id id, uint32_t *node);
/* The object ceases to exist everywhere; the next access finds a new one. Waits for holders. */
int ssi_remove(ssi_set *set, ssi_object_id id);
/* Asks for a copy (SSI_READ) or for ownership (SSI_WRITE) and returns at once. */
int ssi_prefetch(ssi_set *set, ssi_object_id id, enum ssi_access access);
/* Sends the object home, or drops a clean copy. would_block while held here. */
int ssi_flush(ssi_set *set, ssi_object_id id);
/* Waits until everything this node flushed has arrived. */
int ssi_sync(ssi_set *set);
/* Called after the last local guard of an object that another node wants is gone and before its
 * bytes leave; by a thread of libssi; may read the bytes, must not call libssi. One per set and
 * node; NULL ends it. */
typedef void (*ssi_release_hook)(ssi_object_id id, const void *bytes, size_t size, void *context);
int ssi_on_release(ssi_set *set, ssi_release_hook hook, void *context);

/* ---- atomics ---- */

/* On the number of 8 bytes at byte `offset` (a multiple of 8) of the object, executed at its home,
 * exactly once. *before (may be NULL) becomes what stood there. Integers wrap. In place when this
 * thread has grabbed the object; deadlock while it holds a get of it. */
int ssi_fetch_add_i64(ssi_set *, ssi_object_id, uint32_t offset, int64_t delta, int64_t *before);
int ssi_fetch_add_u64(ssi_set *, ssi_object_id, uint32_t offset, uint64_t delta, uint64_t *before);
int ssi_fetch_add_f64(ssi_set *, ssi_object_id, uint32_t offset, double delta, double *before);
int ssi_fetch_min_i64(ssi_set *, ssi_object_id, uint32_t offset, int64_t value, int64_t *before);
int ssi_fetch_min_u64(ssi_set *, ssi_object_id, uint32_t offset, uint64_t value, uint64_t *before);
int ssi_fetch_min_f64(ssi_set *, ssi_object_id, uint32_t offset, double value, double *before);
int ssi_fetch_max_i64(ssi_set *, ssi_object_id, uint32_t offset, int64_t value, int64_t *before);
int ssi_fetch_max_u64(ssi_set *, ssi_object_id, uint32_t offset, uint64_t value, uint64_t *before);
int ssi_fetch_max_f64(ssi_set *, ssi_object_id, uint32_t offset, double value, double *before);
int ssi_exchange_i64(ssi_set *, ssi_object_id, uint32_t offset, int64_t value, int64_t *before);
int ssi_exchange_u64(ssi_set *, ssi_object_id, uint32_t offset, uint64_t value, uint64_t *before);
int ssi_exchange_f64(ssi_set *, ssi_object_id, uint32_t offset, double value, double *before);
/* Stores `desired` where it finds *expected, bit by bit. *expected becomes what stood there, and
 * *stored (may be NULL) 1 or 0. */
int ssi_compare_exchange_i64(ssi_set *, ssi_object_id, uint32_t offset, int64_t *expected,
                             int64_t desired, int *stored);
int ssi_compare_exchange_u64(ssi_set *, ssi_object_id, uint32_t offset, uint64_t *expected,
                             uint64_t desired, int *stored);
int ssi_compare_exchange_f64(ssi_set *, ssi_object_id, uint32_t offset, double *expected,
                             double desired, int *stored);

/* ---- shipped functions ---- */

/* What a shipped function sees of one call: the object, exclusive, and the arguments. Functions of
 * linkers see theirs by it, too. */
typedef struct ssi_call {
    ssi_object_id id;
    void *data;               /* the object's bytes */
    size_t size;
    const void *arguments;
    size_t arguments_size;
    void *opaque[2];
} ssi_call;
/* 0, or a number that the caller gets to see in the text of function_failed. */
typedef int (*ssi_function)(ssi_call *call, void *context);
/* For use inside a shipped function. Resizing is for SSI_VARIABLE, and changes data and size;
 * replies have at most 64 KiB; the text goes to the caller when the function then returns not 0. */
int ssi_call_resize(ssi_call *call, size_t size);
int ssi_call_reply(ssi_call *call, const void *bytes, size_t length);   /* appends */
void ssi_call_text(ssi_call *call, const char *text);

enum ssi_run {
    SSI_INLINE = 0,    /* in the message handler: short, never blocks, calls only the above */
    SSI_EXECUTOR = 1   /* may take long; may not block on objects */
};
/* Before its first use, on every node, under the same name. */
int ssi_register_function(ssi_session *session, const char *name, enum ssi_run run,
                          ssi_function function, void *context);
/* Runs the function at the object's home, exclusively, exactly once; in place when this thread has
 * grabbed the object. Up to `capacity` bytes of its reply go to `reply`; *length (may be NULL)
 * becomes the reply's length, also with too_large: the reply has more than `capacity` bytes (the
 * function has run). function_failed when it did not return 0. */
int ssi_apply(ssi_set *set, ssi_object_id id, const char *function, const void *arguments,
              size_t arguments_size, void *reply, size_t capacity, size_t *length);

#ifdef __cplusplus
}
#endif

#include "ssi/capi/checkpoint.h"
#include "ssi/capi/file_locks.h"
#include "ssi/capi/files.h"
#include "ssi/capi/futures.h"
#include "ssi/capi/linkers.h"
#include "ssi/capi/many.h"
#include "ssi/capi/observe.h"
#include "ssi/capi/read.h"
#include "ssi/capi/sync.h"

#endif
