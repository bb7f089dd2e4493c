/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Many objects at once, futures and one-sided reads of the C API. */
#include <time.h>

#include "c_check.h"

static void many_objects_are_held_at_once(void) {
    enum { count = 40 };
    ssi_set *set = make_set("many", 8, 100);
    ssi_object_id ids[count];
    ssi_guard guards[count];
    int i;
    for (i = 0; i < count; ++i) ids[i] = ssi_id((uint64_t)(2 * ((i * 7 + rank()) % count)));
    CHECK(ssi_prefetch_many(set, ids, count, SSI_WRITE) == SSI_OK);
    CHECK(ssi_grab_many(set, ids, count, guards) == SSI_OK);
    for (i = 0; i < count; ++i) *(int64_t *)guards[i].writable += (int64_t)ids[i].lo;
    CHECK(ssi_put_many(guards, count) == SSI_OK);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_put_many(guards, count), "holds nothing");
    meet();
    CHECK(ssi_prefetch_range(set, ssi_id(0), count, 2, SSI_READ) == SSI_OK);
    CHECK(ssi_get_many(set, ids, count, guards) == SSI_OK);
    for (i = 0; i < count; ++i)
        CHECK(*(const int64_t *)guards[i].data == size() * (int64_t)ids[i].lo &&
              guards[i].writable == NULL);
    CHECK(ssi_put(&guards[5]) == SSI_OK);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_put_many(guards, count), "holds nothing");
    CHECK(guards[count - 1].data == NULL);   /* the others were put */
    ids[3] = ssi_id(100);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_get_many(set, ids, count, guards), "out of range");
    CHECK(guards[0].data == NULL);
    CHECK(ssi_get_many(set, ids, 0, NULL) == SSI_OK);
}

/* A prefetch says nothing when it is done. */
static int comes_to_hold(ssi_set *set, uint64_t id, enum ssi_access wanted) {
    const clock_t end = clock() + 10 * CLOCKS_PER_SEC;
    enum ssi_access access = SSI_NONE;
    while (access != wanted && clock() < end)
        if (ssi_find(set, ssi_id(id), &access) != SSI_OK) return 0;
    return access == wanted;
}

static void prefetched_objects_come_without_being_held(void) {
    ssi_set *set = make_set("prefetched", 8, 0);
    const uint64_t mine = (uint64_t)rank() * 20, theirs = (uint64_t)((rank() + 1) % size()) * 20;
    const ssi_object_id pair[] = { ssi_id(theirs + 2), ssi_id(theirs + 4) };
    ssi_guard guard;
    uint64_t i;
    for (i = 0; i < 12; ++i) {
        CHECK(ssi_grab(set, ssi_id(mine + i), &guard) == SSI_OK);
        *(int64_t *)guard.writable = 1;
        CHECK(ssi_put(&guard) == SSI_OK);
    }
    meet();
    if (size() == 1) return;
    CHECK(ssi_prefetch(set, ssi_id(theirs), SSI_READ) == SSI_OK);
    CHECK(ssi_prefetch(set, ssi_id(theirs + 1), SSI_WRITE) == SSI_OK);
    CHECK(ssi_prefetch_many(set, pair, 2, SSI_READ) == SSI_OK);
    CHECK(ssi_prefetch_range(set, ssi_id(theirs + 5), 3, 2, SSI_WRITE) == SSI_OK);
    CHECK(comes_to_hold(set, theirs, SSI_READ) && comes_to_hold(set, theirs + 1, SSI_WRITE));
    CHECK(comes_to_hold(set, theirs + 2, SSI_READ) && comes_to_hold(set, theirs + 4, SSI_READ));
    for (i = 5; i < 10; i += 2) CHECK(comes_to_hold(set, theirs + i, SSI_WRITE));
    for (i = 3; i < 12; i += i == 3 ? 3 : 2) {   /* what was not named stays away */
        enum ssi_access access = SSI_WRITE;
        CHECK(ssi_find(set, ssi_id(theirs + i), &access) == SSI_OK && access == SSI_NONE);
    }
}

