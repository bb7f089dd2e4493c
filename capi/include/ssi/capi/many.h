/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Many objects at once, and verbs that return before they are done. Included by ssi/ssi.h. */
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

enum ssi_number { SSI_I64 = 0, SSI_U64 = 1, SSI_F64 = 2 };
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

/* ---- futures ---- */

/* Something under way. Used by one thread at a time; freed by the function that takes its result,
 * or by ssi_future_cancel. */
typedef struct ssi_future ssi_future;
/* The object is asked for; whoever takes the guard holds it, as by get or grab. */
int ssi_get_async(ssi_set *set, ssi_object_id id, ssi_future **future);
int ssi_grab_async(ssi_set *set, ssi_object_id id, ssi_future **future);
/* Atomics and shipped functions execute between this and the taking of their result. */
int ssi_fetch_add_i64_async(ssi_set *, ssi_object_id, uint32_t offset, int64_t delta,
                            ssi_future **);
int ssi_fetch_add_u64_async(ssi_set *, ssi_object_id, uint32_t offset, uint64_t delta,
                            ssi_future **);
int ssi_fetch_add_f64_async(ssi_set *, ssi_object_id, uint32_t offset, double delta,
                            ssi_future **);
int ssi_apply_async(ssi_set *set, ssi_object_id id, const char *function, const void *arguments,
                    size_t arguments_size, ssi_future **future);

/* *ready: 1 when the result can be taken without waiting for messages. */
int ssi_future_ready(ssi_future *future, int *ready);
/* Waits for all, in an order that cannot deadlock; the objects of guards are held then. deadlock:
 * two futures want one object, or the thread holds one already. */
int ssi_future_wait_all(ssi_future *const *futures, size_t count);
/* *index becomes that of one that is ready. */
int ssi_future_wait_any(ssi_future *const *futures, size_t count, size_t *index);
/* These wait, give the result and free the future, also on failure, unless the future is of another
 * kind (mismatch) or the thread holds the object already (deadlock). */
int ssi_future_guard(ssi_future *future, ssi_guard *guard);
int ssi_future_i64(ssi_future *future, int64_t *before);
int ssi_future_u64(ssi_future *future, uint64_t *before);
int ssi_future_f64(ssi_future *future, double *before);
int ssi_future_reply(ssi_future *future, void *reply, size_t capacity, size_t *length);
/* Gives the result up; an operation may execute. NULL: nothing happens. */
void ssi_future_cancel(ssi_future *future);

#ifdef __cplusplus
}
#endif

#endif
