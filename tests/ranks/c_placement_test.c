/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Where objects are, in C: migration, visits, first touch; and how options and statistics grow. */
#include <stddef.h>

#include "c_check.h"

static void migrated_objects_are_owned_where_they_were_sent(void) {
    enum { count = 40 };
    ssi_set *set = make_set("migrants", 8, 64), *homing = NULL;
    ssi_set_options options = SSI_SET_OPTIONS_INIT;
    const uint32_t last = (uint32_t)size() - 1;
    const int at_last = rank() == (int)last;
    enum ssi_access access;
    ssi_object_id ids[count];
    ssi_guard guard;
    int64_t stood = 0;
    int i;
    for (i = 0; i < count; ++i) {
        ids[i] = ssi_id((uint64_t)i);
        CHECK(ssi_fetch_add_i64(set, ids[i], 0, i, NULL) == SSI_OK);
    }
    meet();
    if (rank() == 0) CHECK(ssi_migrate(set, ids, count, last) == SSI_OK);
    meet();
    for (i = 0; i < count; ++i) {
        CHECK(ssi_find(set, ids[i], &access) == SSI_OK);
        CHECK(access == (at_last ? SSI_WRITE : SSI_NONE));
    }
    meet();
    for (i = 0; i < count; ++i)
        CHECK(ssi_fetch_add_i64(set, ids[i], 0, 0, &stood) == SSI_OK && stood == i * size());
    CHECK(ssi_migrate(set, NULL, 0, last) == SSI_OK);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_migrate(set, NULL, 1, last), "ids is NULL");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_migrate(set, ids, count, last + 1), "no such node");
    ids[1] = ssi_id(64);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_migrate(set, ids, count, last), "out of range");
    CHECK(ssi_get(set, ids[0], &guard) == SSI_OK);
    CHECK_ERROR(SSI_ERR_DEADLOCK, ssi_migrate(set, ids, 1, last), "let go first");
    CHECK(ssi_put(&guard) == SSI_OK);
    options.object_bytes = 8;
    options.coherence = SSI_HOME;
    CHECK(ssi_set_create(session, "homing", &options, &homing) == SSI_OK);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_migrate(homing, ids, 1, last), "coherence home");
}

static ssi_set_stats stats_of(ssi_set *set) {
    ssi_set_stats stats;
    memset(&stats, 0, sizeof stats);
    stats.size = sizeof stats;
    CHECK(ssi_stats(set, &stats) == SSI_OK);
    return stats;
}

/* Ranks 1 and 2 grab in turn what rank 0 homes. */
static ssi_set *bounce(const char *name, uint32_t flags) {
    ssi_set_options options = SSI_SET_OPTIONS_INIT;
    ssi_set *set = NULL;
    ssi_guard guard;
    int i;
    options.object_bytes = 8;
    options.placement = "node:0";
    options.flags = flags;
    CHECK(ssi_set_create(session, name, &options, &set) == SSI_OK);
    for (i = 0; i < 40; ++i) {
        if (rank() == 1 + i % 2) {
            CHECK(ssi_grab(set, ssi_id(0), &guard) == SSI_OK);
            if (guard.writable) *(int64_t *)guard.writable += 1;
            CHECK(ssi_put(&guard) == SSI_OK);
        }
        meet();
    }
    return set;
}

static void visits_begin_by_themselves_and_can_be_switched_off(void) {
    ssi_set *visited = bounce("visited", 0), *not_visited = bounce("not visited", SSI_NO_VISITS);
    const ssi_set_stats on = stats_of(visited), off = stats_of(not_visited);
    const int bounces = rank() == 0 && size() >= 3;
    CHECK((on.bounces != 0) == bounces);
    CHECK(bounces ? on.visits > on.bounces : on.visits == 0);
    CHECK(off.bounces == 0 && off.visits == 0);
}

static void first_touch_has_no_home_before_the_first_use(void) {
    ssi_set_options options = SSI_SET_OPTIONS_INIT;
    const int toucher = size() - 1;
    ssi_set *set = NULL;
    uint32_t home = 0;
    options.object_bytes = 8;
    options.placement = "first_touch";
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_set_create(session, "touched", &options, &set),
                "needs a count");
    options.count = 1000;
    CHECK(ssi_set_create(session, "touched", &options, &set) == SSI_OK);
    CHECK(ssi_home(set, ssi_id(3), &home) == SSI_OK && home == SSI_NO_NODE);
    meet();
    if (rank() == toucher) CHECK(ssi_fetch_add_i64(set, ssi_id(3), 0, 1, NULL) == SSI_OK);
    meet();
    CHECK(ssi_home(set, ssi_id(3), &home) == SSI_OK);
    CHECK(home == (uint32_t)toucher || (home == SSI_NO_NODE && rank() != toucher));
    meet();
    CHECK(ssi_fetch_add_i64(set, ssi_id(3), 0, 1, NULL) == SSI_OK);
    CHECK(ssi_home(set, ssi_id(3), &home) == SSI_OK && home == (uint32_t)toucher);
}