static void repeated_ids_are_one_guard_in_two_places(void) {
    ssi_set *set = make_set("repeated", 8, 0);
    const uint64_t mine = (uint64_t)rank() + 10;
    const ssi_object_id ids[] = { ssi_id(mine), ssi_id(mine + 100), ssi_id(mine) };
    ssi_guard guards[3], others[3];
    CHECK(ssi_grab_many(set, ids, 3, guards) == SSI_OK);
    CHECK(guards[0].writable == guards[2].writable && guards[1].writable != guards[0].writable);
    *(int64_t *)guards[2].writable = 5;
    CHECK_ERROR(SSI_ERR_DEADLOCK, ssi_grab_many(set, ids, 3, others), "use that guard");
    CHECK(others[0].data == NULL);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_resize(&guards[2], 8), "use the first");
    CHECK(ssi_put_many(guards, 3) == SSI_OK);
    CHECK(ssi_get(set, ssi_id(mine), &others[0]) == SSI_OK);
    CHECK(*(const int64_t *)others[0].data == 5);
    CHECK(ssi_put(&others[0]) == SSI_OK);
}

static void updates_execute_each_once(void) {
    enum { count = 300 };
    ssi_set *set = make_set("updates", 16, 8);
    ssi_update updates[count];
    int64_t before[count], value = 0;
    double sum = 0;
    int i;
    memset(updates, 0, sizeof updates);
    for (i = 0; i < count; ++i) {
        updates[i].id = ssi_id((uint64_t)(i % 8));
        updates[i].offset = 8;
        updates[i].operand.i64 = 1;
    }
    CHECK(ssi_update_many(set, SSI_ADD, SSI_I64, updates, count, before) == SSI_OK);
    CHECK(before[0] >= 0 && before[8] > before[0]);
    meet();
    CHECK(ssi_fetch_add_i64(set, ssi_id(0), 8, 0, &value) == SSI_OK && value == 38 * size());
    meet();
    if (rank() == 0) {   /* other operators, other numbers */
        updates[0].operand.i64 = -4;
        updates[1] = updates[0];
        updates[1].operand.i64 = -2;
        CHECK(ssi_update_many(set, SSI_MINIMUM, SSI_I64, updates, 2, before) == SSI_OK);
        CHECK(before[0] == 38 * size() && before[1] == -4);
        CHECK(ssi_update_many(set, SSI_MAXIMUM, SSI_U64, updates, 2, before) == SSI_OK);
        CHECK(before[0] == -4 && before[1] == -4);   /* the largest but two */
        updates[0].operand.f64 = 1.5;
        updates[1].operand.f64 = 2.25;
        CHECK(ssi_update_many(set, SSI_EXCHANGE, SSI_F64, updates, 1, before) == SSI_OK);
        CHECK(before[0] == -2);
        CHECK(ssi_update_many(set, SSI_ADD, SSI_F64, updates + 1, 1, NULL) == SSI_OK);
        updates[0].operand.i64 = 38 * size();
        CHECK(ssi_update_many(set, SSI_EXCHANGE, SSI_I64, updates, 1, before) == SSI_OK);
        memcpy(&sum, before, sizeof sum);
        CHECK(sum == 3.75);
    }
    meet();
    updates[7].offset = 12;
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_update_many(set, SSI_ADD, SSI_I64, updates, count, NULL), "");
    CHECK(ssi_fetch_add_i64(set, ssi_id(0), 8, 0, &value) == SSI_OK && value == 38 * size());
}

static int echo(ssi_call *call, void *context) {
    (void)context;
    return ssi_call_reply(call, call->arguments, call->arguments_size);
}

