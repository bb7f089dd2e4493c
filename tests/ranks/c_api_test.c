/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Sessions, sets, guards, atomics, shipped functions and collectives of the C API. */
#define _POSIX_C_SOURCE 200112L
#include <pthread.h>

#include "c_check.h"

static void grabs_exclude_each_other_and_gets_see_them(void) {
    ssi_set *set = make_set("counter", sizeof(int64_t), 4);
    ssi_guard guard;
    int i;
    for (i = 0; i < 100; ++i) {
        CHECK(ssi_grab(set, ssi_id(3), &guard) == SSI_OK);
        CHECK(guard.writable == guard.data && guard.size == sizeof(int64_t));
        *(int64_t *)guard.writable += 1;
        CHECK(ssi_put(&guard) == SSI_OK);
        CHECK(guard.data == NULL && guard.size == 0);
    }
    meet();
    CHECK(ssi_get(set, ssi_id(3), &guard) == SSI_OK);
    CHECK(*(const int64_t *)guard.data == 100 * size());
    CHECK(guard.writable == NULL);
    CHECK(ssi_put(&guard) == SSI_OK);
}

static void misused_guards_are_errors_and_harm_nothing(void) {
    ssi_set *set = make_set("misuse", 8, 100);
    const ssi_object_id mine = ssi_id((uint64_t)rank());
    const ssi_object_id next = ssi_id((uint64_t)(50 + rank()));
    ssi_guard guard, second, copy;
    int changed = -1;
    CHECK(ssi_get(set, mine, &guard) == SSI_OK);
    CHECK(ssi_get(set, mine, &second) == SSI_OK);
    CHECK_ERROR(SSI_ERR_DEADLOCK, ssi_upgrade(&guard, &changed), "other guards");
    CHECK(guard.data != NULL);
    CHECK(ssi_put(&second) == SSI_OK);
    CHECK_ERROR(SSI_ERR_DEADLOCK, ssi_grab(set, mine, &second), "ssi_upgrade");
    CHECK_ERROR(SSI_ERR_DEADLOCK, ssi_fetch_add_i64(set, mine, 0, 1, NULL), "let go");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_resize(&guard, 8), "ssi_grab");
    CHECK(ssi_upgrade(&guard, &changed) == SSI_OK);
    CHECK(changed == 0 && guard.writable != NULL);
    CHECK_ERROR(SSI_ERR_DEADLOCK, ssi_grab(set, mine, &second), "use that guard");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_upgrade(&guard, NULL), "exclusive already");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_resize(&guard, 16), "fixed size");
    copy = guard;
    CHECK(ssi_put(&guard) == SSI_OK);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_put(&guard), "holds nothing");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_put(&copy), "put already");
    CHECK(ssi_grab(set, next, &guard) == SSI_OK);
    CHECK_ERROR(SSI_ERR_DEADLOCK, ssi_get(set, mine, &second), "ascending");
    CHECK(second.data == NULL);
    CHECK(ssi_put(&guard) == SSI_OK);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_get(set, ssi_id(100), &guard), "out of range");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_get(set, mine, NULL), "guard is NULL");
}

static void upgrades_tell_whether_the_value_changed(void) {
    ssi_set *set = make_set("upgraded", 8, 1);
    ssi_guard guard;
    int64_t changes;
    int changed = -1;
    CHECK(ssi_get(set, ssi_id(0), &guard) == SSI_OK);
    CHECK(*(const int64_t *)guard.data == 0);
    meet();   /* all have seen the same value */
    CHECK(ssi_upgrade(&guard, &changed) == SSI_OK);
    CHECK((*(const int64_t *)guard.data != 0) == (changed == 1));
    *(int64_t *)guard.writable += 1;
    CHECK(ssi_put(&guard) == SSI_OK);
    changes = changed;
    CHECK(ssi_reduce_i64(session, SSI_SUM, &changes, 1) == SSI_OK && changes == size() - 1);
}

