/* SPDX-License-Identifier: BSD-3-Clause
 *
 * kDFS from C: one file system over the disks of a session's nodes. Included by ssi/ssi.h; locks of
 * files and where bytes lie: ssi/capi/file_locks.h.
 *
 *     ssi_fs *fs;
 *     ssi_file *file;
 *     ssi_fs_options options = SSI_FS_OPTIONS_INIT;
 *     options.directories = &directory;      on a disk of this node; a node without has none
 *     options.directory_count = 1;
 *     if (ssi_fs_mount(session, &options, &fs) || ssi_fs_open(fs, "/a", flags, 0644, &file)) ...
 *
 * Results are as everywhere in libssi: SSI_OK or an error number. Besides, every function of this
 * header that fails sets errno to what POSIX calls the cause, as the functions do whose names they
 * have (ENOENT, ENOTEMPTY, ENOSPC; EIO for the loss of a node); ssi_last_error() names the path.
 * Never -1. What docs/kdfs.md promises holds here, too.
 *
 * There is no position in a file: whoever reads says where. Flags and modes are those of <fcntl.h>
 * and <sys/stat.h>; paths begin at the root of the file system, with or without "/". */
#ifndef SSI_CAPI_FILES_H
#define SSI_CAPI_FILES_H

#include <sys/uio.h>

#include "ssi/ssi.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- mounting ---- */

typedef struct ssi_fs ssi_fs;
struct ssi_future;
/* An open file or directory. May be used by several threads, one of which may close it: calls that
 * are inside go on, or end with EBADF when they wait for a lock. */
typedef struct ssi_file ssi_file;

/* Grows at its end: initialise with SSI_FS_OPTIONS_INIT, and set members by name. */
typedef struct ssi_fs_options {
    size_t size;                       /* sizeof(ssi_fs_options) */
    const char *const *directories;    /* of this node, each a volume; one that is not there is made
                                        * in its parent */
    size_t directory_count;            /* 0: a diskless node */
    uint64_t limit_bytes;              /* most that each of a volume's two logs may take; 0: what
                                        * the disk has */
    uint64_t cache_bytes;              /* of file data in memory; 0: a quarter of this node's */
    uint64_t commit_ms;                /* how long names and attributes may stay undurable */
    uint64_t write_back_ms;            /* how long file data may */
} ssi_fs_options;
#define SSI_FS_OPTIONS_INIT { sizeof(ssi_fs_options), NULL, 0, 0, 0, 1000, 5000 }

/* Collective, once a session (else exists, EBUSY); failures are the same on every node. The first
 * mount makes the volumes; after a crash it recovers. ssi_finalize unmounts what is mounted. */
int ssi_fs_mount(ssi_session *session, const ssi_fs_options *options, ssi_fs **fs);
/* Collective: everything is durable afterwards. The handle is gone whatever it returns, and so are
 * those of files and directories that are open. NULL: nothing happens. */
int ssi_fs_unmount(ssi_fs *fs);
/* Whatever any node has done is durable. */
int ssi_fs_sync(ssi_fs *fs);

/* On whose behalf from now on, by this node: files that are open stay with whom they were opened
 * by. At first those of the process. User 0 may all. At most 65536 groups. */
int ssi_fs_set_credentials(ssi_fs *fs, uint32_t uid, uint32_t gid, const uint32_t *groups,
                           size_t group_count, uint32_t umask);

typedef struct ssi_fs_space {
    uint64_t total_bytes, free_bytes;  /* of all volumes */
    uint64_t inodes;                   /* in use */
} ssi_fs_space;
int ssi_fs_statfs(ssi_fs *fs, ssi_fs_space *space);

/* Whether names, inodes and pages fit together. Collective, while nobody uses the file system; with
 * `repair` they do afterwards. *problems and *repaired (both may be NULL) are of all nodes. */
int ssi_fs_check(ssi_fs *fs, int repair, uint64_t *problems, uint64_t *repaired);
/* File data in memory is written, and forgotten as far as nobody uses it. For measurements. */
int ssi_fs_drop_caches(ssi_fs *fs);

/* ---- files ---- */

enum ssi_fs_placement {
    SSI_FS_INHERIT = 0,       /* as the directory says, at the root spread */
    SSI_FS_SPREAD = 1,        /* begins at a volume chosen by chance */
    SSI_FS_LOCAL_FIRST = 2    /* begins at a volume of the node that makes the file */
};
/* How the bytes of a file lie on volumes: unit_bytes on one, then on the next. */
typedef struct ssi_fs_striping {
    uint64_t unit_bytes;      /* power of two, 64 KiB to 2 GiB; 0: as the directory says */
    uint32_t count;           /* volumes, 1 to 255; 0: as the directory says; too many: all */
    uint32_t placement;       /* enum ssi_fs_placement */
} ssi_fs_striping;

