// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>
#include <mpi.h>
#include <signal.h>

#include <atomic>
#include <bit>
#include <boost/serialization/map.hpp>
#include <boost/serialization/string.hpp>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <thread>

#include "bank.hpp"
#include "checkpoint_ranks.hpp"
#include "ssi/base/json.hpp"
#include "ssi/ckpt/store.hpp"
#include "ssi/io/directory_lock.hpp"
#include "ssi/io/libaio_disk.hpp"
#include "ssi/kddm/serialized.hpp"
#include "ssi/node/control_verbs.hpp"
#include "ssi/node/node.hpp"

namespace ssi::test {
namespace {

struct Note {
    std::string text;
    std::map<int, double> values;
    template <class Archive>
    void serialize(Archive& archive, unsigned) {
        archive & text & values;
    }
    friend bool operator==(const Note&, const Note&) = default;
};

std::string bytes_for(std::uint64_t id, std::uint64_t salt) {
    std::mt19937_64 random(id * 1000 + salt);
    // Some are larger than a piece of a dataset, some are zeroes for the most part.
    const std::size_t length = id % 17 == 3 ? (std::size_t{5} << 18) + id : random() % 3000;
    std::string bytes(length, '\0');
    const std::size_t from = id % 5 == 2 ? length / 2 : 0;
    for (std::size_t i = from; i < length; ++i) bytes[i] = static_cast<char>(random());
    return bytes;
}

constexpr std::uint64_t elements = 10'007;

// One of everything, as an application has it.
struct Everything {
    static constexpr std::uint64_t objects = 60;

    explicit Everything(Session& s)
        : session(s),
          counters(s.set<std::uint64_t>("counters")),
          blobs(value_or_throw(s.raw_set("blobs", {.kind = kddm::ObjectKind::variable,
                                                   .placement = "high_bits"}))),
          notes(s.set<Note>("notes")) {
        const auto ranks = static_cast<std::uint64_t>(s.size());
        const auto rank = static_cast<std::uint64_t>(s.rank());
        begin = elements * rank / ranks;
        piece.resize(elements * (rank + 1) / ranks - begin);
    }

    void protect(Checkpoint& checkpoint, bool with_span) {
        checkpoint.protect(counters);
        checkpoint.protect(blobs);
        checkpoint.protect(notes);
        checkpoint.protect_array("field", std::span(piece), begin, elements);
        if (with_span) checkpoint.protect_span("scratch", std::span(scratch));
    }

    // Objects are written by ranks that are not at home, too.
    void fill(std::uint64_t salt) {
        const auto ranks = static_cast<std::uint64_t>(session.size());
        const auto rank = static_cast<std::uint64_t>(session.rank());
        for (std::uint64_t id = rank; id < objects; id += ranks) {
            *counters.grab(id) = id * salt;
            const std::string bytes = bytes_for(id, salt);
            auto guard = value_or_throw(blobs.grab_new({id % 7, id}));
            value_or_throw(guard.resize(bytes.size()));
            std::memcpy(guard.writable().data(), bytes.data(), bytes.size());
            value_or_throw(guard.put());
            *notes.grab(id) = note(id, salt);
        }
        for (std::uint64_t i = 0; i < piece.size(); ++i) piece[i] = value(begin + i, salt);
        for (std::uint64_t i = 0; i < scratch.size(); ++i) scratch[i] = rank * 100'000 + i * salt;
    }

