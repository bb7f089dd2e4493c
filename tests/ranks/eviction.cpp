// SPDX-License-Identifier: BSD-3-Clause
// usage: mpirun -n N eviction TOTAL_MIB BUDGET_MIB ACCESSES     (accesses of each thread)
//
// Objects of TOTAL_MIB in all, kept in a file per node, pass through a memory of BUDGET_MIB per
// node, under random get, grab and fetch_add from four threads of every node. At the end every
// object must be whole, their sums those of what was done, the files must hold the same, and no
// node's resident memory may have grown by more than its budget and a tenth (or 16 MiB, if that is
// more).
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "ssi/base/random.hpp"
#include "ssi/base/result.hpp"
#include "ssi/kddm/record_file.hpp"
#include "ssi/kddm/session.hpp"
#include "ssi/sys/file.hpp"

namespace {

constexpr std::uint64_t threads_per_node = 4;
constexpr std::size_t payload_words = 509;
constexpr std::uint64_t least_slack = 16u << 20;

// 4 KiB: an untouched one is all zero.
struct Record {
    std::uint64_t changes;    // by grab
    std::uint64_t added;      // by fetch_add
    std::uint64_t checksum;   // of id, changes and payload
    std::uint64_t payload[payload_words];

    std::uint64_t sum(std::uint64_t id) const {
        std::uint64_t hash = ssi::mix64(id + 1) ^ changes;
        for (const std::uint64_t word : payload) hash = (hash ^ word) * 0x100000001b3;
        return hash;
    }
    bool whole(std::uint64_t id) const { return changes == 0 || checksum == sum(id); }
    void change(std::uint64_t id) {
        ++changes;
        for (std::size_t i = 0; i < payload_words; ++i)
            payload[i] = ssi::mix64(id * 1000 + changes) + i;
        checksum = sum(id);
    }
};
static_assert(sizeof(Record) == 4096);

struct Done {
    std::atomic<std::uint64_t> changes{0}, added{0}, broken{0};
};

std::uint64_t resident_bytes() {
    unsigned long pages = 0, resident = 0;
    if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
        if (std::fscanf(file, "%lu %lu", &pages, &resident) != 2) resident = 0;
        std::fclose(file);
    }
    return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

void access_object(ssi::kddm::Set<Record>& set, std::uint64_t id, std::uint64_t draw, Done& done) {
    if (draw < 40) {
        auto record = set.get(id);
        if (!record->whole(id)) ++done.broken;
    } else if (draw < 80) {
        auto record = set.grab(id);
        if (!record->whole(id)) ++done.broken;
        record->change(id);
        ++done.changes;
    } else {
        set.fetch_add(id, draw, offsetof(Record, added));
        done.added += draw;
    }
}

void run_thread(ssi::Session& session, ssi::kddm::Set<Record>& set, std::uint64_t thread,
                std::uint64_t objects, std::uint64_t accesses, Done& done) {
    const auto nodes = static_cast<std::uint64_t>(session.size());
    const std::uint64_t me = static_cast<std::uint64_t>(session.rank()) * threads_per_node + thread;
    ssi::Random random(me + 1);
    // Once over all of them, so that every object exists; then at random.
    for (std::uint64_t id = me; id < objects; id += nodes * threads_per_node)
        access_object(set, id, 50, done);
    for (std::uint64_t i = 0; i < accesses; ++i)
        access_object(set, random.below(objects), random.below(100), done);
}

template <class F>
void on_threads(F&& f) {
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t < threads_per_node; ++t) threads.emplace_back([&f, t] { f(t); });
    for (auto& thread : threads) thread.join();
}

struct Sums {
    std::atomic<std::uint64_t> changes{0}, added{0}, broken{0};
    void add(const Record& record, std::uint64_t id) {
        changes += record.changes;
        added += record.added;
        broken += !record.whole(id);
    }
};

// What the file of this node holds, read without libssi's sets.
void sum_file(const std::string& path, ssi::kddm::Set<Record>& set, std::uint64_t objects,
              ssi::NodeId self, Sums& sums) {
    auto file = ssi::value_or_throw(ssi::sys::File::open(path, ssi::sys::File::Mode::read));
    Record record;
    for (std::uint64_t id = 0; id < objects; ++id) {
        if (set.raw().home(id) != self) continue;
        std::memset(static_cast<void*>(&record), 0, sizeof record);
        (void)ssi::value_or_throw(file->read_at(
            {reinterpret_cast<std::byte*>(&record), sizeof record}, id * sizeof record));
        sums.add(record, id);
    }
}