/* flags of open(2): O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_DIRECTORY,
 * O_NOFOLLOW, O_SYNC, O_DSYNC; others that change nothing are ignored. The umask applies to
 * `mode`. */
int ssi_fs_open(ssi_fs *fs, const char *path, int flags, uint32_t mode, ssi_file **file);
/* The same; a new file has that striping. */
int ssi_fs_open_striped(ssi_fs *fs, const char *path, int flags, uint32_t mode,
                        const ssi_fs_striping *striping, ssi_file **file);
/* The handle is gone whatever it returns. Waits for calls that are inside and for what goes on in
 * the background. NULL: nothing happens. */
int ssi_fs_close(ssi_file *file);

/* *done (may be NULL) becomes the number of bytes: fewer than asked for only at the file's end. */
int ssi_fs_pread(ssi_file *file, void *buffer, size_t length, uint64_t offset, size_t *done);
int ssi_fs_preadv(ssi_file *file, const struct iovec *buffers, int count, uint64_t offset,
                  size_t *done);
/* All bytes are written, or it fails: some may have been written then. A file that was opened with
 * O_APPEND is written at its end, one call's bytes together. `count`: 0 to 1024. */
int ssi_fs_pwrite(ssi_file *file, const void *bytes, size_t length, uint64_t offset);
int ssi_fs_pwritev(ssi_file *file, const struct iovec *buffers, int count, uint64_t offset);
/* Durable: what this node wrote to the file, its attributes, and the way to it. */
int ssi_fs_fsync(ssi_file *file);
int ssi_fs_ftruncate(ssi_file *file, uint64_t length);
/* mode of fallocate(2): 0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
 * FALLOC_FL_ZERO_RANGE (| FALLOC_FL_KEEP_SIZE); others EOPNOTSUPP. */
int ssi_fs_fallocate(ssi_file *file, int mode, uint64_t offset, uint64_t length);
/* *found: the first byte from `offset` on that is data, or that is in a hole or the end. ENXIO
 * behind the end, and where no data follows. */
int ssi_fs_next_data(ssi_file *file, uint64_t offset, uint64_t *found);
int ssi_fs_next_hole(ssi_file *file, uint64_t offset, uint64_t *found);

/* In the background (ssi/capi/futures.h): they return at once, and what goes wrong is told by the
 * future, whose result is the number of bytes (of an fsync 0): ssi_future_u64. The buffer must live
 * until then, or until ssi_future_cancel, which takes the operation back or waits for it. They go
 * on beside each other; an fsync waits for those of the file that were begun before it. */
int ssi_fs_pread_async(ssi_file *file, void *buffer, size_t length, uint64_t offset,
                       struct ssi_future **future);
int ssi_fs_pwrite_async(ssi_file *file, const void *bytes, size_t length, uint64_t offset,
                        struct ssi_future **future);
int ssi_fs_fsync_async(ssi_file *file, struct ssi_future **future);

/* ---- attributes ---- */

/* Where a path is taken: this one is added, and a last symbolic link is not followed. */
#define SSI_FS_NOFOLLOW 1

/* Grows at its end: set size first, as by SSI_FS_STAT_INIT. */
typedef struct ssi_fs_attributes {
    size_t size;                       /* sizeof(ssi_fs_attributes) */
    uint64_t inode;
    uint32_t mode;                     /* type and permissions, as in struct stat */
    uint32_t uid, gid;
    uint64_t links;
    uint64_t length;                   /* bytes */
    uint64_t blocks;                   /* of 512 bytes, an upper bound */
    int64_t access_ns, modify_ns, change_ns;   /* since 1970 */
    ssi_fs_striping striping;          /* of a directory: for new files in it */
} ssi_fs_attributes;
#define SSI_FS_STAT_INIT \
    { sizeof(ssi_fs_attributes), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, { 0, 0, 0 } }

