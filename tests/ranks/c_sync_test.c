/* SPDX-License-Identifier: BSD-3-Clause
 *
 * Locks, conditions, meetings and channels of the C API. */
#include "c_check.h"

/* Not atomic by itself: a read and a write with nothing held in between. */
static void count_carelessly(ssi_set *set) {
    ssi_guard guard;
    int64_t value;
    CHECK(ssi_get(set, ssi_id(0), &guard) == SSI_OK);
    value = *(const int64_t *)guard.data;
    CHECK(ssi_put(&guard) == SSI_OK);
    CHECK(ssi_grab(set, ssi_id(0), &guard) == SSI_OK);
    *(int64_t *)guard.writable = value + 1;
    CHECK(ssi_put(&guard) == SSI_OK);
}

static int64_t counted(ssi_set *set) {
    int64_t value = -1;
    CHECK(ssi_fetch_add_i64(set, ssi_id(0), 0, 0, &value) == SSI_OK);
    return value;
}

static void mutexes_exclude_other_nodes(void) {
    ssi_set *set = make_set("guarded", 8, 1);
    ssi_mutex *mutex;
    int i;
    CHECK(ssi_mutex_open(session, "m", &mutex) == SSI_OK);
    for (i = 0; i < 50; ++i) {
        CHECK(ssi_mutex_lock(mutex, SSI_FOREVER) == SSI_OK);
        count_carelessly(set);
        CHECK(ssi_mutex_unlock(mutex) == SSI_OK);
    }
    meet();
    CHECK(counted(set) == 50 * size());
}

static void misused_locks_are_errors(void) {
    ssi_mutex *mutex;
    ssi_shared_mutex *shared;
    ssi_condition *condition;
    int locked = 1;
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_mutex_open(session, "", &mutex), "1 to 255");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_mutex_lock(NULL, 0), "mutex is NULL");
    CHECK(ssi_mutex_open(session, "misused", &mutex) == SSI_OK);
    CHECK(ssi_shared_mutex_open(session, "misused shared", &shared) == SSI_OK);
    CHECK(ssi_condition_open(session, "misused condition", &condition) == SSI_OK);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_mutex_unlock(mutex), "not locked");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_shared_mutex_unlock(shared), "not locked");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_condition_wait(condition, mutex, 0, &locked),
                "not locked");
    CHECK(locked == 0);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_shared_mutex_lock(shared, SSI_NONE, 0), "SSI_READ");
    meet();
    if (rank() == 0) {
        CHECK(ssi_mutex_lock(mutex, SSI_FOREVER) == SSI_OK);
        CHECK_ERROR(SSI_ERR_DEADLOCK, ssi_mutex_lock(mutex, SSI_FOREVER), "already");
        CHECK(ssi_shared_mutex_lock(shared, SSI_READ, SSI_FOREVER) == SSI_OK);
        CHECK_ERROR(SSI_ERR_DEADLOCK, ssi_shared_mutex_lock(shared, SSI_WRITE, 0), "already");
    }
    meet();
    if (rank() != 0) {
        CHECK_ERROR(SSI_ERR_WOULD_BLOCK, ssi_mutex_lock(mutex, 0), "would_block");
        CHECK_ERROR(SSI_ERR_TIMED_OUT, ssi_mutex_lock(mutex, 5), "timed_out");
        CHECK_ERROR(SSI_ERR_WOULD_BLOCK, ssi_shared_mutex_lock(shared, SSI_WRITE, 0), "");
    }
    meet();
    if (rank() != 0) {   /* readers together; no writer waits any more */
        CHECK(ssi_shared_mutex_lock(shared, SSI_READ, SSI_FOREVER) == SSI_OK);
        CHECK(ssi_shared_mutex_unlock(shared) == SSI_OK);
    } else {
        CHECK(ssi_mutex_unlock(mutex) == SSI_OK);
        CHECK(ssi_shared_mutex_unlock(shared) == SSI_OK);
    }
}

static void writers_of_a_shared_mutex_exclude_everybody(void) {
    ssi_set *set = make_set("shared guarded", 8, 1);
    ssi_shared_mutex *mutex;
    int i;
    CHECK(ssi_shared_mutex_open(session, "s", &mutex) == SSI_OK);
    for (i = 0; i < 30; ++i) {
        CHECK(ssi_shared_mutex_lock(mutex, SSI_WRITE, SSI_FOREVER) == SSI_OK);
        count_carelessly(set);
        CHECK(ssi_shared_mutex_unlock(mutex) == SSI_OK);
    }
    meet();
    CHECK(counted(set) == 30 * size());
}

