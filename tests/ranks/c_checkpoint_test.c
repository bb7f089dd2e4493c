/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Checkpoints from C: what is protected comes back, as of the cut, from a real store. */
#define _XOPEN_SOURCE 700
#include "c_check.h"

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { objects = 40, span_numbers = 1 << 17, elements = 1000 };

static char top[64];               /* stores are in it */
static int made_top;
static char directory[96];         /* the store of the case that runs */
static ssi_checkpoint *checkpoint;
static ssi_set *cells;
static uint64_t numbers[span_numbers];
static int32_t piece[elements];    /* of the array, from `first` on */
static uint64_t first;
static size_t pieces;

static ssi_restarted nothing(void) {
    ssi_restarted r = SSI_RESTARTED_INIT;
    return r;
}
static ssi_take_options take_number(uint64_t number) {
    ssi_take_options how = SSI_TAKE_OPTIONS_INIT;
    how.number = number;
    return how;
}

static const char *global_directory;   /* NULL: there is no global store */
static void open_store(const char *name) {
    ssi_checkpoint_options options = SSI_CHECKPOINT_OPTIONS_INIT;
    snprintf(directory, sizeof directory, "%s/%s", top, name);
    options.directory = directory;
    options.global_directory = global_directory;
    options.application = "c";
    options.keep = 10;
    CHECK(ssi_checkpoint_open(session, &options, &checkpoint) == SSI_OK);
}
static void close_store(void) {
    CHECK(ssi_checkpoint_close(checkpoint) == SSI_OK);
    checkpoint = NULL;
}

/* A program that starts: everything is as it was created. */
static void start(const char *name) {
    open_store(name);
    cells = make_set("cells", 8, objects);
    first = (uint64_t)(elements * rank() / size());
    pieces = (size_t)(elements * (rank() + 1) / size()) - (size_t)first;
    memset(numbers, 0, sizeof numbers);
    memset(piece, 0, sizeof piece);
    CHECK(ssi_checkpoint_protect_set(checkpoint, cells) == SSI_OK);
    CHECK(ssi_checkpoint_protect_span(checkpoint, "numbers", numbers, sizeof numbers) == SSI_OK);
    CHECK(ssi_checkpoint_protect_array(checkpoint, "field", piece, pieces, sizeof piece[0], first,
                                       elements) == SSI_OK);
}
static void stop(void) {
    close_store();
    meet();
    if (rank() == 0) CHECK(ssi_set_destroy(session, "cells") == SSI_OK);
    meet();
}

static void set_cell(uint64_t id, uint64_t value) {
    ssi_guard guard;
    CHECK(ssi_grab(cells, ssi_id(id), &guard) == SSI_OK);
    *(uint64_t *)guard.writable = value;
    CHECK(ssi_put(&guard) == SSI_OK);
}
static uint64_t cell(uint64_t id) {
    uint64_t value = 0;
    CHECK(ssi_read(cells, ssi_id(id), 0, &value, sizeof value, NULL) == SSI_OK);
    return value;
}

/* The state of the step `salt`, different in every number. */
static void fill(uint64_t salt) {
    size_t i;
    for (i = (size_t)rank(); i < objects; i += (size_t)size()) set_cell(i, salt * 1000 + i);
    for (i = 0; i < span_numbers; ++i)
        numbers[i] = (i + 1) * salt * 0x9e3779b97f4a7c15u + (uint64_t)rank();
    for (i = 0; i < pieces; ++i) piece[i] = (int32_t)(salt * 10000 + first + i);
    meet();
}
static void check_filled(uint64_t salt) {
    size_t i, wrong = 0;
    for (i = 0; i < objects; ++i) wrong += cell(i) != salt * 1000 + i;
    CHECK(wrong == 0);
    for (i = 0; i < span_numbers; ++i)
        wrong += numbers[i] != (i + 1) * salt * 0x9e3779b97f4a7c15u + (uint64_t)rank();
    CHECK(wrong == 0);
    for (i = 0; i < pieces; ++i) wrong += piece[i] != (int32_t)(salt * 10000 + first + i);
    CHECK(wrong == 0);
}

