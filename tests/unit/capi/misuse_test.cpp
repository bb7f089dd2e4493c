// SPDX-License-Identifier: BSD-3-Clause
// Null handles and empty guards are errors with a text, in the thread that made them only.
#include <gtest/gtest.h>

#include <cerrno>
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
    expect_invalid(ssi_reduce(nullptr, 0, SSI_SUM, SSI_I64, &number, 1), "session is NULL");
    expect_invalid(ssi_reduce_with(nullptr, 0, &number, 1, 8, nullptr, nullptr),
                   "session is NULL");
    std::size_t length = 8;
    expect_invalid(ssi_broadcast_sized(nullptr, 0, &number, 8, &length), "session is NULL");
    const char* text = nullptr;
    expect_invalid(ssi_setting_i64(nullptr, "log.level", &number), "session is NULL");
    expect_invalid(ssi_setting_text(nullptr, "log.level", &text), "session is NULL");
    expect_invalid(ssi_setting_source(nullptr, "log.level", &text), "session is NULL");
    expect_invalid(ssi_metrics(nullptr, SSI_JSON, nullptr, 0, &length), "session is NULL");
    ssi_counter* counter = reinterpret_cast<ssi_counter*>(&number);
    expect_invalid(ssi_counter_open(nullptr, "x", nullptr, &counter), "session is NULL");
    EXPECT_EQ(counter, nullptr);
    ssi_histogram* histogram = nullptr;
    expect_invalid(ssi_histogram_open(nullptr, "x", nullptr, &histogram), "session is NULL");
    expect_invalid(ssi_set_create(nullptr, "x", &options, &set), "session is NULL");
    expect_invalid(ssi_set_open(nullptr, "x", &set), "session is NULL");
    expect_invalid(ssi_set_destroy(nullptr, "x"), "session is NULL");
    expect_invalid(ssi_register_function(nullptr, "x", SSI_INLINE, nullptr, nullptr),
                   "session is NULL");
    const ssi_linker linker = SSI_LINKER_INIT;
    expect_invalid(ssi_register_linker(nullptr, "x", &linker), "session is NULL");
    expect_invalid(ssi_register_record_file(nullptr, "x", "x", 8), "session is NULL");
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
    expect_invalid(ssi_migrate(nullptr, nullptr, 0, 0), "set is NULL");
    ssi_set_stats stats = {};
    expect_invalid(ssi_stats(nullptr, &stats), "set is NULL");
    expect_invalid(ssi_fetch_add_i64(nullptr, ssi_id(1), 0, 1, nullptr), "set is NULL");
    ssi_future* future = reinterpret_cast<ssi_future*>(&guard);
    expect_invalid(ssi_fetch_min_u64_async(nullptr, ssi_id(1), 0, 1, &future), "set is NULL");
    EXPECT_EQ(future, nullptr);
    ssi_updates* updates = reinterpret_cast<ssi_updates*>(&guard);
    expect_invalid(ssi_updates_create(nullptr, SSI_ADD, SSI_I64, &updates), "set is NULL");
    EXPECT_EQ(updates, nullptr);
    ssi_snapshot snapshot = {};
    expect_invalid(ssi_read_whole(nullptr, ssi_id(1), &snapshot), "set is NULL");
    expect_invalid(ssi_read_whole_many(nullptr, nullptr, 1, &snapshot), "set is NULL");
    expect_invalid(ssi_held(nullptr, ssi_id(1), nullptr, nullptr), "set is NULL");
    expect_invalid(ssi_set_number(nullptr, &node), "set is NULL");
    ssi_set_options options = SSI_SET_OPTIONS_INIT;
    expect_invalid(ssi_set_describe(nullptr, &options), "set is NULL");
    expect_invalid(ssi_apply(nullptr, ssi_id(1), "f", nullptr, 0, nullptr, 0, nullptr),
                   "set is NULL");
}

