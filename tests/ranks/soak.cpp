// SPDX-License-Identifier: BSD-3-Clause
// usage: mpirun -n N soak SECONDS [THREADS]
//
// Every verb on every kind of set, at random, from THREADS threads (2) of every node, for so long:
// fixed, small, variable and home sets, one placed by first touch, one kept in a file with a
// quarter of the memory it needs; locks, a channel, futures, updates. Everything has a sum that
// must be right at the end of every round, and every object says itself whether it is whole.
// Prints a line a round; exit code 1 and a line when something is wrong.
#include <ssi/ssi.hpp>

#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

#include "ssi/base/random.hpp"
#include "ssi/kddm/record_file.hpp"
#include "ssi/kddm/serialized.hpp"

namespace {

using Clock = std::chrono::steady_clock;
using ssi::ObjectId;

constexpr std::uint64_t accounts = 400;
constexpr std::int64_t first_balance = 1000;
constexpr std::uint64_t counters = 300;
constexpr std::uint64_t pages = 96;         // of 4 KiB
constexpr std::uint64_t texts = 64;
constexpr std::uint64_t records = 4096;     // kept in files
constexpr std::uint64_t record_memory = 1u << 20;   // a quarter of theirs
constexpr double round_seconds = 10;

// Whole when all words are those of (id, number of changes).
template <std::size_t N>
struct Pattern {
    std::array<std::uint64_t, N> words;
    std::uint64_t changes() const { return words[0]; }
    static std::uint64_t word(std::uint64_t id, std::uint64_t changes, std::size_t i) {
        return changes == 0 ? 0 : ssi::mix64(id * 0x10001 + changes) + i;
    }
    bool whole(std::uint64_t id) const {
        for (std::size_t i = 1; i < N; ++i)
            if (words[i] != word(id, words[0], i)) return false;
        return true;
    }
    void change(std::uint64_t id) {
        ++words[0];
        for (std::size_t i = 1; i < N; ++i) words[i] = word(id, words[0], i);
    }
};
using Page = Pattern<512>;
using Record = Pattern<128>;
using Small = Pattern<8>;

struct Sums {   // what this node has done and found
    std::atomic<std::int64_t> added{0}, locked{0}, sent{0}, received{0};
    std::atomic<std::uint64_t> page_changes{0}, record_changes{0}, touched_changes{0},
        home_changes{0}, text_changes{0}, broken{0}, operations{0};
};

struct World {
    ssi::Session& session;
    ssi::kddm::Set<std::int64_t> account, counter;
    ssi::kddm::Set<Page> page;
    ssi::kddm::Set<Small> touched, home;
    ssi::kddm::Set<Record> record;
    ssi::kddm::Set<std::string> text;
    ssi::Mutex mutex;
    ssi::SharedMutex shared_mutex;
    ssi::Channel<std::int64_t> channel;
    Sums done;