int ssi_fs_stat(ssi_fs *fs, const char *path, ssi_fs_attributes *attributes);
int ssi_fs_lstat(ssi_fs *fs, const char *path, ssi_fs_attributes *attributes);
int ssi_fs_fstat(ssi_file *file, ssi_fs_attributes *attributes);
/* mode of access(2): R_OK | W_OK | X_OK, or F_OK. */
int ssi_fs_access(ssi_fs *fs, const char *path, int mode);
int ssi_fs_chmod(ssi_fs *fs, const char *path, uint32_t mode);
int ssi_fs_fchmod(ssi_file *file, uint32_t mode);
/* SSI_FS_SAME leaves the user or the group as it is. flags: SSI_FS_NOFOLLOW or 0. */
#define SSI_FS_SAME 0xffffffffu
int ssi_fs_chown(ssi_fs *fs, const char *path, uint32_t uid, uint32_t gid, int flags);
int ssi_fs_fchown(ssi_file *file, uint32_t uid, uint32_t gid);
/* Nanoseconds since 1970, or SSI_FS_NOW, or SSI_FS_OMIT. */
#define SSI_FS_NOW INT64_MAX
#define SSI_FS_OMIT INT64_MIN
int ssi_fs_utimens(ssi_fs *fs, const char *path, int64_t access_ns, int64_t modify_ns, int flags);
int ssi_fs_futimens(ssi_file *file, int64_t access_ns, int64_t modify_ns);
int ssi_fs_truncate(ssi_fs *fs, const char *path, uint64_t length);
/* Of a directory, for the files that will be made in it. That of a file is in its attributes. */
int ssi_fs_set_striping(ssi_fs *fs, const char *path, const ssi_fs_striping *striping);

/* flags of setxattr(2), and SSI_FS_NOFOLLOW in `follow_flags`. Names have 1 to 255 bytes. */
int ssi_fs_setxattr(ssi_fs *fs, const char *path, const char *name, const void *value,
                    size_t length, int flags, int follow_flags);
/* Up to `capacity` bytes go to `value`; *length (may be NULL) becomes the number there are, also
 * with too_large (ERANGE): that is more than `capacity`. The list is names, each with its 0. */
int ssi_fs_getxattr(ssi_fs *fs, const char *path, const char *name, void *value, size_t capacity,
                    size_t *length, int follow_flags);
int ssi_fs_listxattr(ssi_fs *fs, const char *path, char *names, size_t capacity, size_t *length,
                     int follow_flags);
int ssi_fs_removexattr(ssi_fs *fs, const char *path, const char *name, int follow_flags);

/* ---- names ---- */

int ssi_fs_mkdir(ssi_fs *fs, const char *path, uint32_t mode);
int ssi_fs_rmdir(ssi_fs *fs, const char *path);
int ssi_fs_unlink(ssi_fs *fs, const char *path);
/* flags of renameat2(2): 0, RENAME_NOREPLACE. */
int ssi_fs_rename(ssi_fs *fs, const char *from, const char *to, unsigned flags);
int ssi_fs_link(ssi_fs *fs, const char *from, const char *to);   /* `from` is not followed */
int ssi_fs_symlink(ssi_fs *fs, const char *target, const char *path);
/* The target and a 0 go to `target`; *length (may be NULL) becomes the target's length without it,
 * also with too_large (ERANGE): the target and its 0 are more than `capacity`. */
int ssi_fs_readlink(ssi_fs *fs, const char *path, char *target, size_t capacity, size_t *length);
/* Directory, file or symbolic link itself, and the way to it: durable. */
int ssi_fs_sync_path(ssi_fs *fs, const char *path);

/* ---- directories ---- */

typedef struct ssi_dir ssi_dir;        /* used by one thread at a time */
typedef struct ssi_fs_entry {
    const char *name;                  /* valid until the next call with the directory */
    uint64_t inode;
    uint32_t type;                     /* S_IFREG, S_IFDIR, S_IFLNK */
    uint64_t cookie;                   /* where to go on behind it */
    const ssi_fs_attributes *attributes;   /* NULL when not asked for, or removed meanwhile */
} ssi_fs_entry;
/* With attributes, which come many at a time and so cost far less than a stat of each. */
#define SSI_FS_WITH_ATTRIBUTES 2
int ssi_fs_opendir(ssi_fs *fs, const char *path, int flags, ssi_dir **directory);
/* *entry becomes the next one, or NULL at the end. Without "." and "..". What is there all the
 * while comes once, whatever else changes. */
int ssi_fs_readdir(ssi_dir *directory, const ssi_fs_entry **entry);
/* Goes on behind the entry with that cookie, of this directory and any ssi_dir; 0: from the
 * start. */
int ssi_fs_seekdir(ssi_dir *directory, uint64_t cookie);
int ssi_fs_closedir(ssi_dir *directory);   /* the handle is gone; NULL: nothing happens */

#ifdef __cplusplus
}
#endif

#endif
