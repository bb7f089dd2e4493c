/* SPDX-License-Identifier: BSD-3-Clause
 *
 * `mpirun -n 4 10_files_in_c DIR`: a log that all nodes append to, in a file system over a
 * directory of each node. */
#define _XOPEN_SOURCE 700   /* O_ flags beside C99 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ssi/ssi.h>

enum { lines_of_node = 100 };

/* Failures are numbers with a text; errno is set, too. */
static void must(int error) {
    if (error == SSI_OK) return;
    fprintf(stderr, "10_files_in_c: %s\n", ssi_last_error());
    ssi_exit(ssi_exit_code(error));
}

/* How many whole lines of ours there are, from the start. */
static int count_lines(ssi_fs *fs, const char *path) {
    ssi_fs_attributes attributes = SSI_FS_STAT_INIT;
    ssi_file *file;
    int lines = 0;
    char *text, *line;
    must(ssi_fs_open(fs, path, O_RDONLY, 0, &file));
    must(ssi_fs_fstat(file, &attributes));
    text = calloc(1, (size_t)attributes.length + 1);
    must(ssi_fs_pread(file, text, (size_t)attributes.length, 0, NULL));
    must(ssi_fs_close(file));
    for (line = text; strncmp(line, "node ", 5) == 0 && strchr(line, '\n'); ++lines)
        line = strchr(line, '\n') + 1;
    free(text);
    return lines;
}

int main(int argc, char **argv) {
    ssi_session *session;
    ssi_fs *fs;
    ssi_file *file;
    ssi_fs_options options = SSI_FS_OPTIONS_INIT;
    const char *directory;
    char volume[4096], node[32], line[32];
    struct iovec parts[2];
    int i;

    must(ssi_init(&argc, &argv, &session));
    if (argc != 2) {
        fprintf(stderr, "usage: 10_files_in_c DIR\n");
        return 2;
    }
    snprintf(volume, sizeof volume, "%s/volume-%d", argv[1], ssi_rank(session));
    directory = volume;
    options.directories = &directory;
    options.directory_count = 1;
    must(ssi_fs_mount(session, &options, &fs));   /* all nodes together */

    must(ssi_fs_open(fs, "/log", O_CREAT | O_WRONLY | O_APPEND, 0644, &file));
    parts[0].iov_base = node;
    parts[0].iov_len = (size_t)snprintf(node, sizeof node, "node %d ", ssi_rank(session));
    parts[1].iov_base = line;
    for (i = 0; i < lines_of_node; ++i) {
        parts[1].iov_len = (size_t)snprintf(line, sizeof line, "line %d\n", i);
        must(ssi_fs_pwritev(file, parts, 2, 0));  /* at the end, both parts together */
    }
    must(ssi_fs_fsync(file));
    must(ssi_fs_close(file));
    must(ssi_barrier(session));

    if (ssi_rank(session) == 0)
        printf("%d lines of %d nodes\n", count_lines(fs, "/log"), ssi_size(session));
    must(ssi_fs_unmount(fs));
    must(ssi_finalize(session));
    return EXIT_SUCCESS;
}
