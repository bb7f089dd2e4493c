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

/* ---- locks ---- */

/* Fair; not recursive (deadlock); unlocked by the thread that locked it (else invalid_argument).
 * Several are taken in one order everywhere, or they wait for each other for ever. */
typedef struct ssi_mutex ssi_mutex;
int ssi_mutex_open(ssi_session *session, const char *name, ssi_mutex **mutex);
int ssi_mutex_lock(ssi_mutex *mutex, int64_t timeout_ms);
int ssi_mutex_unlock(ssi_mutex *mutex);

/* Many readers (SSI_READ) or one writer (SSI_WRITE). Likewise. */
typedef struct ssi_shared_mutex ssi_shared_mutex;
int ssi_shared_mutex_open(ssi_session *session, const char *name, ssi_shared_mutex **mutex);
int ssi_shared_mutex_lock(ssi_shared_mutex *mutex, enum ssi_access access, int64_t timeout_ms);
int ssi_shared_mutex_unlock(ssi_shared_mutex *mutex);

/* Waits with the mutex unlocked. The mutex is locked again afterwards, also on failure, unless it
 * is lost itself: *locked (may be NULL) tells. Wakes may be spurious: wait in a loop. */
typedef struct ssi_condition ssi_condition;
int ssi_condition_open(ssi_session *session, const char *name, ssi_condition **condition);
int ssi_condition_wait(ssi_condition *condition, ssi_mutex *mutex, int64_t timeout_ms,
                       int *locked);
int ssi_condition_notify_one(ssi_condition *condition);
int ssi_condition_notify_all(ssi_condition *condition);

/* A meeting of `participants` threads, anywhere in the session; may be used again at once. For all
 * nodes with one thread each ssi_barrier is faster. mismatch when others count another number. */
typedef struct ssi_meeting ssi_meeting;
int ssi_meeting_open(ssi_session *session, const char *name, uint32_t participants,
                     ssi_meeting **meeting);
int ssi_meeting_wait(ssi_meeting *meeting);

/* ---- channels ---- */

/* Bounded streams of messages with many senders and receivers. Each message is received once, those
 * of one sender in their order. `message_bytes`: the size of every message; 0: any size. mismatch
 * when the channel exists with another capacity or size. */
typedef struct ssi_channel ssi_channel;
int ssi_channel_open(ssi_session *session, const char *name, uint32_t capacity,
                     size_t message_bytes, ssi_channel **channel);
/* Waits while the channel is full. cancelled: it is closed. At most 64 MiB. */
int ssi_channel_send(ssi_channel *channel, const void *message, size_t length,
                     int64_t timeout_ms);
/* The next message goes to `buffer`. *length (may be NULL) becomes its length, also with too_large:
 * it has more than `capacity` bytes, and the rest is gone. cancelled: the channel is closed and
 * everything has been received. */
int ssi_channel_receive(ssi_channel *channel, void *buffer, size_t capacity, size_t *length,
                        int64_t timeout_ms);
/* Sends fail from now on; receivers still get what was sent. By anybody, as often as you like. */
int ssi_channel_close(ssi_channel *channel);
/* *index becomes that of a channel from which a receive would return at once, unless another
 * receiver is faster; a closed and drained channel counts. */
int ssi_channel_select(ssi_channel *const *channels, size_t count, int64_t timeout_ms,
                       size_t *index);

#ifdef __cplusplus
}
#endif

#endif