static void misuse_is_refused(void) {
    ssi_checkpoint_options options = SSI_CHECKPOINT_OPTIONS_INIT;
    ssi_take_options how = SSI_TAKE_OPTIONS_INIT;
    ssi_restarted from = SSI_RESTARTED_INIT;
    ssi_checkpoint *second = (ssi_checkpoint *)top;
    ssi_set *none = NULL;
    int answer;
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_checkpoint_open(NULL, &options, &second), "session");
    CHECK(second == NULL);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_checkpoint_open(session, NULL, &second), "options");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_checkpoint_open(session, &options, NULL), "NULL");
    options.size = 8;
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_checkpoint_open(session, &options, &second),
                "sizeof");
    start("misuse");
    options.size = sizeof options;
    options.directory = directory;
    CHECK_ERROR(SSI_ERR_EXISTS, ssi_checkpoint_open(session, &options, &second), "one at a time");
    CHECK(second == NULL);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_checkpoint_protect_set(checkpoint, none), "set is");
    CHECK_ERROR(SSI_ERR_EXISTS, ssi_checkpoint_protect_set(checkpoint, cells), "already");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_checkpoint_protect_span(checkpoint, NULL, numbers, 8), "name");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_checkpoint_protect_span(checkpoint, "x", NULL, 8), "memory");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_checkpoint_protect_array(checkpoint, "x", NULL, 1, 4, 0, 8), "piece");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_checkpoint_protect_array(checkpoint, "x", piece, 1, 0, 0, 8), "'x'");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_checkpoint_protect_array(checkpoint, "x", piece, 2, 4, 7, 8), "'x'");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_checkpoint_protect_array(checkpoint, "x", piece, SIZE_MAX, 4, 0, 8), "count");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_checkpoint_protect_array(checkpoint, "x", piece, 1, 4, 0, UINT64_MAX), "'x'");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_checkpoint_on(checkpoint, SSI_CHECKPOINT_BEFORE, NULL, NULL), "callback");
    how.length = 1;
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_checkpoint_take(checkpoint, "", &how, NULL), "bytes");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_checkpoint_take(NULL, "", NULL, NULL), "checkpoint");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_checkpoint_need(checkpoint, NULL), "wanted");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_checkpoint_restart(checkpoint, NULL), "restarted");
    from.size = 8;
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_checkpoint_find(checkpoint, &from), "sizeof");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_ticket_wait(NULL), "ticket");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_ticket_test(NULL, &answer), "ticket");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_checkpoint_leave(session), "not entered");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_checkpoint_enter(NULL), "session");
    CHECK(ssi_checkpoint_should_exit(NULL) == 0 && ssi_checkpoint_close(NULL) == SSI_OK);
    ssi_ticket_free(NULL);
    stop();
}

static void a_policy_says_when_and_how(void) {
    ssi_checkpoint_options options = SSI_CHECKPOINT_OPTIONS_INIT;
    ssi_take_options how = take_number(5);
    int wanted = 0;
    snprintf(directory, sizeof directory, "%s/policy", top);
    options.directory = directory;
    options.application = "c";
    options.policy = "interval every_s=0.000001 level=local kind=incremental";
    CHECK(ssi_checkpoint_open(session, &options, &checkpoint) == SSI_OK);
    CHECK(ssi_checkpoint_wanted(checkpoint, &how) == SSI_OK && how.incremental == 0);
    CHECK(ssi_checkpoint_need(checkpoint, &wanted) == SSI_OK && wanted == 1);
    CHECK(ssi_checkpoint_wanted(checkpoint, &how) == SSI_OK && how.incremental == 1);
    CHECK(how.level == SSI_CHECKPOINT_LOCAL && how.number == 5 && how.asynchronous == 0);
    CHECK(ssi_checkpoint_take(checkpoint, "", &how, NULL) == SSI_OK);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_checkpoint_wanted(checkpoint, NULL), "options");
    close_store();
    options.policy = "dayly";
    CHECK_ERROR(SSI_ERR_NOT_FOUND, ssi_checkpoint_open(session, &options, &checkpoint), "'dayly'");
    options.size = offsetof(ssi_checkpoint_options, policy);   /* of a program that knows none */
    CHECK(ssi_checkpoint_open(session, &options, &checkpoint) == SSI_OK);
    close_store();
}

