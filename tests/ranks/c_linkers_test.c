/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Linkers, budgets and record files of the C API. */
#define _POSIX_C_SOURCE 200112L
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "c_table.h"

static ssi_set *make_linked(const char *name, const char *linker, uint32_t bytes, uint64_t budget,
                            const char *placement) {
    ssi_set_options options = SSI_SET_OPTIONS_INIT;
    ssi_set *set = NULL;
    options.count = objects;
    options.kind = bytes ? SSI_FIXED : SSI_VARIABLE;
    options.object_bytes = bytes;
    options.placement = placement;
    options.linker = linker;
    options.memory_bytes = budget;
    CHECK(ssi_set_create(session, name, &options, &set) == SSI_OK);
    return set;
}

static void fail_next(struct table *t, enum act act, const char *why) {
    pthread_mutex_lock(&t->mutex);
    t->fails = act;
    t->why = why;
    pthread_mutex_unlock(&t->mutex);
}

static int calls_of(struct table *t, enum act act) {
    int calls;
    pthread_mutex_lock(&t->mutex);
    calls = t->calls[act];
    pthread_mutex_unlock(&t->mutex);
    return calls;
}

static int64_t sum_of(uint64_t mine) {
    int64_t all = (int64_t)mine;
    CHECK(ssi_reduce_i64(session, SSI_SUM, &all, 1) == SSI_OK);
    return all;
}

static ssi_set_stats stats_of(ssi_set *set) {
    ssi_set_stats stats;
    memset(&stats, 0, sizeof stats);
    stats.size = sizeof stats;
    CHECK(ssi_stats(set, &stats) == SSI_OK);
    return stats;
}

/* What the tables hold after a sync on every node: everything, each object at its home alone. */
static void check_tables(ssi_set *set, struct table *t, size_t (*size_of)(uint64_t)) {
    uint64_t i, held = 0, number;
    uint32_t home;
    CHECK(ssi_sync(set) == SSI_OK);
    meet();
    for (i = 0; i < objects; ++i) {
        CHECK(ssi_home(set, ssi_id(i), &home) == SSI_OK);
        CHECK(t->there[i] == (home == ssi_node(session)));
        if (!t->there[i]) continue;
        ++held;
        memcpy(&number, t->bytes[i], sizeof number);
        CHECK(number == i + 1 && t->sizes[i] == size_of(i));
    }
    CHECK(sum_of(held) == objects);
    CHECK(t->calls[sync_all] == 1 && t->wrong == 0);
    CHECK(t->by_maker == 0);   /* calls that may block have threads of their own */
}

static size_t all_the_same(uint64_t i) {
    (void)i;
    return most_bytes;
}

static size_t growing(uint64_t i) { return 8 + (size_t)i * 4; }

/* Each object by one rank. */
static void write_all(ssi_set *set, size_t (*size_of)(uint64_t)) {
    ssi_guard guard;
    uint64_t i, number;
    for (i = (uint64_t)rank(); i < objects; i += (uint64_t)size()) {
        CHECK(ssi_grab(set, ssi_id(i), &guard) == SSI_OK);
        if (guard.size == 0) CHECK(ssi_resize(&guard, size_of(i)) == SSI_OK);
        number = i + 1;
        if (guard.writable) memcpy(guard.writable, &number, sizeof number);
        CHECK(ssi_put(&guard) == SSI_OK);
    }
    meet();
}

static void read_all(ssi_set *set, size_t (*size_of)(uint64_t), uint64_t first, uint64_t step) {
    ssi_guard guard;
    uint64_t i, number = 0;
    for (i = first; i < objects; i += step) {
        CHECK(ssi_get(set, ssi_id(i), &guard) == SSI_OK && guard.size == size_of(i));
        if (guard.data) memcpy(&number, guard.data, sizeof number);
        CHECK(number == i + 1);
        CHECK(ssi_put(&guard) == SSI_OK);
    }
    meet();
}