static void conditions_wake_who_waits_for_them(void) {
    ssi_set *set = make_set("flag", 8, 1);
    ssi_mutex *mutex;
    ssi_condition *condition;
    int locked = 0, result;
    CHECK(ssi_mutex_open(session, "of the flag", &mutex) == SSI_OK);
    CHECK(ssi_condition_open(session, "flag is up", &condition) == SSI_OK);
    CHECK(ssi_mutex_lock(mutex, SSI_FOREVER) == SSI_OK);
    if (rank() == size() - 1) {
        count_carelessly(set);
        CHECK(ssi_condition_notify_all(condition) == SSI_OK);
        CHECK(ssi_condition_notify_one(condition) == SSI_OK);
    } else {
        while (counted(set) == 0)
            CHECK(ssi_condition_wait(condition, mutex, SSI_FOREVER, &locked) == SSI_OK && locked);
    }
    /* Nobody notifies any more, but a notification from above may be late. */
    result = ssi_condition_wait(condition, mutex, 2, &locked);
    CHECK((result == SSI_ERR_TIMED_OUT || result == SSI_OK) && locked == 1);
    CHECK(ssi_mutex_unlock(mutex) == SSI_OK);
}

static void meetings_wait_for_their_participants(void) {
    ssi_set *set = make_set("met", 8, 1);
    ssi_meeting *meeting, *again;
    int64_t i;
    CHECK(ssi_meeting_open(session, "all", (uint32_t)size(), &meeting) == SSI_OK);
    CHECK_ERROR(SSI_ERR_MISMATCH, ssi_meeting_open(session, "all", 77, &again), "participants");
    CHECK(again == NULL);
    for (i = 1; i <= 20; ++i) {
        CHECK(ssi_fetch_add_i64(set, ssi_id(0), 0, 1, NULL) == SSI_OK);
        CHECK(ssi_meeting_wait(meeting) == SSI_OK);
        CHECK(counted(set) == i * size());
        CHECK(ssi_meeting_wait(meeting) == SSI_OK);
    }
}

static void channels_deliver_each_message_once(void) {
    ssi_channel *channel, *other;
    int64_t value, sum = 0, all = 0;
    size_t length = 0;
    int result, i;
    CHECK(ssi_channel_open(session, "numbers", 4, sizeof value, &channel) == SSI_OK);
    CHECK_ERROR(SSI_ERR_MISMATCH, ssi_channel_open(session, "numbers", 5, sizeof value, &other),
                "");
    if (rank() == 0)
        for (i = 1; i <= 100; ++i) {
            value = i;
            while ((result = ssi_channel_send(channel, &value, sizeof value, 0)) ==
                   SSI_ERR_WOULD_BLOCK)   /* full: take one myself */
                if (ssi_channel_receive(channel, &value, sizeof value, NULL, 0) == SSI_OK) {
                    sum += value;
                    value = i;
                }
            CHECK(result == SSI_OK);
        }
    if (rank() == 0) CHECK(ssi_channel_close(channel) == SSI_OK);
    while ((result = ssi_channel_receive(channel, &value, sizeof value, &length, SSI_FOREVER)) ==
           SSI_OK) {
        CHECK(length == sizeof value);
        sum += value;
    }
    CHECK(result == SSI_ERR_CANCELLED);
    all = sum;
    CHECK(ssi_reduce_i64(session, SSI_SUM, &all, 1) == SSI_OK && all == 5050);
    CHECK_ERROR(SSI_ERR_CANCELLED, ssi_channel_send(channel, &value, sizeof value, 0), "closed");
}

static void channels_of_any_size_and_select(void) {
    ssi_channel *channels[2];
    char text[8] = "";
    size_t length = 0, index = 9;
    CHECK(ssi_channel_open(session, "texts", 4, 0, &channels[0]) == SSI_OK);
    CHECK(ssi_channel_open(session, "more texts", 4, 0, &channels[1]) == SSI_OK);
    if (rank() == 0) {
        CHECK_ERROR(SSI_ERR_TIMED_OUT, ssi_channel_select(channels, 2, 5, &index), "");
        CHECK(ssi_channel_send(channels[1], "hello", 5, SSI_FOREVER) == SSI_OK);
        CHECK(ssi_channel_send(channels[1], "a longer text", 13, SSI_FOREVER) == SSI_OK);
        CHECK(ssi_channel_select(channels, 2, SSI_FOREVER, &index) == SSI_OK && index == 1);
        CHECK(ssi_channel_receive(channels[1], text, sizeof text, &length, 0) == SSI_OK);
        CHECK(length == 5 && memcmp(text, "hello", 5) == 0);
        CHECK_ERROR(SSI_ERR_TOO_LARGE,
                    ssi_channel_receive(channels[1], text, sizeof text, &length, 0), "13 bytes");
        CHECK(length == 13 && memcmp(text, "a longer", 8) == 0);
        CHECK_ERROR(SSI_ERR_WOULD_BLOCK,
                    ssi_channel_receive(channels[1], text, sizeof text, &length, 0), "");
    }
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_channel_select(channels, 0, 0, &index), "no channel");
}

static const struct test_case cases[] = {
    CASE(mutexes_exclude_other_nodes),
    CASE(misused_locks_are_errors),
    CASE(writers_of_a_shared_mutex_exclude_everybody),
    CASE(conditions_wake_who_waits_for_them),
    CASE(meetings_wait_for_their_participants),
    CASE(channels_deliver_each_message_once),
    CASE(channels_of_any_size_and_select),
};

int main(int argc, char **argv) {
    return run_program(argc, argv, cases, (int)(sizeof cases / sizeof cases[0]));
}