static void nothing_is_found_in_a_new_store(void) {
    ssi_restarted from = nothing();
    start("new");
    from.found = 1;
    from.number = 5;
    CHECK(ssi_checkpoint_find(checkpoint, &from) == SSI_OK && from.found == 0);
    CHECK(from.version == 0 && from.number == 0 && strcmp(from.description, "") == 0);
    from.found = 1;
    CHECK(ssi_checkpoint_restart(checkpoint, &from) == SSI_OK && from.found == 0);
    CHECK_ERROR(SSI_ERR_NOT_FOUND, ssi_checkpoint_restart_version(checkpoint, 7, &from), "7");
    CHECK_ERROR(SSI_ERR_NOT_FOUND, ssi_checkpoint_find_version(checkpoint, 7, &from), "7");
    stop();
}

static void everything_comes_back(void) {
    ssi_take_options how = take_number(77);
    ssi_take_progress progress;
    ssi_restarted from = nothing();
    ssi_ticket *ticket = NULL;
    uint64_t version = 0;
    int done = 0;
    start("whole");
    fill(3);
    how.bytes = "state\0of mine";
    how.length = 13;
    CHECK(ssi_checkpoint_take(checkpoint, "the third", &how, &ticket) == SSI_OK);
    CHECK(ssi_ticket_version(ticket, &version) == SSI_OK && version == 1);
    CHECK(ssi_ticket_test(ticket, &done) == SSI_OK && done == 1);
    CHECK(ssi_ticket_wait(ticket) == SSI_OK);
    CHECK(ssi_ticket_progress(ticket, &progress) == SSI_OK);
    CHECK(progress.saved_bytes >= sizeof numbers && progress.stopped_seconds > 0);
    CHECK(progress.seconds >= progress.stopped_seconds);
    fill(4);
    stop();
    CHECK(ssi_ticket_wait(ticket) == SSI_OK);   /* it outlives the checkpoint */
    ssi_ticket_free(ticket);
    start("whole");
    CHECK(ssi_checkpoint_find(checkpoint, &from) == SSI_OK && from.found == 1);
    CHECK(from.version == 1 && from.number == 77 && from.restored_bytes == 0 && cell(1) == 0);
    stop();
    start("whole");
    CHECK(ssi_checkpoint_restart(checkpoint, &from) == SSI_OK && from.found == 1);
    check_filled(3);
    CHECK(from.version == 1 && from.number == 77 && from.saved_ranks == (uint32_t)size());
    CHECK(from.length == 13 && memcmp(from.bytes, "state\0of mine", 13) == 0);
    CHECK(strcmp(from.description, "the third") == 0 && from.passed_over_count == 0);
    CHECK(from.restored_bytes >= sizeof numbers && from.time_ns > 1000000000000000000);
    stop();
}

static void what_changes_after_an_asynchronous_take_is_not_in_it(void) {
    ssi_take_options how = take_number(1);
    ssi_restarted from = nothing();
    ssi_ticket *ticket = NULL;
    int done = 0;
    start("asynchronous");
    fill(5);
    how.asynchronous = 1;
    CHECK(ssi_checkpoint_take(checkpoint, NULL, &how, &ticket) == SSI_OK);
    CHECK(ssi_ticket_test(ticket, &done) == SSI_OK && done == 0);   /* disks are slow: see main */
    fill(6);
    CHECK(ssi_ticket_wait(ticket) == SSI_OK);
    CHECK(ssi_ticket_test(ticket, &done) == SSI_OK && done == 1);
    ssi_ticket_free(ticket);
    how.number = 2;
    CHECK(ssi_checkpoint_take(checkpoint, NULL, &how, NULL) == SSI_OK);
    stop();                                     /* waits for the second */
    start("asynchronous");
    CHECK(ssi_checkpoint_restart_version(checkpoint, 1, &from) == SSI_OK && from.number == 1);
    check_filled(5);
    stop();
    start("asynchronous");
    CHECK(ssi_checkpoint_restart(checkpoint, &from) == SSI_OK && from.number == 2);
    check_filled(6);
    stop();
}

static int64_t bytes_there;
static int add_bytes(const char *path, const struct stat *about, int kind, struct FTW *where) {
    (void)path;
    (void)where;
    if (kind == FTW_F) bytes_there += about->st_size;
    return 0;
}
/* Of the store, on every rank. */
static int64_t store_bytes(void) {
    meet();
    bytes_there = 0;
    CHECK(nftw(directory, add_bytes, 8, FTW_PHYS) == 0);
    meet();
    return bytes_there;
}

