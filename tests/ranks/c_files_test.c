/* SPDX-License-Identifier: BSD-3-Clause
 *
 * kDFS from C: mounting, bytes, attributes, names, directories, locks, where bytes are. */
#define _XOPEN_SOURCE 700
#include "c_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static ssi_fs *fs;
static char top[64];   /* the volumes' directories are in it */
static int made_top;

/* Failure with this number, errno and text. */
#define CHECK_FAILS(error, number, call, text)                    \
    do {                                                          \
        errno = 0;                                                \
        CHECK_ERROR(error, call, text);                           \
        CHECK(errno == (number));                                 \
    } while (0)

static ssi_fs_range range(uint64_t offset, uint64_t length, uint64_t owner) {
    ssi_fs_range r;
    r.offset = offset;
    r.length = length;
    r.owner = owner;
    return r;
}

static ssi_file *opened(const char *path, int flags) {
    ssi_file *file = NULL;
    CHECK(ssi_fs_open(fs, path, flags, 0644, &file) == SSI_OK);
    return file;
}

/* The last of several ranks has no disk. */
static void volumes_are_mounted_together(void) {
    ssi_fs_options options = SSI_FS_OPTIONS_INIT;
    char path[96];
    const char *directory = path;
    ssi_fs *second = NULL;
    ssi_fs_space space;
    const char *parent = getenv("TMPDIR");
    if (rank() == 0) {
        snprintf(top, sizeof top, "%s/ssi-c-files-XXXXXX", parent ? parent : "/tmp");
        made_top = mkdtemp(top) != NULL;
        CHECK(made_top);
    }
    CHECK(ssi_broadcast(session, 0, top, sizeof top) == SSI_OK);
    snprintf(path, sizeof path, "%s/%d", top, rank());
    options.directories = &directory;
    options.directory_count = size() == 1 || rank() + 1 < size();
    CHECK_FAILS(SSI_ERR_INVALID_ARGUMENT, EINVAL, ssi_fs_mount(session, NULL, &fs), "options");
    CHECK(ssi_fs_mount(session, &options, &fs) == SSI_OK);
    CHECK_FAILS(SSI_ERR_EXISTS, EBUSY, ssi_fs_mount(session, &options, &second), "session");
    CHECK(second == NULL);
    CHECK(ssi_fs_statfs(fs, &space) == SSI_OK);
    CHECK(space.total_bytes > 0 && space.free_bytes <= space.total_bytes && space.inodes >= 1);
    meet();
}

static void bytes_are_everywhere(void) {
    char text[16] = "", more[16] = "";
    size_t done = 99;
    struct iovec parts[2];
    ssi_file *file;
    if (rank() == 0) {
        file = opened("/bytes", O_CREAT | O_RDWR);
        CHECK(ssi_fs_pwrite(file, "hello world", 11, 0) == SSI_OK);
        CHECK(ssi_fs_fsync(file) == SSI_OK);
        CHECK(ssi_fs_close(file) == SSI_OK);
    }
    meet();
    file = opened("bytes", O_RDONLY);
    CHECK(ssi_fs_pread(file, text, sizeof text, 6, &done) == SSI_OK && done == 5);
    CHECK(strcmp(text, "world") == 0);
    parts[0].iov_base = text;
    parts[0].iov_len = 4;
    parts[1].iov_base = more;
    parts[1].iov_len = sizeof more;
    CHECK(ssi_fs_preadv(file, parts, 2, 1, &done) == SSI_OK && done == 10);
    CHECK(memcmp(text, "ello", 4) == 0 && memcmp(more, " world", 6) == 0);
    CHECK_FAILS(SSI_ERR_INVALID_ARGUMENT, EINVAL, ssi_fs_preadv(file, parts, -1, 0, NULL), "1024");
    CHECK_FAILS(SSI_ERR_IO, EBADF, ssi_fs_pwrite(file, "x", 1, 0), "writing");
    CHECK_FAILS(SSI_ERR_INVALID_ARGUMENT, EINVAL, ssi_fs_pread(file, NULL, 1, 0, NULL), "buffer");
    CHECK(ssi_last_error_errno() == 0);
    CHECK(ssi_fs_close(file) == SSI_OK);
    meet();
    if (rank() != size() - 1) return;
    file = opened("/bytes", O_RDWR | O_APPEND);
    CHECK(ssi_fs_pwritev(file, parts, 1, 0) == SSI_OK);
    CHECK(ssi_fs_pread(file, text, sizeof text, 0, &done) == SSI_OK && done == 15);
    CHECK(ssi_fs_ftruncate(file, 3) == SSI_OK);
    CHECK(ssi_fs_fallocate(file, 0, 0, 200000) == SSI_OK);
    CHECK(ssi_fs_pwrite(file, "end", 3, 0) == SSI_OK);
    CHECK_FAILS(SSI_ERR_IO, EOPNOTSUPP, ssi_fs_fallocate(file, 0x40, 0, 1), "");
    CHECK(ssi_fs_close(file) == SSI_OK);
}

