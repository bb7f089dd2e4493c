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

static void readers_have_a_shared_mutex_together(void) {
    ssi_shared_mutex *mutex;
    CHECK(ssi_shared_mutex_open(session, "together", &mutex) == SSI_OK);
    CHECK(ssi_shared_mutex_lock(mutex, SSI_READ, SSI_FOREVER) == SSI_OK);
    meet();   /* all have it */
    if (rank() == 0) {
        CHECK(ssi_shared_mutex_unlock(mutex) == SSI_OK);
        CHECK_ERROR(size() > 1 ? SSI_ERR_WOULD_BLOCK : SSI_OK,
                    ssi_shared_mutex_lock(mutex, SSI_WRITE, 0), "");
        if (size() == 1) CHECK(ssi_shared_mutex_unlock(mutex) == SSI_OK);
    }
    meet();
    if (rank() != 0) CHECK(ssi_shared_mutex_unlock(mutex) == SSI_OK);
}

static void one_notification_wakes_one(void) {
    ssi_set *set = make_set("woken", 16, 1);
    ssi_mutex *mutex;
    ssi_condition *condition;
    int64_t waiting = 0, tickets = 0;
    int i;
    CHECK(ssi_mutex_open(session, "of the tickets", &mutex) == SSI_OK);
    CHECK(ssi_condition_open(session, "ticket", &condition) == SSI_OK);
    if (rank() != 0) {
        CHECK(ssi_mutex_lock(mutex, SSI_FOREVER) == SSI_OK);
        CHECK(ssi_fetch_add_i64(set, ssi_id(0), 8, 1, NULL) == SSI_OK);
        for (;;) {
            CHECK(ssi_fetch_add_i64(set, ssi_id(0), 0, 0, &tickets) == SSI_OK);
            if (tickets > 0 || failures) break;
            CHECK(ssi_condition_wait(condition, mutex, 20000, NULL) == SSI_OK);
        }
        CHECK(ssi_fetch_add_i64(set, ssi_id(0), 0, -1, NULL) == SSI_OK);
        CHECK(ssi_mutex_unlock(mutex) == SSI_OK);
    } else {
        while (waiting < size() - 1)   /* each waits as soon as the mutex is free */
            CHECK(ssi_fetch_add_i64(set, ssi_id(0), 8, 0, &waiting) == SSI_OK);
        for (i = 1; i < size(); ++i) {
            CHECK(ssi_mutex_lock(mutex, SSI_FOREVER) == SSI_OK);
            CHECK(ssi_fetch_add_i64(set, ssi_id(0), 0, 1, NULL) == SSI_OK);
            CHECK(ssi_condition_notify_one(condition) == SSI_OK);
            CHECK(ssi_mutex_unlock(mutex) == SSI_OK);
        }
    }
    meet();
    CHECK(counted(set) == 0);
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

static void many_messages_are_sent_and_received_at_once(void) {
    enum { count = 100, most = 7 };
    ssi_channel *channel;
    int64_t numbers[count], got[most], last = 0, sum = 0;
    size_t lengths[most], received = 9, i;
    int result;
    /* With one rank nobody makes room while it sends. */
    CHECK(ssi_channel_open(session, "many", size() > 1 ? 4 : count, sizeof *got, &channel) ==
          SSI_OK);
    if (rank() == 0) {
        for (i = 0; i < count; ++i) numbers[i] = (int64_t)i + 1;
        CHECK(ssi_channel_send_many(channel, numbers, sizeof *numbers, NULL, count) == SSI_OK);
        CHECK(ssi_channel_close(channel) == SSI_OK);
        CHECK_ERROR(SSI_ERR_CANCELLED,
                    ssi_channel_send_many(channel, numbers, sizeof *numbers, NULL, 2), "closed");
    }
    while ((result = ssi_channel_receive_many(channel, got, sizeof *got, lengths, most, &received,
                                              SSI_FOREVER)) == SSI_OK) {
        CHECK(received >= 1 && received <= most);
        for (i = 0; i < received; ++i) {
            CHECK(got[i] > last && lengths[i] == sizeof *got);
            last = got[i];
            sum += last;
        }
    }
    CHECK(result == SSI_ERR_CANCELLED && received == 0);
    CHECK(size() > 1 || last == count);
    CHECK(ssi_reduce_i64(session, SSI_SUM, &sum, 1) == SSI_OK && sum == 5050);
}

static void many_messages_have_each_their_length(void) {
    static const char words[3][8] = { "a", "", "longer" };
    static const size_t lengths[] = { 1, 0, 6 }, wrong[] = { 1, 9, 6 };
    ssi_channel *channel;
    char got[4][4];
    size_t found[4] = { 9, 9, 9, 9 }, received = 0, more = 0, i;
    int64_t number = 1;
    if (rank() != 0) return;
    CHECK(ssi_channel_open(session, "words", 8, 0, &channel) == SSI_OK);
    CHECK_ERROR(SSI_ERR_TIMED_OUT,
                ssi_channel_receive_many(channel, got, 4, found, 4, &received, 5), "");
    CHECK_ERROR(SSI_ERR_WOULD_BLOCK,
                ssi_channel_receive_many(channel, got, 4, found, 4, &received, 0), "");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_channel_send_many(channel, words, 8, wrong, 3),
                "message 1 has 9 bytes");
    CHECK(ssi_channel_send_many(channel, words, 8, lengths, 3) == SSI_OK);
    memset(got, 0, sizeof got);
    while (received < 3) {   /* they may come in parts; the third has more than 4 bytes */
        const int result = ssi_channel_receive_many(channel, got[received], 4, found + received,
                                                    3 - received, &more, SSI_FOREVER);
        received += more;
        CHECK(result == (received == 3 ? SSI_ERR_TOO_LARGE : SSI_OK) && more >= 1);
        if (more == 0) return;
    }
    CHECK(found[0] == 1 && found[1] == 0 && found[2] == 6 && found[3] == 9);
    CHECK(memcmp(got[0], "a\0", 2) == 0 && got[1][0] == 0 && memcmp(got[2], "long", 4) == 0);
    CHECK(got[3][0] == 0);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_channel_receive_many(channel, got, 4, found, 0, &received, 0), "at least 1");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_channel_receive_many(channel, got, 4, found, 4, NULL, 0), "count is NULL");
    CHECK(ssi_channel_send_many(channel, NULL, 0, NULL, 0) == SSI_OK);
    /* Messages of one size have that size. */
    CHECK(ssi_channel_open(session, "of one size", 8, 8, &channel) == SSI_OK);
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_channel_send(channel, &number, 4, 0), "8 bytes, not");
    for (i = 0; i < 3; ++i) found[i] = 8 - i;
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT, ssi_channel_send_many(channel, words, 8, found, 3),
                "8 bytes, not 7");
    CHECK_ERROR(SSI_ERR_WOULD_BLOCK, ssi_channel_receive(channel, got, 4, NULL, 0), "");
}