static int never_called(ssi_call *call, void *context) {
    (void)call;
    (void)context;
    return 1;
}

static void sets_are_described_with_linker_budget_and_flags(void) {
    ssi_linker linker = SSI_LINKER_INIT;
    ssi_set_options options = SSI_SET_OPTIONS_INIT, zeroed, found = SSI_SET_OPTIONS_INIT;
    ssi_set *set = NULL, *again = NULL;
    linker.fetch = linker.write_back = linker.remove = never_called;
    CHECK(ssi_register_linker(session, "described", &linker) == SSI_OK);
    meet();
    memset(&zeroed, 0, sizeof zeroed);
    zeroed.size = sizeof zeroed;
    zeroed.object_bytes = 8;
    options.object_bytes = 8;
    CHECK(ssi_set_create(session, "plain", &options, &set) == SSI_OK);
    CHECK(ssi_set_create(session, "plain", &zeroed, &again) == SSI_OK && again == set);
    CHECK(ssi_set_describe(set, &found) == SSI_OK);
    CHECK(found.flags == 0 && found.memory_bytes == 0 && strcmp(found.linker, "memory") == 0);
    options.linker = "memory";
    CHECK(ssi_set_create(session, "plain", &options, &again) == SSI_OK && again == set);
    options.flags = SSI_NO_VISITS;
    CHECK_ERROR(SSI_ERR_MISMATCH, ssi_set_create(session, "plain", &options, &again), "");
    options.flags = 0;
    options.memory_bytes = 1 << 20;
    CHECK_ERROR(SSI_ERR_MISMATCH, ssi_set_create(session, "plain", &options, &again), "");
    options.flags = SSI_NO_VISITS;
    options.linker = "described";
    CHECK(ssi_set_create(session, "full", &options, &set) == SSI_OK);
    CHECK(ssi_set_describe(set, &found) == SSI_OK);
    CHECK(found.flags == SSI_NO_VISITS && found.memory_bytes == 1 << 20);
    CHECK(strcmp(found.linker, "described") == 0 && strcmp(found.placement, "hashed") == 0);
    CHECK(ssi_set_create(session, "full", &found, &again) == SSI_OK && again == set);
    options.linker = "nobody's";
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_set_create(session, "n", &options, &again),
                "'nobody's' is not registered");
    options.linker = "";
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_set_create(session, "n", &options, &again),
                "1 to 255");
    options.linker = NULL;
    options.flags = SSI_NO_VISITS | 2;
    CHECK_ERROR(SSI_ERR_UNSUPPORTED, ssi_set_create(session, "n", &options, &again), "flags");
}

/* As a program sees them that was compiled when these structs ended before their new members. */
static void programs_with_older_structs_work_as_before(void) {
    ssi_set_options options = SSI_SET_OPTIONS_INIT, found;
    const uint64_t junk = 0x5a5a5a5a5a5a5a5au;
    ssi_set_stats stats;
    ssi_set *set = NULL;
    options.size = offsetof(ssi_set_options, linker);
    options.object_bytes = 8;
    memcpy(&options.linker, &junk, sizeof options.linker);   /* not theirs: must not be looked at */
    options.memory_bytes = junk;
    CHECK(ssi_set_create(session, "old", &options, &set) == SSI_OK);
    memset(&found, 0x5a, sizeof found);
    found.size = offsetof(ssi_set_options, linker);
    CHECK(ssi_set_describe(set, &found) == SSI_OK);
    CHECK(found.object_bytes == 8 && found.flags == 0 && found.size == options.size);
    CHECK(memcmp(&found.linker, &junk, sizeof found.linker) == 0 && found.memory_bytes == junk);
    memset(&found, 0, sizeof found);
    found.size = sizeof found;
    CHECK(ssi_set_describe(set, &found) == SSI_OK);
    CHECK(found.linker && strcmp(found.linker, "memory") == 0 && found.memory_bytes == 0);
    memset(&stats, 0x5a, sizeof stats);
    stats.size = offsetof(ssi_set_stats, loads);
    CHECK(ssi_stats(set, &stats) == SSI_OK);
    CHECK(stats.gets == 0 && stats.reads_by_message == 0 && stats.loads == junk);
    CHECK(stats.visits == junk);
    stats.size = sizeof stats;
    CHECK(ssi_stats(set, &stats) == SSI_OK && stats.loads == 0 && stats.visits == 0);
}

static const struct test_case cases[] = {
    CASE(migrated_objects_are_owned_where_they_were_sent),
    CASE(visits_begin_by_themselves_and_can_be_switched_off),
    CASE(first_touch_has_no_home_before_the_first_use),
    CASE(sets_are_described_with_linker_budget_and_flags),
    CASE(programs_with_older_structs_work_as_before),
};

int main(int argc, char **argv) {
    return run_program(argc, argv, cases, (int)(sizeof cases / sizeof cases[0]));
}