static void failures_are_numbers_texts_and_errno(void) {
    ssi_file *file = (ssi_file *)&top;
    ssi_fs_attributes attributes = SSI_FS_STAT_INIT;
    CHECK_FAILS(SSI_ERR_NOT_FOUND, ENOENT, ssi_fs_open(fs, "/none", O_RDONLY, 0, &file), "/none");
    CHECK(file == NULL && ssi_last_error_errno() == ENOENT);
    CHECK_FAILS(SSI_ERR_IO, EISDIR, ssi_fs_open(fs, "/", O_RDWR, 0, &file), "/");
    CHECK_FAILS(SSI_ERR_IO, ENOTDIR, ssi_fs_stat(fs, "/bytes/x", &attributes), "/bytes/x");
    CHECK_FAILS(SSI_ERR_INVALID_ARGUMENT, EINVAL, ssi_fs_stat(fs, NULL, &attributes), "path");
    CHECK_FAILS(SSI_ERR_INVALID_ARGUMENT, EINVAL, ssi_fs_stat(NULL, "/", &attributes), "fs");
    attributes.size = 4;
    CHECK_FAILS(SSI_ERR_INVALID_ARGUMENT, EINVAL, ssi_fs_stat(fs, "/", &attributes), "sizeof");
    CHECK_FAILS(SSI_ERR_INVALID_ARGUMENT, EINVAL, ssi_fs_fsync(NULL), "file is NULL");
    CHECK(ssi_fs_close(NULL) == SSI_OK && ssi_fs_closedir(NULL) == SSI_OK);
    CHECK(ssi_fs_unmount(NULL) == SSI_OK);
}

static void holes_are_told(void) {
    ssi_file *file;
    uint64_t at = 7;
    if (rank() != 0) return;
    file = opened("/holes", O_CREAT | O_RDWR);
    CHECK(ssi_fs_pwrite(file, "x", 1, 1 << 20) == SSI_OK);
    CHECK(ssi_fs_next_data(file, 5, &at) == SSI_OK && at == 1 << 20);
    CHECK(ssi_fs_next_hole(file, 5, &at) == SSI_OK && at == 5);
    CHECK(ssi_fs_next_hole(file, 1 << 20, &at) == SSI_OK && at == (1 << 20) + 1);
    CHECK_FAILS(SSI_ERR_IO, ENXIO, ssi_fs_next_data(file, 2 << 20, &at), "");
    CHECK(ssi_fs_close(file) == SSI_OK);
}

