/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Many objects at once, futures and one-sided reads of the C API. */
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
        CHECK(*(const int64_t *)guards[i].data == size() * (int64_t)ids[i].lo);
    CHECK(ssi_put_many(guards, count) == SSI_OK);
    ids[3] = ssi_id(100);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_get_many(set, ids, count, guards), "out of range");
    CHECK(guards[0].data == NULL);
    CHECK(ssi_get_many(set, ids, 0, NULL) == SSI_OK);
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
    CHECK(ssi_future_guard(futures[1], &guard) == SSI_OK);
    CHECK_ERROR(SSI_ERR_DEADLOCK, ssi_future_guard(futures[0], &second), "holds a get");
    CHECK(ssi_put(&guard) == SSI_OK);
    CHECK(ssi_future_guard(futures[0], &second) == SSI_OK && second.writable != NULL);
    CHECK(ssi_put(&second) == SSI_OK);
    CHECK(ssi_get_async(set, ssi_id(70), &none) == SSI_OK);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_future_guard(none, &guard), "out of range");
    CHECK(ssi_get_async(set, ssi_id(2), &none) == SSI_OK);
    ssi_future_cancel(none);
    ssi_future_cancel(NULL);
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

static const struct test_case cases[] = {
    CASE(many_objects_are_held_at_once),
    CASE(repeated_ids_are_one_guard_in_two_places),
    CASE(updates_execute_each_once),
    CASE(futures_give_their_result_once),
    CASE(reads_see_whole_objects_without_guards),
};

int main(int argc, char **argv) {
    return run_program(argc, argv, cases, (int)(sizeof cases / sizeof cases[0]));
}