    void check(std::uint64_t salt, bool with_span) {
        for (std::uint64_t id = 0; id < objects; ++id) {
            ASSERT_EQ(*counters.get(id), id * salt) << "counter " << id;
            const auto guard = value_or_throw(blobs.get({id % 7, id}));
            const std::string wanted = bytes_for(id, salt);
            ASSERT_EQ(guard.bytes().size(), wanted.size()) << "blob " << id;
            ASSERT_EQ(std::memcmp(guard.bytes().data(), wanted.data(), wanted.size()), 0);
            ASSERT_EQ(*notes.get(id), note(id, salt)) << "note " << id;
        }
        for (std::uint64_t i = 0; i < piece.size(); ++i)
            ASSERT_EQ(piece[i], value(begin + i, salt)) << "element " << begin + i;
        const auto rank = static_cast<std::uint64_t>(session.rank());
        for (std::uint64_t i = 0; with_span && i < scratch.size(); ++i)
            ASSERT_EQ(scratch[i], rank * 100'000 + i * salt);
    }

    static Note note(std::uint64_t id, std::uint64_t salt) {
        return {"note " + std::to_string(id), {{static_cast<int>(salt), 0.5}}};
    }
    // Zeroes in long runs, too.
    static double value(std::uint64_t i, std::uint64_t salt) {
        return i % 5000 < 2500 ? 0.0 : static_cast<double>(i * salt);
    }

    Session& session;
    kddm::Set<std::uint64_t> counters;
    kddm::RawSet blobs;
    kddm::Set<Note> notes;
    std::uint64_t begin = 0;
    std::vector<double> piece;
    std::vector<std::uint64_t> scratch = std::vector<std::uint64_t>(999);
};

TEST_F(CheckpointRanks, all_comes_back_on_any_number_of_ranks) {
    for (int saving = 1; saving <= world_size(); ++saving)
        for (int going_on = 1; going_on <= world_size(); ++going_on) {
            const bool same = saving == going_on;
            const auto salt = static_cast<std::uint64_t>(10 * saving + going_on);
            session_of(saving, [&](Session& s) {
                Everything all(s);
                Checkpoint checkpoint(s, options());
                all.protect(checkpoint, same);
                all.fill(salt);
                if (s.rank() == 0) {
                    auto mail = s.channel<int>("mail", {.capacity = 8});
                    for (int i = 0; i < 5; ++i) mail.send(i);
                    EXPECT_EQ(mail.receive(), 0);
                }
                s.barrier();
                const auto user = std::as_bytes(std::span("some text", 9));
                good(checkpoint.take("whole", {.number = salt, .bytes = user}));
            });
            session_of(going_on, [&](Session& s) {
                Everything all(s);
                Checkpoint checkpoint(s, options());
                all.protect(checkpoint, same);
                const auto found = good(checkpoint.find());
                ASSERT_TRUE(found);
                const auto from = good(checkpoint.restart());
                ASSERT_TRUE(from);
                EXPECT_EQ(from->version, found->version);
                EXPECT_EQ(from->number, salt);
                EXPECT_EQ(from->description, "whole");
                EXPECT_EQ(from->saved_ranks, static_cast<std::uint32_t>(saving));
                EXPECT_EQ(std::string(reinterpret_cast<const char*>(from->bytes.data()), 9),
                          "some text");
                EXPECT_TRUE(from->passed_over.empty());
                all.check(salt, same);
                if (s.rank() == s.size() - 1) {
                    auto mail = s.channel<int>("mail", {.capacity = 8});
                    for (int i = 1; i < 5; ++i) EXPECT_EQ(mail.receive(), i);
                    EXPECT_FALSE(mail.try_receive());
                }
                s.barrier();
            });
            if (HasFatalFailure()) return;
        }
}

TEST_F(CheckpointRanks, what_is_larger_than_an_object_may_be_comes_back_too) {
    constexpr std::uint64_t length = 9'500'000;   // doubles, 72 MiB; zeroes but for one
    constexpr int messages = 40;
    const std::string message(std::size_t{2} << 20, 'm');
    const auto session = [&](int ranks, bool saves) {
        session_of(ranks, [&](Session& s) {
            // One rank has it all: another one in each session.
            const bool mine = saves ? s.rank() == s.size() - 1 : s.rank() == 0;
            std::vector<double> field(mine ? length : 0);
            Checkpoint checkpoint(s, options());
            checkpoint.protect_array("field", std::span(field), 0, length);
            if (saves) {
                if (mine) field[length - 5] = 2.5;
                auto mail = s.channel<std::string>("mail", {.capacity = messages});
                if (mine)
                    for (int i = 0; i < messages; ++i) mail.send(message + std::to_string(i));
                s.barrier();
                good(checkpoint.take(""));
                return;
            }
            if (mine) field[7] = 1;
            ASSERT_TRUE(good(checkpoint.restart()));
            auto mail = s.channel<std::string>("mail", {.capacity = messages});
            if (!mine) return;
            EXPECT_EQ(field[7], 0);
            EXPECT_EQ(field[length - 5], 2.5);
            for (int i = 0; i < messages; ++i)
                ASSERT_EQ(mail.receive(), message + std::to_string(i));
        });
    };
    session(world_size(), true);
    session(std::max(1, world_size() - 1), false);
}

TEST_F(CheckpointRanks, a_store_is_one_session_s_at_a_time) {
    session_of(1, [&](Session& s) {
        const io::DirectoryLock other = good(io::DirectoryLock::take(directory_, true));
        try {
            Checkpoint checkpoint(s, options());
            ADD_FAILURE() << "no failure";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), Errc::would_block);
            EXPECT_NE(std::string(error.what()).find("another session"), std::string::npos);
        }
    });
}

TEST_F(CheckpointRanks, what_is_changed_after_an_asynchronous_take_is_not_in_it) {
    session_of(world_size(), [&](Session& s) {
        Everything all(s);
        Checkpoint checkpoint(s, options());
        all.protect(checkpoint, true);
        all.fill(3);
        s.barrier();
        const auto ticket = good(checkpoint.take("before", {.asynchronous = true}));
        all.fill(4);
        good(ticket.wait());
        EXPECT_TRUE(ticket.test());
        EXPECT_GT(ticket.progress().saved_bytes, 0u);
    });
    session_of(world_size(), [&](Session& s) {
        Everything all(s);
        Checkpoint checkpoint(s, options());
        all.protect(checkpoint, true);
        ASSERT_TRUE(good(checkpoint.restart()));
        all.check(3, true);
    });
}

TEST_F(CheckpointRanks, twenty_generations) {
    int version = 0;
    for (int generation = 0; generation < 20; ++generation)
        session_of(1 + generation % world_size(), [&](Session& s) {
            auto set = s.set<std::uint64_t>("numbers");
            Checkpoint checkpoint(s, options());
            checkpoint.protect(set);
            const auto from = good(checkpoint.restart());
            ASSERT_EQ(from.has_value(), generation > 0);
            if (from) {
                EXPECT_EQ(from->number, static_cast<std::uint64_t>(generation));
            }
            for (std::uint64_t i = 0; i < 100; ++i)
                if (i % static_cast<std::uint64_t>(s.size()) ==
                    static_cast<std::uint64_t>(s.rank()))
                    ++*set.grab(i);
            s.barrier();
            for (std::uint64_t i = 0; i < 100; ++i)
                ASSERT_EQ(*set.get(i), static_cast<std::uint64_t>(generation + 1));
            const auto ticket = good(checkpoint.take(
                "", {.number = static_cast<std::uint64_t>(generation + 1),
                     .asynchronous = generation % 2 == 1}));
            version = static_cast<int>(ticket.version());
        });
    if (world_rank() == 0) {
        EXPECT_EQ(version, 20);
        int folders = 0;
        for (const auto& entry : stdfs::directory_iterator(directory_))
            folders += entry.is_directory();
        EXPECT_EQ(folders, 2) << "checkpoint.keep";
    }
}

// The largest file of a folder and what is in it.
stdfs::path largest_file(const stdfs::path& folder) {
    stdfs::path largest;
    std::uintmax_t bytes = 0;
    for (const auto& entry : stdfs::recursive_directory_iterator(folder)) {
        if (!entry.is_regular_file() || entry.file_size() <= bytes) continue;
        bytes = entry.file_size();
        largest = entry.path();
    }
    return largest;
}

void damage(const stdfs::path& file) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    const auto at = static_cast<std::streamoff>(stdfs::file_size(file) / 2);
    stream.seekg(at);
    const char byte = static_cast<char>(stream.get());
    stream.seekp(at);
    stream.put(static_cast<char>(byte ^ 0x10));
}

