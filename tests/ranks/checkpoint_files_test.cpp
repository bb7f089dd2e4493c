// SPDX-License-Identifier: BSD-3-Clause
// Open files of kDFS in checkpoints: they are as long, and open at the same place, as they were.
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>

#include "checkpoint_ranks.hpp"
#include "ssi/ckpt/store.hpp"
#include "ssi/io/file_system.hpp"
#include "ssi/io/libaio_disk.hpp"

namespace ssi::test {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span(text));
}

std::string content_of(fs::FileSystem& system, const std::string& path) {
    auto file = good(system.open(path, O_RDONLY));
    std::string text(good(file.stat()).size, '\0');
    text.resize(good(file.pread(std::as_writable_bytes(std::span(text)), 0)));
    return text;
}

class CheckpointFiles : public CheckpointRanks {
protected:
    void SetUp() override {
        CheckpointRanks::SetUp();
        if (world_rank() != 0) return MPI_Barrier(MPI_COMM_WORLD), void();
        for (int volume = 0; volume < world_size(); ++volume)
            stdfs::create_directory(fmt::format("{}/volume{}", directory_, volume));
        MPI_Barrier(MPI_COMM_WORLD);
    }
    // As many volumes as ranks there are in all, over the ranks of this session.
    std::unique_ptr<fs::FileSystem> mount(Session& session) {
        fs::Options mounting;
        for (int volume = session.rank(); volume < world_size(); volume += session.size())
            mounting.volumes.directories.push_back(
                fmt::format("{}/volume{}", directory_, volume));
        mounting.cache_bytes = std::uint64_t{16} << 20;
        return good(fs::FileSystem::mount(session, mounting));
    }
    CheckpointOptions versions() const {
        return {.directory = directory_ + "/versions",
                .application = "test",
                .keep = 3,
                .file_substitutions = substitutions_};
    }
    std::vector<std::pair<std::string, std::string>> substitutions_;
    // A session with a file system, and a file to be protected.
    template <class Body>
    void with_files(int ranks, bool content, Body&& body) {
        session_of(ranks, [&](Session& session) {
            auto system = mount(session);
            fs::File file;
            {
                Checkpoint checkpoint(session, versions());
                checkpoint.protect_file("log", *system, file, content);
                body(session, checkpoint, *system, file);
            }
            (void)file.close();
            good(system->close());
        });
    }
    static std::string name_of(int rank) { return fmt::format("/log.{}", rank); }
    static std::string lines(int rank, int from, int to) {
        std::string text;
        for (int i = from; i < to; ++i) text += fmt::format("rank {} line {}\n", rank, i);
        return text;
    }
};

TEST_F(CheckpointFiles, go_on_where_they_were_on_any_number_of_ranks) {
    for (int saving = 1; saving <= world_size(); ++saving)
        for (int going_on = 1; going_on <= world_size(); ++going_on) {
            with_files(saving, false, [&](Session& s, Checkpoint& checkpoint, auto& system,
                                          fs::File& file) {
                file = good(system.open(name_of(s.rank()), O_CREAT | O_WRONLY | O_TRUNC |
                                                               (s.rank() == 1 ? O_APPEND : 0)));
                good(file.write(bytes_of(lines(s.rank(), 0, 50))));
                good(checkpoint.take(""));
                good(file.write(bytes_of(lines(s.rank(), 70, 200))));   // is lost
            });
            with_files(going_on, false, [&](Session& s, Checkpoint& checkpoint, auto& system,
                                            fs::File& file) {
                const auto from = good(checkpoint.restart());
                ASSERT_TRUE(from);
                ASSERT_EQ(from->files.size(), static_cast<std::size_t>(saving));
                for (int rank = 0; rank < saving; ++rank) {
                    const RestartedFile& one = from->files[static_cast<std::size_t>(rank)];
                    EXPECT_EQ(one.name, "log");
                    EXPECT_EQ(one.rank, static_cast<std::uint32_t>(rank));
                    EXPECT_EQ(one.path, name_of(rank));
                    EXPECT_EQ(one.flags & O_APPEND, rank == 1 ? O_APPEND : 0);
                    EXPECT_EQ(one.size, lines(rank, 0, 50).size());
                    EXPECT_EQ(one.position, one.size);
                    EXPECT_EQ(content_of(system, one.path), lines(rank, 0, 50));
                }
                s.barrier();
                ASSERT_EQ(file.is_open(), s.rank() < saving);
                if (!file.is_open()) return;
                good(file.write(bytes_of(lines(s.rank(), 50, 60))));
                EXPECT_EQ(content_of(system, name_of(s.rank())), lines(s.rank(), 0, 60));
            });
            if (HasFailure()) return;
        }
}

