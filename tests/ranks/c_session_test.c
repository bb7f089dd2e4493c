/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Collectives by functions of the program, settings, statistics, and what handles tell of
 * themselves. */
#define _POSIX_C_SOURCE 200112L
#include <pthread.h>

#include "c_check.h"

/* 24 bytes, so that elements in messages are not where they were in the array. */
struct place {
    double height;
    int32_t rank;
    int32_t where;
    int64_t visits;
};
static int calls;   /* of the function below, with the context of the case */

static void highest(void *into, const void *from, size_t count, void *context) {
    struct place *a = into;
    const struct place *b = from;
    size_t i;
    if ((uintptr_t)into % 16 != 0 || (uintptr_t)from % 16 != 0 || context != &calls) calls = -1;
    if (calls >= 0) ++calls;
    for (i = 0; i < count; ++i) {
        const int64_t visits = a[i].visits + b[i].visits;
        if (b[i].height > a[i].height) a[i] = b[i];
        a[i].visits = visits;
    }
}

enum { places = 20000 };
static struct place field[places];
static void fill_field(void) {
    int i;
    for (i = 0; i < places; ++i) {
        field[i].height = (i + rank()) % size();   /* the highest is size - 1, at one rank */
        field[i].rank = rank();
        field[i].where = i;
        field[i].visits = 1;
    }
}
static int field_is_reduced(void) {
    int i;
    for (i = 0; i < places; ++i)
        if (field[i].height != size() - 1 || (i + field[i].rank) % size() != size() - 1 ||
            field[i].where != i || field[i].visits != size())
            return 0;
    return 1;
}

static void functions_of_the_program_reduce(void) {
    const int root = size() - 1;
    calls = 0;
    fill_field();
    CHECK(ssi_reduce_with(session, SSI_EVERYBODY, field, places, sizeof *field, highest, &calls) ==
          SSI_OK);
    CHECK(field_is_reduced());
    CHECK(rank() != 0 || size() == 1 || calls > 0);
    fill_field();
    CHECK(ssi_reduce_with(session, root, field, places, sizeof *field, highest, &calls) == SSI_OK);
    if (rank() == root) CHECK(field_is_reduced());
    CHECK(calls >= 0);
    CHECK(ssi_reduce_with(session, 0, NULL, 0, 8, highest, &calls) == SSI_OK);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_reduce_with(session, 0, field, 1, 24, NULL, NULL), "combine is NULL");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_reduce_with(session, 0, field, 1, 0, highest, NULL), "at least 1");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_reduce_with(session, 0, field, SIZE_MAX / 2, 24, highest, NULL), "memory");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_reduce_with(session, size(), field, 1, 24, highest, NULL), "no rank");
}

/* An element that is larger than what is copied at a time. */
struct large {
    unsigned char bytes[5001];
};
static void or_bytes(void *into, const void *from, size_t count, void *context) {
    size_t i;
    (void)context;
    for (i = 0; i < count * sizeof(struct large); ++i)
        ((unsigned char *)into)[i] |= ((const unsigned char *)from)[i];
}

static void large_elements_reduce(void) {
    static struct large mine[3];
    int i, right = 1;
    memset(mine, 0, sizeof mine);
    for (i = 0; i < 3; ++i) memset(mine[i].bytes, 1 << rank(), 5001 - (size_t)i);
    CHECK(ssi_reduce_with(session, SSI_EVERYBODY, mine, 3, sizeof *mine, or_bytes, NULL) ==
          SSI_OK);
    for (i = 0; i < 3; ++i) {
        right &= mine[i].bytes[0] == (1 << size()) - 1;
        right &= mine[i].bytes[5000] == (i == 0 ? (1 << size()) - 1 : 0);
    }
    CHECK(right);
}