TEST_F(CheckpointRanks, a_damaged_version_is_taken_back_and_an_older_one_put_in) {
    session_of(world_size(), [&](Session& s) {
        Everything all(s);
        Checkpoint checkpoint(s, options());
        all.protect(checkpoint, true);
        for (const std::uint64_t salt : {5, 6}) {
            all.fill(salt);
            // More objects the second time: they must not be left over.
            if (salt == 6 && s.rank() == 0) *all.counters.grab(5000) = 1;
            s.barrier();
            good(checkpoint.take("", {.number = salt}));
        }
    });
    if (world_rank() == 0) damage(largest_file(stdfs::path(directory_) / "v2"));
    MPI_Barrier(MPI_COMM_WORLD);
    const auto go_on = [&](bool any) {
        session_of(world_size(), [&](Session& s) {
            Everything all(s);
            Checkpoint checkpoint(s, options());
            all.protect(checkpoint, true);
            const auto from = checkpoint.restart();
            if (!any) {
                ASSERT_FALSE(from);
                EXPECT_EQ(from.error().code, Errc::io);
                EXPECT_NE(from.error().text.find("version 1"), std::string::npos);
                EXPECT_NE(from.error().text.find("version 2"), std::string::npos);
                return;
            }
            ASSERT_TRUE(from) << from.error().to_string();
            ASSERT_TRUE(*from);
            EXPECT_EQ((*from)->version, 1u);
            ASSERT_EQ((*from)->passed_over.size(), 1u);
            EXPECT_NE((*from)->passed_over[0].find("version 2"), std::string::npos);
            all.check(5, true);
            EXPECT_EQ(*all.counters.get(5000), 0u);
            const auto wanted = checkpoint.restart(2);
            ASSERT_FALSE(wanted);
        });
    };
    go_on(true);
    if (world_rank() == 0) damage(largest_file(stdfs::path(directory_) / "v1"));
    MPI_Barrier(MPI_COMM_WORLD);
    go_on(false);
}

