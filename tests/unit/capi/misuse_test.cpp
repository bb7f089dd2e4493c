// SPDX-License-Identifier: BSD-3-Clause
// Null handles and empty guards are errors with a text, in the thread that made them only.
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "ssi/ssi.h"

namespace {

void expect_invalid(int result, const char* text) {
    EXPECT_EQ(result, SSI_ERR_INVALID_ARGUMENT);
    EXPECT_NE(std::string(ssi_last_error()).find(text), std::string::npos) << ssi_last_error();
}

}  // namespace

TEST(CMisuse, null_sessions_are_errors) {
    ssi_set_options options = SSI_SET_OPTIONS_INIT;
    ssi_set* set = nullptr;
    std::int64_t number = 0;
    expect_invalid(ssi_barrier(nullptr), "session is NULL");
    expect_invalid(ssi_broadcast(nullptr, 0, &number, 8), "session is NULL");
    expect_invalid(ssi_reduce_i64(nullptr, SSI_SUM, &number, 1), "session is NULL");
    expect_invalid(ssi_set_create(nullptr, "x", &options, &set), "session is NULL");
    expect_invalid(ssi_set_open(nullptr, "x", &set), "session is NULL");
    expect_invalid(ssi_set_destroy(nullptr, "x"), "session is NULL");
    expect_invalid(ssi_register_function(nullptr, "x", SSI_INLINE, nullptr, nullptr),
                   "session is NULL");
    expect_invalid(ssi_init(nullptr, nullptr, nullptr), "session is NULL");
    expect_invalid(ssi_init_comm(nullptr, nullptr), "session is NULL");
    EXPECT_EQ(ssi_rank(nullptr), -1);
    EXPECT_EQ(ssi_size(nullptr), -1);
    EXPECT_EQ(ssi_node(nullptr), SSI_NO_NODE);
    EXPECT_EQ(ssi_finalize(nullptr), SSI_OK);
}

TEST(CMisuse, null_sets_are_errors_and_leave_an_empty_guard) {
    ssi_guard guard;
    guard.data = &guard;
    expect_invalid(ssi_get(nullptr, ssi_id(1), &guard), "set is NULL");
    EXPECT_EQ(guard.data, nullptr);
    EXPECT_EQ(guard.size, 0u);
    expect_invalid(ssi_put(&guard), "holds nothing");
    expect_invalid(ssi_grab(nullptr, ssi_id(1), nullptr), "set is NULL");
    expect_invalid(ssi_grab_new(nullptr, ssi_id(1), &guard), "set is NULL");
    expect_invalid(ssi_try_grab(nullptr, ssi_id(1), &guard), "set is NULL");
    ssi_access access;
    std::uint32_t node;
    expect_invalid(ssi_find(nullptr, ssi_id(1), &access), "set is NULL");
    expect_invalid(ssi_home(nullptr, ssi_id(1), &node), "set is NULL");
    expect_invalid(ssi_remove(nullptr, ssi_id(1)), "set is NULL");
    expect_invalid(ssi_prefetch(nullptr, ssi_id(1), SSI_READ), "set is NULL");
    expect_invalid(ssi_flush(nullptr, ssi_id(1)), "set is NULL");
    expect_invalid(ssi_sync(nullptr), "set is NULL");
    expect_invalid(ssi_fetch_add_i64(nullptr, ssi_id(1), 0, 1, nullptr), "set is NULL");
    expect_invalid(ssi_apply(nullptr, ssi_id(1), "f", nullptr, 0, nullptr, 0, nullptr),
                   "set is NULL");
}

TEST(CMisuse, empty_guards_and_calls_are_errors) {
    ssi_guard guard = SSI_GUARD_INIT;
    int changed = 0;
    std::uint64_t version = 0;
    expect_invalid(ssi_put(nullptr), "guard is NULL");
    expect_invalid(ssi_put(&guard), "holds nothing");
    expect_invalid(ssi_upgrade(&guard, &changed), "holds nothing");
    expect_invalid(ssi_resize(&guard, 8), "holds nothing");
    expect_invalid(ssi_guard_version(&guard, &version), "holds nothing");
    ssi_call call = {};
    expect_invalid(ssi_call_reply(&call, "x", 1), "made by libssi");
    expect_invalid(ssi_call_resize(nullptr, 1), "call is NULL");
    ssi_call_text(nullptr, "nothing happens");
}

TEST(CMisuse, each_thread_has_its_own_last_error) {
    expect_invalid(ssi_put(nullptr), "guard is NULL");
    std::string elsewhere = "not asked";
    std::thread([&] {
        elsewhere = ssi_last_error();
        (void)ssi_barrier(nullptr);
    }).join();
    EXPECT_EQ(elsewhere, "");
    EXPECT_STREQ(ssi_last_error(), "invalid_argument: guard is NULL");
    EXPECT_EQ(ssi_last_error_node(), SSI_NO_NODE);
}