static void futures_give_their_result_once(void) {
    ssi_set *set = make_set("futures", 8, 64);
    ssi_future *futures[3], *none = NULL;
    ssi_guard guard, second;
    int64_t before = -1;
    double d;
    char reply[4] = "";
    size_t length = 0, index = 9;
    int ready = -1;
    CHECK(ssi_register_function(session, "echo", SSI_INLINE, echo, NULL) == SSI_OK);
    meet();
    CHECK(ssi_fetch_add_i64_async(set, ssi_id(0), 0, 2, &futures[0]) == SSI_OK);
    CHECK(ssi_apply_async(set, ssi_id(1), "echo", "abc", 3, &futures[1]) == SSI_OK);
    CHECK(ssi_grab_async(set, ssi_id((uint64_t)rank() + 8), &futures[2]) == SSI_OK);
    CHECK(ssi_future_wait_any(futures, 2, &index) == SSI_OK && index < 2);
    CHECK(ssi_future_wait_all(futures, 3) == SSI_OK);
    CHECK(ssi_future_ready(futures[0], &ready) == SSI_OK && ready == 1);
    CHECK_ERROR(SSI_ERR_MISMATCH, ssi_future_guard(futures[0], &guard), "not of a guard");
    CHECK_ERROR(SSI_ERR_MISMATCH, ssi_future_f64(futures[0], &d), "another type");
    CHECK_ERROR(SSI_ERR_MISMATCH, ssi_future_i64(futures[1], &before), "not of a number");
    CHECK(ssi_future_i64(futures[0], &before) == SSI_OK && before % 2 == 0);
    CHECK(ssi_future_reply(futures[1], reply, sizeof reply, &length) == SSI_OK && length == 3);
    CHECK(memcmp(reply, "abc", 3) == 0);
    CHECK(ssi_future_guard(futures[2], &guard) == SSI_OK && guard.writable != NULL);
    CHECK(ssi_put(&guard) == SSI_OK);
    CHECK(ssi_grab_async(set, ssi_id((uint64_t)rank() + 8), &futures[0]) == SSI_OK);
    CHECK(ssi_get_async(set, ssi_id((uint64_t)rank() + 8), &futures[1]) == SSI_OK);
    CHECK_ERROR(SSI_ERR_DEADLOCK, ssi_future_wait_all(futures, 2), "two futures");
    CHECK(ssi_future_guard(futures[1], &guard) == SSI_OK && guard.writable == NULL);
    CHECK_ERROR(SSI_ERR_DEADLOCK, ssi_future_guard(futures[0], &second), "holds a get");
    CHECK(ssi_put(&guard) == SSI_OK);
    CHECK(ssi_future_guard(futures[0], &second) == SSI_OK && second.writable != NULL);
    CHECK(ssi_put(&second) == SSI_OK);
    memset(reply, 0, sizeof reply);
    CHECK(ssi_apply_async(set, ssi_id(1), "echo", "abc", 3, &futures[0]) == SSI_OK);
    CHECK_ERROR(SSI_ERR_TOO_LARGE, ssi_future_reply(futures[0], reply, 2, &length), "room");
    CHECK(length == 3 && memcmp(reply, "ab\0", 3) == 0);
    CHECK(ssi_get_async(set, ssi_id(70), &none) == SSI_OK);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_future_guard(none, &guard), "out of range");
    CHECK(ssi_get_async(set, ssi_id(2), &none) == SSI_OK);
    ssi_future_cancel(none);
    ssi_future_cancel(NULL);
}

static int64_t number_at(ssi_set *set, ssi_object_id id, uint32_t offset) {
    int64_t value = -1;
    CHECK(ssi_read(set, id, offset, &value, sizeof value, NULL) == SSI_OK);
    return value;
}