TEST_F(CheckpointRanks, a_failed_take_leaves_the_application_and_older_versions_alone) {
    session_of(world_size(), [&](Session& s) {
        auto set = s.set<std::uint64_t>("numbers");
        Checkpoint checkpoint(s, options());
        checkpoint.protect(set);
        const bool last = s.rank() == s.size() - 1;
        enum { fine, throws, fails } mode = fine;
        int afterwards = 0;
        checkpoint.on(CheckpointEvent::before, [&]() -> Result<void> {
            if (last && mode == throws) throw std::runtime_error("no mood");
            if (last && mode == fails) return fail(Errc::not_found, "nothing to save");
            return {};
        });
        checkpoint.on(CheckpointEvent::after, [&]() -> Result<void> {
            ++afterwards;
            return {};
        });
        if (s.rank() == 0) *set.grab(1) = 1;
        s.barrier();
        good(checkpoint.take("first"));
        mode = throws;
        auto failed = checkpoint.take("second");
        ASSERT_FALSE(failed);
        EXPECT_EQ(failed.error().code, Errc::function_failed);
        EXPECT_NE(failed.error().text.find("no mood"), std::string::npos);
        mode = fails;
        failed = checkpoint.take("second");
        ASSERT_FALSE(failed);
        EXPECT_EQ(failed.error().code, Errc::not_found);
        mode = fine;
        EXPECT_EQ(afterwards, 3);
        if (s.rank() == 0) *set.grab(1) = 2;
        s.barrier();
        EXPECT_EQ(good(checkpoint.take("third")).version(), 2u);
        // No debris of the ones that failed.
        if (s.rank() == 0) {
            for (const auto& entry : stdfs::directory_iterator(directory_))
                EXPECT_TRUE(!entry.is_directory() || stdfs::exists(entry.path() / "manifest"))
                    << entry.path();
        }
        s.barrier();
    });
}

TEST_F(CheckpointRanks, who_never_lets_go_is_named_and_the_application_goes_on) {
    ::setenv("SSI_CHECKPOINT_TIMEOUT_MS", "200", 1);
    session_of(world_size(), [&](Session& s) {
        auto set = s.set<std::uint64_t>("numbers");
        Checkpoint checkpoint(s, options());
        checkpoint.protect(set);
        std::atomic<bool> held{false}, over{false};
        std::thread holder;
        if (s.rank() == 0) {
            holder = std::thread([&] {
                auto guard = set.grab(77);
                held = true;
                while (!over) std::this_thread::sleep_for(std::chrono::milliseconds(1));
                *guard = 7;
            });
            while (!held) std::this_thread::yield();
        }
        s.barrier();
        const auto failed = checkpoint.take("");
        ASSERT_FALSE(failed);
        EXPECT_EQ(failed.error().code, Errc::timed_out);
        EXPECT_NE(failed.error().text.find("object 77 of set 'numbers' is held (grab) at node 0"),
                  std::string::npos) << failed.error().text;
        *set.grab(78 + static_cast<std::uint64_t>(s.rank())) = 1;   // nobody waits at a gate
        over = true;
        if (holder.joinable()) holder.join();
        s.barrier();
        good(checkpoint.take(""));
        EXPECT_EQ(*set.get(77), 7u);
        s.barrier();
    });
    ::unsetenv("SSI_CHECKPOINT_TIMEOUT_MS");
}

