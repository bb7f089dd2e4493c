// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/sys/memory_limits.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace ssi::sys {
namespace {

namespace fs = std::filesystem;

// A made-up machine: files under a directory that stands for /.
class FakeRoot {
public:
    FakeRoot() : path_((fs::temp_directory_path() / "ssi-root-XXXXXX").string()) {
        if (mkdtemp(path_.data()) == nullptr) ADD_FAILURE() << "mkdtemp";
        file("/proc/meminfo", "MemTotal:  8192 kB\nMemFree: 1 kB\nMemAvailable:  6144 kB\n");
    }
    ~FakeRoot() { fs::remove_all(path_); }
    FakeRoot(const FakeRoot&) = delete;
    FakeRoot& operator=(const FakeRoot&) = delete;

    void file(const std::string& name, const std::string& text) {
        fs::create_directories(fs::path(path_ + name).parent_path());
        std::ofstream(path_ + name) << text;
    }
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

TEST(MemoryLimits, of_this_machine_are_plausible) {
    const auto limits = read_memory_limits();
    ASSERT_FALSE(limits.empty());
    EXPECT_EQ(limits[0].name, "memory of the machine");
    EXPECT_GT(limits[0].limit_bytes, 64u << 20);
    EXPECT_GT(tightest(limits).left_bytes(), 0u);
}

TEST(MemoryLimits, without_control_groups_it_is_the_machine_alone) {
    const FakeRoot root;
    const auto limits = read_memory_limits(root.path());
    ASSERT_EQ(limits.size(), 1u);
    EXPECT_EQ(limits[0].limit_bytes, 8u << 20);
    EXPECT_EQ(limits[0].left_bytes(), 6u << 20);
}

TEST(MemoryLimits, version_2_counts_ancestors_and_not_the_page_cache) {
    FakeRoot root;
    root.file("/proc/self/mountinfo",
              "25 1 0:2 / /sys rw - sysfs sysfs rw\n"
              "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n");
    root.file("/proc/self/cgroup", "0::/job/step\n");
    root.file("/sys/fs/cgroup/job/step/memory.max", "max\n");
    root.file("/sys/fs/cgroup/job/memory.max", "4194304\n");
    root.file("/sys/fs/cgroup/job/memory.current", "3145728\n");
    root.file("/sys/fs/cgroup/job/memory.stat",
              "anon 1\nfile 9\nactive_file 524288\ninactive_file 524288\n");
    const auto limits = read_memory_limits(root.path());
    ASSERT_EQ(limits.size(), 2u);
    EXPECT_EQ(limits[1].name, "memory.max of cgroup /job");
    EXPECT_EQ(limits[1].limit_bytes, 4u << 20);
    EXPECT_EQ(limits[1].used_bytes, 2u << 20);
    EXPECT_EQ(&tightest(limits), &limits[1]);
}

TEST(MemoryLimits, version_1_takes_the_memory_controller_and_its_word_for_no_limit) {
    FakeRoot root;
    root.file("/proc/self/mountinfo",
              "30 25 0:26 / /cg/cpu rw - cgroup cgroup rw,cpu\n"
              "31 25 0:27 / /cg/memory rw - cgroup cgroup rw,memory\n");
    root.file("/proc/self/cgroup", "3:cpu:/wrong\n2:memory:/a/b\n0::/\n");
    root.file("/cg/memory/a/b/memory.limit_in_bytes", "1048576\n");
    root.file("/cg/memory/a/b/memory.usage_in_bytes", "2097152\n");
    root.file("/cg/memory/a/memory.limit_in_bytes", "9223372036854771712\n");
    const auto limits = read_memory_limits(root.path());
    ASSERT_EQ(limits.size(), 2u);
    EXPECT_EQ(limits[1].name, "memory.limit_in_bytes of cgroup /a/b");
    EXPECT_EQ(limits[1].left_bytes(), 0u) << "above its limit nothing is left";
}

TEST(MemoryLimits, inside_a_container_the_mount_may_begin_at_our_group) {
    FakeRoot root;
    root.file("/proc/self/mountinfo",
              "31 25 0:27 /docker/abc /sys/fs/cgroup rw - cgroup2 cgroup rw\n");
    root.file("/proc/self/cgroup", "0::/docker/abc\n");
    root.file("/sys/fs/cgroup/memory.max", "5242880\n");
    const auto limits = read_memory_limits(root.path());
    ASSERT_EQ(limits.size(), 2u);
    EXPECT_EQ(limits[1].name, "memory.max of cgroup /");
    EXPECT_EQ(limits[1].left_bytes(), 5u << 20);
}

}  // namespace
}  // namespace ssi::sys
