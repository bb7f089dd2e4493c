// SPDX-License-Identifier: BSD-3-Clause
// usage: mpirun -n N volumes_rank EVENTS DIRECTORIES SEED
//
// One rank of the kill test of volumes. It mounts its directories, looks at its share of the
// objects, then writes, removes and syncs until an operation fails: with that error's exit code. It
// says `mounting` and `running` on standard error, and what it does in EVENTS/<rank>.events, in
// lines that outlive it. All times and stamps are nanoseconds of the machine's monotonic clock.
//     H id node           an object's home
//     F id stamp          found at the start; 0: not there
//     W id stamp          about to put, under a grab
//     P id stamp time     put, done at
//     R id from           about to remove
//     Q id from time      removed, done at
//     S from              a sync that began then has returned: of what this node homes
//     X text              something that must not be
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "events.hpp"
#include "rank_directories.hpp"
#include "ssi/base/random.hpp"
#include "ssi/base/result.hpp"
#include "ssi/io/volumes.hpp"
#include "ssi/kddm/session.hpp"

namespace {

using ssi::kddm::RawGuard;
using ssi::kddm::RawSet;
using ssi::test::Events;

constexpr std::uint64_t objects = 300;
constexpr std::size_t most_bytes = 6000, large_bytes = 60'000;
constexpr unsigned threads_per_rank = 2;
constexpr std::uint64_t longest_ns = 20'000'000'000;

std::uint64_t now_ns() {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(time.tv_nsec);
}

struct Head {
    std::uint64_t stamp, id, bytes;
};

void fill(std::span<std::byte> bytes, std::uint64_t id, std::uint64_t stamp) {
    const Head head{stamp, id, bytes.size()};
    std::memcpy(bytes.data(), &head, sizeof head);
    std::uint64_t state = ssi::mix64(stamp ^ id);
    for (std::size_t i = sizeof head; i < bytes.size(); i += 8) {
        state = ssi::mix64(state);
        std::memcpy(bytes.data() + i, &state, std::min<std::size_t>(8, bytes.size() - i));
    }
}

// 0: not there. Nothing: no value that fill() makes.
std::optional<std::uint64_t> stamp_of(std::span<const std::byte> bytes, std::uint64_t id) {
    if (bytes.empty()) return 0;
    Head head{};
    if (bytes.size() < sizeof head) return std::nullopt;
    std::memcpy(&head, bytes.data(), sizeof head);
    std::vector<std::byte> expected(bytes.size());
    fill(expected, id, head.stamp);
    if (head.stamp == 0 || std::memcmp(expected.data(), bytes.data(), bytes.size()) != 0)
        return std::nullopt;
    return head.stamp;
}

class Writer {
public:
    Writer(RawSet set, const Events& events, std::uint64_t seed)
        : set_(set), events_(events), random_(seed) {}

    // Until something fails.
    ssi::Result<void> run(const std::atomic<bool>& stop, bool syncs) {
        const std::uint64_t end = now_ns() + longest_ns;
        while (!stop && now_ns() < end) {
            if (syncs && random_.chance(1, 40))
                SSI_TRY(sync());
            const std::uint64_t id = random_.below(objects);
            if (random_.chance(1, 12))
                SSI_TRY(remove(id));
            else if (random_.chance(1, 4))
                SSI_TRY(look(id));
            else
                SSI_TRY(put(id));
        }
        return {};
    }

private:
    ssi::Result<void> put(std::uint64_t id) {
        std::uint64_t stamp = 0;
        {
            auto guard = set_.grab(id);
            if (!guard) return tl::unexpected<ssi::Failure>(std::move(guard).error());
            const auto before = stamp_of(guard->bytes(), id);
            stamp = now_ns();
            if (!before || *before >= stamp)
                events_.wrong("object " + std::to_string(id) + " is not whole, or of the future");
            events_.tell('W', {id, stamp});
            const std::size_t most = random_.chance(1, 20) ? large_bytes : most_bytes;
            SSI_TRY(guard->resize(sizeof(Head) + random_.below(most)));
            fill(guard->writable(), id, stamp);
            SSI_TRY(guard->put());
        }
        events_.tell('P', {id, stamp, now_ns()});
        return {};
    }
    ssi::Result<void> look(std::uint64_t id) {
        auto guard = set_.get(id);
        if (!guard) return tl::unexpected<ssi::Failure>(std::move(guard).error());
        if (!stamp_of(guard->bytes(), id))
            events_.wrong("object " + std::to_string(id) + " is not whole");
        return {};
    }
    ssi::Result<void> remove(std::uint64_t id) {
        const std::uint64_t from = now_ns();
        events_.tell('R', {id, from});
        SSI_TRY(set_.remove(id));
        events_.tell('Q', {id, from, now_ns()});
        return {};
    }
    ssi::Result<void> sync() {
        const std::uint64_t from = now_ns();
        SSI_TRY(set_.sync());
        events_.tell('S', {from});
        return {};
    }