static void objects_of_variable_size_grow_and_shrink(void) {
    ssi_set *set = make_set("variable", 0, 0);
    const ssi_object_id mine = ssi_id2(7, (uint64_t)rank());
    ssi_guard guard;
    uint64_t before = 0, after = 0;
    CHECK(ssi_grab(set, mine, &guard) == SSI_OK);
    CHECK(guard.size == 0);
    CHECK(ssi_resize(&guard, 5) == SSI_OK);
    CHECK(guard.size == 5 && memcmp(guard.data, "\0\0\0\0\0", 5) == 0);
    memcpy(guard.writable, "hello", 5);
    CHECK(ssi_resize(&guard, 2000) == SSI_OK);
    CHECK(memcmp(guard.data, "hello\0", 6) == 0);
    CHECK_ERROR(SSI_ERR_TOO_LARGE, ssi_resize(&guard, (size_t)100 << 20), "limit");
    CHECK(ssi_put(&guard) == SSI_OK);
    CHECK(ssi_get(set, mine, &guard) == SSI_OK);
    CHECK(guard.size == 2000);
    CHECK(ssi_guard_version(&guard, &before) == SSI_OK);
    CHECK(ssi_put(&guard) == SSI_OK);
    CHECK(ssi_grab_new(set, mine, &guard) == SSI_OK);
    CHECK(guard.size == 0);
    CHECK(ssi_put(&guard) == SSI_OK);
    CHECK(ssi_get(set, mine, &guard) == SSI_OK);
    CHECK(ssi_guard_version(&guard, &after) == SSI_OK && after > before);
    CHECK(ssi_put(&guard) == SSI_OK);
}

static void try_grab_does_not_wait_for_a_holder(void) {
    ssi_set *set = make_set("try", 8, 1);
    ssi_guard guard;
    if (rank() == 0) CHECK(ssi_grab(set, ssi_id(0), &guard) == SSI_OK);
    meet();
    if (rank() != 0)
        CHECK_ERROR(SSI_ERR_WOULD_BLOCK, ssi_try_grab(set, ssi_id(0), &guard), "would_block");
    meet();
    if (rank() == 0) CHECK(ssi_put(&guard) == SSI_OK);
    meet();
    if (rank() == size() - 1) {
        CHECK(ssi_try_grab(set, ssi_id(0), &guard) == SSI_OK);
        CHECK(ssi_put(&guard) == SSI_OK);
    }
}

static void verbs_without_guards_do_what_they_say(void) {
    ssi_set *set = make_set("verbs", 8, 16);
    const ssi_object_id mine = ssi_id((uint64_t)rank());
    enum ssi_access access = SSI_NONE;
    uint32_t home = SSI_NO_NODE;
    ssi_set_stats stats;
    ssi_guard guard;
    CHECK(ssi_home(set, mine, &home) == SSI_OK && home < (uint32_t)size());
    CHECK(ssi_prefetch(set, mine, SSI_WRITE) == SSI_OK);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_prefetch(set, mine, SSI_NONE), "SSI_READ");
    CHECK(ssi_grab(set, mine, &guard) == SSI_OK);
    *(int64_t *)guard.writable = 5;
    CHECK(ssi_find(set, mine, &access) == SSI_OK && access == SSI_WRITE);
    if (home != ssi_node(session))   /* else there is nothing to send */
        CHECK_ERROR(SSI_ERR_WOULD_BLOCK, ssi_flush(set, mine), "held");
    CHECK(ssi_put(&guard) == SSI_OK);
    CHECK(ssi_flush(set, mine) == SSI_OK);
    CHECK(ssi_sync(set) == SSI_OK);
    CHECK(ssi_find(set, mine, &access) == SSI_OK);
    CHECK((access == SSI_NONE) == (home != ssi_node(session)));
    CHECK(ssi_remove(set, mine) == SSI_OK);
    CHECK(ssi_get(set, mine, &guard) == SSI_OK);
    CHECK(*(const int64_t *)guard.data == 0);
    CHECK(ssi_put(&guard) == SSI_OK);
    memset(&stats, 0, sizeof stats);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_stats(set, &stats), "sizeof(ssi_set_stats)");
    stats.size = sizeof stats;
    CHECK(ssi_stats(set, &stats) == SSI_OK && stats.gets == 1 && stats.grabs >= 1);
}