static void objects_leave_a_small_memory_and_come_back(void) {
    struct table *t = make_table("small memory", 0);
    const uint64_t budget = 20 * (most_bytes + 200);
    ssi_set *set = make_linked("small memory", "small memory", most_bytes, budget, NULL);
    ssi_set_stats stats;
    write_all(set, all_the_same);
    read_all(set, all_the_same, (uint64_t)((rank() + 1) % size()), (uint64_t)size());
    CHECK(sum_of((uint64_t)calls_of(t, write_back)) > 10);   /* for want of memory */
    check_tables(set, t, all_the_same);
    stats = stats_of(set);
    CHECK(stats.memory_bytes > 0 && stats.memory_bytes < 2 * budget);
    CHECK(stats.write_backs == (uint64_t)calls_of(t, write_back));
    CHECK(stats.loads == (uint64_t)calls_of(t, fetch));
    CHECK(sum_of(stats.drops) > 0);
    CHECK(sum_of((uint64_t)t->found) > 10);
}

static void objects_of_variable_size_come_back_as_they_were(void) {
    struct table *t = make_table("variable", 0);
    ssi_set *set = make_linked("linked variable", "variable", 0, 16000, NULL);
    write_all(set, growing);
    read_all(set, growing, 0, 1);
    CHECK(sum_of((uint64_t)t->found) > 10);
    check_tables(set, t, growing);
}

static void check_bytes(ssi_set *set, ssi_object_id id, char wanted) {
    ssi_guard guard;
    CHECK(ssi_get(set, id, &guard) == SSI_OK && guard.size == 64);
    CHECK(guard.data && memcmp((const char *)guard.data + 60, &wanted, 1) == 0);
    CHECK(ssi_put(&guard) == SSI_OK);
}

static void new_born_objects_are_filled_and_removed_ones_are_born_anew(void) {
    struct table *t = make_table("births", 'b');
    const int at_home = rank() == size() - 1;
    const ssi_object_id id = ssi_id(5);
    char placement[24];
    ssi_set *set;
    ssi_guard guard;
    int i;
    snprintf(placement, sizeof placement, "node:%d", size() - 1);
    set = make_linked("births", "births", 64, 0, placement);
    check_bytes(set, id, 'b');
    meet();
    if (rank() == 0) {
        CHECK(ssi_grab(set, id, &guard) == SSI_OK);
        if (guard.writable) memset(guard.writable, 'w', guard.size);
        CHECK(ssi_put(&guard) == SSI_OK);
    }
    meet();
    CHECK(ssi_sync(set) == SSI_OK);
    meet();
    CHECK(t->there[5] == at_home && (!at_home || t->bytes[5][63] == 'w'));
    meet();
    if (rank() == 0) CHECK(ssi_remove(set, id) == SSI_OK);
    meet();
    CHECK(!t->there[5] && calls_of(t, remove_one) == at_home);
    check_bytes(set, id, 'b');
    CHECK(at_home ? calls_of(t, instantiate) >= 2 : calls_of(t, instantiate) == 0);
    meet();
    if (rank() == 0) CHECK(ssi_set_destroy(session, "births") == SSI_OK);
    for (i = 0; i < 5000 && calls_of(t, destroy_set) == 0; ++i) {
        const struct timespec millisecond = { 0, 1000000 };
        nanosleep(&millisecond, NULL);
    }
    CHECK(calls_of(t, destroy_set) == 1 && t->wrong == 0);
}

/* The access fails with the text, on this node and by the home, and the next one succeeds. */
static void check_fault(struct table *t, ssi_set *set, ssi_object_id id, enum act act,
                        const char *why, const char *text) {
    ssi_guard guard;
    fail_next(t, act, why);
    meet();
    CHECK_ERROR(SSI_ERR_LINKER_FAILED, ssi_get(set, id, &guard), text);
    CHECK(strstr(ssi_last_error(), "linker 'faults' of set 'faults' could not fetch") != NULL);
    CHECK(guard.data == NULL);
    CHECK_ERROR(SSI_ERR_LINKER_FAILED, ssi_fetch_add_i64(set, id, 0, 1, NULL), "");
    meet();
    fail_next(t, none, NULL);
    meet();
    CHECK(ssi_fetch_add_i64(set, id, 0, 1, NULL) == SSI_OK);
    meet();
}