static void incremental_takes_write_what_has_changed(void) {
    ssi_take_options how = take_number(1);
    ssi_restarted from = nothing();
    int64_t before;
    start("incremental");
    fill(7);
    how.incremental = 1;
    CHECK(ssi_checkpoint_take(checkpoint, "", &how, NULL) == SSI_OK);
    before = store_bytes();
    CHECK(before >= size() * (int64_t)sizeof numbers);
    if (rank() == 0) set_cell(1, 1);
    numbers[9] = 9;
    how.number = 2;
    how.level = 7;
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_checkpoint_take(checkpoint, "", &how, NULL),
                "level 7");
    how.level = SSI_CHECKPOINT_PARTNER;
    CHECK_ERROR(SSI_ERR_UNSUPPORTED, ssi_checkpoint_take(checkpoint, "", &how, NULL), "one store");
    how.level = 0;
    CHECK(ssi_checkpoint_take(checkpoint, "", &how, NULL) == SSI_OK);
    CHECK(store_bytes() - before < size() * (int64_t)sizeof numbers / 4);
    stop();
    start("incremental");
    CHECK(ssi_checkpoint_restart(checkpoint, &from) == SSI_OK && from.number == 2);
    CHECK(cell(1) == 1 && cell(2) == 7002 && numbers[9] == 9);
    meet();
    if (rank() == 0) set_cell(1, 7001);
    numbers[9] = 10 * 7 * 0x9e3779b97f4a7c15u + (uint64_t)rank();
    meet();
    check_filled(7);
    stop();
}

static char largest[160];
static off_t largest_bytes;
static int find_largest(const char *path, const struct stat *about, int kind, struct FTW *where) {
    (void)where;
    if (kind == FTW_F && about->st_size > largest_bytes) {
        largest_bytes = about->st_size;
        snprintf(largest, sizeof largest, "%s", path);
    }
    return 0;
}

static void a_damaged_version_is_passed_over_and_told(void) {
    ssi_restarted from = nothing();
    char newest[128];
    FILE *file;
    start("damaged");
    fill(10);
    CHECK(ssi_checkpoint_take(checkpoint, "", NULL, NULL) == SSI_OK);
    fill(11);
    CHECK(ssi_checkpoint_take(checkpoint, "", NULL, NULL) == SSI_OK);
    stop();
    if (rank() == 0) {
        snprintf(newest, sizeof newest, "%s/v2", directory);
        CHECK(nftw(newest, find_largest, 8, FTW_PHYS) == 0);
        file = fopen(largest, "r+");
        CHECK(file != NULL && fseek(file, (long)largest_bytes / 2, SEEK_SET) == 0);
        CHECK(fwrite("damaged", 1, 7, file) == 7 && fclose(file) == 0);
    }
    meet();
    start("damaged");
    CHECK(ssi_checkpoint_restart(checkpoint, &from) == SSI_OK && from.version == 1);
    CHECK(from.passed_over_count == 1 && strncmp(from.passed_over[0], "version 2: ", 11) == 0);
    check_filled(10);
    stop();
}

/* There is one host, which main allows. */
static void lost_store_of(uint32_t level, const char *name, uint64_t rebuilt) {
    ssi_take_options how = take_number(5);
    ssi_restarted from = nothing();
    char command[160];
    char pattern[64];
    if (size() == 1) return;   /* alone there is nobody to keep anything */
    how.level = level;
    snprintf(pattern, sizeof pattern, "%s of %%n", name);
    start(pattern);
    fill(13);
    CHECK(ssi_checkpoint_take(checkpoint, "", &how, NULL) == SSI_OK);
    stop();
    snprintf(command, sizeof command, "rm -r '%s/%s of 0'", top, name);
    if (rank() == 0) CHECK(system(command) == 0);
    meet();
    start(pattern);
    CHECK(ssi_checkpoint_restart(checkpoint, &from) == SSI_OK && from.number == 5);
    CHECK(from.rebuilt_members == rebuilt);
    check_filled(13);
    stop();
}

static void a_lost_store_is_made_good(void) {
    /* That of rank 0, and that of whose partner it is; of a group, that of rank 0. */
    lost_store_of(SSI_CHECKPOINT_PARTNER, "copies", 2);
    lost_store_of(SSI_CHECKPOINT_PARITY, "parity", 1);
}