static void atomics_lose_nothing_and_return_what_stood_there(void) {
    ssi_set *set = make_set("atomics", 64, 1);
    const ssi_object_id o = ssi_id(0);
    int64_t i = 0, expected;
    uint64_t u = 0;
    double d = 0;
    int n, stored;
    for (n = 0; n < 50; ++n) {
        CHECK(ssi_fetch_add_i64(set, o, 0, -2, NULL) == SSI_OK);
        CHECK(ssi_fetch_add_u64(set, o, 8, 3, &u) == SSI_OK && u % 3 == 0);
        CHECK(ssi_fetch_add_f64(set, o, 16, 0.5, &d) == SSI_OK);
        expected = 0;
        do CHECK(ssi_compare_exchange_i64(set, o, 24, &expected, expected + 1, &stored) == SSI_OK);
        while (!stored);
    }
    CHECK(ssi_fetch_min_i64(set, o, 32, -rank(), NULL) == SSI_OK);
    CHECK(ssi_fetch_max_f64(set, o, 40, rank() + 0.25, NULL) == SSI_OK);
    CHECK(ssi_fetch_max_u64(set, o, 48, (uint64_t)rank(), NULL) == SSI_OK);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_fetch_add_i64(set, o, 60, 1, NULL), "aligned");
    meet();
    CHECK(ssi_fetch_add_i64(set, o, 0, 0, &i) == SSI_OK && i == -100 * size());
    CHECK(ssi_fetch_add_u64(set, o, 8, 0, &u) == SSI_OK && u == 150u * (unsigned)size());
    CHECK(ssi_fetch_add_f64(set, o, 16, 0, &d) == SSI_OK && d == 25.0 * size());
    CHECK(ssi_fetch_add_i64(set, o, 24, 0, &i) == SSI_OK && i == 50 * size());
    CHECK(ssi_fetch_max_i64(set, o, 32, -1000, &i) == SSI_OK && i == 1 - size());
    CHECK(ssi_fetch_min_f64(set, o, 40, 1e9, &d) == SSI_OK && d == size() - 0.75);
    CHECK(ssi_fetch_min_u64(set, o, 48, 1u << 30, &u) == SSI_OK && u == (unsigned)size() - 1);
    meet();
    if (rank() == 0) {   /* what has only read above */
        CHECK(ssi_fetch_max_i64(set, o, 56, -3, &i) == SSI_OK && i == 0);
        CHECK(ssi_fetch_min_i64(set, o, 56, -3, &i) == SSI_OK && i == 0);
        CHECK(ssi_fetch_max_i64(set, o, 56, 4, &i) == SSI_OK && i == -3);
        CHECK(ssi_fetch_min_u64(set, o, 56, (uint64_t)1 << 63, &u) == SSI_OK && u == 4);
        CHECK(ssi_fetch_max_u64(set, o, 56, (uint64_t)1 << 63, &u) == SSI_OK && u == 4);
        CHECK(ssi_fetch_min_u64(set, o, 56, 3, &u) == SSI_OK && u == (uint64_t)1 << 63);
        CHECK(ssi_exchange_u64(set, o, 56, 0, &u) == SSI_OK && u == 3);
        CHECK(ssi_fetch_max_f64(set, o, 56, -2.5, &d) == SSI_OK && d == 0);
        CHECK(ssi_fetch_min_f64(set, o, 56, -2.5, &d) == SSI_OK && d == 0);
        CHECK(ssi_fetch_min_f64(set, o, 56, -1.5, &d) == SSI_OK && d == -2.5);
        CHECK(ssi_fetch_max_f64(set, o, 56, -1.5, &d) == SSI_OK && d == -2.5);
        CHECK(ssi_fetch_add_f64(set, o, 56, 0, &d) == SSI_OK && d == -1.5);
        CHECK(ssi_exchange_i64(set, o, 0, 7, &i) == SSI_OK && i == -100 * size());
        CHECK(ssi_exchange_u64(set, o, 8, 8, &u) == SSI_OK && u == 150u * (unsigned)size());
        CHECK(ssi_exchange_f64(set, o, 16, 2.5, &d) == SSI_OK && d == 25.0 * size());
        CHECK(ssi_compare_exchange_f64(set, o, 16, &d, 1, &stored) == SSI_OK && !stored);
        CHECK(d == 2.5);
        u = 8;
        CHECK(ssi_compare_exchange_u64(set, o, 8, &u, 9, NULL) == SSI_OK && u == 8);
        CHECK(ssi_compare_exchange_u64(set, o, 8, &u, 10, &stored) == SSI_OK && !stored && u == 9);
        CHECK(ssi_compare_exchange_f64(set, o, 16, &d, 1, &stored) == SSI_OK && stored);
        CHECK(ssi_fetch_add_f64(set, o, 16, 0, &d) == SSI_OK && d == 1);
    }
}