static void functions_that_fail_are_errors_with_their_text(void) {
    struct table *t = make_table("faults", 0);
    ssi_set *set = make_linked("faults", "faults", 64, 0, "node:0");
    const int at_home = rank() == 0;
    int64_t stood = 0;
    check_fault(t, set, ssi_id(1), fetch, "the table is locked away", "the table is locked away");
    check_fault(t, set, ssi_id(2), fetch, NULL, "it returned 7");
    check_fault(t, set, ssi_id(3), instantiate, "still-born", "still-born");
    fail_next(t, write_back, "the table is full");
    if (at_home) CHECK_ERROR(SSI_ERR_LINKER_FAILED, ssi_sync(set), "the table is full");
    meet();
    CHECK(!t->there[1]);
    fail_next(t, sync_all, NULL);
    CHECK_ERROR(SSI_ERR_LINKER_FAILED, ssi_sync(set), "it returned 7");
    fail_next(t, none, NULL);
    CHECK(ssi_sync(set) == SSI_OK);
    meet();
    if (at_home) {
        memcpy(&stood, t->bytes[1], sizeof stood);
        CHECK(t->there[1] && stood == size());
    }
    fail_next(t, remove_one, "the table is nailed down");
    meet();
    CHECK_ERROR(SSI_ERR_LINKER_FAILED, ssi_remove(set, ssi_id(1)), "the table is nailed down");
    CHECK(ssi_fetch_add_i64(set, ssi_id(1), 0, 0, &stood) == SSI_OK && stood == size());
    meet();
    fail_next(t, none, NULL);
    CHECK(t->wrong == 0);
}

static void linkers_need_only_three_functions_and_a_name(void) {
    struct { ssi_linker linker; uint64_t later; } grown = { SSI_LINKER_INIT, 0 };
    ssi_linker linker = SSI_LINKER_INIT, wrong;
    struct table *t = make_table("whole", 0);
    char long_name[300];
    ssi_set *set;
    int64_t stood = 0;
    uint64_t i;
    memset(long_name, 'n', sizeof long_name);
    long_name[299] = '\0';
    linker.fetch = table_fetch;
    linker.write_back = table_write_back;
    linker.remove = table_remove;
    linker.context = t;
    linker.never_blocks = 1;
    grown.linker = linker;
    grown.linker.size = sizeof grown;
    CHECK(ssi_register_linker(session, "bare", &grown.linker) == SSI_OK);
    grown.later = 1;
    CHECK_ERROR(SSI_ERR_UNSUPPORTED, ssi_register_linker(session, "x", &grown.linker), "know");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_register_linker(session, NULL, &linker), "name");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_register_linker(session, "", &linker), "1 to 255");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_register_linker(session, long_name, &linker), "299");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_register_linker(session, "memory", &linker),
                "'memory'");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_register_linker(session, "x", NULL), "linker is");
    wrong = linker;
    wrong.size = 0;
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_register_linker(session, "x", &wrong), "sizeof");
    wrong = linker;
    wrong.fetch = NULL;
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_register_linker(session, "x", &wrong), "->fetch");
    wrong = linker;
    wrong.write_back = NULL;
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_register_linker(session, "x", &wrong), "->write_b");
    wrong = linker;
    wrong.remove = NULL;
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_register_linker(session, "x", &wrong), "->remove");
    wrong = linker;
    wrong.reserved = 1;
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_register_linker(session, "x", &wrong), "reserved");
    meet();
    set = make_linked("bare", "bare", 256, 12 * 456, "blocked");
    for (i = 0; i < objects; ++i)
        CHECK(ssi_fetch_add_i64(set, ssi_id(i), 8, 2, NULL) == SSI_OK);
    meet();
    for (i = 0; i < objects; ++i)
        CHECK(ssi_fetch_add_i64(set, ssi_id(i), 8, 0, &stood) == SSI_OK && stood == 2 * size());
    CHECK(ssi_sync(set) == SSI_OK);
    meet();
    CHECK(sum_of((uint64_t)t->found) > 10 && t->wrong == 0);
    CHECK(t->calls[instantiate] == 0 && t->calls[sync_all] == 0);
    CHECK(sum_of((uint64_t)t->by_maker) > 0);   /* never_blocks: no other thread is woken */
    CHECK(ssi_remove(set, ssi_id((uint64_t)rank())) == SSI_OK);
}