static void reductions_go_to_one_rank_or_to_all(void) {
    const int root = size() - 1;
    int64_t i[2];
    uint64_t u = (uint64_t)1 << 63;
    double d = -0.5 - rank();
    i[0] = -1 - rank();
    i[1] = rank();
    CHECK(ssi_reduce(session, root, SSI_MIN, SSI_I64, i, 2) == SSI_OK);
    if (rank() == root) CHECK(i[0] == -size() && i[1] == 0);
    CHECK(ssi_reduce(session, SSI_EVERYBODY, SSI_MAX, SSI_F64, &d, 1) == SSI_OK && d == -0.5);
    if (rank() == 0) u = 1;
    CHECK(ssi_reduce(session, 0, SSI_MAX, SSI_U64, &u, 1) == SSI_OK);
    if (rank() == 0) CHECK(u == (size() > 1 ? (uint64_t)1 << 63 : 1));
    u = 3;
    CHECK(ssi_reduce(session, SSI_EVERYBODY, SSI_SUM, SSI_U64, &u, 1) == SSI_OK);
    CHECK(u == 3u * (unsigned)size());
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_reduce(session, 0, SSI_SUM, (enum ssi_number)3, &u, 1), "ssi_number");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_reduce(session, 0, (enum ssi_reduction)3, SSI_U64, &u, 1), "SSI_MAX");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_reduce(session, -2, SSI_SUM, SSI_U64, &u, 1),
                "no rank");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_reduce(session, 0, SSI_SUM, SSI_U64, NULL, 1),
                "values is NULL");
}

static void broadcasts_tell_how_long_they_are(void) {
    const int root = size() - 1;
    const int here = rank() == root;
    char text[20] = "";
    size_t length = here ? 13 : 99;
    if (here) memcpy(text, "from the last", 13);
    CHECK(ssi_broadcast_sized(session, root, text, sizeof text, &length) == SSI_OK);
    CHECK(length == 13 && memcmp(text, "from the last", 14) == 0);
    memset(text, 0, sizeof text);
    if (here) {
        memcpy(text, "from the last", 13);
        CHECK(ssi_broadcast_sized(session, root, text, 0, &length) == SSI_OK);
    } else {
        length = 99;
        CHECK_ERROR(SSI_ERR_TOO_LARGE, ssi_broadcast_sized(session, root, text, 4, &length),
                    "room for 4");
        CHECK(length == 13 && memcmp(text, "from\0", 6) == 0);
    }
    if (here) length = 0;
    CHECK(ssi_broadcast_sized(session, root, NULL, 0, &length) == SSI_OK && length == 0);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_broadcast_sized(session, root, text, 4, NULL),
                "length is NULL");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_broadcast_sized(session, SSI_EVERYBODY, text, 4, &length), "no rank");
}

/* It may be the one that is refused. */
static void *meets(void *result) {
    do *(int *)result = ssi_barrier(session);
    while (*(int *)result == SSI_ERR_INVALID_ARGUMENT);
    return NULL;
}

static void two_threads_of_a_node_are_not_in_collectives_at_once(void) {
    ssi_set *set = make_set("gate", 8, 1);
    pthread_t thread;
    int64_t open = 0;
    int result = -1;
    if (rank() != 0) {   /* who comes to the barrier only when rank 0 has seen the error */
        while (open == 0) CHECK(ssi_fetch_add_i64(set, ssi_id(0), 0, 0, &open) == SSI_OK);
        meet();
        return;
    }
    if (size() == 1) return;   /* nothing to wait for */
    CHECK(pthread_create(&thread, NULL, meets, &result) == 0);
    do CHECK(ssi_broadcast(session, size(), NULL, 0) == SSI_ERR_INVALID_ARGUMENT);
    while (strstr(ssi_last_error(), "another thread") == NULL);   /* until it is in the barrier */
    CHECK(ssi_fetch_add_i64(set, ssi_id(0), 0, 1, NULL) == SSI_OK);
    CHECK(pthread_join(thread, NULL) == 0 && result == SSI_OK);
}

