// SPDX-License-Identifier: BSD-3-Clause
// Level global: versions are copied to a global store in the background, while the nodes' stores,
// or that one, are damaged, destroyed and put in the way.
#include <fcntl.h>

#include "checkpoint_lost_stores.hpp"
#include "ssi/base/config.hpp"

namespace ssi::test {
namespace {

class GlobalRanks : public LostStores {
protected:
    void SetUp() override { CheckpointRanks::SetUp(); }
    void TearDown() override {
        ::unsetenv("SSI_CHECKPOINT_DRAIN_RATE_BYTES");
        CheckpointRanks::TearDown();
    }
    std::string global() const { return directory_ + "/global"; }
    CheckpointOptions both() const {
        CheckpointOptions options = each();
        options.global_directory = global();
        return options;
    }
    static void throttle(std::uint64_t bytes_per_s) {
        ::setenv("SSI_CHECKPOINT_DRAIN_RATE_BYTES", std::to_string(bytes_per_s).c_str(), 1);
    }
    // Takes so many versions, each with its number, and waits for the last one.
    void take(std::uint64_t versions, bool incremental, std::uint64_t first = 1) {
        session_of(world_size(), [&](Session& s) {
            auto set = open(s);
            Checkpoint checkpoint(s, both());
            checkpoint.protect(set);
            for (std::uint64_t salt = first; salt < first + versions; ++salt) {
                fill(s, set, salt);
                good(checkpoint.take("", {.number = salt,
                                          .incremental = incremental,
                                          .level = CheckpointLevel::global}));
            }
        });
    }
    // By so many ranks: the number of what they go on from; 0: nothing.
    std::uint64_t restart(int ranks, std::vector<std::string>* passed_over = nullptr) {
        std::uint64_t number = 0;
        session_of(ranks, [&](Session& s) {
            auto set = open(s);
            Checkpoint checkpoint(s, both());
            checkpoint.protect(set);
            const auto from = good(checkpoint.restart());
            if (!from) return;
            number = from->number;
            if (passed_over) *passed_over = from->passed_over;
            check(s, set, number);
        });
        MPI_Bcast(&number, 1, MPI_UINT64_T, 0, MPI_COMM_WORLD);
        return number;
    }
    void destroy_all() {
        for (int rank = 0; rank < world_size(); ++rank) destroy(rank);
    }
    std::vector<ckpt::VersionNumber> versions_in(const std::string& folder) const {
        const auto disk = good(io::make_libaio_disk(folder));
        std::vector<ckpt::VersionNumber> complete;
        for (const auto& info : good(good(ckpt::Store::open({.disk = disk.get()}))->list()))
            if (info.state == ckpt::VersionState::complete) complete.push_back(info.version);
        return complete;
    }
    // Every byte, of all of them.
    void expect_verified(const std::vector<ckpt::VersionNumber>& versions) const {
        if (world_rank() != 0) return;
        EXPECT_EQ(versions_in(global()), versions);
        const auto disk = good(io::make_libaio_disk(global()));
        const auto store = good(ckpt::Store::open({.disk = disk.get()}));
        for (const ckpt::VersionNumber version : versions)
            EXPECT_EQ(good(store->verify(version)).faults, std::vector<std::string>());
    }
    // By the first rank, while the others wait.
    template <class Body>
    static void alone(Body&& body) {
        MPI_Barrier(MPI_COMM_WORLD);
        if (world_rank() == 0) body();
        MPI_Barrier(MPI_COMM_WORLD);
    }
    static void flip_byte(const std::string& path, std::streamoff at) {
        std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
        file.seekg(at);
        const int byte = file.get();
        ASSERT_TRUE(file.good()) << path;
        file.seekp(at);
        file.put(static_cast<char>(byte ^ 1));
    }
};

TEST_F(GlobalRanks, any_number_of_ranks_goes_on_without_the_stores_that_were_destroyed) {
    take(2, false);
    expect_verified({1, 2});
    for (int ranks = 1; ranks <= world_size(); ++ranks) {
        destroy_all();
        EXPECT_EQ(restart(ranks), 2u) << ranks << " ranks";
    }
    // Numbers go on, and so does the drain.
    take(1, false, 9);
    expect_verified({1, 2, 3});
    EXPECT_EQ(restart(world_size()), 9u);
}

TEST_F(GlobalRanks, copies_are_the_same_files_byte_for_byte) {
    session_of(world_size(), [&](Session& s) {
        std::vector<std::uint64_t> large((20u << 20) / 8);
        for (std::size_t i = 0; i < large.size(); ++i)
            large[i] = word_of(i, static_cast<std::uint64_t>(s.rank()), i);
        Checkpoint checkpoint(s, both());
        checkpoint.protect_span("large", std::span(large));
        good(checkpoint.take("", {.level = CheckpointLevel::global}));
    });
    alone([&] {
        for (int rank = 0; rank < world_size(); ++rank) {
            const std::string member = fmt::format("v1/m{}", rank);
            const auto there = files_in(global() + "/" + member);
            EXPECT_GE(there.size(), 4u);
            EXPECT_TRUE(there == files_in(fmt::format("{}/{}/{}", directory_, rank, member)));
        }
        EXPECT_TRUE(files_in(global() + "/v1").at("manifest") ==
                    files_in(directory_ + "/0/v1").at("manifest"));
    });
}

// What a version refers to goes along, also where it was never copied itself.
TEST_F(GlobalRanks, versions_that_others_refer_to_are_copied_with_them) {
    take(4, true);
    expect_verified({1, 2, 3, 4});
    destroy_all();
    EXPECT_EQ(restart(1), 4u);
}

TEST_F(GlobalRanks, what_was_skipped_is_copied_when_a_later_one_refers_to_it) {
    throttle(4u << 20);
    session_of(world_size(), [&](Session& s) {
        auto set = open(s);
        Checkpoint checkpoint(s, both());
        checkpoint.protect(set);
        std::vector<CheckpointTicket> tickets;
        for (std::uint64_t salt = 1; salt <= 4; ++salt) {
            fill(s, set, salt);
            tickets.push_back(good(checkpoint.take("", {.number = salt,
                                                        .asynchronous = true,
                                                        .incremental = true,
                                                        .level = CheckpointLevel::global})));
        }
        EXPECT_FALSE(tickets.back().test());
        good(tickets.front().wait());
        good(tickets.back().wait());
        EXPECT_EQ(tickets[1].wait().error().code, Errc::cancelled);
        EXPECT_EQ(tickets[2].wait().error().code, Errc::cancelled);
        EXPECT_TRUE(tickets[2].progress().saved);
    });
    expect_verified({1, 2, 3, 4});
    destroy_all();
    EXPECT_EQ(restart(world_size()), 4u);
}

// More are taken than are kept, while the first one is copied: it stays until it was.
TEST_F(GlobalRanks, takes_do_not_wait_for_the_drain_and_leave_it_what_it_copies) {
    throttle(2u << 20);
    session_of(world_size(), [&](Session& s) {
        auto set = open(s);
        CheckpointOptions options = both();
        options.keep = 1;
        Checkpoint checkpoint(s, options);
        checkpoint.protect(set);
        fill(s, set, 1);
        const auto first = good(checkpoint.take("", {.number = 1,
                                                     .asynchronous = true,
                                                     .level = CheckpointLevel::global}));
        for (std::uint64_t salt = 2; salt <= 4; ++salt) {
            fill(s, set, salt);
            good(checkpoint.take("", {.number = salt}));
        }
        EXPECT_FALSE(first.test());
        s.barrier();
        if (s.rank() == 0) {
            EXPECT_TRUE(stdfs::exists(directory_ + "/0/v1/manifest"));
            EXPECT_FALSE(stdfs::exists(directory_ + "/0/v2"));
            EXPECT_TRUE(stdfs::exists(directory_ + "/0/v4/manifest"));
        }
        good(first.wait());
        fill(s, set, 5);
        good(checkpoint.take("", {.number = 5}));
        s.barrier();
    });
    if (world_rank() == 0) EXPECT_FALSE(stdfs::exists(directory_ + "/0/v1"));
    expect_verified({1});
    EXPECT_EQ(restart(world_size()), 5u);   // the newest anywhere
    destroy_all();
    EXPECT_EQ(restart(world_size()), 1u);
}

TEST_F(GlobalRanks, as_many_are_kept_there_as_the_policy_says) {
    session_of(world_size(), [&](Session& s) {
        auto set = open(s);
        CheckpointOptions options = both();
        options.policy = "levels local_s=1e9 local_keep=1 global_s=0.001 global_keep=2";
        Checkpoint checkpoint(s, options);
        checkpoint.protect(set);
        for (std::uint64_t salt = 1; salt <= 4; ++salt) {
            fill(s, set, salt);
            ASSERT_TRUE(checkpoint.need());
            const TakeOptions wanted = checkpoint.wanted({.number = salt});
            EXPECT_EQ(wanted.level, CheckpointLevel::global);
            good(checkpoint.take("", wanted));
        }
    });
    expect_verified({3, 4});
}

TEST_F(GlobalRanks, a_member_that_is_damaged_in_its_store_is_read_from_the_global_one) {
    take(2, false);
    alone([&] { flip_byte(directory_ + "/0/v2/m0/0000000000000001.seg", 70'000); });
    std::vector<std::string> passed_over;
    EXPECT_EQ(restart(world_size(), &passed_over), 2u);
    EXPECT_EQ(passed_over, std::vector<std::string>());
    // With both damaged an older one is gone back to.
    alone([&] { flip_byte(global() + "/v2/m0/0000000000000001.seg", 70'000); });
    EXPECT_EQ(restart(world_size(), &passed_over), 1u);
    if (world_rank() == 0) EXPECT_EQ(passed_over.size(), 1u);
}

TEST_F(GlobalRanks, a_member_that_is_damaged_before_it_is_copied_does_not_come_there) {
    throttle(1u << 20);
    session_of(world_size(), [&](Session& s) {
        auto set = open(s);
        Checkpoint checkpoint(s, both());
        checkpoint.protect(set);
        fill(s, set, 1);
        const auto first = good(checkpoint.take("", {.asynchronous = true,
                                                     .level = CheckpointLevel::global}));
        fill(s, set, 2);
        const auto second = good(checkpoint.take("", {.asynchronous = true,
                                                      .level = CheckpointLevel::global}));
        while (!second.progress().saved) ::sched_yield();
        s.barrier();
        if (s.rank() == 0)
            flip_byte(directory_ + "/0/v2/m0/0000000000000001.seg", 70'000);
        EXPECT_FALSE(first.test());
        good(first.wait());
        const auto failed = second.wait();
        ASSERT_FALSE(failed);
        EXPECT_EQ(failed.error().code, Errc::io);
        EXPECT_NE(failed.error().text.find("version 2 is in the nodes' stores, and not in"),
                  std::string::npos) << failed.error().text;
        fill(s, set, 3);
        good(checkpoint.take("", {.level = CheckpointLevel::global}));
    });
    expect_verified({1, 3});
    alone([&] { EXPECT_FALSE(stdfs::exists(global() + "/v2")); });
}

TEST_F(GlobalRanks, with_the_global_store_gone_the_application_goes_on_and_tries_again) {
    session_of(world_size(), [&](Session& s) {
        auto set = open(s);
        Checkpoint checkpoint(s, both());
        checkpoint.protect(set);
        fill(s, set, 1);
        good(checkpoint.take("", {.number = 1, .level = CheckpointLevel::global}));
        s.barrier();
        if (s.rank() == 0) stdfs::rename(global(), global() + ".away");
        s.barrier();
        fill(s, set, 2);
        const auto failed = checkpoint.take("", {.number = 2, .level = CheckpointLevel::global});
        ASSERT_FALSE(failed);
        EXPECT_NE(failed.error().text.find("version 2 is in the nodes' stores, and not in " +
                                           global()), std::string::npos) << failed.error().text;
        EXPECT_TRUE(stdfs::exists(directory_ + "/0/v2/manifest"));
        good(checkpoint.take("", {.number = 22}));
        s.barrier();
        if (s.rank() == 0) stdfs::rename(global() + ".away", global());
        s.barrier();
        fill(s, set, 3);
        good(checkpoint.take("", {.number = 3, .incremental = true,
                                  .level = CheckpointLevel::global}));
    });
    expect_verified({1, 4});
    alone([&] { EXPECT_FALSE(stdfs::exists(global() + "/v2")); });
    EXPECT_EQ(restart(world_size()), 3u);
}

TEST_F(GlobalRanks, without_a_global_store_the_level_is_refused) {
    session_of(world_size(), [&](Session& s) {
        auto set = open(s);
        Checkpoint checkpoint(s, each());
        checkpoint.protect(set);
        const auto refused = checkpoint.take("", {.level = CheckpointLevel::global});
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Errc::unsupported);
        EXPECT_NE(refused.error().text.find("checkpoint.global_directory"), std::string::npos);
        good(checkpoint.take("", {}));
    });
}

TEST_F(GlobalRanks, a_directory_that_is_a_nodes_store_already_is_refused) {
    session_of(world_size(), [&](Session& s) {
        CheckpointOptions same = options();
        same.global_directory = directory_;
        try {
            Checkpoint checkpoint(s, same);
            ADD_FAILURE() << "was not refused";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Errc::invalid_argument);
        }
        s.barrier();
    });
}

}  // namespace
}  // namespace ssi::test