/* Appends its arguments to the object and replies the object's new size. */
static int append(ssi_call *call, void *context) {
    const size_t before = call->size;
    uint64_t length;
    ++*(int *)context;
    if (call->arguments_size == 0) {
        ssi_call_text(call, "nothing to append");
        return 3;
    }
    if (ssi_call_resize(call, before + call->arguments_size) != SSI_OK) return 4;
    memcpy((char *)call->data + before, call->arguments, call->arguments_size);
    length = call->size;
    return ssi_call_reply(call, &length, sizeof length);
}
static int give_up(ssi_call *call, void *context) {
    (void)call;
    (void)context;
    return 42;
}
static int appends;

static void shipped_functions_run_once_at_the_home(void) {
    ssi_set *set = make_set("log", 0, 0);
    uint64_t length = 0;
    size_t replied = 0;
    int64_t all;
    ssi_guard guard;
    CHECK(ssi_register_function(session, "append", SSI_EXECUTOR, append, &appends) == SSI_OK);
    CHECK(ssi_register_function(session, "give_up", SSI_INLINE, give_up, NULL) == SSI_OK);
    meet();
    CHECK(ssi_apply(set, ssi_id(9), "append", "abc", 3, &length, sizeof length, &replied) ==
          SSI_OK);
    CHECK(replied == sizeof length && length % 3 == 0 && length > 0);
    CHECK_ERROR(SSI_ERR_TOO_LARGE,
                ssi_apply(set, ssi_id(9), "append", "abc", 3, &length, 2, &replied), "room for 2");
    CHECK(replied == sizeof length);
    CHECK_ERROR(SSI_ERR_FUNCTION_FAILED,
                ssi_apply(set, ssi_id(9), "append", NULL, 0, NULL, 0, NULL), "nothing to append");
    CHECK_ERROR(SSI_ERR_FUNCTION_FAILED,
                ssi_apply(set, ssi_id(9), "give_up", NULL, 0, NULL, 0, NULL), "returned 42");
    CHECK_ERROR(SSI_ERR_NOT_FOUND, ssi_apply(set, ssi_id(9), "none", NULL, 0, NULL, 0, NULL),
                "'none'");
    meet();
    CHECK(ssi_get(set, ssi_id(9), &guard) == SSI_OK);
    CHECK(guard.size == 6u * (unsigned)size());
    CHECK(ssi_put(&guard) == SSI_OK);
    all = appends;
    CHECK(ssi_reduce_i64(session, SSI_SUM, &all, 1) == SSI_OK && all == 3 * size());
}

static uint32_t by_tens(uint32_t set, ssi_object_id id, uint32_t slots) {
    (void)set;
    return (uint32_t)(id.lo / 10) % slots;
}

static uint32_t all_in_the_last(uint32_t set, ssi_object_id id, uint32_t slots) {
    (void)set;
    (void)id;
    return slots - 1;
}

static void sets_are_described_by_options_that_can_grow(void) {
    struct { ssi_set_options options; uint64_t later; } grown = { SSI_SET_OPTIONS_INIT, 0 };
    ssi_set_options options = SSI_SET_OPTIONS_INIT;
    ssi_set *set = NULL, *again = NULL;
    uint32_t first, second;
    CHECK(ssi_register_placement(session, "tens", by_tens) == SSI_OK);
    CHECK(ssi_register_placement(session, "last", all_in_the_last) == SSI_OK);
    CHECK_ERROR(SSI_ERR_NOT_FOUND, ssi_set_open(session, "nobody made this", &set), "nobody made");
    meet();
    options.object_bytes = 8;
    options.placement = "tens";
    CHECK(ssi_set_create(session, "described", &options, &set) == SSI_OK);
    CHECK(ssi_home(set, ssi_id(20), &first) == SSI_OK && ssi_home(set, ssi_id(29), &second) == 0);
    CHECK(first == second);
    options.placement = "last";
    CHECK(ssi_set_create(session, "in the last slot", &options, &set) == SSI_OK);
    CHECK(ssi_home(set, ssi_id(0), &first) == SSI_OK && ssi_home(set, ssi_id(10), &second) == 0);
    CHECK(first == second);
    options.placement = "tens";
    CHECK(ssi_set_open(session, "described", &set) == SSI_OK);
    CHECK(ssi_home(set, ssi_id(0), &first) == SSI_OK && ssi_home(set, ssi_id(10), &second) == 0);
    CHECK(size() == 1 || first != second);   /* slots 0 and 1 are of two nodes */
    grown.options = options;
    grown.options.size = sizeof grown;
    CHECK(ssi_set_create(session, "described", &grown.options, &again) == SSI_OK && again == set);
    grown.later = 1;
    CHECK_ERROR(SSI_ERR_UNSUPPORTED, ssi_set_create(session, "described", &grown.options, &again),
                "does not know");
    CHECK(again == NULL);
    CHECK(ssi_set_open(session, "described", &again) == SSI_OK && again == set);
    options.object_bytes = 16;
    CHECK_ERROR(SSI_ERR_MISMATCH, ssi_set_create(session, "described", &options, &again), "");
    options.kind = 2;
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_set_create(session, "k", &options, &again), "kind");
    options.size = 4;
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_set_create(session, "s", &options, &again), "size");
    meet();
    if (rank() == 0) CHECK(ssi_set_destroy(session, "described") == SSI_OK);
    meet();
    CHECK_ERROR(SSI_ERR_NOT_FOUND, ssi_remove(set, ssi_id(1)), "destroyed");
}