static void sets_tell_what_they_are(void) {
    ssi_set_options options = SSI_SET_OPTIONS_INIT, told = SSI_SET_OPTIONS_INIT;
    ssi_set *set = NULL;
    uint32_t number = 0, mine;
    uint64_t same;
    options.count = 12;
    options.object_bytes = 40;
    options.coherence = SSI_HOME;
    options.placement = "node:0";
    CHECK(ssi_set_create(session, "told", &options, &set) == SSI_OK);
    CHECK(strcmp(ssi_set_name(set), "told") == 0);
    CHECK(ssi_set_describe(set, &told) == SSI_OK);
    CHECK(told.size == sizeof told && told.count == 12 && told.kind == SSI_FIXED);
    CHECK(told.object_bytes == 40 && told.coherence == SSI_HOME);
    CHECK(strcmp(told.placement, "node:0") == 0);
    CHECK(ssi_set_describe(make_set("told variable", 0, 0), &told) == SSI_OK);
    CHECK(told.kind == SSI_VARIABLE && told.count == 0 && strcmp(told.placement, "hashed") == 0);
    CHECK(ssi_set_number(set, &number) == SSI_OK);
    same = mine = number;
    CHECK(ssi_broadcast(session, 0, &same, sizeof same) == SSI_OK && same == mine);
    CHECK(ssi_set_number(make_set("told variable", 0, 0), &number) == SSI_OK && number != mine);
    told.size = 4;
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_set_describe(set, &told), "sizeof(ssi_set_options)");
    CHECK(ssi_set_name(NULL) == NULL);
}

static void threads_ask_what_they_hold(void) {
    ssi_set *set = make_set("asked", 8, 16);
    const ssi_object_id mine = ssi_id((uint64_t)rank());
    ssi_guard guard, second;
    ssi_object_id id;
    uint32_t gets = 9;
    int grabbed = 9;
    CHECK(ssi_held(set, mine, &gets, &grabbed) == SSI_OK && gets == 0 && grabbed == 0);
    CHECK(ssi_get(set, mine, &guard) == SSI_OK && ssi_get(set, mine, &second) == SSI_OK);
    CHECK(ssi_held(set, mine, &gets, &grabbed) == SSI_OK && gets == 2 && grabbed == 0);
    CHECK(ssi_guard_id(&guard, &id) == SSI_OK && id.hi == 0 && id.lo == mine.lo);
    CHECK(ssi_put(&second) == SSI_OK && ssi_upgrade(&guard, NULL) == SSI_OK);
    CHECK(ssi_held(set, mine, &gets, &grabbed) == SSI_OK && gets == 0 && grabbed == 1);
    CHECK(ssi_held(set, mine, NULL, NULL) == SSI_OK);
    CHECK(ssi_put(&guard) == SSI_OK);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_guard_id(&guard, &id), "holds nothing");
}

static void a_failed_put_is_told_by_the_next_verb(void) {
    ssi_set *set = make_set("failed put", 8, 16);
    const ssi_object_id mine = ssi_id((uint64_t)rank());
    ssi_guard guard;
    CHECK(ssi_grab(set, mine, &guard) == SSI_OK);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_put_failed(&guard, SSI_OK, NULL), "no error");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_put_failed(&guard, 30000, NULL),
                "no error");
    CHECK(guard.writable != NULL);
    CHECK(ssi_put_failed(&guard, SSI_ERR_SERIALIZATION, "half an object") == SSI_OK);
    CHECK(guard.data == NULL);
    CHECK_ERROR(SSI_ERR_SERIALIZATION, ssi_get(set, mine, &guard), "half an object");
    CHECK(ssi_get(set, mine, &guard) == SSI_OK);
    CHECK(ssi_put_failed(&guard, SSI_ERR_IO, NULL) == SSI_OK);
    CHECK_ERROR(SSI_ERR_IO, ssi_sync(set), ssi_strerror(SSI_ERR_IO));
    CHECK(ssi_sync(set) == SSI_OK);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_put_failed(&guard, SSI_ERR_IO, NULL), "nothing");
}