#define BEFORE(kind, type, expected, call)                                                        \
    do {                                                                                          \
        ssi_future *future = NULL;                                                                \
        type before = (type)-77;                                                                  \
        CHECK((call) == SSI_OK);                                                                  \
        CHECK(ssi_future_##kind(future, &before) == SSI_OK);                                      \
        CHECK(before == (expected));                                                              \
    } while (0)

static void asynchronous_atomics_on_signed_numbers(void) {
    ssi_set *set = make_set("async i64", 16, 8);
    const ssi_object_id o = ssi_id((uint64_t)rank());
    BEFORE(i64, int64_t, 0, ssi_fetch_add_i64_async(set, o, 8, -3, &future));
    BEFORE(i64, int64_t, -3, ssi_fetch_max_i64_async(set, o, 8, -5, &future));
    BEFORE(i64, int64_t, -3, ssi_fetch_min_i64_async(set, o, 8, -5, &future));
    BEFORE(i64, int64_t, -5, ssi_fetch_min_i64_async(set, o, 8, 1, &future));
    BEFORE(i64, int64_t, -5, ssi_fetch_max_i64_async(set, o, 8, 1, &future));
    BEFORE(i64, int64_t, 1, ssi_exchange_i64_async(set, o, 8, -9, &future));
    BEFORE(i64, int64_t, -9, ssi_compare_exchange_i64_async(set, o, 8, 1, 5, &future));
    BEFORE(i64, int64_t, -9, ssi_compare_exchange_i64_async(set, o, 8, -9, 6, &future));
    CHECK(number_at(set, o, 8) == 6 && number_at(set, o, 0) == 0);
}

static void asynchronous_atomics_on_unsigned_numbers(void) {
    ssi_set *set = make_set("async u64", 16, 8);
    const ssi_object_id o = ssi_id((uint64_t)rank());
    const uint64_t large = (uint64_t)1 << 63;
    BEFORE(u64, uint64_t, 0, ssi_fetch_add_u64_async(set, o, 8, large, &future));
    BEFORE(u64, uint64_t, large, ssi_fetch_max_u64_async(set, o, 8, 2, &future));
    BEFORE(u64, uint64_t, large, ssi_fetch_min_u64_async(set, o, 8, 3, &future));
    BEFORE(u64, uint64_t, 3, ssi_fetch_min_u64_async(set, o, 8, large, &future));
    BEFORE(u64, uint64_t, 3, ssi_fetch_max_u64_async(set, o, 8, large, &future));
    BEFORE(u64, uint64_t, large, ssi_exchange_u64_async(set, o, 8, 4, &future));
    BEFORE(u64, uint64_t, 4, ssi_compare_exchange_u64_async(set, o, 8, 5, 7, &future));
    BEFORE(u64, uint64_t, 4, ssi_compare_exchange_u64_async(set, o, 8, 4, 8, &future));
    CHECK(number_at(set, o, 8) == 8 && number_at(set, o, 0) == 0);
}

static void asynchronous_atomics_on_floating_point_numbers(void) {
    ssi_set *set = make_set("async f64", 16, 8);
    const ssi_object_id o = ssi_id((uint64_t)rank());
    double d = 0;
    BEFORE(f64, double, 0, ssi_fetch_add_f64_async(set, o, 8, -0.5, &future));
    BEFORE(f64, double, -0.5, ssi_fetch_max_f64_async(set, o, 8, -1.5, &future));
    BEFORE(f64, double, -0.5, ssi_fetch_min_f64_async(set, o, 8, -1.5, &future));
    BEFORE(f64, double, -1.5, ssi_fetch_min_f64_async(set, o, 8, 0.25, &future));
    BEFORE(f64, double, -1.5, ssi_fetch_max_f64_async(set, o, 8, 0.25, &future));
    BEFORE(f64, double, 0.25, ssi_exchange_f64_async(set, o, 8, 1.75, &future));
    BEFORE(f64, double, 1.75, ssi_compare_exchange_f64_async(set, o, 8, 0.25, 7, &future));
    BEFORE(f64, double, 1.75, ssi_compare_exchange_f64_async(set, o, 8, 1.75, 8.5, &future));
    CHECK(ssi_read(set, o, 8, &d, 8, NULL) == SSI_OK && d == 8.5 && number_at(set, o, 0) == 0);
}

static void asynchronous_atomics_give_their_errors_with_the_result(void) {
    ssi_set *set = make_set("async errors", 16, 8);
    ssi_future *future = NULL;
    int64_t before = 5;
    CHECK(ssi_fetch_min_i64_async(set, ssi_id(8), 0, 1, &future) == SSI_OK);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_future_i64(future, &before), "out of range");
    CHECK(ssi_exchange_i64_async(set, ssi_id(1), 12, 1, &future) == SSI_OK);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_future_i64(future, &before), "aligned");
    CHECK(before == 5);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_exchange_i64_async(set, ssi_id(1), 0, 1, NULL),
                "future is NULL");
}