TEST_F(CheckpointRanks, another_application_or_other_things_protected_are_refused) {
    session_of(world_size(), [&](Session& s) {
        auto set = s.set<std::uint64_t>("numbers");
        std::vector<int> memory(10);
        Checkpoint checkpoint(s, options());
        checkpoint.protect(set);
        checkpoint.protect_span("memory", std::span(memory));
        EXPECT_THROW(checkpoint.protect_span("memory", std::span(memory)), Error);
        EXPECT_THROW(checkpoint.protect_array("array", std::span(memory), 5, 10), Error);
        good(checkpoint.take(""));
    });
    const auto refused = [&](auto&& protect, Errc code, const char* words,
                             CheckpointOptions how) {
        session_of(world_size(), [&](Session& s) {
            std::vector<int> memory(10);
            Checkpoint checkpoint(s, how);
            protect(s, checkpoint, memory);
            const auto from = checkpoint.restart();
            ASSERT_FALSE(from);
            EXPECT_EQ(from.error().code, code) << from.error().text;
            EXPECT_NE(from.error().text.find(words), std::string::npos) << from.error().text;
        });
    };
    const auto all = [](Session& s, Checkpoint& c, std::vector<int>& memory) {
        c.protect(s.set<std::uint64_t>("numbers"));
        c.protect_span("memory", std::span(memory));
    };
    refused(all, Errc::mismatch, "of application \"test\", this is \"other\"",
            {.directory = directory_, .application = "other"});
    refused([](Session& s, Checkpoint& c, std::vector<int>&) {
        c.protect(s.set<std::uint64_t>("numbers"));
    }, Errc::mismatch, "has span 'memory', which is not protected here", options());
    refused([&](Session& s, Checkpoint& c, std::vector<int>& memory) {
        all(s, c, memory);
        c.protect(s.set<std::uint64_t>("more"));
    }, Errc::mismatch, "has no set 'more'", options());
    refused([](Session& s, Checkpoint& c, std::vector<int>& memory) {
        c.protect(s.set<std::uint32_t>("numbers"));
        c.protect_span("memory", std::span(memory));
    }, Errc::mismatch, "has objects of 8 bytes", options());
    refused([](Session& s, Checkpoint& c, std::vector<int>& memory) {
        c.protect(s.set<std::uint64_t>("numbers"));
        memory.resize(11);
        c.protect_span("memory", std::span(memory));
    }, Errc::mismatch, "had 40 bytes on rank", options());
    if (world_size() < 2) return;
    session_of(world_size() - 1, [&](Session& s) {
        std::vector<int> memory(10);
        Checkpoint checkpoint(s, options());
        all(s, checkpoint, memory);
        const auto from = checkpoint.restart();
        ASSERT_FALSE(from);
        EXPECT_EQ(from.error().code, Errc::unsupported) << from.error().text;
    });
}

TEST_F(CheckpointRanks, values_of_another_type_are_refused_unless_that_is_asked_for) {
    struct Cell {
        double heat;
    };
    const auto elements = [](int ranks) { return 4 * static_cast<std::uint64_t>(ranks); };
    session_of(world_size(), [&](Session& s) {
        auto set = s.set<Cell>("cells");
        std::vector<double> memory(4, 1.5 + s.rank());
        Checkpoint checkpoint(s, options());
        checkpoint.protect(set);
        checkpoint.protect_array("array", std::span(memory), elements(s.rank()),
                                 elements(s.size()));
        if (s.rank() == 0) set.grab(3)->heat = 2.5;
        s.barrier();
        good(checkpoint.take(""));
    });
    const auto restart = [&](auto of_set, auto of_array, const char* words) {
        session_of(world_size(), [&](Session& s) {
            auto set = s.set<decltype(of_set)>("cells");
            std::vector<decltype(of_array)> memory(4);
            Checkpoint checkpoint(s, options());
            checkpoint.protect(set);
            checkpoint.protect_array("array", std::span(memory), elements(s.rank()),
                                 elements(s.size()));
            const auto from = checkpoint.restart();
            if (*words == '\0') {
                ASSERT_TRUE(from) << from.error().text;
                EXPECT_EQ(std::bit_cast<double>(memory[3]), 1.5 + s.rank());
                const auto cell = set.get(3);
                double heat = 0;
                std::memcpy(&heat, &*cell, std::min(sizeof heat, sizeof *cell));
                EXPECT_EQ(heat, 2.5);
                return;
            }
            ASSERT_FALSE(from);
            EXPECT_EQ(from.error().code, Errc::mismatch);
            EXPECT_NE(from.error().text.find(words), std::string::npos) << from.error().text;
        });
    };
    restart(Cell{}, double{}, "");
    restart(std::int64_t{}, double{}, "Cell in version 1, and of long here");
    restart(Cell{}, std::int64_t{}, "array 'array' has values of type double in version 1");
    ::setenv("SSI_CHECKPOINT_OTHER_TYPES", "1", 1);
    restart(std::int64_t{}, std::int64_t{}, "");
    restart(float{}, double{}, "has objects of 8 bytes");
    ::unsetenv("SSI_CHECKPOINT_OTHER_TYPES");
}