static void settings_are_those_in_force(void) {
    const char *text = NULL;
    int64_t value = -1;
    CHECK(ssi_setting_text(session, "log.level", &text) == SSI_OK && strcmp(text, "warn") == 0);
    CHECK(ssi_setting_i64(session, "arena.chunk_bytes", &value) == SSI_OK && value == 2 << 20);
    CHECK(ssi_setting_i64(session, "detect.enabled", &value) == SSI_OK && value == 1);
    CHECK(ssi_setting_source(session, "detect.enabled", &text) == SSI_OK);
    CHECK(strcmp(text, "default") == 0);
    CHECK_ERROR(SSI_ERR_NOT_FOUND, ssi_setting_i64(session, "no.such", &value), "'no.such'");
    CHECK_ERROR(SSI_ERR_MISMATCH, ssi_setting_i64(session, "log.level", &value), "is a text");
    CHECK_ERROR(SSI_ERR_MISMATCH, ssi_setting_text(session, "detect.enabled", &text), "a number");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_setting_text(session, NULL, &text), "key is NULL");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_setting_source(session, "progress", NULL), "value");
}

static void counters_are_seen_among_the_statistics(void) {
    static char text[1 << 17];
    ssi_counter *steps, *again, *residual;
    ssi_histogram *times;
    size_t length = 0, cut = 0;
    uint64_t value = 0;
    int64_t ns = 0;
    CHECK(ssi_counter_open(session, "ctest_steps_total", "phase=\"one\"", &steps) == SSI_OK);
    CHECK(ssi_counter_open(session, "ctest_steps_total", "phase=\"one\"", &again) == SSI_OK);
    CHECK(again == steps);
    CHECK(ssi_counter_open(session, "ctest_steps_total", NULL, &again) == SSI_OK);
    CHECK(again != steps);
    CHECK(ssi_counter_open(session, "ctest_residual", NULL, &residual) == SSI_OK);
    CHECK(ssi_counter_add(steps, 40) == SSI_OK && ssi_counter_add(steps, 2) == SSI_OK);
    CHECK(ssi_counter_set(residual, 8) == SSI_OK && ssi_counter_set(residual, 7) == SSI_OK);
    CHECK(ssi_counter_value(steps, &value) == SSI_OK && value == 42);
    CHECK(ssi_histogram_open(session, "ctest_step_seconds", NULL, &times) == SSI_OK);
    CHECK(ssi_histogram_record(times, 1000) == SSI_OK);
    CHECK(ssi_histogram_record(times, 5000000) == SSI_OK);
    CHECK(ssi_histogram_count(times, &value) == SSI_OK && value == 2);
    CHECK(ssi_histogram_quantile(times, 0.5, &ns) == SSI_OK && ns >= 1000 && ns <= 1250);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_histogram_quantile(times, 1.5, &ns), "0 and 1");
    CHECK(ssi_metrics(session, SSI_OPEN_METRICS, text, sizeof text, &length) == SSI_OK);
    CHECK(length == strlen(text));
    CHECK(strstr(text, "ctest_steps_total{phase=\"one\"} 42\n") != NULL);
    CHECK(strstr(text, "ctest_residual 7\n") != NULL && strstr(text, "# EOF\n") != NULL);
    CHECK(strstr(text, "set=\"told\"") != NULL);   /* brought up to date, libssi's own too */
    CHECK_ERROR(SSI_ERR_TOO_LARGE, ssi_metrics(session, SSI_OPEN_METRICS, text, length, &cut),
                "room for");
    CHECK(cut >= length - 64 && strlen(text) == length - 1);
    CHECK(ssi_metrics(session, SSI_JSON, text, sizeof text, NULL) == SSI_OK && text[0] == '{');
    CHECK(strstr(text, "ctest_residual") != NULL);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_metrics(session, (enum ssi_metrics_format)2, text, 9, NULL), "SSI_JSON");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_counter_open(session, "Bad", NULL, &again), "'Bad'");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_counter_open(session, "ctest_seconds", NULL, &again), "_seconds");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_histogram_open(session, "ctest_total", NULL, &times), "_seconds");
    CHECK(again == NULL && times == NULL);
}

static void statistics_count_reads(void) {
    ssi_set *set = make_set("counted reads", 8, 4);
    ssi_set_stats stats;
    int64_t value;
    uint32_t home = 0;
    meet();   /* whatever the cases before have left under way */
    memset(&stats, 0, sizeof stats);
    stats.size = sizeof stats;
    CHECK(ssi_home(set, ssi_id(1), &home) == SSI_OK);
    CHECK(ssi_read(set, ssi_id(1), 0, &value, 8, NULL) == SSI_OK);
    CHECK(ssi_read(set, ssi_id(1), 0, &value, 8, NULL) == SSI_OK);
    CHECK(ssi_stats(set, &stats) == SSI_OK && stats.reads == 2);
    CHECK(stats.reads_by_message <= (home == ssi_node(session) ? 0 : 2));
}

