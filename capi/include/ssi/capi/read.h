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

#ifdef __cplusplus
}
#endif

#endif