static void wait_any_names_the_one_that_is_ready(void) {
    ssi_set *set = make_set("any of two", 8, 8);
    ssi_future *futures[2];
    ssi_guard guard;
    size_t index = 9;
    int ready = -1;
    int64_t before = -1;
    if (rank() == 0) CHECK(ssi_grab(set, ssi_id(0), &guard) == SSI_OK);
    meet();
    if (rank() == size() - 1 && rank() != 0) {   /* the first waits for rank 0 */
        CHECK(ssi_fetch_add_i64_async(set, ssi_id(0), 0, 1, &futures[0]) == SSI_OK);
        CHECK(ssi_fetch_add_i64_async(set, ssi_id(1), 0, 1, &futures[1]) == SSI_OK);
        CHECK(ssi_future_wait_any(futures, 2, &index) == SSI_OK && index == 1);
        CHECK(ssi_future_ready(futures[0], &ready) == SSI_OK && ready == 0);
        CHECK(ssi_future_i64(futures[1], &before) == SSI_OK && before == 0);
    }
    meet();
    if (rank() == 0) CHECK(ssi_put(&guard) == SSI_OK);
    if (rank() == size() - 1 && rank() != 0)
        CHECK(ssi_future_i64(futures[0], &before) == SSI_OK && before == 0);
}

static void futures_are_waited_for_within_a_time(void) {
    ssi_set *set = make_set("waited for", 8, 8);
    ssi_future *future = NULL;
    ssi_guard guard, second;
    uint32_t gets = 9;
    int grabbed = 9;
    if (rank() == 0) CHECK(ssi_grab(set, ssi_id(3), &guard) == SSI_OK);
    meet();
    if (rank() == size() - 1 && rank() != 0) {
        CHECK(ssi_grab_async(set, ssi_id(3), &future) == SSI_OK);
        CHECK_ERROR(SSI_ERR_WOULD_BLOCK, ssi_future_wait(future, 0), "no result yet");
        CHECK_ERROR(SSI_ERR_TIMED_OUT, ssi_future_wait(future, 20), "within 20 ms");
        CHECK(ssi_held(set, ssi_id(3), &gets, &grabbed) == SSI_OK && grabbed == 0);
    }
    meet();
    if (rank() == 0) CHECK(ssi_put(&guard) == SSI_OK);
    if (future) {
        CHECK(ssi_future_wait(future, SSI_FOREVER) == SSI_OK);
        CHECK(ssi_held(set, ssi_id(3), &gets, &grabbed) == SSI_OK && gets == 0 && grabbed == 1);
        CHECK(ssi_future_wait(future, 0) == SSI_OK);   /* as often as one likes */
        CHECK(ssi_future_guard(future, &guard) == SSI_OK && guard.writable != NULL);
        CHECK(ssi_put(&guard) == SSI_OK);
    }
    meet();
    if (rank() == 0) {
        CHECK(ssi_get(set, ssi_id(4), &guard) == SSI_OK);
        CHECK(ssi_grab_async(set, ssi_id(4), &future) == SSI_OK);
        CHECK_ERROR(SSI_ERR_DEADLOCK, ssi_future_wait(future, SSI_FOREVER), "holds a get");
        CHECK(ssi_put(&guard) == SSI_OK);
        CHECK(ssi_future_wait(future, SSI_FOREVER) == SSI_OK);
        CHECK_ERROR(SSI_ERR_DEADLOCK, ssi_grab(set, ssi_id(4), &second), "already");
        ssi_future_cancel(future);
        CHECK(ssi_held(set, ssi_id(4), &gets, &grabbed) == SSI_OK && grabbed == 0);
    }
}

static void reads_see_whole_objects_without_guards(void) {
    ssi_set *set = make_set("read", 64, 4);
    const ssi_object_id ids[] = { ssi_id(3), ssi_id(1), ssi_id(3) };
    int64_t values[8], some[3];
    uint64_t version = 0, versions[3];
    ssi_guard guard;
    int i;
    if (rank() == 0)
        for (i = 0; i < 4; ++i) {
            int k;
            CHECK(ssi_grab(set, ssi_id((uint64_t)i), &guard) == SSI_OK);
            for (k = 0; k < 8; ++k) ((int64_t *)guard.writable)[k] = 10 * i + k;
            CHECK(ssi_put(&guard) == SSI_OK);
        }
    meet();
    CHECK(ssi_read(set, ssi_id(2), 0, values, sizeof values, &version) == SSI_OK && version > 0);
    for (i = 0; i < 8; ++i) CHECK(values[i] == 20 + i);
    CHECK(ssi_read(set, ssi_id(2), 24, some, 8, NULL) == SSI_OK && some[0] == 23);
    CHECK(ssi_read_many(set, ids, 3, 8, some, 8, versions) == SSI_OK);
    CHECK(some[0] == 31 && some[1] == 11 && some[2] == 31 && versions[0] == versions[2]);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_read(set, ssi_id(2), 60, values, 8, NULL), "");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_read(set, ssi_id(4), 0, values, 8, NULL), "range");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_read(set, ssi_id(2), 0, NULL, 8, NULL), "bytes");
}

