// SPDX-License-Identifier: BSD-3-Clause
// Workload: what the tasks of the world do, drawn from the seed, and what they saw. An operation
// runs on a fiber of its own, so that a stack is held only while it is under way.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "history.hpp"
#include "oracle.hpp"
#include "slow_linker.hpp"
#include "world.hpp"

namespace ssi::model {

enum class Verb : std::uint8_t {
    get, get_twice, grab, grab_new, try_grab, upgrade, nested, descending, fetch_add, apply,
    apply_here, apply_failing, prefetch, flush, remove, find, stale, get_many, grab_many,
    prefetch_many, update_many, read, migrate,
    last = migrate,
};
const char* verb_name(Verb verb);
inline constexpr std::size_t verb_count = static_cast<std::size_t>(Verb::last) + 1;

struct VerbCount {
    std::uint64_t operations = 0;
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
    std::uint64_t delays = 0;       // sum over operations of the longest chain of messages
    std::uint32_t most_delays = 0;
};

class Workload {
public:
    Workload(const Options& options, std::uint64_t seed, const Catalog& catalog, World& world);

    // Registers the shipped functions; before the sets are opened.
    void prepare(std::uint32_t node, kddm::Engine& engine);
    // Every other node hooks the release of the objects of two sets; after the sets are opened.
    void hook_releases();
    // Each, then world.run(). The storm: a few nodes fight for one object, without long delays, to
    // see whether anybody starves.
    void start_storm();
    void start();
    void kill(std::uint32_t victim);   // called on the scheduler's stack
    // After the run: everything that was asked has ended, and the world is at rest.
    void check_rest();
    // Syncs every set and reads every object once more, wherever it is cached; then world.run().
    void start_last_reads();
    void check_linkers();
    void check_histories();
    // After a sequential run: nobody was in the way, so no access took more than three delays.
    void check_delays();

    std::uint64_t done() const { return done_; }
    const std::array<VerbCount, verb_count>& counts() const { return counts_; }
    const Oracle& oracle() const { return oracle_; }

private:
    const SlowLinker& linker_of(std::uint32_t node, std::uint32_t set) const;
    struct Op {
        std::uint32_t number = 0;   // from 1
        std::uint32_t node = 0;
        Verb verb = Verb::get;
        std::uint32_t object = 0;
        std::uint64_t call = 0;     // tick
        bool ended = false;
    };
    // What a guard showed, until it is let go.
    struct Hold {
        std::uint32_t object = 0;
        std::uint64_t since = 0;
        std::uint64_t value = 0;
        bool fresh = false;     // grab_new: the value before was not read
    };

    // planning
    void start_task(std::uint32_t task);
    void next_op_of(std::uint32_t task);
    void storm_task(std::uint32_t node, std::uint32_t object, std::uint32_t rounds);
    Op plan(std::uint32_t node);
    Op make_op(std::uint32_t node, Verb verb, std::uint32_t object);
    Verb plan_verb(Use use);
    std::uint32_t plan_object();
    void perform(const Op& op);

    // verbs; see workload_verbs.cpp
    void do_get(const Op& op, bool twice);
    void do_grab(const Op& op);
    void do_upgrade(const Op& op);
    void do_nested(const Op& op);
    void do_descending(const Op& op);
    Result<std::int64_t> add_to(const Op& op, std::int64_t delta);
    void do_fetch_add(const Op& op);
    void do_apply(const Op& op, bool failing);
    void do_read(const Op& op);
    void do_read_many(const Op& op);
    void do_flush(const Op& op);
    void do_remove(const Op& op);
    // see workload_many.cpp
    std::vector<std::uint32_t> plan_many(const Op& op);
    std::vector<ObjectId> ids_of(const std::vector<std::uint32_t>& objects) const;
    void do_many(const Op& op, bool write);
    void do_prefetch_many(const Op& op);
    void do_migrate(const Op& op);
    void do_update_many(const Op& op);
    void write_and_let_go(const Op& op, kddm::RawGuard& guard, Hold hold);
    void read_counter(const Op& op, kddm::RawGuard& guard);
    bool apply_in_place(const Op& op, Hold& hold);

    // pieces of verbs
    struct ReadCall {
        std::uint32_t object = 0;
        std::uint64_t tick = 0;
        std::uint64_t floor = 0;    // a version that somebody had seen before
    };
    ReadCall call_read(const Op& op, std::uint32_t object);
    void returned_read(const Op& op, const ReadCall& call, const kddm::RawSnapshot& snapshot);
    Hold acquired(const Op& op, std::uint32_t object, const kddm::RawGuard& guard, bool write,
                  bool fresh = false);
    void let_go_read(const Op& op, kddm::RawGuard& guard, const Hold& hold);
    std::uint64_t read(const Op& op, const kddm::RawGuard& guard);
    void pause();
    std::uint64_t new_value(const Op& op) { return (1ull << 40) + op.number; }
    bool failed(const Op& op, const Failure& failure);
    void note(const Op& op, std::uint32_t object, const char* phase, std::uint64_t value,
              std::uint64_t version);
    Result<void> run_function(std::uint32_t node, kddm::ObjectView& object,
                              std::span<const std::byte> arguments, std::vector<std::byte>& reply);
    void on_release(std::uint32_t node, std::uint32_t object, std::span<const std::byte> bytes);
    std::uint64_t tick() { return ++tick_; }
    kddm::RawSet& set_of(const Op& op, std::uint32_t object) {
        return world_.set_at(op.node, object);
    }
    void maybe_kill();
    void end_op(const Op& op);
    std::string describe_unended(std::size_t limit) const;
    void note_doubtful();

    Options options_;
    const Catalog& catalog_;
    World& world_;
    Random random_;
    Oracle oracle_;
    std::vector<std::shared_ptr<SlowLinker>> linkers_;
    std::vector<std::vector<HistoryOp>> histories_;
    std::vector<std::vector<CounterOp>> counters_;
    std::vector<Op> ops_;                      // by number
    std::vector<std::uint32_t> under_way_;     // by node
    std::vector<std::uint32_t> doubtful_;      // applies that failed because a node died
    std::array<VerbCount, verb_count> counts_{};
    std::uint64_t planned_ = 0;
    std::uint64_t done_ = 0;
    std::uint64_t abandoned_ = 0;              // under way on a node when it was killed
    std::uint64_t tick_ = 0;
    std::uint32_t kills_ = 0;
    std::uint32_t kills_left_ = 0;
    bool losses_ = false;
};

}  // namespace ssi::model