// One of each rank that saved; some by the option, some by the setting.
TEST_F(CheckpointFiles, are_put_back_as_others_where_that_is_asked_for) {
    const int saving = world_size();
    with_files(saving, false, [&](Session& s, Checkpoint& checkpoint, auto& system,
                                  fs::File& file) {
        file = good(system.open(name_of(s.rank()), O_CREAT | O_WRONLY));
        good(file.write(bytes_of(lines(s.rank(), 0, 50))));
        good(checkpoint.take(""));
        good(file.write(bytes_of(lines(s.rank(), 70, 200))));   // is lost
        good(file.close());
        good(system.rename(name_of(s.rank()), "/moved" + name_of(s.rank()).substr(1)));
    });
    // As one finds out without a session.
    const auto disk = good(io::make_libaio_disk(directory_ + "/versions"));
    const auto store = good(ckpt::Store::open({.disk = disk.get()}));
    ckpt::Store* const stores[] = {store.get()};
    const auto dataset = good(ckpt::Dataset::open(stores, 1));
    const auto item = std::ranges::find(dataset->manifest().items, ckpt::ItemKind::file,
                                        &ckpt::Item::kind)->id;
    for (std::uint32_t rank = 0; rank < static_cast<std::uint32_t>(saving); ++rank) {
        EXPECT_EQ(good(dataset->path_of_file(rank, item, {rank, 0})),
                  name_of(static_cast<int>(rank)));
        EXPECT_EQ(good(dataset->read(rank, item, {rank, 0}, 10)).size(), 10u);
    }
    EXPECT_EQ(dataset->path_of_file(0, item, {9, 0}).error().code, Errc::not_found);
    const auto restart = [&](int ranks, auto&& check) {
        with_files(ranks, false, [&](Session&, Checkpoint& checkpoint, auto& system, fs::File&) {
            check(checkpoint.restart(), system);
        });
    };
    restart(1, [&](auto restarted, auto&) {
        ASSERT_FALSE(restarted);
        EXPECT_EQ(restarted.error().code, Errc::io);   // they are gone
    });
    ::setenv("SSI_CHECKPOINT_SUBSTITUTE", "/log.0=/movedlog.0", 1);
    for (int rank = 1; rank < saving; ++rank)
        substitutions_.emplace_back(name_of(rank), "/moved" + name_of(rank).substr(1));
    substitutions_.emplace_back("/lag", "/log");
    restart(saving, [&](auto restarted, auto&) {
        ASSERT_FALSE(restarted);
        EXPECT_EQ(restarted.error().code, Errc::invalid_argument);
        EXPECT_NE(restarted.error().text.find("no file '/lag' was open"), std::string::npos);
        EXPECT_NE(restarted.error().text.find("'/movedlog.0'"), std::string::npos)
            << restarted.error().text;
    });
    substitutions_.pop_back();
    for (const int ranks : {saving, 1})
        restart(ranks, [&](auto restarted, auto& system) {
            ASSERT_TRUE(restarted) << restarted.error().text;
            for (int rank = 0; rank < saving; ++rank) {
                const RestartedFile& one = (*restarted)->files[static_cast<std::size_t>(rank)];
                EXPECT_EQ(one.path, "/moved" + name_of(rank).substr(1));
                EXPECT_EQ(content_of(system, one.path), lines(rank, 0, 50));
            }
        });
    // What goes on takes others, of the new paths, and is started in the same words once more.
    for (int run = 0; run < 2; ++run)
        with_files(saving, false, [&](Session& s, Checkpoint& checkpoint, auto&, fs::File& file) {
            const auto restarted = good(checkpoint.restart());
            ASSERT_TRUE(restarted);
            EXPECT_EQ(restarted->version, 1u + static_cast<unsigned>(run));
            EXPECT_EQ(file.path(), "/moved" + name_of(s.rank()).substr(1));
            good(checkpoint.take(""));
        });
    ::setenv("SSI_CHECKPOINT_SUBSTITUTE", "/log.0", 1);
    restart(1, [&](auto restarted, auto&) {
        ASSERT_FALSE(restarted);
        EXPECT_EQ(restarted.error().code, Errc::invalid_argument);
    });
    ::unsetenv("SSI_CHECKPOINT_SUBSTITUTE");
}