static void whole_objects_are_read_whatever_their_size(void) {
    ssi_set *set = make_set("read whole", 0, 0);
    const ssi_object_id ids[] = { ssi_id(2), ssi_id(9), ssi_id(1) };
    char first[8] = "", second[8] = "";
    ssi_snapshot snapshot, many[3];
    ssi_guard guard;
    if (rank() == 0) {
        CHECK(ssi_grab(set, ssi_id(1), &guard) == SSI_OK && ssi_resize(&guard, 5) == SSI_OK);
        memcpy(guard.writable, "hello", 5);
        CHECK(ssi_put(&guard) == SSI_OK);
        CHECK(ssi_grab(set, ssi_id(2), &guard) == SSI_OK && ssi_resize(&guard, 12) == SSI_OK);
        memcpy(guard.writable, "a longer one", 12);
        CHECK(ssi_put(&guard) == SSI_OK);
    }
    meet();
    memset(&snapshot, 0, sizeof snapshot);
    snapshot.bytes = first;
    snapshot.capacity = sizeof first;
    CHECK(ssi_read_whole(set, ssi_id(1), &snapshot) == SSI_OK);
    CHECK(snapshot.length == 5 && memcmp(first, "hello\0", 6) == 0 && snapshot.version > 0);
    CHECK(ssi_read_whole(set, ssi_id(9), &snapshot) == SSI_OK && snapshot.length == 0);
    CHECK_ERROR(SSI_ERR_TOO_LARGE, ssi_read_whole(set, ssi_id(2), &snapshot), "12 bytes");
    CHECK(snapshot.length == 12 && memcmp(first, "a longer", 8) == 0);
    memset(many, 0, sizeof many);
    memset(first, 0, sizeof first);
    many[0].bytes = first;
    many[0].capacity = 3;
    many[2].bytes = second;
    many[2].capacity = 5;
    CHECK_ERROR(SSI_ERR_TOO_LARGE, ssi_read_whole_many(set, ids, 3, many), "room for 3");
    CHECK(many[0].length == 12 && memcmp(first, "a l\0", 4) == 0);
    CHECK(many[1].length == 0 && many[2].length == 5 && memcmp(second, "hello", 5) == 0);
    CHECK(many[2].version > 0 && many[0].version > 0);
    many[0].bytes = NULL;
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_read_whole_many(set, ids, 3, many), "bytes is NULL");
    CHECK(ssi_read_whole_many(set, ids + 1, 2, many + 1) == SSI_OK);
    CHECK(ssi_read_whole_many(set, NULL, 0, NULL) == SSI_OK);
}

static const struct test_case cases[] = {
    CASE(many_objects_are_held_at_once),
    CASE(prefetched_objects_come_without_being_held),
    CASE(repeated_ids_are_one_guard_in_two_places),
    CASE(updates_execute_each_once),
    CASE(futures_give_their_result_once),
    CASE(asynchronous_atomics_on_signed_numbers),
    CASE(asynchronous_atomics_on_unsigned_numbers),
    CASE(asynchronous_atomics_on_floating_point_numbers),
    CASE(asynchronous_atomics_give_their_errors_with_the_result),
    CASE(wait_any_names_the_one_that_is_ready),
    CASE(futures_are_waited_for_within_a_time),
    CASE(reads_see_whole_objects_without_guards),
    CASE(whole_objects_are_read_whatever_their_size),
};

int main(int argc, char **argv) {
    return run_program(argc, argv, cases, (int)(sizeof cases / sizeof cases[0]));
}