    RawSet set_;
    const Events& events_;
    ssi::Random random_;
};

void tell_what_is_there(ssi::Session& session, RawSet& set, const Events& events) {
    const auto rank = static_cast<std::uint64_t>(session.rank());
    const auto nodes = static_cast<std::uint64_t>(session.size());
    for (std::uint64_t id = rank; id < objects; id += nodes) {
        const auto guard = ssi::value_or_throw(set.get(id));
        events.tell('H', {id, set.home(id).value});
        if (const auto stamp = stamp_of(guard.bytes(), id))
            events.tell('F', {id, *stamp});
        else
            events.wrong("object " + std::to_string(id) + " came back broken");
    }
}

// The first failure.
ssi::Result<void> write_on_threads(ssi::Session& session, RawSet& set, const Events& events,
                                   std::uint64_t seed) {
    std::atomic<bool> stop{false};
    std::mutex mutex;
    ssi::Result<void> result;
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < threads_per_rank; ++t)
        threads.emplace_back([&, t] {
            const auto rank = static_cast<unsigned>(session.rank());
            const auto mixed = ssi::mix64(seed * 64 + rank * 8 + t);
            auto done = Writer(set, events, mixed).run(stop, t == 0);
            stop = true;
            std::lock_guard lock(mutex);
            if (result) result = std::move(done);
        });
    for (auto& thread : threads) thread.join();
    return result;
}

// Until something fails.
void play(ssi::Session& session, char** argv) {
    const Events events(argv[1], session.rank());
    std::fprintf(stderr, "mounting\n");
    ssi::io::VolumesOptions where{.directories = ssi::test::directories_of(argv[2], session.rank()),
                                  .slots = 64, .segment_bytes = 256u << 10};
    auto volumes = ssi::value_or_throw(ssi::io::Volumes::mount(session, std::move(where)));
    const auto options = ssi::value_or_throw(volumes->keep(
        "stamped", {.kind = ssi::kddm::ObjectKind::variable, .memory_bytes = 512u << 10}));
    auto set = ssi::value_or_throw(session.raw_set("stamped", options));
    tell_what_is_there(session, set, events);
    session.barrier();
    std::fprintf(stderr, "running\n");
    ssi::value_or_throw(write_on_threads(session, set, events,
                                         std::strtoull(argv[3], nullptr, 10)));
}

}  // namespace

int main(int argc, char** argv) try {
    ssi::Session session(argc, argv);
    if (argc != 4) return 2;
    try {
        play(session, argv);
    } catch (const ssi::Error& error) {
        std::fprintf(stderr, "left: %s\n", error.what());
        throw;
    }
    std::fprintf(stderr, "nothing happened\n");
    ssi::Session::exit(3);
} catch (const ssi::Error& error) {
    ssi::Session::exit(ssi::error_info(error.code()).exit_code);
}