static void attributes_are_set_and_seen(void) {
    ssi_fs_attributes a = SSI_FS_STAT_INIT;
    ssi_fs_striping striping = { 65536, 1, SSI_FS_LOCAL_FIRST };
    ssi_file *file = NULL;
    if (rank() == 0) {
        CHECK(ssi_fs_mkdir(fs, "/d", 0755) == SSI_OK);
        CHECK(ssi_fs_set_striping(fs, "/d", &striping) == SSI_OK);
        file = opened("/d/f", O_CREAT | O_RDWR);
        CHECK(ssi_fs_fchmod(file, 0600) == SSI_OK && ssi_fs_fchown(file, 5, SSI_FS_SAME) == SSI_OK);
        CHECK(ssi_fs_futimens(file, 11, SSI_FS_OMIT) == SSI_OK);
        CHECK(ssi_fs_close(file) == SSI_OK);
        CHECK(ssi_fs_truncate(fs, "/d/f", 12345) == SSI_OK);
        CHECK(ssi_fs_utimens(fs, "/d/f", SSI_FS_OMIT, 22, 0) == SSI_OK);
        CHECK(ssi_fs_chown(fs, "/d/f", SSI_FS_SAME, 6, 0) == SSI_OK);
        CHECK(ssi_fs_symlink(fs, "d/f", "/s") == SSI_OK);
    }
    meet();
    CHECK(ssi_fs_stat(fs, "/s", &a) == SSI_OK);
    CHECK(a.mode == (S_IFREG | 0600) && a.uid == 5 && a.gid == 6 && a.length == 12345);
    CHECK(a.access_ns == 11 && a.modify_ns == 22 && a.change_ns > 22 && a.links == 1);
    CHECK(a.striping.unit_bytes == 65536 && a.striping.count == 1);
    CHECK(ssi_fs_lstat(fs, "/s", &a) == SSI_OK && S_ISLNK(a.mode));
    CHECK(ssi_fs_stat(fs, "/d", &a) == SSI_OK && a.striping.placement == SSI_FS_LOCAL_FIRST);
    striping.unit_bytes = 5;
    CHECK_FAILS(SSI_ERR_INVALID_ARGUMENT, EINVAL, ssi_fs_set_striping(fs, "/d", &striping), "");
    meet();
    CHECK(ssi_fs_set_credentials(fs, 77, 77, NULL, 0, 022) == SSI_OK);   /* not of this file */
    CHECK_FAILS(SSI_ERR_IO, EACCES, ssi_fs_access(fs, "/d/f", R_OK), "/d/f");
    CHECK_FAILS(SSI_ERR_IO, EPERM, ssi_fs_chmod(fs, "/d/f", 0777), "/d/f");
    CHECK(ssi_fs_set_credentials(fs, 0, 0, NULL, 0, 022) == SSI_OK);
    CHECK(ssi_fs_access(fs, "/d/f", R_OK | W_OK) == SSI_OK);
    CHECK(ssi_fs_chmod(fs, "/d/f", 0640) == SSI_OK);
}

static void extended_attributes_come_with_their_length(void) {
    char value[8] = "", names[64];
    size_t length = 0;
    if (rank() == 0)
        CHECK(ssi_fs_setxattr(fs, "/d", "user.x", "12345", 5, 0, 0) == SSI_OK);
    meet();
    CHECK(ssi_fs_getxattr(fs, "/d", "user.x", NULL, 0, &length, 0) == SSI_ERR_TOO_LARGE);
    CHECK(length == 5 && errno == ERANGE);
    CHECK(ssi_fs_getxattr(fs, "/d", "user.x", value, sizeof value, &length, 0) == SSI_OK);
    CHECK(length == 5 && memcmp(value, "12345", 5) == 0);
    CHECK(ssi_fs_listxattr(fs, "/d", names, sizeof names, &length, SSI_FS_NOFOLLOW) == SSI_OK);
    CHECK(length == 7 && strcmp(names, "user.x") == 0);
    CHECK_FAILS(SSI_ERR_INVALID_ARGUMENT, EINVAL,
                ssi_fs_listxattr(fs, "/d", names, 64, NULL, 99), "flags");
    meet();
    if (rank() == 0) CHECK(ssi_fs_removexattr(fs, "/d", "user.x", 0) == SSI_OK);
    meet();
    CHECK_FAILS(SSI_ERR_IO, ENODATA, ssi_fs_getxattr(fs, "/d", "user.x", value, 8, NULL, 0), "/d");
}