int run(ssi::Session& session, std::uint64_t objects, std::uint64_t budget,
        std::uint64_t accesses) {
    using ssi::Reduce;
    const std::string path = (std::filesystem::temp_directory_path() /
                              ("ssi-eviction-" + std::to_string(::getpid()))).string();
    session.register_linker("records", ssi::value_or_throw(
                                           ssi::kddm::RecordFile::open(path, sizeof(Record))));
    auto set = session.set<Record>("table", {.count = objects, .linker = "records"});
    session.barrier();
    const std::uint64_t before = resident_bytes();
    std::uint64_t most = before;
    std::atomic<bool> over{false};
    std::thread sampler([&] {
        while (!over) {
            most = std::max(most, resident_bytes());
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
    });
    const auto start = std::chrono::steady_clock::now();
    Done done;
    on_threads([&](std::uint64_t t) { run_thread(session, set, t, objects, accesses, done); });
    session.barrier();
    Sums seen, kept;
    const auto nodes = static_cast<std::uint64_t>(session.size());
    on_threads([&](std::uint64_t t) {
        const auto first = static_cast<std::uint64_t>(session.rank()) * threads_per_node + t;
        for (std::uint64_t id = first; id < objects; id += nodes * threads_per_node)
            seen.add(*set.get(id), id);
    });
    set.sync();
    session.barrier();
    over = true;
    sampler.join();
    sum_file(path, set, objects, session.node(), kept);
    std::filesystem::remove(path);
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

    const std::uint64_t changes = session.reduce(done.changes.load(), Reduce::sum);
    const std::uint64_t added = session.reduce(done.added.load(), Reduce::sum);
    const bool right =
        session.reduce(seen.changes.load(), Reduce::sum) == changes &&
        session.reduce(seen.added.load(), Reduce::sum) == added &&
        session.reduce(kept.changes.load(), Reduce::sum) == changes &&
        session.reduce(kept.added.load(), Reduce::sum) == added &&
        session.reduce(done.broken + seen.broken + kept.broken, Reduce::sum) == 0;
    const std::uint64_t grown = session.reduce(most - before, Reduce::max);
    // A tenth for what a budget does not count: the allocator's arenas, stacks, the transport. They
    // do not shrink with the budget.
    const bool small = grown <= budget + std::max(budget / 10, least_slack);
    const auto stats = set.stats();
    const std::uint64_t loads = session.reduce(stats.loads, Reduce::sum);
    const std::uint64_t writes = session.reduce(stats.write_backs, Reduce::sum);
    if (session.rank() == 0)
        std::printf("%s: %llu objects, %llu changes, %llu loads, %llu write-backs, memory grew by "
                    "%.1f of %.1f MiB, %.1f s\n",
                    !right ? "WRONG SUMS" : small ? "ok" : "TOO MUCH MEMORY",
                    static_cast<unsigned long long>(objects),
                    static_cast<unsigned long long>(changes),
                    static_cast<unsigned long long>(loads), static_cast<unsigned long long>(writes),
                    static_cast<double>(grown) / (1 << 20), static_cast<double>(budget) / (1 << 20),
                    seconds);
    return right && small ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) {
        std::fprintf(stderr, "usage: eviction TOTAL_MIB BUDGET_MIB ACCESSES\n");
        return 2;
    }
    const std::uint64_t total = std::strtoull(argv[1], nullptr, 10) << 20;
    const std::uint64_t budget = std::strtoull(argv[2], nullptr, 10) << 20;
    const std::uint64_t accesses = std::strtoull(argv[3], nullptr, 10);
    ::setenv("SSI_KDDM_MEMORY_BYTES", std::to_string(budget).c_str(), 1);
    ::setenv("SSI_ARENA_WARM_BYTES", "0", 1);
    try {
        ssi::Session session(argc, argv);
        const int code = run(session, total / sizeof(Record), budget, accesses);
        (void)session.close();
        return code;
    } catch (const ssi::Error& error) {
        std::fprintf(stderr, "eviction: %s\n", error.what());
        return 1;
    }
}
