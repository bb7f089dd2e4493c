// SPDX-License-Identifier: BSD-3-Clause
// Threads of all ranks at the same names of kDFS at once: what must come out whoever is faster.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "mounted.hpp"

namespace ssi {
namespace {

constexpr std::uint32_t threads_of_rank = 2;
constexpr std::uint64_t names = 100;

// Each test in a directory of its own.
class FsRaces : public test::Mounted {
protected:
    void SetUp() override {
        top_ = std::string("/") + testing::UnitTest::GetInstance()->current_test_info()->name();
        first([&] { make(top_); });
    }

    static std::uint32_t issuers() {
        return static_cast<std::uint32_t>(session_->size()) * threads_of_rank;
    }
    static fs::FileSystem& system() { return *system_; }
    std::string path(const std::string& name) const { return top_ + "/" + name; }
    std::string path(const char* prefix, std::uint64_t i) const {
        return path(prefix + std::to_string(i));
    }
    static void make(const std::string& directory) {
        value_or_throw(system().make_directory(directory));
    }
    static void touch(const std::string& file) {
        value_or_throw(system().open(file, O_CREAT | O_EXCL | O_WRONLY));
    }
    static void together() { session_->barrier(); }
    static void first(const std::function<void()>& body) {
        together();
        if (session_->rank() == 0) body();
        together();
    }
    // Every thread of every rank at once.
    static void everybody(const std::function<void(std::uint32_t issuer)>& body) {
        together();
        const auto from = static_cast<std::uint32_t>(session_->rank()) * threads_of_rank;
        const auto guarded = [&body](std::uint32_t issuer) {
            try {
                body(issuer);
            } catch (const Error& error) {
                ADD_FAILURE() << "issuer " << issuer << ": " << error.what();
            }
        };
        std::vector<std::thread> threads;
        for (std::uint32_t i = 1; i < threads_of_rank; ++i)
            threads.emplace_back([&guarded, from, i] { guarded(from + i); });
        guarded(from);
        for (auto& thread : threads) thread.join();
        together();
    }
    // Counts by name: threads of a rank add to `mine` atomically, then all ranks sum up.
    using Counts = std::vector<std::uint32_t>;
    static void count(Counts& counts, std::uint64_t i) {
        std::atomic_ref(counts[i]).fetch_add(1);
    }
    static Counts summed(Counts mine) {
        session_->all_reduce(std::span(mine), Reduce::sum);
        return mine;
    }
    static int errno_of(const Result<void>& result) {
        return result ? 0 : result.error().sys_errno;
    }
    // Of all issuers that try, for each name exactly one succeeds, and the others get `lost`.
    void one_winner(const std::function<Result<void>(std::uint64_t i, std::uint32_t who)>& attempt,
                    int lost) {
        Counts won(names), wrong(names);
        everybody([&](std::uint32_t who) {
            for (std::uint64_t i = 0; i < names; ++i) {
                const int error = errno_of(attempt(i, who));
                if (error == 0) count(won, i);
                if (error != 0 && error != lost) count(wrong, i);
            }
        });
        EXPECT_EQ(summed(won), Counts(names, 1));
        EXPECT_EQ(summed(wrong), Counts(names, 0));
    }