static void names_change_for_everybody(void) {
    char target[8];
    size_t length = 0;
    ssi_fs_attributes a = SSI_FS_STAT_INIT;
    if (rank() == size() - 1) {
        CHECK(ssi_fs_link(fs, "/d/f", "/d/g") == SSI_OK);
        CHECK(ssi_fs_rename(fs, "/d/g", "/h", 0) == SSI_OK);
        CHECK_FAILS(SSI_ERR_IO, ENOTEMPTY, ssi_fs_rmdir(fs, "/d"), "/d");
        CHECK_FAILS(SSI_ERR_EXISTS, EEXIST, ssi_fs_mkdir(fs, "/d", 0755), "/d");
        CHECK(ssi_fs_sync_path(fs, "/h") == SSI_OK);
    }
    meet();
    CHECK(ssi_fs_stat(fs, "/h", &a) == SSI_OK && a.links == 2);
    CHECK(ssi_fs_readlink(fs, "/s", target, sizeof target, &length) == SSI_OK);
    CHECK(length == 3 && strcmp(target, "d/f") == 0);
    CHECK(ssi_fs_readlink(fs, "/s", target, 3, &length) == SSI_ERR_TOO_LARGE && length == 3);
    meet();
    if (rank() == 0) {
        CHECK(ssi_fs_unlink(fs, "/h") == SSI_OK && ssi_fs_unlink(fs, "/d/f") == SSI_OK);
        CHECK(ssi_fs_rmdir(fs, "/d") == SSI_OK);
    }
    meet();
    CHECK_FAILS(SSI_ERR_NOT_FOUND, ENOENT, ssi_fs_stat(fs, "/s", &a), "/s");
}

enum { many = 3000 };

static void directories_are_read_with_attributes(void) {
    static char seen[many];
    const ssi_fs_entry *entry = NULL;
    ssi_dir *directory = NULL;
    ssi_file *file;
    char path[32];
    uint64_t cookie = 0;
    int i, found = 0, wrong = 0;
    if (rank() == 0) CHECK(ssi_fs_mkdir(fs, "/many", 0755) == SSI_OK);
    meet();
    for (i = rank(); i < many; i += size()) {
        snprintf(path, sizeof path, "/many/%d", i);
        file = opened(path, O_CREAT | O_EXCL | O_WRONLY);
        if (i % 100 == 0) CHECK(ssi_fs_pwrite(file, path, (size_t)(i / 100), 0) == SSI_OK);
        ssi_fs_close(file);
    }
    meet();
    CHECK_FAILS(SSI_ERR_IO, ENOTDIR, ssi_fs_opendir(fs, "/bytes", 0, &directory), "/bytes");
    CHECK(ssi_fs_opendir(fs, "/many", SSI_FS_WITH_ATTRIBUTES, &directory) == SSI_OK);
    memset(seen, 0, sizeof seen);
    while (ssi_fs_readdir(directory, &entry) == SSI_OK && entry) {
        i = (int)strtol(entry->name, NULL, 10);
        wrong += i < 0 || i >= many || seen[i]++ != 0 || !entry->attributes ||
                 entry->type != S_IFREG ||
                 entry->attributes->length != (i % 100 == 0 ? (uint64_t)i / 100 : 0);
        if (++found == 2000) cookie = entry->cookie;
    }
    CHECK(found == many && wrong == 0);
    CHECK(ssi_fs_seekdir(directory, cookie) == SSI_OK);
    for (found = 0; ssi_fs_readdir(directory, &entry) == SSI_OK && entry;) ++found;
    CHECK(found == many - 2000);
    CHECK(ssi_fs_closedir(directory) == SSI_OK);
    meet();
}