TEST_F(CheckpointRanks, what_another_machine_wrote_is_refused) {
    const auto session = [&](auto&& body) {
        session_of(world_size(), [&](Session& s) {
            Checkpoint checkpoint(s, options());
            checkpoint.protect(s.set<std::uint64_t>("numbers"));
            body(checkpoint);
        });
    };
    session([](Checkpoint& checkpoint) { good(checkpoint.take("")); });
    if (world_rank() == 0) {
        const auto disk = good(io::make_libaio_disk(directory_));
        const auto store = good(ckpt::Store::open({.disk = disk.get()}));
        ckpt::Manifest manifest = good(store->manifest(1));
        manifest.build = "0.1.0 (big-endian, 64 bits)";
        stdfs::remove(directory_ + "/v1/manifest");
        good(store->commit(manifest));
    }
    MPI_Barrier(MPI_COMM_WORLD);
    session([](Checkpoint& checkpoint) {
        const auto from = checkpoint.restart();
        ASSERT_FALSE(from);
        EXPECT_EQ(from.error().code, Errc::mismatch);
        EXPECT_NE(from.error().text.find("taken by libssi 0.1.0 (big-endian, 64 bits)"),
                  std::string::npos) << from.error().text;
    });
}

TEST_F(CheckpointRanks, a_directory_for_each_rank_and_one_that_cannot_be_made) {
    const CheckpointOptions each{.directory = directory_ + "/%n", .application = "test"};
    session_of(world_size(), [&](Session& s) {
        Everything all(s);
        Checkpoint checkpoint(s, each);
        all.protect(checkpoint, false);
        for (const std::uint64_t salt : {7, 8, 9, 10}) {
            all.fill(salt);
            s.barrier();
            good(checkpoint.take("", {.number = salt}));
        }
    });
    for (int ranks = world_size(); ranks >= 1; --ranks)
        session_of(ranks, [&](Session& s) {
            Everything all(s);
            Checkpoint checkpoint(s, each);
            all.protect(checkpoint, false);
            const auto from = good(checkpoint.restart());
            ASSERT_TRUE(from);
            EXPECT_EQ(from->number, 10u);
            all.check(10, false);
            s.barrier();
        });
    session_of(world_size(), [&](Session& s) {
        EXPECT_THROW(Checkpoint(s, {.directory = directory_ + "/not/there"}), Error);
        EXPECT_THROW(Checkpoint(s, {.directory = ""}), Error);
    });
}