static void a_version_in_the_global_store_outlives_all_others(void) {
    char global[80];
    char command[160];
    ssi_take_options how = take_number(6);
    ssi_restarted from = nothing();
    how.level = SSI_CHECKPOINT_GLOBAL;
    start("no global store");
    CHECK_ERROR(SSI_ERR_UNSUPPORTED, ssi_checkpoint_take(checkpoint, "", &how, NULL), "global");
    stop();
    snprintf(global, sizeof global, "%s/global", top);
    global_directory = global;
    start("near of %n");
    fill(14);
    CHECK(ssi_checkpoint_take(checkpoint, "", &how, NULL) == SSI_OK);
    stop();
    snprintf(command, sizeof command, "rm -r '%s/near of '*", top);
    if (rank() == 0) CHECK(system(command) == 0);
    meet();
    start("near of %n");
    CHECK(ssi_checkpoint_restart(checkpoint, &from) == SSI_OK && from.number == 6);
    check_filled(14);
    stop();
    global_directory = NULL;
}

/* What a callback is to return, and what it saw. */
struct told {
    int answer, calls, inside;
};
static int callback(void *context) {
    struct told *told = context;
    int wanted;
    told->calls += 1;
    told->inside = ssi_checkpoint_need(checkpoint, &wanted);
    return told->answer;
}

static void callbacks_that_fail_are_told_to_all(void) {
    struct told before = {SSI_OK, 0, 0}, after = {SSI_OK, 0, 0}, restarted = {SSI_OK, 0, 0};
    ssi_take_options how = take_number(0);
    ssi_restarted from = nothing();
    ssi_ticket *ticket = (ssi_ticket *)top;
    start("callbacks");
    CHECK(ssi_checkpoint_on(checkpoint, SSI_CHECKPOINT_BEFORE, callback, &before) == SSI_OK);
    CHECK(ssi_checkpoint_on(checkpoint, SSI_CHECKPOINT_AFTER, callback, &after) == SSI_OK);
    fill(8);
    CHECK(ssi_checkpoint_take(checkpoint, "", &how, NULL) == SSI_OK);
    CHECK(before.calls == 1 && after.calls == 1);
    CHECK(before.inside == SSI_ERR_INVALID_ARGUMENT);
    fill(9);
    if (rank() == size() - 1) before.answer = SSI_ERR_UNSUPPORTED;
    CHECK_ERROR(SSI_ERR_UNSUPPORTED, ssi_checkpoint_take(checkpoint, "", &how, &ticket), "20");
    CHECK(ticket == NULL && before.calls == 2 && after.calls == 2);
    if (rank() == size() - 1) before.answer = 4711;
    CHECK_ERROR(SSI_ERR_FUNCTION_FAILED, ssi_checkpoint_take(checkpoint, "", &how, NULL), "4711");
    before.answer = SSI_OK;
    CHECK(ssi_checkpoint_take(checkpoint, "", &how, NULL) == SSI_OK);
    stop();
    start("callbacks");
    CHECK(ssi_checkpoint_on(checkpoint, SSI_CHECKPOINT_RESTARTED, callback, &restarted) == SSI_OK);
    CHECK(ssi_checkpoint_restart(checkpoint, &from) == SSI_OK && restarted.calls == 1);
    check_filled(9);
    stop();
    /* Its failure is no damage of the version: none is passed over for it. */
    start("callbacks");
    restarted.answer = SSI_ERR_IO;
    CHECK(ssi_checkpoint_on(checkpoint, SSI_CHECKPOINT_RESTARTED, callback, &restarted) == SSI_OK);
    CHECK_ERROR(SSI_ERR_IO, ssi_checkpoint_restart(checkpoint, &from), "callback");
    CHECK(restarted.calls == 2);
    stop();
}

static volatile sig_atomic_t came;
static void count_signal(int number) {
    (void)number;
    came += 1;
}