static void work_goes_on_in_the_background(void) {
    enum { pieces = 12, piece = 50000 };
    static char text[pieces * piece], back[pieces * piece];
    ssi_future *futures[pieces], *synced, *wrong;
    uint64_t done = 0;
    int i;
    char path[32];
    ssi_file *file;
    snprintf(path, sizeof path, "/background%d", rank());
    file = opened(path, O_CREAT | O_RDWR);
    for (i = 0; i < pieces * piece; ++i) text[i] = (char)(i * 7 + rank());
    for (i = 0; i < pieces; ++i)
        CHECK(ssi_fs_pwrite_async(file, text + i * piece, piece, (uint64_t)i * piece,
                                  &futures[i]) == SSI_OK);
    CHECK(ssi_fs_fsync_async(file, &synced) == SSI_OK);
    CHECK(ssi_future_wait_all(futures, pieces) == SSI_OK);
    for (i = 0; i < pieces; ++i)
        CHECK(ssi_future_u64(futures[i], &done) == SSI_OK && done == piece);
    CHECK(ssi_future_u64(synced, NULL) == SSI_OK);
    for (i = 0; i < pieces; ++i)
        CHECK(ssi_fs_pread_async(file, back + i * piece, piece, (uint64_t)i * piece,
                                 &futures[i]) == SSI_OK);
    for (i = 0; i < pieces; ++i)
        CHECK(ssi_future_u64(futures[i], &done) == SSI_OK && done == piece);
    CHECK(memcmp(text, back, sizeof text) == 0);
    CHECK(ssi_fs_pwrite_async(file, text, piece, UINT64_MAX, &wrong) == SSI_OK);
    CHECK(ssi_future_u64(wrong, NULL) == SSI_ERR_INVALID_ARGUMENT);
    CHECK(ssi_last_error_errno() == EINVAL);
    CHECK(ssi_fs_pread_async(file, back, piece, 0, &wrong) == SSI_OK);
    ssi_future_cancel(wrong);
    CHECK(ssi_fs_close(file) == SSI_OK);
}

static void locks_hold_processes_apart(void) {
    ssi_fs_held_lock found;
    ssi_file *file = opened("/bytes", O_RDWR), *again = opened("/bytes", O_RDWR);
    const int last = size() - 1;
    int64_t value = 0;
    int i;
    if (rank() == last)
        CHECK(ssi_fs_lock(file, SSI_WRITE, range(10, 5, SSI_FS_PROCESS), SSI_FOREVER) == SSI_OK);
    meet();
    if (rank() != last) {
        CHECK_FAILS(SSI_ERR_WOULD_BLOCK, EAGAIN,
                    ssi_fs_lock(file, SSI_READ, range(14, 1, SSI_FS_PROCESS), 0), "locked");
        CHECK_FAILS(SSI_ERR_TIMED_OUT, EAGAIN,
                    ssi_fs_lock(file, SSI_READ, range(0, 0, SSI_FS_PROCESS), 5), "locked");
        CHECK(ssi_fs_find_lock(file, SSI_READ, range(0, 0, 3), &found) == SSI_OK);
        CHECK(found.access == SSI_WRITE && found.offset == 10 && found.length == 5);
        CHECK(found.node == (uint32_t)last && found.process != (uint64_t)getpid());
    }
    CHECK(ssi_fs_find_lock(file, SSI_WRITE, range(15, 0, 3), &found) == SSI_OK);
    CHECK(found.access == SSI_NONE && found.node == SSI_NO_NODE);
    CHECK_FAILS(SSI_ERR_INVALID_ARGUMENT, EINVAL,
                ssi_fs_lock(file, SSI_NONE, range(0, 0, SSI_FS_PROCESS), 0), "SSI_READ");
    meet();
    if (rank() == last) CHECK(ssi_fs_unlock(file, range(0, 0, SSI_FS_PROCESS)) == SSI_OK);
    meet();
    CHECK(ssi_fs_pwrite(file, &value, sizeof value, 0) == SSI_OK);
    meet();
    for (i = 0; i < 30; ++i) {
        CHECK(ssi_fs_flock(file, SSI_WRITE, SSI_FOREVER) == SSI_OK);
        CHECK_FAILS(SSI_ERR_WOULD_BLOCK, EAGAIN, ssi_fs_flock(again, SSI_READ, 0), "locked");
        CHECK(ssi_fs_pread(file, &value, sizeof value, 0, NULL) == SSI_OK);
        ++value;
        CHECK(ssi_fs_pwrite(file, &value, sizeof value, 0) == SSI_OK);
        CHECK(ssi_fs_flock(file, SSI_NONE, 0) == SSI_OK);
    }
    meet();
    CHECK(ssi_fs_pread(file, &value, sizeof value, 0, NULL) == SSI_OK && value == 30 * size());
    CHECK(ssi_fs_close(file) == SSI_OK && ssi_fs_close(again) == SSI_OK);
}