static void whichever_channel_has_a_message_is_received_from(void) {
    ssi_channel *channels[2];
    char text[8] = "";
    size_t length = 0, index = 9;
    int result, tries = 0;
    if (rank() != size() - 1) return;
    CHECK(ssi_channel_open(session, "either", 4, 0, &channels[0]) == SSI_OK);
    CHECK(ssi_channel_open(session, "or", 4, 0, &channels[1]) == SSI_OK);
    CHECK_ERROR(SSI_ERR_WOULD_BLOCK,
                ssi_channel_receive_any(channels, 2, text, 8, &length, &index, 0), "no channel");
    CHECK_ERROR(SSI_ERR_TIMED_OUT,
                ssi_channel_receive_any(channels, 2, text, 8, &length, &index, 5), "in time");
    CHECK_ERROR(SSI_ERR_WOULD_BLOCK, ssi_channel_select(channels, 2, 0, &index), "no channel");
    CHECK(ssi_channel_send(channels[1], "second", 6, SSI_FOREVER) == SSI_OK);
    while ((result = ssi_channel_select(channels, 2, 0, &index)) == SSI_ERR_WOULD_BLOCK &&
           ++tries < 100000) {   /* it may still be on its way */
    }
    CHECK(result == SSI_OK && index == 1);
    index = 9;
    CHECK(ssi_channel_receive_any(channels, 2, text, 8, &length, &index, 0) == SSI_OK);
    CHECK(index == 1 && length == 6 && memcmp(text, "second", 6) == 0);
    CHECK(ssi_channel_close(channels[0]) == SSI_OK);
    CHECK(ssi_channel_send(channels[1], "too long for it", 15, SSI_FOREVER) == SSI_OK);
    CHECK_ERROR(SSI_ERR_TOO_LARGE,
                ssi_channel_receive_any(channels, 2, text, 8, &length, &index, SSI_FOREVER),
                "15 bytes");
    CHECK(index == 1 && length == 15 && memcmp(text, "too long", 8) == 0);
    CHECK_ERROR(SSI_ERR_TIMED_OUT,
                ssi_channel_receive_any(channels, 2, text, 8, &length, &index, 5), "in time");
    CHECK(ssi_channel_close(channels[1]) == SSI_OK);
    CHECK_ERROR(SSI_ERR_CANCELLED,
                ssi_channel_receive_any(channels, 2, text, 8, &length, &index, SSI_FOREVER),
                "all channels");
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_channel_receive_any(channels, 0, text, 8, &length, &index, 0), "no channel");
    channels[0] = NULL;
    CHECK_ERROR(SSI_ERR_INVALID_ARGUMENT,
                ssi_channel_receive_any(channels, 2, text, 8, &length, &index, 0), "a channel");
}