struct row {
    int64_t id, writer, twice;
};

static void record_files_hold_what_their_node_homes(void) {
    const char *folder = getenv("TMPDIR");
    char path[512];
    ssi_set *set;
    ssi_guard guard;
    struct row row;
    uint64_t i, right = 0;
    uint32_t home;
    FILE *file;
    snprintf(path, sizeof path, "%s/ssi-c-records-%ld", folder ? folder : "/tmp", (long)getpid());
    CHECK(ssi_register_record_file(session, "rows", path, sizeof row) == SSI_OK);
    CHECK_ERROR(SSI_ERR_IO, ssi_register_record_file(session, "x", "/no/such/folder/x", 8), "/no");
    CHECK(ssi_last_error_errno() != 0);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_register_record_file(session, "x", path, 0), "no");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_register_record_file(session, "x", NULL, 8), "path");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_register_record_file(session, NULL, path, 8), "na");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_register_record_file(session, "memory", path, 8),
                "'memory'");
    meet();
    set = make_linked("rows", "rows", sizeof row, 8192, NULL);
    for (i = (uint64_t)rank(); i < objects; i += (uint64_t)size()) {
        CHECK(ssi_grab(set, ssi_id(i), &guard) == SSI_OK);
        row.id = (int64_t)i;
        row.writer = rank() + 1;
        row.twice = 2 * (int64_t)i;
        if (guard.writable) memcpy(guard.writable, &row, sizeof row);
        CHECK(ssi_put(&guard) == SSI_OK);
    }
    meet();
    CHECK(ssi_sync(set) == SSI_OK);
    meet();
    file = fopen(path, "rb");
    CHECK(file != NULL);
    for (i = 0; file && i < objects; ++i) {
        CHECK(ssi_home(set, ssi_id(i), &home) == SSI_OK);
        memset(&row, 0, sizeof row);
        if (home == ssi_node(session))
            CHECK(fseek(file, (long)(i * sizeof row), SEEK_SET) == 0 &&
                  fread(&row, sizeof row, 1, file) == 1);
        right += row.id == (int64_t)i && row.twice == 2 * (int64_t)i &&
                 row.writer == (int64_t)i % size() + 1;
    }
    if (file) fclose(file);
    CHECK(sum_of(right) == objects);
    CHECK(ssi_register_record_file(session, "too short", path, sizeof row - 8) == SSI_OK);
    meet();
    set = make_linked("too short", "too short", sizeof row, 0, NULL);
    CHECK_ERROR(SSI_ERR_LINKER_FAILED, ssi_get(set, ssi_id(1), &guard), "records of 16 bytes");
    meet();
    CHECK(remove(path) == 0);
}

static const struct test_case cases[] = {
    CASE(objects_leave_a_small_memory_and_come_back),
    CASE(objects_of_variable_size_come_back_as_they_were),
    CASE(new_born_objects_are_filled_and_removed_ones_are_born_anew),
    CASE(functions_that_fail_are_errors_with_their_text),
    CASE(linkers_need_only_three_functions_and_a_name),
    CASE(record_files_hold_what_their_node_homes),
};

int main(int argc, char **argv) {
    return run_program(argc, argv, cases, (int)(sizeof cases / sizeof cases[0]));
}