    void broken(const char* what, std::uint64_t id) {
        std::fprintf(stderr, "rank %d: %s %llu is broken\n", session.rank(), what,
                     static_cast<unsigned long long>(id));
        ++done.broken;
    }
};

// Between two accounts, or along a few: what there is in all stays.
void transfer(World& w, ssi::Random& random) {
    std::vector<ObjectId> ids;
    for (std::uint64_t n = 2 + random.below(3); n > 0; --n)
        ids.emplace_back(random.below(accounts));
    if (ids[0] == ids[1]) return;
    auto guards = w.account.grab_many(ids);
    const auto amount = static_cast<std::int64_t>(random.below(10));
    guards[0] -= amount;
    guards[1] += amount;
}

template <class Set, class Counter>
void change(World& w, Set& set, std::uint64_t id, const char* what, Counter& changes,
            ssi::Random& random) {
    switch (random.below(8)) {
        case 0: {
            auto guard = set.get(id);
            if (!guard->whole(id)) w.broken(what, id);
            return;
        }
        case 1: {
            const auto snapshot = set.read(id);
            if (!snapshot.value.whole(id)) w.broken(what, id);
            return;
        }
        case 2: {
            auto guard = set.get(id);
            const std::uint64_t before = guard->changes();
            bool moved = false;
            auto written = set.upgrade(std::move(guard), &moved);
            if (!moved && written->changes() != before) w.broken("an upgrade of", id);
            written->change(id);
            break;
        }
        case 3: {
            auto guard = set.try_grab(id);
            if (!guard) return;
            (*guard)->change(id);
            break;
        }
        case 4: {
            auto guard = set.grab_async(id).get();
            if (!guard->whole(id)) w.broken(what, id);
            guard->change(id);
            break;
        }
        case 5: return set.raw().prefetch(id, ssi::kddm::Access::write) ? void() : void();
        case 6: {
            (void)set.raw().flush(id);   // would_block while another thread holds it
            return;
        }
        default: {
            auto guard = set.grab(id);
            if (!guard->whole(id)) w.broken(what, id);
            guard->change(id);
        }
    }
    ++changes;
}

void count(World& w, ssi::Random& random) {
    const auto add = static_cast<std::int64_t>(1 + random.below(9));
    switch (random.below(4)) {
        case 0: {
            std::vector<ssi::kddm::Update> updates;
            for (int i = 0; i < 20; ++i)
                updates.push_back({ObjectId(random.below(counters)),
                                   static_cast<std::uint64_t>(add), 0});
            ssi::value_or_throw(w.counter.raw().update_many(
                ssi::kddm::AtomicOp::add, ssi::kddm::NumberKind::int64, updates, {}));
            w.done.added += 20 * add;
            return;
        }
        case 1: w.counter.fetch_add_async(random.below(counters), add).get(); break;
        case 2: *w.counter.grab(random.below(counters)) += add; break;
        default: w.counter.fetch_add(random.below(counters), add);
    }
    w.done.added += add;
}

void synchronise(World& w, ssi::Random& random) {
    switch (random.below(5)) {
        case 0: {
            const std::lock_guard lock(w.mutex);
            *w.counter.grab(counters) += 1;   // two steps that nobody sees apart
            *w.counter.grab(counters + 1) -= 1;
            ++w.done.locked;
            return;
        }
        case 1: {
            const std::lock_guard lock(w.mutex);
            if (*w.counter.get(counters) + *w.counter.get(counters + 1) != 0)
                w.broken("what a mutex protects", 0);
            return;
        }
        case 2: {
            const std::shared_lock lock(w.shared_mutex);
            (void)w.account.get(random.below(accounts));
            return;
        }
        case 3: {
            const auto number = static_cast<std::int64_t>(random.below(1000));
            if (w.channel.try_send(number)) w.done.sent += number;
            return;
        }
        default:
            if (const auto number = w.channel.try_receive()) w.done.received += *number;
    }
}

void write_text(World& w, ssi::Random& random) {
    const std::uint64_t id = random.below(texts);
    auto guard = w.text.grab(id);
    for (const char c : *guard)
        if (c != static_cast<char>('a' + id % 26)) return w.broken("text", id);
    guard->assign(random.below(3000), static_cast<char>('a' + id % 26));
    ++w.done.text_changes;
}

void move_some(World& w, ssi::Random& random) {
    std::vector<ObjectId> ids;
    for (std::uint64_t n = 1 + random.below(20); n > 0; --n)
        ids.emplace_back(random.below(accounts));
    w.account.migrate(ids, ssi::NodeId(static_cast<std::uint32_t>(random.below(
                               static_cast<std::uint64_t>(w.session.size())))));
}

void work(World& w, std::uint64_t seed, Clock::time_point end) {
    ssi::Random random(seed);
    while (Clock::now() < end) {
        for (int i = 0; i < 20; ++i) {
            const std::uint64_t draw = random.below(100);
            if (draw < 15) transfer(w, random);
            else if (draw < 30) count(w, random);
            else if (draw < 45)
                change(w, w.page, random.below(pages), "page", w.done.page_changes, random);
            else if (draw < 60)
                change(w, w.record, random.below(records), "record", w.done.record_changes, random);
            else if (draw < 70)
                change(w, w.touched, random.below(500), "object", w.done.touched_changes, random);
            else if (draw < 80)
                change(w, w.home, random.below(50), "home object", w.done.home_changes, random);
            else if (draw < 86) write_text(w, random);
            else if (draw < 98) synchronise(w, random);
            else move_some(w, random);
        }
        w.done.operations += 20;
    }
}

// By one node, while nobody else works. False when a sum is wrong.
bool check(World& w) {
    using ssi::Reduce;
    while (const auto number = w.channel.try_receive()) w.done.received += *number;
    w.session.barrier();
    std::int64_t balance = 0, counted = 0;
    std::uint64_t page_changes = 0, record_changes = 0, touched_changes = 0, home_changes = 0;
    const auto mine = [&](std::uint64_t i) {
        return i % static_cast<std::uint64_t>(w.session.size()) ==
               static_cast<std::uint64_t>(w.session.rank());
    };
    const auto sum = [&](auto& set, std::uint64_t objects, const char* what, std::uint64_t& total) {
        for (std::uint64_t i = 0; i < objects; ++i) {
            if (!mine(i)) continue;
            auto guard = set.get(i);
            if (!guard->whole(i)) w.broken(what, i);
            total += guard->changes();
        }
    };
    for (std::uint64_t i = 0; i < accounts; ++i)
        if (mine(i)) balance += *w.account.get(i);
    for (std::uint64_t i = 0; i < counters; ++i)
        if (mine(i)) counted += *w.counter.get(i);
    sum(w.page, pages, "page", page_changes);
    sum(w.record, records, "record", record_changes);
    sum(w.touched, 500, "object", touched_changes);
    sum(w.home, 50, "home object", home_changes);
    bool right = true;
    const auto equal = [&](const char* what, auto found, auto done) {
        const auto there = w.session.reduce(found, Reduce::sum);
        const auto wanted = w.session.reduce(done, Reduce::sum);
        if (there == wanted) return;
        right = false;
        if (w.session.rank() == 0)
            std::fprintf(stderr, "%s: %lld where %lld are due\n", what,
                         static_cast<long long>(there), static_cast<long long>(wanted));
    };
    const std::int64_t due = w.session.rank() == 0 ? first_balance * std::int64_t{accounts} : 0;
    equal("balance", balance, due);
    equal("counters", counted, w.done.added.load());
    equal("changes of pages", page_changes, w.done.page_changes.load());
    equal("changes of records", record_changes, w.done.record_changes.load());
    equal("changes of first-touch objects", touched_changes, w.done.touched_changes.load());
    equal("changes of home objects", home_changes, w.done.home_changes.load());
    equal("locked steps", w.session.rank() == 0 ? *w.counter.get(counters) : 0,
          w.done.locked.load());
    equal("messages", w.done.received.load(), w.done.sent.load());
    return w.session.reduce(w.done.broken.load(), Reduce::sum) == 0 && right;
}

int run(ssi::Session& session, double seconds, std::uint64_t threads) {
    const std::string path = (std::filesystem::temp_directory_path() /
                              ("ssi-soak-" + std::to_string(::getpid()))).string();
    session.register_linker("records", ssi::value_or_throw(ssi::kddm::RecordFile::open(
                                           path, sizeof(Record))));
    std::filesystem::remove(path);   // open, and gone with the process
    World w{session,
            session.set<std::int64_t>("accounts", {.count = accounts}),
            session.set<std::int64_t>("counters", {.count = counters + 2}),
            session.set<Page>("pages", {.count = pages}),
            session.set<Small>("touched", {.count = 500, .placement = "first_touch"}),
            session.set<Small>("home", {.count = 50, .coherence = ssi::kddm::Coherence::home}),
            session.set<Record>("records", {.count = records, .linker = "records",
                                            .memory_bytes = record_memory}),
            session.set<std::string>("texts", {.count = texts}),
            session.mutex("soak"),
            session.shared_mutex("soak"),
            session.channel<std::int64_t>("soak", {.capacity = 64}),
            {}};
    if (session.rank() == 0)
        for (std::uint64_t i = 0; i < accounts; ++i) *w.account.grab(i) = first_balance;
    session.barrier();
    const auto start = Clock::now();
    const auto passed = [&] {
        return std::chrono::duration<double>(Clock::now() - start).count();
    };
    bool right = true, more = true;
    for (std::uint64_t round = 0; more && right; ++round) {
        const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                            std::chrono::duration<double>(
                                                std::min(round_seconds, seconds)));
        std::vector<std::thread> workers;
        for (std::uint64_t t = 0; t < threads; ++t)
            workers.emplace_back([&w, t, end, round, rank = session.rank()] {
                work(w, ssi::mix64(round * 1000 + static_cast<std::uint64_t>(rank) * 100 + t), end);
            });
        for (auto& worker : workers) worker.join();
        session.barrier();
        right = check(w);
        const std::uint64_t operations = session.reduce(w.done.operations.load(), ssi::Reduce::sum);
        more = session.reduce(std::uint64_t{passed() < seconds}, ssi::Reduce::min) != 0;
        if (session.rank() == 0)
            std::printf("%s after %.0f s: %llu operations, round %llu\n", right ? "right" : "WRONG",
                        passed(), static_cast<unsigned long long>(operations),
                        static_cast<unsigned long long>(round + 1));
        std::fflush(stdout);
        session.barrier();
    }
    return right ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: mpirun -n N soak SECONDS [THREADS]\n");
        return 2;
    }
    const double seconds = std::strtod(argv[1], nullptr);
    const std::uint64_t threads = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 2;
    try {
        ssi::Session session(argc, argv);
        const int code = run(session, seconds, threads);
        (void)session.close();
        return code;
    } catch (const ssi::Error& error) {
        std::fprintf(stderr, "soak: %s\n", error.what());
        return 1;
    }
}
