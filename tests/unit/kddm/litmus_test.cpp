// SPDX-License-Identifier: BSD-3-Clause
// Litmus tests on real threads over the loop transport: no way to read and write shows an outcome
// that its order forbids, in either coherence; and the harness reports one when there is one.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "cluster.hpp"
#include "litmus.hpp"

namespace ssi::test {
namespace {

using namespace litmus;
using kddm::Coherence;

constexpr std::uint32_t runs_per_batch = 16;
#if defined(__SANITIZE_THREAD__)
constexpr std::uint64_t batches = 1;   // ten times slower; races show in any run
#else
constexpr std::uint64_t batches = 4;
#endif

// Threads that wait for each other without sleeping: runs shall overlap.
class Barrier {
public:
    explicit Barrier(int count) : count_(count) {}
    void wait() {
        const int round = round_.load();
        if (arrived_.fetch_add(1) + 1 == count_) {
            arrived_ = 0;
            ++round_;
            return;
        }
        while (round_.load() == round) std::this_thread::yield();
    }

private:
    const int count_;
    std::atomic<int> arrived_{0}, round_{0};
};

kddm::SetOptions shared(Coherence coherence) {
    kddm::SetOptions options;
    options.object_bytes = 8;
    options.coherence = coherence;
    return options;
}

// One batch: a thread for each of the program's, on the nodes in turn.
void batch(const Program& program, const Way& way, std::vector<kddm::RawSet>& sets,
           std::uint64_t number, Counts& counts) {
    const int count = static_cast<int>(threads_of(program).size());
    Barrier barrier(count);
    std::vector<std::vector<Outcome>> seen(static_cast<std::size_t>(count));
    std::vector<std::thread> threads;
    for (int t = 0; t < count; ++t)
        threads.emplace_back([&, t] {
            kddm::RawSet& set = sets[static_cast<std::size_t>(t) % sets.size()];
            seen[static_cast<std::size_t>(t)] =
                play({program, way, set, t, number * runs_per_batch * objects_per_run,
                      runs_per_batch, number, [&] { barrier.wait(); }});
        });
    for (auto& thread : threads) thread.join();
    for (std::uint32_t run = 0; run < runs_per_batch; ++run) {
        Outcome outcome = 0;
        for (const auto& part : seen) outcome |= part[run];
        counts.add(outcome);
    }
}

std::string plays(const Program& program, const Way& way, std::vector<kddm::RawSet>& sets,
                  std::uint64_t first_batch, std::uint64_t how_many) {
    Counts counts(program, way.order);
    for (std::uint64_t b = first_batch; b < first_batch + how_many; ++b)
        batch(program, way, sets, b, counts);
    if (std::getenv("LITMUS_COUNTS"))
        std::printf("%.*s, %s\n", static_cast<int>(way.name.size()), way.name.data(),
                    counts.line().c_str());
    return counts.forbidden();
}

struct Shape {
    int nodes;
    Coherence coherence;
};
class Litmus : public testing::TestWithParam<Shape> {};

TEST_P(Litmus, no_way_to_read_and_write_shows_a_forbidden_outcome) {
    LoopNodes::Options options;
    options.loop.reorder_seed = 7;
    options.log_level = LogLevel::warn;
    Cluster c(GetParam().nodes, kddm::Plant::none, std::move(options));
    auto sets = c.open("litmus", shared(GetParam().coherence));
    std::uint64_t next = 0;
    for (const Way& way : ways())
        for (const Program& program : programs()) {
            EXPECT_EQ(plays(program, way, sets, next, batches), "") << way.name;
            next += batches;
        }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Litmus,
                         testing::Values(Shape{2, Coherence::coherent}, Shape{2, Coherence::home},
                                         Shape{4, Coherence::coherent}, Shape{4, Coherence::home}));

// Batches until something forbidden is seen; "" when nothing was in all of them.
std::string first_forbidden(const Program& program, const Way& way,
                            std::vector<kddm::RawSet>& sets, std::uint64_t most) {
    std::string forbidden;
    for (std::uint64_t b = 0; b < most && forbidden.empty(); ++b)
        forbidden = plays(program, way, sets, b, 1);
    return forbidden;
}

TEST(LitmusHarness, reports_a_reader_that_keeps_what_it_once_saw) {
    Cluster c(2);
    auto sets = c.open("litmus", shared(Coherence::coherent));
    // x as it was before the run, as a reader that used a copy it had let go would see it.
    const Way& sound = ways().front();
    const Way stale{"grab, remembered", Order::sequential, sound.write,
                    [&](kddm::RawSet& set, ObjectId id) -> std::uint64_t {
                        return id.lo % objects_per_run == 0 ? 0 : sound.read(set, id);
                    }};
    EXPECT_NE(first_forbidden(program("MP"), stale, sets, 200).find("y?1 x?0"), std::string::npos);
}

TEST(LitmusHarness, reports_the_protocol_when_bugs_are_planted) {
    struct Case {
        kddm::Plant plant;
        const char* program;
        int nodes;
        Coherence coherence;
    };
    for (const Case& bug : {Case{kddm::Plant::skip_invalidation, "MP", 4, Coherence::coherent},
                            Case{kddm::Plant::stale_data, "CoRW", 3, Coherence::coherent},
                            Case{kddm::Plant::lost_write, "CoWR", 2, Coherence::home}}) {
        Cluster c(bug.nodes, bug.plant);
        auto sets = c.open("litmus", shared(bug.coherence));
        EXPECT_NE(first_forbidden(program(bug.program), ways().front(), sets, 300), "")
            << kddm::plant_name(bug.plant);
    }
}

TEST(LitmusHarness, knows_what_each_order_allows) {
    EXPECT_EQ(allowed(program("SB"), Order::sequential).size(), 3u);
    EXPECT_EQ(allowed(program("SB"), Order::per_object).size(), 4u);
    EXPECT_EQ(allowed(program("MP"), Order::per_object).size(), 4u);
    EXPECT_EQ(allowed(program("LB"), Order::sequential).size(), 3u);
    EXPECT_EQ(allowed(program("IRIW"), Order::sequential).size(), 15u);
    EXPECT_EQ(allowed(program("IRIW"), Order::per_object).size(), 16u);
    // About one object, both orders say the same.
    for (const char* name : {"CoRR", "CoRR2", "CoWR", "CoRW"})
        EXPECT_EQ(allowed(program(name), Order::sequential),
                  allowed(program(name), Order::per_object))
            << name;
    const Program& sb = program("SB");
    const Outcome both_stale = 1u << 4 | 1u << 6;
    EXPECT_EQ(describe(sb, both_stale), "x=1 y?0 | y=1 x?0, at last x=1 y=1");
    EXPECT_FALSE(allowed(sb, Order::sequential).contains(both_stale));
}

}  // namespace
}  // namespace ssi::test
