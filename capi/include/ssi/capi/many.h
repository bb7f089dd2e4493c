/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Many objects at once: guards, migration, loops, updates. Included by ssi/ssi.h. */
#ifndef SSI_CAPI_MANY_H
#define SSI_CAPI_MANY_H

#include "ssi/ssi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- many objects ---- */

/* Gets or grabs of all, in whatever order they are named: guards[i] is that of ids[i]. All are
 * asked for in parallel, and when it returns all are held. Where an id is named again the guard
 * shows the object, too, but holds nothing. On failure nothing is held. */
int ssi_get_many(ssi_set *set, const ssi_object_id *ids, size_t count, ssi_guard *guards);
int ssi_grab_many(ssi_set *set, const ssi_object_id *ids, size_t count, ssi_guard *guards);
/* Puts all; returns the first failure. */
int ssi_put_many(ssi_guard *guards, size_t count);
/* Asks for copies (SSI_READ) or ownership (SSI_WRITE) of all and returns at once. */
int ssi_prefetch_many(ssi_set *set, const ssi_object_id *ids, size_t count,
                      enum ssi_access access);
/* The same for first, first + stride, ...: `count` ids. */
int ssi_prefetch_range(ssi_set *set, ssi_object_id first, uint64_t count, uint64_t stride,
                       enum ssi_access access);
/* Has the node take ownership of all, each as by a grab there that is let go at once; returns when
 * that is done for all, in no order. Objects that are held are waited for. deadlock while this
 * thread holds one of them, or a greater one; invalid_argument when there is no such node, and for
 * sets of SSI_HOME. */
int ssi_migrate(ssi_set *set, const ssi_object_id *ids, size_t count, uint32_t node);

/* ---- loops ---- */

/* What a loop calls for each object, in the thread that called the loop. The guard is held during
 * the call and let go after it, unless the visitor has put it, or has taken it over: copied it
 * elsewhere and stored SSI_GUARD_INIT in *guard. May call libssi under the order rule of guards.
 * Returns 0 to go on; any other number ends the loop. */
typedef int (*ssi_visitor)(ssi_object_id id, ssi_guard *guard, void *context);
/* What is on this node now, a get of each, in ascending order. Objects that nobody has touched yet
 * are not visited; those that come or go meanwhile may be. Returns what the visitor returned, when
 * that ended the loop; *visited (may be NULL) becomes how many were visited, also on failure.
 * deadlock: this thread holds an object that would have to come later. */
int ssi_for_each_local(ssi_set *set, ssi_visitor visit, void *context, uint64_t *visited);
/* What this node owns now: a grab of each (SSI_WRITE), or a get (SSI_READ), which takes no copy
 * away from other nodes. deadlock, too, when this thread has a guard of an object that would be
 * grabbed. */
int ssi_for_each_owned(ssi_set *set, enum ssi_access access, ssi_visitor visit, void *context,
                       uint64_t *visited);

/* ---- updates ---- */

enum ssi_operator { SSI_ADD = 0, SSI_MINIMUM = 1, SSI_MAXIMUM = 2, SSI_EXCHANGE = 3 };
/* One atomic operation of ssi_update_many, on the 8 bytes at `offset` of the object. */
typedef struct ssi_update {
    ssi_object_id id;
    union {
        int64_t i64;
        uint64_t u64;
        double f64;
    } operand;
    uint32_t offset;
    uint32_t reserved;   /* 0 */
} ssi_update;
/* The operation on each, one message per home for hundreds of them; all have executed when it
 * returns. Nothing is executed when an id or an offset is wrong. `before` is NULL or an array of
 * `count` numbers: what stood there. */
int ssi_update_many(ssi_set *set, enum ssi_operator op, enum ssi_number kind,
                    const ssi_update *updates, size_t count, void *before);

/* A buffer for one operation on one kind of number, for what is added over time: one message per
 * home carries hundreds. Each update executes once, some time before a flush returns, and in the
 * order of adding as far as one object is concerned. Used by one thread at a time; takes 8 KiB for
 * each home that it has to do with, at most 2 MiB. Until the flush the objects count as wanted by
 * the thread: the order rule of guards holds for them (deadlock). What the thread has grabbed is
 * updated in place, at once. */
typedef struct ssi_updates ssi_updates;
int ssi_updates_create(ssi_set *set, enum ssi_operator op, enum ssi_number kind,
                       ssi_updates **updates);
/* One update of the number at byte `offset` (a multiple of 8) of the object. May send, and may wait
 * for answers when too much is under way. On failure it is not added. invalid_argument: there is
 * no such object or number. mismatch: the buffer is for numbers of another kind. deadlock: the
 * thread holds something that comes after this object, or, when there is need to wait, after one of
 * those that were added: flush before you take it. */
int ssi_updates_add_i64(ssi_updates *, ssi_object_id, uint32_t offset, int64_t operand);
int ssi_updates_add_u64(ssi_updates *, ssi_object_id, uint32_t offset, uint64_t operand);
int ssi_updates_add_f64(ssi_updates *, ssi_object_id, uint32_t offset, double operand);
/* The same, and *before becomes what stood there, by the time a flush returns SSI_OK. It must stay
 * where it is until then. */
int ssi_updates_fetch_i64(ssi_updates *, ssi_object_id, uint32_t offset, int64_t operand,
                          int64_t *before);
int ssi_updates_fetch_u64(ssi_updates *, ssi_object_id, uint32_t offset, uint64_t operand,
                          uint64_t *before);
int ssi_updates_fetch_f64(ssi_updates *, ssi_object_id, uint32_t offset, double operand,
                          double *before);
/* All that was added has executed, or the first failure is returned, once: what it concerns was not
 * executed, unless it is peer_lost, when it may have been. deadlock: this thread holds an object
 * that comes after one of those that were added; nothing is lost, put it and flush again. */
int ssi_updates_flush(ssi_updates *updates);
/* Flushes and frees the buffer, whatever the flush returns, except deadlock: then nothing happens.
 * Before ssi_finalize. NULL: nothing happens. */
int ssi_updates_destroy(ssi_updates *updates);

#ifdef __cplusplus
}
#endif

#endif