static void bytes_are_found_on_disk_and_in_memory(void) {
    static char text[4 * 65536];
    ssi_fs_striping striping = { 65536, 255, SSI_FS_SPREAD };
    ssi_fs_extent extents[8];
    ssi_fs_copy copies[32];
    ssi_file *file;
    size_t count = 0, i, mine = 0, on_disk = 0;
    if (rank() == 0) {
        CHECK(ssi_fs_open_striped(fs, "/placed", O_CREAT | O_RDWR, 0644, &striping, &file) ==
              SSI_OK);
        CHECK(ssi_fs_pwrite(file, text, sizeof text, 0) == SSI_OK);
        CHECK(ssi_fs_fsync(file) == SSI_OK && ssi_fs_close(file) == SSI_OK);
    }
    meet();
    file = opened("/placed", O_RDONLY);
    CHECK(ssi_fs_extents(file, 0, sizeof text, NULL, 0, &count) == SSI_ERR_TOO_LARGE);
    CHECK(count >= 1 && count <= 4 && errno == ERANGE);
    CHECK(ssi_fs_extents(file, 100, sizeof text, extents, 8, &count) == SSI_OK);
    for (i = 0; i < count; ++i) {
        on_disk += extents[i].length;
        CHECK(extents[i].node < (uint32_t)(size() > 1 ? size() - 1 : 1));
    }
    CHECK(on_disk == sizeof text - 100 && extents[0].offset == 100);
    CHECK(ssi_fs_pread(file, text, sizeof text, 0, NULL) == SSI_OK);
    CHECK(ssi_fs_copies(file, 0, sizeof text, copies, 32, &count) == SSI_OK);
    for (i = 0; i < count; ++i) mine += copies[i].node == ssi_node(session) ? copies[i].length : 0;
    CHECK(mine == sizeof text);
    CHECK(ssi_fs_close(file) == SSI_OK);
    meet();
}

/* By ssi_fs_unmount, or, on an odd number of ranks, by ssi_finalize; with files open. */
static void what_is_open_is_closed_at_the_end(void) {
    ssi_fs_options options = SSI_FS_OPTIONS_INIT;
    ssi_fs_attributes a = SSI_FS_STAT_INIT;
    uint64_t problems = 99;
    ssi_file *left;
    ssi_dir *listed = NULL;
    CHECK(ssi_fs_sync(fs) == SSI_OK && ssi_fs_drop_caches(fs) == SSI_OK);
    CHECK(ssi_fs_stat(fs, "/bytes", &a) == SSI_OK && a.length == 200003);
    meet();
    CHECK(ssi_fs_check(fs, 0, &problems, NULL) == SSI_OK && problems == 0);
    left = opened("/bytes", O_RDONLY);
    CHECK(left != NULL && ssi_fs_opendir(fs, "/", 0, &listed) == SSI_OK);
    meet();
    if (size() % 2 == 1) return;
    CHECK(ssi_fs_unmount(fs) == SSI_OK);
    CHECK_FAILS(SSI_ERR_EXISTS, EBUSY, ssi_fs_mount(session, &options, &fs), "session of its own");
    CHECK(fs == NULL);
}

static const struct test_case cases[] = {
    CASE(volumes_are_mounted_together),
    CASE(bytes_are_everywhere),
    CASE(failures_are_numbers_texts_and_errno),
    CASE(holes_are_told),
    CASE(attributes_are_set_and_seen),
    CASE(extended_attributes_come_with_their_length),
    CASE(names_change_for_everybody),
    CASE(directories_are_read_with_attributes),
    CASE(work_goes_on_in_the_background),
    CASE(locks_hold_processes_apart),
    CASE(bytes_are_found_on_disk_and_in_memory),
    CASE(what_is_open_is_closed_at_the_end),
};

/* By the rank that made it, after everybody's end of the session. */
static int remove_top(int made) {
    char command[96];
    if (!made || top[0] == 0) return 0;
    snprintf(command, sizeof command, "rm -rf '%s'", top);
    return system(command);
}

int main(int argc, char **argv) {
    int bad = run_program(argc, argv, cases, (int)(sizeof cases / sizeof cases[0]));
    if (remove_top(made_top) != 0) bad = 1;
    return bad;
}
