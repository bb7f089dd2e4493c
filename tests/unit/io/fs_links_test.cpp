// SPDX-License-Identifier: BSD-3-Clause
// A file that is durable gets another name and loses the first: a power cut at any moment leaves
// it one of them, in whatever logs the two and the way to them are. Here the log of the removal
// becomes durable, and what of the others is nobody has asked for.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "fs_bucket.hpp"
#include "fs_session.hpp"

namespace ssi::fs {
namespace {

class Links : public testing::Test {
protected:
    Links()
        : session_(std::make_unique<FsSession>(
              shelf_, Directories{{"a"}, {"b"}, {"c"}, {"d"}},
              Options{.commit_ms = 3'600'000, .bucket_bytes = 300})) {}
    FsSession& s() { return *session_; }
    // A directory lies with its maker.
    void make(std::size_t node, const std::string& path, bool durable) {
        EXPECT_FINE(s()[node].make_directory(path));
        if (durable) EXPECT_FINE(s()[node].sync(path));
    }
    void make_durable_file(std::size_t node, const std::string& path) {
        write_file(s()[node], path, "kept");
        EXPECT_FINE(s()[node].sync(path));
    }
    // Afterwards the removal of `old_name` is durable.
    void replace(const std::string& old_name, const std::string& name, const std::string& sync) {
        EXPECT_FINE(s()[0].link(old_name, name));
        EXPECT_FINE(s()[0].unlink(old_name));
        EXPECT_FINE(s()[0].sync(sync));
    }
    void expect_kept_after_power_cut(const std::string& name) {
        PagesShelf left;
        left.disks = shelf_.after_power_cut(1);
        FsSession later(left, {{"a", "b"}, {"c", "d"}});
        EXPECT_EQ(read_file(later[0], name), "kept");
        EXPECT_EQ(later.check().problems, 0u);
        later.close();
    }

    PagesShelf shelf_;
    std::unique_ptr<FsSession> session_;
};

TEST_F(Links, in_the_log_of_another_directory) {
    make(1, "/at-b", true);
    make_durable_file(0, "/f");
    replace("/f", "/at-b/g", "/");
    expect_kept_after_power_cut("/at-b/g");
}

TEST_F(Links, in_a_directory_that_is_not_durable) {
    make(2, "/at-c", false);
    make(1, "/at-c/at-b", false);
    make_durable_file(0, "/f");
    replace("/f", "/at-c/at-b/g", "/");
    expect_kept_after_power_cut("/at-c/at-b/g");
}

TEST_F(Links, in_the_log_of_the_inode_while_the_old_name_is_elsewhere) {
    make(1, "/at-b", true);
    make(2, "/at-c", true);
    make_durable_file(1, "/at-b/f");
    EXPECT_FINE(s()[1].rename("/at-b/f", "/at-c/f"));
    EXPECT_FINE(s()[1].sync("/at-c/f"));
    replace("/at-c/f", "/at-b/g", "/at-c");
    expect_kept_after_power_cut("/at-b/g");
}

TEST_F(Links, in_a_bucket_that_a_split_which_is_not_durable_leads_to) {
    make(1, "/at-b", true);
    make_durable_file(0, "/f");
    // All in one bucket, the second time, too, that it is split.
    std::vector<std::string> names;
    for (int k = 0; names.size() < 20; ++k)
        if (const auto name = fmt::format("n{}", k); (name_hash(name) & 3) == 3)
            names.push_back(name);
    std::size_t made = 0;
    const auto make_one = [&](std::size_t node) {
        write_file(s()[node], "/at-b/" + names[made++], "");
    };
    const auto bucket_there = [&](BucketKey key) {
        auto value = s().cluster[0].open("fs/buckets")->read(
            bucket_id(InodeId(s()[0].stat("/at-b")->inode), key));
        return value && !value->bytes.empty();
    };
    const auto place_of = [&](std::uint32_t index) {   // of the first slot that has it
        for (std::uint16_t slot = 0; slot < 64; ++slot)
            if (bucket_there({index, static_cast<std::uint16_t>(slot + 1)})) return slot % 4;
        return -1;
    };
    while (place_of(1) < 0 && made < 12) make_one(2);
    ASSERT_EQ(place_of(1), 2);                         // on c
    EXPECT_FINE(s()[2].sync());
    while (place_of(3) < 0 && made < 18) make_one(3);
    ASSERT_EQ(place_of(3), 3);                         // on d, split off on c
    replace("/f", "/at-b/" + names[19], "/");
    expect_kept_after_power_cut("/at-b/" + names[19]);
}

}  // namespace
}  // namespace ssi::fs