TEST(CMisuse, null_handles_of_all_kinds_are_errors) {
    std::size_t count = 7, length = 0, index = 0;
    std::int64_t number = 0;
    std::uint64_t visited = 7;
    double real = 0;
    int flag = 0;
    expect_invalid(ssi_updates_flush(nullptr), "updates is NULL");
    expect_invalid(ssi_updates_add_i64(nullptr, ssi_id(1), 0, 1), "updates is NULL");
    expect_invalid(ssi_updates_fetch_f64(nullptr, ssi_id(1), 0, 1, &real), "updates is NULL");
    EXPECT_EQ(ssi_updates_destroy(nullptr), SSI_OK);
    expect_invalid(ssi_future_wait(nullptr, 0), "future is NULL");
    expect_invalid(ssi_future_i64(nullptr, &number), "future is NULL");
    expect_invalid(ssi_channel_send_many(nullptr, "x", 1, nullptr, 1), "channel is NULL");
    expect_invalid(ssi_channel_receive_many(nullptr, &number, 8, nullptr, 1, &count, 0),
                   "channel is NULL");
    EXPECT_EQ(count, 0u);
    expect_invalid(ssi_channel_receive_any(nullptr, 1, &number, 8, &length, &index, 0),
                   "channels is NULL");
    expect_invalid(ssi_channel_select(nullptr, 1, 0, &index), "channels is NULL");
    expect_invalid(ssi_mutex_held(nullptr, &flag), "mutex is NULL");
    expect_invalid(ssi_shared_mutex_held(nullptr, nullptr), "mutex is NULL");
    expect_invalid(ssi_counter_add(nullptr, 1), "counter is NULL");
    expect_invalid(ssi_histogram_record(nullptr, 1), "histogram is NULL");
    expect_invalid(ssi_for_each_local(nullptr, nullptr, nullptr, &visited), "set is NULL");
    EXPECT_EQ(visited, 0u);
    EXPECT_EQ(ssi_set_name(nullptr), nullptr);
    EXPECT_EQ(ssi_mutex_name(nullptr), nullptr);
    EXPECT_EQ(ssi_shared_mutex_name(nullptr), nullptr);
    EXPECT_EQ(ssi_condition_name(nullptr), nullptr);
    EXPECT_EQ(ssi_meeting_name(nullptr), nullptr);
    EXPECT_EQ(ssi_channel_name(nullptr), nullptr);
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
    ssi_object_id id;
    expect_invalid(ssi_guard_id(&guard, &id), "holds nothing");
    expect_invalid(ssi_guard_id(&guard, nullptr), "id is NULL");
    expect_invalid(ssi_put_failed(&guard, SSI_ERR_IO, nullptr), "holds nothing");
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

TEST(CMisuse, null_file_systems_and_files_are_errors) {
    int not_touched = 0;
    ssi_fs* fs = reinterpret_cast<ssi_fs*>(&not_touched);
    ssi_fs_options options = SSI_FS_OPTIONS_INIT;
    ssi_fs_attributes attributes = SSI_FS_STAT_INIT;
    expect_invalid(ssi_fs_mount(nullptr, &options, &fs), "session is NULL");
    EXPECT_EQ(fs, nullptr);
    expect_invalid(ssi_fs_sync(nullptr), "fs is NULL");
    expect_invalid(ssi_fs_stat(nullptr, "/", &attributes), "fs is NULL");
    expect_invalid(ssi_fs_rename(nullptr, "/a", "/b", 0), "fs is NULL");
    ssi_file* file = nullptr;
    ssi_dir* directory = nullptr;
    expect_invalid(ssi_fs_open(nullptr, "/", 0, 0, &file), "fs is NULL");
    expect_invalid(ssi_fs_opendir(nullptr, "/", 0, &directory), "fs is NULL");
    expect_invalid(ssi_fs_pread(nullptr, nullptr, 0, 0, nullptr), "file is NULL");
    expect_invalid(ssi_fs_pwritev(nullptr, nullptr, 0, 0), "file is NULL");
    expect_invalid(ssi_fs_flock(nullptr, SSI_READ, 0), "file is NULL");
    ssi_future* future = reinterpret_cast<ssi_future*>(&not_touched);
    expect_invalid(ssi_fs_fsync_async(nullptr, &future), "file is NULL");
    EXPECT_EQ(future, nullptr);
    const ssi_fs_entry* entry = nullptr;
    expect_invalid(ssi_fs_readdir(nullptr, &entry), "directory is NULL");
    errno = 0;
    expect_invalid(ssi_fs_fsync(nullptr), "file is NULL");
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(ssi_last_error_errno(), 0) << "the operating system had no part in it";
    EXPECT_EQ(ssi_fs_unmount(nullptr), SSI_OK);
}
