/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Locks of kDFS's files, for the whole session, and where the bytes of a file are. Included by
 * ssi/ssi.h; errors are told as in ssi/capi/files.h, errno too.
 *
 * Access is SSI_READ (shared) or SSI_WRITE (exclusive). Timeouts are in milliseconds: SSI_FOREVER
 * waits, 0 only tries (would_block, EAGAIN), else timed_out (EAGAIN) when the time passes first.
 * A wait ends, too, when another thread closes the file: cancelled, EBADF. */
#ifndef SSI_CAPI_FILE_LOCKS_H
#define SSI_CAPI_FILE_LOCKS_H

#include "ssi/ssi.h"

#ifdef __cplusplus
extern "C" {
#endif

struct ssi_file;

/* ---- locks of bytes: as fcntl(2) ---- */

/* Whose a lock is: of this process, as by F_SETLK; of this open file, as by F_OFD_SETLK; or of a
 * number below 2^63 that the program gives. */
#define SSI_FS_PROCESS 0
#define SSI_FS_THIS_OPEN UINT64_MAX
/* Bytes of a file. An owner's newest request counts for each of its bytes. */
typedef struct ssi_fs_range {
    uint64_t offset;
    uint64_t length;       /* 0: whatever the file grows to */
    uint64_t owner;        /* SSI_FS_PROCESS, SSI_FS_THIS_OPEN or a number */
} ssi_fs_range;

/* deadlock (EDEADLK): it would wait for somebody who waits for its owner; never told to owners that
 * are opens. EBADF: the file is not open for reading (SSI_READ), or writing (SSI_WRITE). Locks end
 * with an unlock, the death of the node, and a close: those of a process with that of any open it
 * has of the file, those of an open or a number with that of the file they were taken through. */
int ssi_fs_lock(struct ssi_file *file, enum ssi_access access, ssi_fs_range range,
                int64_t timeout_ms);
int ssi_fs_unlock(struct ssi_file *file, ssi_fs_range range);
typedef struct ssi_fs_held_lock {
    enum ssi_access access;   /* SSI_NONE: nothing is in the way */
    uint64_t offset;
    uint64_t length;          /* 0: whatever the file grows to */
    uint32_t node;            /* of its owner */
    uint64_t process;         /* id of that process; 0: the lock is of an open */
} ssi_fs_held_lock;
/* F_GETLK: the lock of another owner that is in the way of this one, the first in the file. */
int ssi_fs_find_lock(struct ssi_file *file, enum ssi_access access, ssi_fs_range range,
                     ssi_fs_held_lock *found);

/* ---- locks of whole files: as flock(2) ---- */

/* This open's lock; SSI_NONE unlocks. Knows nothing of the locks of bytes. A change of access lets
 * the lock go first. */
int ssi_fs_flock(struct ssi_file *file, enum ssi_access access, int64_t timeout_ms);

/* ---- where bytes are ---- */

/* Bytes that lie on one volume. */
typedef struct ssi_fs_extent {
    uint64_t offset, length;
    uint32_t volume;          /* its number in this session */
    uint32_t node;            /* that serves it */
    uint32_t in_memory;       /* 1: of that node, now */
} ssi_fs_extent;
/* Who has bytes of the range on disk, ascending; what was never written is in none. The first
 * `capacity` go to `extents`; *count becomes the number there are, also with too_large. */
int ssi_fs_extents(struct ssi_file *file, uint64_t offset, uint64_t length, ssi_fs_extent *extents,
                   size_t capacity, size_t *count);
/* Bytes that a node has in its memory. */
typedef struct ssi_fs_copy {
    uint64_t offset, length;
    uint32_t node;
} ssi_fs_copy;
/* Who has bytes of the range in memory now, by offset, then node. All nodes are asked. Likewise. */
int ssi_fs_copies(struct ssi_file *file, uint64_t offset, uint64_t length, ssi_fs_copy *copies,
                  size_t capacity, size_t *count);

#ifdef __cplusplus
}
#endif

#endif
