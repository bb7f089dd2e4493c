/* SPDX-License-Identifier: BSD-3-Clause
 *
 * One-sided reads: a copy of an object as it was at one moment, without a guard, and without any
 * thread of another node where memory is shared. For what is read once, or changes often; ssi_get
 * is for what is read again. Included by ssi/ssi.h. */
#ifndef SSI_CAPI_READ_H
#define SSI_CAPI_READ_H

#include "ssi/ssi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes [offset, offset + length) of the object; invalid_argument when it is shorter. *version (may
 * be NULL): equal versions, equal bytes. While a writer holds the object it waits as ssi_get does,
 * under the same order rule. */
int ssi_read(ssi_set *set, ssi_object_id id, size_t offset, void *bytes, size_t length,
             uint64_t *version);
/* The same range of each of `count` objects, in parallel: of ids[i] at bytes + i * length. Each by
 * itself is of one moment. `versions` is NULL or has room for `count`. */
int ssi_read_many(ssi_set *set, const ssi_object_id *ids, size_t count, size_t offset,
                  void *bytes, size_t length, uint64_t *versions);

/* The whole of an object whose size is not known. */
typedef struct ssi_snapshot {
    void *bytes;        /* in: room for the object */
    size_t capacity;    /* in: bytes of it */
    size_t length;      /* out: of the object; the first `capacity` bytes of it are in `bytes` */
    uint64_t version;   /* out */
} ssi_snapshot;
/* too_large: the object has more bytes than there is room for; *snapshot is filled in all the
 * same. */
int ssi_read_whole(ssi_set *set, ssi_object_id id, ssi_snapshot *snapshot);
/* Of each of `count` objects, in parallel: of ids[i] to snapshots[i]. too_large when one of them
 * has more bytes than there is room for; all are filled in. */
int ssi_read_whole_many(ssi_set *set, const ssi_object_id *ids, size_t count,
                        ssi_snapshot *snapshots);

#ifdef __cplusplus
}
#endif

#endif
