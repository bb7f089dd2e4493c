/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Verbs that return before they are done. Included by ssi/ssi.h. */
#ifndef SSI_CAPI_FUTURES_H
#define SSI_CAPI_FUTURES_H

#include "ssi/ssi.h"

#ifdef __cplusplus
extern "C" {
#endif

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
int ssi_fetch_min_i64_async(ssi_set *, ssi_object_id, uint32_t offset, int64_t value,
                            ssi_future **);
int ssi_fetch_min_u64_async(ssi_set *, ssi_object_id, uint32_t offset, uint64_t value,
                            ssi_future **);
int ssi_fetch_min_f64_async(ssi_set *, ssi_object_id, uint32_t offset, double value,
                            ssi_future **);
int ssi_fetch_max_i64_async(ssi_set *, ssi_object_id, uint32_t offset, int64_t value,
                            ssi_future **);
int ssi_fetch_max_u64_async(ssi_set *, ssi_object_id, uint32_t offset, uint64_t value,
                            ssi_future **);
int ssi_fetch_max_f64_async(ssi_set *, ssi_object_id, uint32_t offset, double value,
                            ssi_future **);
int ssi_exchange_i64_async(ssi_set *, ssi_object_id, uint32_t offset, int64_t value,
                           ssi_future **);
int ssi_exchange_u64_async(ssi_set *, ssi_object_id, uint32_t offset, uint64_t value,
                           ssi_future **);
int ssi_exchange_f64_async(ssi_set *, ssi_object_id, uint32_t offset, double value,
                           ssi_future **);
/* Stores `desired` if it finds `expected`, bit by bit. The result of the future is what stood
 * there, as with the others: `desired` was stored when that has the bits of `expected`. */
int ssi_compare_exchange_i64_async(ssi_set *, ssi_object_id, uint32_t offset,
                                   int64_t expected, int64_t desired, ssi_future **);
int ssi_compare_exchange_u64_async(ssi_set *, ssi_object_id, uint32_t offset,
                                   uint64_t expected, uint64_t desired, ssi_future **);
int ssi_compare_exchange_f64_async(ssi_set *, ssi_object_id, uint32_t offset,
                                   double expected, double desired, ssi_future **);
int ssi_apply_async(ssi_set *set, ssi_object_id id, const char *function, const void *arguments,
                    size_t arguments_size, ssi_future **future);

/* *ready: 1 when the result can be taken without waiting for messages. */
int ssi_future_ready(ssi_future *future, int *ready);
/* Waits until it can: timed_out when `timeout_ms` milliseconds pass first, would_block when that is
 * 0, SSI_FOREVER waits. Of a get or grab: the object is held then, until the guard is taken and
 * put, or the future cancelled by this thread; deadlock when the thread holds it already. What the
 * operation came to is for whoever takes the result. */
int ssi_future_wait(ssi_future *future, int64_t timeout_ms);
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