TEST_F(CheckpointRanks, who_wants_one_is_heard_on_every_rank_once) {
    session_of(world_size(), [&](Session& s) {
        Checkpoint checkpoint(s, options());
        EXPECT_FALSE(checkpoint.need());
        const bool last = s.rank() == s.size() - 1;
        if (last) ::raise(SIGUSR1);
        EXPECT_TRUE(checkpoint.need());
        EXPECT_FALSE(checkpoint.need());
        EXPECT_FALSE(checkpoint.should_exit());
        const auto ask = [&](const char* request) {
            const auto parsed = good(JsonValue::parse(request));
            return good(s.internal_node().control().call(parsed).value);
        };
        if (last) ask(R"({"verb":"checkpoint.take"})");
        EXPECT_TRUE(checkpoint.need());
        EXPECT_FALSE(checkpoint.need());
        good(checkpoint.take(""));
        const std::string status = ask(R"({"verb":"checkpoint.status"})");
        EXPECT_NE(status.find(R"("taken":1,"frozen":false,"version":1,"saving":false)"),
                  std::string::npos)
            << status;
        EXPECT_NE(status.find(directory_), std::string::npos) << status;
        if (s.rank() == 0) ask(R"({"verb":"checkpoint.policy","interval_s":1})");
        EXPECT_FALSE(checkpoint.need());
        std::this_thread::sleep_for(std::chrono::milliseconds(1100));
        EXPECT_TRUE(checkpoint.need());
        EXPECT_TRUE(checkpoint.need()) << "due until one is taken";
        good(checkpoint.take(""));
        EXPECT_FALSE(checkpoint.need());
        s.barrier();
        if (s.rank() == 0) {
            ask(R"({"verb":"checkpoint.policy","interval_s":0})");
            ::raise(SIGTERM);
        }
        EXPECT_TRUE(checkpoint.need()) << "a last one";
        EXPECT_TRUE(checkpoint.should_exit());
        EXPECT_FALSE(checkpoint.need());
        EXPECT_TRUE(checkpoint.should_exit());
        s.barrier();
    });
    // As it was before.
    struct sigaction now {};
    ::sigaction(SIGTERM, nullptr, &now);
    EXPECT_EQ(now.sa_handler, SIG_DFL);
}

// -- under load

std::int64_t money(kddm::Set<Account>& set, std::uint64_t& writes) {
    std::int64_t sum = 0;
    for (std::uint64_t i = 0; i < accounts; ++i) {
        const auto account = set.read(i).value;
        sum += account.balance;
        writes += account.writes;
    }
    return sum;
}

// What all accounts have in one version, as it is on the disk.
std::int64_t money_in(const std::string& directory, ckpt::VersionNumber version) {
    const auto disk = good(io::make_libaio_disk(directory));
    const auto store = good(ckpt::Store::open({.disk = disk.get()}));
    ckpt::Store* const stores[] = {store.get()};
    const auto dataset = good(ckpt::Dataset::open(stores, version));
    std::int64_t sum = 0;
    for (ckpt::MemberIndex i = 0; i < dataset->manifest().members.size(); ++i)
        good(dataset->stream(i, [&](const ckpt::FoundPart& found) -> Result<void> {
            Account account;
            if (found.zero || found.bytes.size() != sizeof account) return {};
            std::memcpy(&account, found.bytes.data(), sizeof account);
            sum += account.balance;
            return {};
        }));
    return sum;
}

// How many checkpoints; 1000 by hand and in suite long.
int rounds() {
    const char* text = std::getenv("CHECKPOINTS");
    return text ? std::stoi(text) : 60;
}

TEST_F(CheckpointRanks, the_money_is_all_there_in_each_checkpoint_taken_under_load) {
    std::uint64_t writes = 0;
    // Each session goes on from the last checkpoint of the one before.
    for (int round = 0; round * 20 < rounds(); ++round) {
        session_of(world_size(), [&](Session& s) {
            auto near = s.set<Account>("near", {.count = accounts});
            auto far = s.set<Account>("far", {.count = accounts});
            Checkpoint checkpoint(s, options());
            checkpoint.protect(near);
            checkpoint.protect(far);
            const auto from = good(checkpoint.restart());
            ASSERT_EQ(from.has_value(), round > 0);
            std::uint64_t seen = 0;
            ASSERT_EQ(money(near, seen) + money(far, seen), 0) << "round " << round;
            ASSERT_GE(seen, writes);
            writes = seen;
            s.barrier();
            std::atomic<bool> over{false};
            std::vector<std::thread> team;
            for (unsigned t = 0; t < 3; ++t)
                team.emplace_back([&, t] {
                    move_money(s, near, far, t + 10 * static_cast<unsigned>(s.rank() + round),
                               over);
                });
            for (int i = 0; i < 20; ++i) {
                const auto ticket = good(checkpoint.take("", {.asynchronous = i % 2 == 0}));
                good(ticket.wait());
                if (s.rank() == 0) {
                    EXPECT_EQ(money_in(directory_, ticket.version()), 0);
                }
            }
            over = true;
            for (auto& thread : team) thread.join();
            s.barrier();
        });
        if (HasFatalFailure()) return;
    }
    if (world_rank() == 0) {
        EXPECT_GT(writes, 0u);
    }
}

}  // namespace
}  // namespace ssi::test
