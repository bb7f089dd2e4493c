/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Synchronisation of the whole session, by name: the same name is the same thing on every node and
 * in every thread. Handles belong to their session; opening sends no message, except for channels.
 * Included by ssi/ssi.h.
 *
 * Timeouts are in milliseconds: SSI_FOREVER waits, 0 only tries (would_block), else timed_out when
 * the time passes first. When a node dies, whatever may have to do with it fails with peer_lost. */
#ifndef SSI_CAPI_SYNC_H
#define SSI_CAPI_SYNC_H

#include "ssi/ssi.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SSI_FOREVER (-1)

/* ssi_..._name: valid as long as the session; NULL for NULL. */

/* ---- locks ---- */

/* Fair; not recursive (deadlock); unlocked by the thread that locked it (else invalid_argument).
 * Several are taken in one order everywhere, or they wait for each other for ever. */
typedef struct ssi_mutex ssi_mutex;
int ssi_mutex_open(ssi_session *session, const char *name, ssi_mutex **mutex);
int ssi_mutex_lock(ssi_mutex *mutex, int64_t timeout_ms);
int ssi_mutex_unlock(ssi_mutex *mutex);
/* *held: 1 when the calling thread has it, else 0. Sends nothing. */
int ssi_mutex_held(const ssi_mutex *mutex, int *held);
const char *ssi_mutex_name(const ssi_mutex *mutex);

/* Many readers (SSI_READ) or one writer (SSI_WRITE). Likewise. */
typedef struct ssi_shared_mutex ssi_shared_mutex;
int ssi_shared_mutex_open(ssi_session *session, const char *name, ssi_shared_mutex **mutex);
int ssi_shared_mutex_lock(ssi_shared_mutex *mutex, enum ssi_access access, int64_t timeout_ms);
int ssi_shared_mutex_unlock(ssi_shared_mutex *mutex);
/* How the calling thread has it: SSI_NONE, SSI_READ or SSI_WRITE. Sends nothing. */
int ssi_shared_mutex_held(const ssi_shared_mutex *mutex, enum ssi_access *access);
const char *ssi_shared_mutex_name(const ssi_shared_mutex *mutex);

/* Waits with the mutex unlocked. The mutex is locked again afterwards, also on failure, unless it
 * is lost itself: *locked (may be NULL) tells. Wakes may be spurious: wait in a loop. */
typedef struct ssi_condition ssi_condition;
int ssi_condition_open(ssi_session *session, const char *name, ssi_condition **condition);
int ssi_condition_wait(ssi_condition *condition, ssi_mutex *mutex, int64_t timeout_ms,
                       int *locked);
int ssi_condition_notify_one(ssi_condition *condition);
int ssi_condition_notify_all(ssi_condition *condition);
const char *ssi_condition_name(const ssi_condition *condition);

/* A meeting of `participants` threads, anywhere in the session; may be used again at once. For all
 * nodes with one thread each ssi_barrier is faster. mismatch when others count another number. */
typedef struct ssi_meeting ssi_meeting;
int ssi_meeting_open(ssi_session *session, const char *name, uint32_t participants,
                     ssi_meeting **meeting);
int ssi_meeting_wait(ssi_meeting *meeting);
const char *ssi_meeting_name(const ssi_meeting *meeting);

/* ---- channels ---- */

/* Bounded streams of messages with many senders and receivers. Each message is received once, those
 * of one sender in their order. `message_bytes`: the size of every message; 0: any size. mismatch
 * when the channel exists with another capacity or size. */
typedef struct ssi_channel ssi_channel;
int ssi_channel_open(ssi_session *session, const char *name, uint32_t capacity,
                     size_t message_bytes, ssi_channel **channel);
const char *ssi_channel_name(const ssi_channel *channel);
/* Waits while the channel is full. cancelled: it is closed. At most 64 MiB. invalid_argument when
 * the channel is of messages of another size. */
int ssi_channel_send(ssi_channel *channel, const void *message, size_t length,
                     int64_t timeout_ms);
/* `count` messages, in order and in as few network messages as possible: fast for small ones. The
 * first is at `messages`, each next one `stride` bytes further. They have lengths[i] bytes each (at
 * most `stride`), or, when `lengths` is NULL, `stride` bytes. Waits for room for all. On failure
 * the first ones may have been sent; after invalid_argument and too_large none has. */
int ssi_channel_send_many(ssi_channel *channel, const void *messages, size_t stride,
                          const size_t *lengths, size_t count);
/* The next message goes to `buffer`. *length (may be NULL) becomes its length, also with too_large:
 * it has more than `capacity` bytes, and the rest is gone. cancelled: the channel is closed and
 * everything has been received. */
int ssi_channel_receive(ssi_channel *channel, void *buffer, size_t capacity, size_t *length,
                        int64_t timeout_ms);
/* At least one message, as soon as there is one, and at most `most` (at least 1): *count of them.
 * The first goes to `buffer`, each next one `stride` bytes further. lengths[i] (`lengths` may be
 * NULL) becomes the length of the i-th, also with too_large: one of them has more than `stride`
 * bytes, and the rest of those is gone. Otherwise like ssi_channel_receive. */
int ssi_channel_receive_many(ssi_channel *channel, void *buffer, size_t stride, size_t *lengths,
                             size_t most, size_t *count, int64_t timeout_ms);
/* Sends fail from now on; receivers still get what was sent. By anybody, as often as you like. */
int ssi_channel_close(ssi_channel *channel);
/* *index becomes that of a channel from which a receive would return at once, unless another
 * receiver is faster; a closed and drained channel counts. */
int ssi_channel_select(ssi_channel *const *channels, size_t count, int64_t timeout_ms,
                       size_t *index);
/* Receives one message from whichever channel has one first; *index becomes that channel's.
 * `buffer`, `capacity`, `length` and too_large as in ssi_channel_receive. cancelled: all channels
 * are closed and everything has been received. */
int ssi_channel_receive_any(ssi_channel *const *channels, size_t count, void *buffer,
                            size_t capacity, size_t *length, size_t *index, int64_t timeout_ms);

#ifdef __cplusplus
}
#endif

#endif