    std::string top_;
};
TEST_F(FsRaces, exclusive_create_has_one_winner) {
    one_winner(
        [&](std::uint64_t i, std::uint32_t) -> Result<void> {
            auto file = system().open(path("f", i), O_CREAT | O_EXCL | O_WRONLY);
            if (!file) return tl::unexpected<Failure>(std::move(file).error());
            return {};
        },
        EEXIST);
}

TEST_F(FsRaces, a_directory_is_made_once) {
    one_winner([&](std::uint64_t i, std::uint32_t) {
        return system().make_directory(path("d", i));
    }, EEXIST);
}

TEST_F(FsRaces, a_file_is_unlinked_once) {
    first([&] {
        for (std::uint64_t i = 0; i < names; ++i) touch(path("f", i));
    });
    one_winner([&](std::uint64_t i, std::uint32_t) { return system().unlink(path("f", i)); },
               ENOENT);
    EXPECT_TRUE(value_or_throw(system().list(top_)).empty());
}

TEST_F(FsRaces, a_file_is_renamed_once_and_stays_one) {
    first([&] {
        for (std::uint64_t i = 0; i < names; ++i) touch(path("f", i));
    });
    one_winner(
        [&](std::uint64_t i, std::uint32_t who) {
            return system().rename(path("f", i), path("to", i * 1000 + who));
        },
        ENOENT);
    const auto left = value_or_throw(system().list(top_, 0, 10 * names, true));
    EXPECT_EQ(left.size(), names);
    for (const auto& entry : left) EXPECT_EQ(entry.attributes.links, 1u) << entry.name;
}

TEST_F(FsRaces, a_new_name_is_taken_once_without_replacing) {
    everybody([&](std::uint32_t who) {
        for (std::uint64_t i = 0; i < names; ++i) touch(path("from", i * 1000 + who));
    });
    one_winner(
        [&](std::uint64_t i, std::uint32_t who) {
            return system().rename(path("from", i * 1000 + who), path("to", i), RENAME_NOREPLACE);
        },
        EEXIST);
}

TEST_F(FsRaces, a_directory_is_removed_only_while_it_is_empty) {
    first([&] {
        for (std::uint64_t i = 0; i < names; ++i) make(path("d", i));
    });
    Counts removed(names), created(names), wrong(names);
    everybody([&](std::uint32_t who) {
        for (std::uint64_t i = 0; i < names; ++i) {
            const std::string inside = path("d", i) + "/" + std::to_string(who);
            if (who % 2 == 0) {
                const int error = errno_of(system().remove_directory(path("d", i)));
                if (error == 0) count(removed, i);
                else if (error != ENOTEMPTY && error != ENOENT) count(wrong, i);
            } else {
                const auto file = system().open(inside, O_CREAT | O_WRONLY);
                if (file) count(created, i);
                else if (file.error().sys_errno != ENOENT) count(wrong, i);
            }
        }
    });
    removed = summed(removed);
    created = summed(created);
    EXPECT_EQ(summed(wrong), Counts(names, 0));
    for (std::uint64_t i = 0; i < names; ++i) {
        EXPECT_LE(removed[i], 1u) << i;
        const auto left = system().list(path("d", i));
        EXPECT_EQ(left.has_value(), removed[i] == 0) << i;
        EXPECT_EQ(left ? left->size() : 0u, created[i]) << i;
    }
}

TEST_F(FsRaces, directories_never_end_up_in_each_other) {
    constexpr std::uint64_t rounds = 40;
    first([&] {
        for (std::uint64_t i = 0; i < rounds; ++i) {
            make(path("a", i));
            make(path("b", i));
        }
    });
    Counts moved(rounds), other_way(rounds);
    everybody([&](std::uint32_t who) {
        for (std::uint64_t i = 0; i < rounds; ++i) {
            const std::string a = path("a", i), b = path("b", i);
            if (who % 2 && system().rename(a, b + "/in")) count(moved, i);
            if (who % 2 == 0 && system().rename(b, a + "/in")) count(other_way, i);
        }
    });
    moved = summed(moved);
    other_way = summed(other_way);
    for (std::uint64_t i = 0; i < rounds; ++i)
        EXPECT_EQ(moved[i] + other_way[i], 1u) << moved[i] << " a into b, " << other_way[i]
                                               << " b into a: " << i;
    EXPECT_EQ(value_or_throw(system().list(top_)).size(), rounds);
}

TEST_F(FsRaces, appended_records_are_whole_and_there_once) {
    constexpr std::size_t record_bytes = 1000;
    constexpr std::uint64_t each = 150;
    everybody([&](std::uint32_t who) {
        auto file = value_or_throw(system().open(path("log"), O_CREAT | O_WRONLY | O_APPEND));
        std::vector<std::uint64_t> record(record_bytes / 8);
        for (std::uint64_t i = 0; i < each; ++i) {
            std::ranges::fill(record, who * each + i + 1);
            EXPECT_EQ(value_or_throw(file.write(std::as_bytes(std::span(record)))), record_bytes);
        }
    });
    auto file = value_or_throw(system().open(path("log"), O_RDONLY));
    const std::uint64_t count = issuers() * each;
    EXPECT_EQ(value_or_throw(file.stat()).size, count * record_bytes);
    std::vector<std::uint64_t> all(count * record_bytes / 8);
    ASSERT_EQ(value_or_throw(file.pread(std::as_writable_bytes(std::span(all)), 0)),
              count * record_bytes);
    std::vector<int> seen(count + 1);
    for (std::uint64_t r = 0; r < count; ++r) {
        const auto record = std::span(all).subspan(r * record_bytes / 8, record_bytes / 8);
        ASSERT_TRUE(std::ranges::all_of(record, [&](auto word) { return word == record[0]; })) << r;
        ASSERT_TRUE(record[0] >= 1 && record[0] <= count) << r;
        ++seen[record[0]];
    }
    EXPECT_EQ(std::count(seen.begin() + 1, seen.end(), 1), static_cast<long>(count));
}

TEST_F(FsRaces, who_reads_a_file_that_is_replaced_sees_an_old_or_a_new_one) {
    // Larger than a page, so that it does not come in one piece by itself.
    constexpr std::size_t words = 3 * 64 * 1024 / 8;
    const auto replace = [&](std::uint64_t value) {
        const std::string fresh = path("new", value);
        const std::vector<std::uint64_t> content(words, value);
        auto file = value_or_throw(system().open(fresh, O_CREAT | O_EXCL | O_WRONLY));
        value_or_throw(file.pwrite(std::as_bytes(std::span(content)), 0));
        value_or_throw(system().rename(fresh, path("current")));
    };
    first([&] { replace(1); });
    everybody([&](std::uint32_t who) {
        std::vector<std::uint64_t> found(words);
        for (std::uint64_t i = 0; i < 40; ++i) {
            if (who % 2 == 0) {
                replace(1000 * (who + 1) + i);
                continue;
            }
            auto file = value_or_throw(system().open(path("current"), O_RDONLY));
            EXPECT_EQ(value_or_throw(file.pread(std::as_writable_bytes(std::span(found)), 0)),
                      words * 8);
            EXPECT_TRUE(std::ranges::all_of(found, [&](auto word) { return word == found[0]; }));
        }
    });
    EXPECT_EQ(value_or_throw(system().list(top_)).size(), 1u);
}

TEST_F(FsRaces, a_listing_has_what_stays_exactly_once) {
    constexpr std::uint64_t staying = 300;
    first([&] {
        for (std::uint64_t i = 0; i < staying; ++i) touch(path("stays", i));
    });
    everybody([&](std::uint32_t who) {
        for (std::uint64_t round = 0; round < 6; ++round) {
            if (who % 2 == 0) {
                // Enough to split what holds the directory.
                for (std::uint64_t i = 0; i < 150; ++i) touch(path("goes", who * 1000 + i));
                for (std::uint64_t i = 0; i < 150; ++i)
                    value_or_throw(system().unlink(path("goes", who * 1000 + i)));
                continue;
            }
            std::map<std::string, int> seen;
            for (std::uint64_t cookie = 0;;) {
                const auto page = value_or_throw(system().list(top_, cookie, 7));
                if (page.empty()) break;
                cookie = page.back().cookie;
                for (const auto& entry : page) ++seen[entry.name];
            }
            for (std::uint64_t i = 0; i < staying; ++i)
                EXPECT_EQ(seen["stays" + std::to_string(i)], 1) << i;
        }
    });
    EXPECT_EQ(value_or_throw(system().list(top_, 0, 10'000)).size(), staying);
}

TEST_F(FsRaces, links_are_counted_right) {
    first([&] { touch(path("file")); });
    constexpr std::uint64_t each = 30;
    everybody([&](std::uint32_t who) {
        for (std::uint64_t i = 0; i < each; ++i) {
            value_or_throw(system().link(path("file"), path("l", who * 1000 + i)));
            if (i % 2) value_or_throw(system().unlink(path("l", who * 1000 + i)));
        }
    });
    EXPECT_EQ(value_or_throw(system().stat(path("file"))).links, 1 + issuers() * each / 2);
}

TEST_F(FsRaces, a_file_that_others_unlink_lives_while_it_is_open) {
    std::vector<fs::File> open;
    const std::vector<std::uint64_t> content(100'000 / 8, 7);
    first([&] {
        for (std::uint64_t i = 0; i < 20; ++i) {
            auto file = value_or_throw(system().open(path("f", i), O_CREAT | O_RDWR));
            value_or_throw(file.pwrite(std::as_bytes(std::span(content)), 0));
        }
    });
    for (std::uint64_t i = 0; i < 20; ++i)
        open.push_back(value_or_throw(system().open(path("f", i), O_RDWR)));
    together();
    if (session_->rank() == session_->size() - 1)
        for (std::uint64_t i = 0; i < 20; ++i) value_or_throw(system().unlink(path("f", i)));
    together();
    for (fs::File& file : open) {
        std::vector<std::uint64_t> found(content.size());
        EXPECT_EQ(value_or_throw(file.pread(std::as_writable_bytes(std::span(found)), 0)),
                  content.size() * 8);
        EXPECT_EQ(found, content);
        EXPECT_EQ(value_or_throw(file.stat()).links, 0u);
    }
    together();
    open.clear();
    EXPECT_EQ(system().stat(path("f0")).error().sys_errno, ENOENT);
}

TEST_F(FsRaces, writes_side_by_side_all_arrive) {
    // Records of 777 bytes, each by another issuer: pages and the inline limit are shared by many.
    constexpr std::size_t record_bytes = 777;
    constexpr std::uint64_t rounds = 60;
    everybody([&](std::uint32_t who) {
        auto file = value_or_throw(system().open(path("shared"), O_CREAT | O_WRONLY));
        const std::vector<std::byte> record(record_bytes, static_cast<std::byte>(who + 1));
        for (std::uint64_t i = 0; i < rounds; ++i)
            value_or_throw(file.pwrite(record, (i * issuers() + who) * record_bytes));
    });
    auto file = value_or_throw(system().open(path("shared"), O_RDONLY));
    std::vector<std::byte> all(rounds * issuers() * record_bytes + 1);
    ASSERT_EQ(value_or_throw(file.pread(all, 0)), all.size() - 1);
    for (std::size_t i = 0; i + 1 < all.size(); ++i)
        ASSERT_EQ(all[i], static_cast<std::byte>(i / record_bytes % issuers() + 1)) << i;
}

// Last: after all of the above names, inodes and pages fit together.
TEST_F(FsRaces, nothing_is_left_that_does_not_fit_together) {
    const auto report = value_or_throw(system().check());
    EXPECT_EQ(report.problems, 0u) << (report.texts.empty() ? "" : report.texts.front());
}

}  // namespace
}  // namespace ssi