static int does_nothing(ssi_call *call, void *context) {
    (void)call;
    (void)context;
    return 0;
}

static ssi_set_stats stats_of(ssi_set *set) {
    ssi_set_stats stats;
    memset(&stats, 0, sizeof stats);
    stats.size = sizeof stats;
    CHECK(ssi_stats(set, &stats) == SSI_OK);
    return stats;
}

/* The last rank reads and writes an object that is at home at rank 0, and gives it back. */
static void statistics_tell_what_went_where(void) {
    const int last = size() - 1;
    ssi_set_options options = SSI_SET_OPTIONS_INIT;
    ssi_set *set = NULL;
    ssi_set_stats stats;
    ssi_guard guard;
    options.object_bytes = 64;
    options.placement = "node:0";
    CHECK(ssi_set_create(session, "told by numbers", &options, &set) == SSI_OK);
    CHECK(ssi_register_function(session, "does_nothing", SSI_INLINE, does_nothing, NULL) ==
          SSI_OK);
    if (rank() == 0) {
        CHECK(ssi_grab(set, ssi_id(1), &guard) == SSI_OK);
        CHECK(ssi_put(&guard) == SSI_OK);
    }
    meet();
    if (last == 0) return;
    if (rank() == last) {
        CHECK(ssi_get(set, ssi_id(1), &guard) == SSI_OK && ssi_put(&guard) == SSI_OK);
        CHECK(ssi_get(set, ssi_id(1), &guard) == SSI_OK && ssi_put(&guard) == SSI_OK);
        CHECK(ssi_grab(set, ssi_id(1), &guard) == SSI_OK && ssi_put(&guard) == SSI_OK);
        stats = stats_of(set);
        CHECK(stats.gets == 2 && stats.grabs == 1 && stats.hits == 1);
        CHECK(stats.remote_gets == 1 && stats.remote_grabs == 1 && stats.objects == 1);
        CHECK(stats.bytes_in >= 64 && stats.bytes_out == 0 && stats.evictions == 0);
        CHECK(ssi_apply(set, ssi_id(1), "does_nothing", NULL, 0, NULL, 0, NULL) == SSI_OK);
        CHECK(ssi_grab(set, ssi_id(1), &guard) == SSI_OK && ssi_put(&guard) == SSI_OK);
        CHECK(ssi_flush(set, ssi_id(1)) == SSI_OK && ssi_sync(set) == SSI_OK);
        stats = stats_of(set);
        CHECK(stats.evictions == 1 && stats.bytes_out >= 64 && stats.applies == 0);
        CHECK(stats.transfers >= 1);   /* to the home, for the function */
    }
    meet();
    if (rank() == 0) {
        stats = stats_of(set);
        CHECK(stats.applies == 1 && stats.recalls == 1 && stats.transfers >= 1);
        CHECK(stats.gets == 0 && stats.grabs == 1 && stats.remote_gets == 0);
    }
}

static const struct test_case cases[] = {
    CASE(functions_of_the_program_reduce),
    CASE(large_elements_reduce),
    CASE(reductions_go_to_one_rank_or_to_all),
    CASE(broadcasts_tell_how_long_they_are),
    CASE(two_threads_of_a_node_are_not_in_collectives_at_once),
    CASE(sets_tell_what_they_are),
    CASE(threads_ask_what_they_hold),
    CASE(a_failed_put_is_told_by_the_next_verb),
    CASE(settings_are_those_in_force),
    CASE(counters_are_seen_among_the_statistics),
    CASE(statistics_count_reads),
    CASE(statistics_tell_what_went_where),
};

int main(int argc, char **argv) {
    return run_program(argc, argv, cases, (int)(sizeof cases / sizeof cases[0]));
}