// Whatever became of the file since: longer than a piece of a dataset, with a hole in it.
TEST_F(CheckpointFiles, come_back_with_their_bytes_where_these_are_kept) {
    std::string text = lines(0, 0, 1000);
    text.resize(std::size_t{3} << 20);
    text += lines(0, 1000, 2000);
    for (const bool incremental : {false, true}) {
        with_files(world_size(), true, [&](Session& s, Checkpoint& checkpoint, auto& system,
                                           fs::File& file) {
            if (s.rank() == 0) {
                file = good(system.open("/table", O_CREAT | O_WRONLY | O_TRUNC, 0640));
                good(file.pwrite(bytes_of(text), 0));
                good(file.seek(77, SEEK_SET));
            }
            if (incremental) {
                good(checkpoint.take("", {.incremental = true}));
                if (s.rank() == 0) good(file.pwrite(bytes_of("another"), 2'000'000));
            }
            const auto ticket = good(
                checkpoint.take("", {.asynchronous = true, .incremental = incremental}));
            if (s.rank() == 0) {
                good(file.pwrite(bytes_of(lines(7, 0, 500)), 100));
                good(file.truncate(9000));
            }
            good(ticket.wait());
            if (s.rank() != 0) return;
            good(file.close());
            good(system.unlink("/table"));
        });
        std::string wanted = text;
        if (incremental) wanted.replace(2'000'000, 7, "another");
        with_files(1, true, [&](Session&, Checkpoint& checkpoint, auto& system, fs::File& file) {
            ASSERT_TRUE(good(checkpoint.restart()));
            ASSERT_TRUE(file.is_open());
            EXPECT_EQ(good(file.seek(0, SEEK_CUR)), 77u);
            EXPECT_TRUE(content_of(system, "/table") == wanted);
            EXPECT_EQ(good(system.stat("/table")).mode & 07777u, 0640u);
        });
    }
}

TEST_F(CheckpointFiles, that_are_gone_make_a_version_unusable_and_an_older_one_is_taken) {
    with_files(1, false, [&](Session&, Checkpoint& checkpoint, auto& system, fs::File& file) {
        good(checkpoint.take("closed", {.number = 1}));
        file = good(system.open("/a", O_CREAT | O_WRONLY));
        good(file.write(bytes_of("0123456789")));
        good(checkpoint.take("open", {.number = 2}));
        good(file.close());
        good(system.rename("/a", "/b"));
    });
    const auto expect_older = [&](const char* why) {
        with_files(1, false, [&](Session&, Checkpoint& checkpoint, auto&, fs::File& file) {
            const auto from = good(checkpoint.restart());
            ASSERT_TRUE(from);
            EXPECT_EQ(from->number, 1u);
            EXPECT_FALSE(file.is_open());
            ASSERT_EQ(from->passed_over.size(), 1u);
            EXPECT_NE(from->passed_over[0].find("file /a"), std::string::npos);
            EXPECT_NE(from->passed_over[0].find(why), std::string::npos) << from->passed_over[0];
        });
    };
    expect_older("No such file");
    with_files(1, false, [&](Session&, Checkpoint&, auto& system, fs::File&) {
        auto other = good(system.open("/a", O_CREAT | O_WRONLY));
        good(other.write(bytes_of("0123456789abc")));
    });
    expect_older("another one");
    with_files(1, false, [&](Session&, Checkpoint&, auto& system, fs::File&) {
        good(system.rename("/b", "/a"));
        good(good(system.open("/a", O_WRONLY)).truncate(9));
    });
    expect_older("has 9 bytes");
}

TEST_F(CheckpointFiles, that_could_not_be_opened_again_are_refused) {
    with_files(world_size(), true, [&](Session& s, Checkpoint& checkpoint, auto& system,
                                       fs::File& file) {
        const bool last = s.rank() == s.size() - 1;
        if (last) file = good(system.open("/gone", O_CREAT | O_RDWR));
        good(checkpoint.take("", {.number = 1}));
        if (last) good(system.unlink("/gone"));
        s.barrier();
        for (const bool asynchronous : {false, true}) {
            auto taken = checkpoint.take("", {.number = 2, .asynchronous = asynchronous});
            const Result<void> outcome =
                taken ? taken->wait() : tl::unexpected<Failure>(taken.error());
            ASSERT_FALSE(outcome);
            EXPECT_EQ(outcome.error().code, Errc::unsupported);
            EXPECT_NE(outcome.error().text.find("file /gone: it was removed"), std::string::npos)
                << outcome.error().text;
        }
        if (last) file = good(system.open("/", O_RDONLY));
        const auto taken = checkpoint.take("", {.number = 3});
        ASSERT_FALSE(taken);
        EXPECT_NE(taken.error().text.find("only files"), std::string::npos);
        if (last) good(file.close());
        good(checkpoint.take("", {.number = 4}));
    });
    with_files(1, true, [&](Session&, Checkpoint& checkpoint, auto&, fs::File& file) {
        const auto from = good(checkpoint.restart());
        ASSERT_TRUE(from);
        EXPECT_EQ(from->number, 4u);
        EXPECT_TRUE(from->files.empty());
        EXPECT_FALSE(file.is_open());
    });
}

}  // namespace
}  // namespace ssi::test