static void handles_tell_their_names_and_who_has_them(void) {
    ssi_mutex *mutex;
    ssi_shared_mutex *shared;
    ssi_condition *condition;
    ssi_meeting *meeting;
    ssi_channel *channel, *again;
    enum ssi_access access = SSI_WRITE;
    int held = 9;
    CHECK(ssi_mutex_open(session, "named m", &mutex) == SSI_OK);
    CHECK(ssi_shared_mutex_open(session, "named s", &shared) == SSI_OK);
    CHECK(ssi_condition_open(session, "named c", &condition) == SSI_OK);
    CHECK(ssi_meeting_open(session, "named b", 2, &meeting) == SSI_OK);
    CHECK(ssi_channel_open(session, "named ch", 2, 0, &channel) == SSI_OK);
    CHECK(ssi_channel_open(session, "named ch", 2, 0, &again) == SSI_OK && again == channel);
    CHECK(strcmp(ssi_mutex_name(mutex), "named m") == 0);
    CHECK(strcmp(ssi_shared_mutex_name(shared), "named s") == 0);
    CHECK(strcmp(ssi_condition_name(condition), "named c") == 0);
    CHECK(strcmp(ssi_meeting_name(meeting), "named b") == 0);
    CHECK(strcmp(ssi_channel_name(channel), "named ch") == 0);
    CHECK(ssi_mutex_held(mutex, &held) == SSI_OK && held == 0);
    CHECK(ssi_mutex_lock(mutex, SSI_FOREVER) == SSI_OK);
    CHECK(ssi_mutex_held(mutex, &held) == SSI_OK && held == 1);
    CHECK(ssi_mutex_unlock(mutex) == SSI_OK);
    CHECK(ssi_mutex_held(mutex, &held) == SSI_OK && held == 0);
    CHECK(ssi_shared_mutex_held(shared, &access) == SSI_OK && access == SSI_NONE);
    CHECK(ssi_shared_mutex_lock(shared, SSI_READ, SSI_FOREVER) == SSI_OK);
    CHECK(ssi_shared_mutex_held(shared, &access) == SSI_OK && access == SSI_READ);
    CHECK(ssi_shared_mutex_unlock(shared) == SSI_OK);
    CHECK(ssi_shared_mutex_lock(shared, SSI_WRITE, SSI_FOREVER) == SSI_OK);
    CHECK(ssi_shared_mutex_held(shared, &access) == SSI_OK && access == SSI_WRITE);
    CHECK(ssi_shared_mutex_unlock(shared) == SSI_OK);
}

static const struct test_case cases[] = {
    CASE(mutexes_exclude_other_nodes),
    CASE(misused_locks_are_errors),
    CASE(writers_of_a_shared_mutex_exclude_everybody),
    CASE(readers_have_a_shared_mutex_together),
    CASE(one_notification_wakes_one),
    CASE(conditions_wake_who_waits_for_them),
    CASE(meetings_wait_for_their_participants),
    CASE(channels_deliver_each_message_once),
    CASE(channels_of_any_size_and_select),
    CASE(many_messages_are_sent_and_received_at_once),
    CASE(many_messages_have_each_their_length),
    CASE(whichever_channel_has_a_message_is_received_from),
    CASE(handles_tell_their_names_and_who_has_them),
};

int main(int argc, char **argv) {
    return run_program(argc, argv, cases, (int)(sizeof cases / sizeof cases[0]));
}