static void collectives_carry_bytes_and_numbers(void) {
    char text[12] = "";
    int64_t i = rank() - 1;
    uint64_t u = 1;
    double d = rank() / 2.0;
    double pair[2];
    uint64_t ranks[16] = { 0 };
    const uint64_t me = (uint64_t)rank() + 7;
    const int root = size() - 1;
    if (rank() == root) memcpy(text, "from the end", 12);
    CHECK(ssi_broadcast(session, root, text, 12) == SSI_OK);
    CHECK(memcmp(text, "from the end", 12) == 0);
    CHECK(ssi_reduce_i64(session, SSI_MIN, &i, 1) == SSI_OK && i == -1);
    CHECK(ssi_reduce_u64(session, SSI_SUM, &u, 1) == SSI_OK && u == (uint64_t)size());
    CHECK(ssi_reduce_f64(session, SSI_MAX, &d, 1) == SSI_OK && d == root / 2.0);
    pair[0] = rank();
    pair[1] = -rank();
    CHECK(ssi_reduce_f64(session, SSI_MIN, pair, 2) == SSI_OK && pair[0] == 0 && pair[1] == -root);
    CHECK(ssi_gather(session, root, &me, sizeof me, rank() == root ? ranks : NULL) == SSI_OK);
    CHECK(ranks[root] == (rank() == root ? me : 0));
    CHECK(ranks[0] == (rank() == root ? 7 : 0));
    CHECK(ssi_gather(session, SSI_EVERYBODY, &me, sizeof me, ranks) == SSI_OK);
    CHECK(ranks[0] == 7 && ranks[root] == (uint64_t)root + 7);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_gather(session, SSI_EVERYBODY, &me, 8, NULL), "all");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_broadcast(session, size(), text, 12), "no rank");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_broadcast(session, -1, text, 12), "no rank");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_gather(session, -2, &me, 8, ranks), "no rank");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_broadcast(session, 0, NULL, 12), "bytes is NULL");
}

static void *of_another_thread(void *guard) {
    static const char *const none = "";
    CHECK(strcmp(ssi_last_error(), none) == 0);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_put((ssi_guard *)guard), "another thread");
    return NULL;
}

static void guards_and_last_errors_belong_to_their_thread(void) {
    ssi_set *set = make_set("threads", 8, 64);
    ssi_guard guard;
    pthread_t thread;
    CHECK(ssi_put(NULL) == SSI_ERR_INVALID_ARGUMENT);
    CHECK(ssi_grab(set, ssi_id((uint64_t)rank()), &guard) == SSI_OK);
    CHECK(pthread_create(&thread, NULL, of_another_thread, &guard) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(strcmp(ssi_last_error(), "invalid_argument: guard is NULL") == 0);
    CHECK(ssi_put(&guard) == SSI_OK);
}

static const struct test_case cases[] = {
    CASE(grabs_exclude_each_other_and_gets_see_them),
    CASE(misused_guards_are_errors_and_harm_nothing),
    CASE(upgrades_tell_whether_the_value_changed),
    CASE(objects_of_variable_size_grow_and_shrink),
    CASE(try_grab_does_not_wait_for_a_holder),
    CASE(verbs_without_guards_do_what_they_say),
    CASE(atomics_lose_nothing_and_return_what_stood_there),
    CASE(shipped_functions_run_once_at_the_home),
    CASE(sets_are_described_by_options_that_can_grow),
    CASE(collectives_carry_bytes_and_numbers),
    CASE(guards_and_last_errors_belong_to_their_thread),
};

int main(int argc, char **argv) {
    return run_program(argc, argv, cases, (int)(sizeof cases / sizeof cases[0]));
}