static void signals_ask_for_a_checkpoint(void) {
    ssi_checkpoint_options options = SSI_CHECKPOINT_OPTIONS_INIT;
    int wanted = 1;
    open_store("signals");
    CHECK(ssi_checkpoint_need(checkpoint, &wanted) == SSI_OK && wanted == 0);
    if (rank() == size() - 1) raise(SIGUSR1);
    CHECK(ssi_checkpoint_need(checkpoint, &wanted) == SSI_OK && wanted == 1);
    CHECK(ssi_checkpoint_should_exit(checkpoint) == 0);
    CHECK(ssi_checkpoint_need(checkpoint, &wanted) == SSI_OK && wanted == 0);
    if (rank() == 0) raise(SIGTERM);
    CHECK(ssi_checkpoint_need(checkpoint, &wanted) == SSI_OK && wanted == 1);
    CHECK(ssi_checkpoint_should_exit(checkpoint) == 1);
    close_store();
    /* Not, when the program wants them itself. */
    signal(SIGUSR1, count_signal);
    options.directory = directory;
    options.signals = 0;
    CHECK(ssi_checkpoint_open(session, &options, &checkpoint) == SSI_OK);
    raise(SIGUSR1);
    CHECK(ssi_checkpoint_need(checkpoint, &wanted) == SSI_OK && wanted == 0 && came == 1);
    close_store();
    signal(SIGUSR1, SIG_DFL);
}

static pthread_barrier_t inside;
/* Changes two objects, in steps that belong together. */
static void *change_both(void *own) {
    const uint64_t mine = 2 * (uint64_t)rank();
    const struct timespec pause = {0, 200000000};
    (void)own;
    CHECK(ssi_checkpoint_enter(session) == SSI_OK);
    CHECK(ssi_checkpoint_enter(session) == SSI_OK);
    CHECK(ssi_checkpoint_leave(session) == SSI_OK);   /* the outer one lasts */
    set_cell(mine, 1);
    pthread_barrier_wait(&inside);
    nanosleep(&pause, NULL);
    set_cell(mine + 1, 1);
    CHECK(ssi_checkpoint_leave(session) == SSI_OK);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_checkpoint_leave(session), "not entered");
    return NULL;
}

static void no_cut_falls_into_a_critical_section(void) {
    ssi_restarted from = nothing();
    pthread_t thread;
    uint64_t id;
    start("critical");
    CHECK(pthread_barrier_init(&inside, NULL, 2) == 0);
    CHECK(pthread_create(&thread, NULL, change_both, NULL) == 0);
    pthread_barrier_wait(&inside);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_checkpoint_leave(session), "not entered");
    CHECK(ssi_checkpoint_take(checkpoint, "", NULL, NULL) == SSI_OK);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(pthread_barrier_destroy(&inside) == 0);
    stop();
    start("critical");
    CHECK(ssi_checkpoint_restart(checkpoint, &from) == SSI_OK && from.found == 1);
    for (id = 0; id < 2 * (uint64_t)size(); ++id) CHECK(cell(id) == 1);
    stop();
}

/* Each rank has one of its own; one that is not open stays so. */
static void an_open_file_goes_on_where_it_was(void) {
    ssi_fs_options mounting = SSI_FS_OPTIONS_INIT;
    ssi_fs *fs = NULL;
    ssi_file *file = NULL, *none = NULL;
    ssi_restarted from = nothing();
    ssi_fs_attributes attributes = SSI_FS_STAT_INIT;
    char volume[sizeof top + 32], path[32];
    const char *directories[1];
    char line[16] = "";
    size_t done = 0;
    snprintf(volume, sizeof volume, "%s/volume%d", top, rank());
    CHECK(mkdir(volume, 0700) == 0);
    directories[0] = volume;
    mounting.directories = directories;
    mounting.directory_count = 1;
    CHECK(ssi_fs_mount(session, &mounting, &fs) == SSI_OK);
    snprintf(path, sizeof path, "/file.%d", rank());
    CHECK(ssi_fs_open(fs, path, O_CREAT | O_RDWR, 0600, &file) == SSI_OK);
    CHECK(ssi_fs_pwrite(file, "0123456789", 10, 0) == SSI_OK);
    start("files");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_checkpoint_protect_file(checkpoint, "x", fs, NULL, 0), "file");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_checkpoint_protect_file(checkpoint, "x", NULL, &file, 0), "fs");
    CHECK(ssi_checkpoint_protect_file(checkpoint, "file", fs, &file, rank() == 0) == SSI_OK);
    CHECK(ssi_checkpoint_protect_file(checkpoint, "none", fs, &none, 0) == SSI_OK);
    CHECK(ssi_checkpoint_take(checkpoint, "", NULL, NULL) == SSI_OK);
    CHECK(ssi_fs_pwrite(file, "more", 4, 10) == SSI_OK);
    CHECK(ssi_fs_pwrite(file, "xyz", 3, 0) == SSI_OK);
    stop();
    CHECK(ssi_fs_close(file) == SSI_OK);
    file = NULL;
    start("files");
    CHECK(ssi_checkpoint_protect_file(checkpoint, "file", fs, &file, rank() == 0) == SSI_OK);
    CHECK(ssi_checkpoint_protect_file(checkpoint, "none", fs, &none, 0) == SSI_OK);
    CHECK(ssi_checkpoint_restart(checkpoint, &from) == SSI_OK && from.found == 1);
    CHECK(file != NULL && none == NULL);
    CHECK(ssi_fs_fstat(file, &attributes) == SSI_OK && attributes.length == 10);
    CHECK(ssi_fs_pread(file, line, 10, 0, &done) == SSI_OK && done == 10);
    CHECK(strcmp(line, rank() == 0 ? "0123456789" : "xyz3456789") == 0);
    stop();
    CHECK(ssi_fs_close(file) == SSI_OK);
    CHECK(ssi_fs_unmount(fs) == SSI_OK);
}

