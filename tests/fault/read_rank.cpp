// SPDX-License-Identifier: BSD-3-Clause
// One rank of the fault test of one-sided reads: rank 1 is the home of a few objects and writes
// them all the time; the others read them until a read fails, and say how that went.
#include <ssi/ssi.hpp>

#include <array>
#include <chrono>
#include <cstdio>

namespace {

using Clock = std::chrono::steady_clock;
using Words = std::array<std::uint64_t, 64>;
constexpr std::uint64_t objects = 4;
constexpr std::uint64_t enough = 300;   // for reads that meet writes

[[noreturn]] void write_for_ever(ssi::kddm::Set<Words>& set) {
    for (std::uint64_t i = 1;; ++i) set.grab(i % objects)->fill(i);
}

bool whole(const Words& words) {
    for (const std::uint64_t word : words)
        if (word != words[0]) return false;
    return true;
}

// Until a read fails: with that error's exit code.
int read_until_it_fails(ssi::kddm::Set<Words>& set, Clock::time_point& last) {
    std::uint64_t reads = 0, newest[objects] = {};
    try {
        for (;; ++reads) {
            const std::uint64_t id = reads % objects;
            last = Clock::now();
            const auto snapshot = set.read(id);
            const bool wrong = !whole(snapshot.value) || snapshot.version < newest[id];
            newest[id] = snapshot.version;
            if (reads == enough) std::fprintf(stderr, "reading\n");
            if (wrong) {
                std::fprintf(stderr, "torn or backwards\n");
                return 1;
            }
        }
    } catch (const ssi::Error& error) {
        const auto took = Clock::now() - last;
        const auto stats = set.stats();
        std::fprintf(stderr, "%llu messages, %llu by rma, in the end after %lld ms: %s\n",
                     static_cast<unsigned long long>(stats.reads_by_message),
                     static_cast<unsigned long long>(stats.reads_by_rma),
                     static_cast<long long>(
                         std::chrono::duration_cast<std::chrono::milliseconds>(took).count()),
                     error.what());
        return ssi::error_info(error.code()).exit_code;
    }
}

}  // namespace

int main(int argc, char** argv) try {
    ssi::Session session(argc, argv);
    auto set = session.set<Words>("hammered", {.count = objects, .placement = "node:1"});
    if (session.rank() == 1)
        for (std::uint64_t i = 0; i < objects; ++i) set.grab(i)->fill(1);
    session.barrier();
    std::fprintf(stderr, "ready\n");
    if (session.rank() == 1) write_for_ever(set);
    Clock::time_point last;
    ssi::Session::exit(read_until_it_fails(set, last));
} catch (const ssi::Error& error) {
    std::fprintf(stderr, "caught: %s\n", error.what());
    ssi::Session::exit(ssi::error_info(error.code()).exit_code);
}