/* By ssi_finalize. The version that is being saved then is there afterwards: see main. */
static void what_is_open_is_closed_at_the_end(void) {
    ssi_take_options how = take_number(12);
    start("left");
    fill(12);
    how.asynchronous = 1;
    CHECK(ssi_checkpoint_take(checkpoint, "", &how, NULL) == SSI_OK);
}

static const struct test_case cases[] = {
    CASE(misuse_is_refused),
    CASE(nothing_is_found_in_a_new_store),
    CASE(a_policy_says_when_and_how),
    CASE(everything_comes_back),
    CASE(what_changes_after_an_asynchronous_take_is_not_in_it),
    CASE(incremental_takes_write_what_has_changed),
    CASE(a_damaged_version_is_passed_over_and_told),
    CASE(a_lost_store_is_made_good),
    CASE(a_version_in_the_global_store_outlives_all_others),
    CASE(callbacks_that_fail_are_told_to_all),
    CASE(signals_ask_for_a_checkpoint),
    CASE(no_cut_falls_into_a_critical_section),
    CASE(an_open_file_goes_on_where_it_was),
    CASE(what_is_open_is_closed_at_the_end),
};

static void in_a_second_session_it_comes_back(void) {
    ssi_restarted from = nothing();
    start("left");
    CHECK(ssi_checkpoint_restart(checkpoint, &from) == SSI_OK && from.number == 12);
    check_filled(12);
    stop();
}

/* Over a communicator of the program's own, as MPI starts once. */
static int run_session(MPI_Comm comm, const struct test_case *some, int count, int before) {
    int bad;
    if (ssi_init_comm(&comm, &session) != SSI_OK) {
        fprintf(stderr, "cannot start: %s\n", ssi_last_error());
        return 1;
    }
    bad = run_some(some, count, before);
    return ssi_finalize(session) != SSI_OK || bad;
}

int main(int argc, char **argv) {
    static const struct test_case second[] = {CASE(in_a_second_session_it_comes_back)};
    const int count = (int)(sizeof cases / sizeof cases[0]);
    const char *parent = getenv("TMPDIR");
    char command[96];
    int me, bad;
    MPI_Comm comm;
    /* So slow that an asynchronous take returns long before its version is durable. */
    setenv("SSI_CHECKPOINT_RATE_BYTES", "10000000", 1);
    setenv("SSI_CHECKPOINT_ALLOW_SAME_HOST", "true", 1);
    MPI_Init(&argc, &argv);
    MPI_Comm_dup(MPI_COMM_WORLD, &comm);
    MPI_Comm_rank(comm, &me);
    snprintf(top, sizeof top, "%s/ssi-c-checkpoint-XXXXXX", parent ? parent : "/tmp");
    made_top = me == 0 && mkdtemp(top) != NULL;
    MPI_Bcast(top, (int)sizeof top, MPI_CHAR, 0, comm);
    if (me == 0) printf("1..%d\n", count + 1);
    bad = run_session(comm, cases, count, 0);
    bad |= run_session(comm, second, 1, count);
    MPI_Barrier(comm);
    snprintf(command, sizeof command, "rm -rf '%s'", top);
    if (made_top && system(command) != 0) bad = 1;
    MPI_Comm_free(&comm);
    MPI_Finalize();
    return bad;
}
