// SPDX-License-Identifier: BSD-3-Clause
// CutWorkload: cuts of the whole world while everything else goes on, and a bank whose money must
// be there in each of them. Checkers: `cut` (what is handed out is what each node had when all was
// at rest, each object once; the sum; a task's own order of writes; messages in channels; after the
// death of a node an error that names it, and gates that are open) and `cut_stalls` (neither tasks
// that are blocked nor nodes that die keep a cut from coming to an end). Some are led step by step,
// to look at the world in between; others all nodes take together, as checkpoints are taken: see
// cut_together.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "catalog.hpp"
#include "options.hpp"
#include "ssi/base/random.hpp"
#include "ssi/kddm/cut.hpp"
#include "world.hpp"

namespace ssi::ckpt {
class Meetings;
class Votes;
}

namespace ssi::model {

class CutWorkload {
public:
    CutWorkload(const Options& options, std::uint64_t seed, const Catalog& catalog, World& world);
    ~CutWorkload();

    // Then world.run().
    void start();
    // Kills a node; called on the scheduler's stack.
    std::function<void(std::uint32_t node)> kill;
    void check_rest();
    std::uint64_t made() const { return made_; }   // cuts that were read out to the end

private:
    struct Account {
        std::uint32_t set;   // of sets_
        std::uint64_t id;
    };
    // What a node had when all was at rest.
    struct Frozen {
        std::uint32_t node = 0;
        std::uint64_t version = 0;
        std::vector<std::byte> bytes;
        bool known = false;        // the bytes: not all can be seen past a closed gate
        bool handed_out = false;
    };
    using Name = std::pair<std::uint32_t, ObjectId>;   // set, object
    // How far a node came with a checkpoint, and why no further.
    enum class Step : std::uint8_t { meeting, stopping, voting, end };
    enum class Moment : std::uint8_t { closing, begun, open, saved };
    struct Taken {
        Step step = Step::meeting;
        Failure failure;
        std::uint64_t saved = 0;   // objects on all nodes, as was decided
    };

    // the coordinator
    void coordinate();
    bool make_cut();
    bool come_to_rest();
    bool everywhere(const std::function<void(std::uint32_t node)>& body);
    void freeze(std::uint32_t node);
    void freeze_object(std::uint32_t node, kddm::RawSet& set, ObjectId id);
    void count_channels(std::uint32_t node);
    std::uint64_t read_out(std::uint32_t node, bool whole);
    void hand_out(std::uint32_t node, const kddm::CutObject& object);
    void object_to(std::string what);
    void check_money();
    void check_handed_out(std::uint32_t node);
    void check_complete();
    std::int64_t number_in(std::uint32_t set, std::uint64_t id) const;
    std::vector<kddm::RawSet> chosen_at(std::uint32_t node);
    kddm::Cut cut_at(std::uint32_t node) { return kddm::Cut(world_.engine(node), &hub(node)); }
    void abandon();
    std::uint32_t dead() const;
    bool lost_more() const { return dead() != dead_before_; }

    // all nodes together
    bool open_votes(std::uint32_t node);
    bool cut_together();
    Taken take(std::uint32_t node);
    void keep(std::uint32_t node);
    void reached(Moment moment);
    void check_taken(std::uint32_t node, const Taken& taken);
    void check_gates();

    // the others
    void spawn(std::uint32_t node, std::function<void()> body);
    bool open(std::uint32_t node);
    void bank_task(std::uint32_t node);
    void transfer(std::uint32_t node, bool upgrading);
    void transfer_many(std::uint32_t node);
    void transfer_by_atomics(std::uint32_t node);
    void move_about(std::uint32_t node);
    void pair_task(std::uint32_t node, std::uint32_t number);
    void post_task(std::uint32_t node);
    void silent_task(std::uint32_t node);
    void meeting_task(std::uint32_t node);
    std::pair<Account, Account> two_accounts();
    kddm::RawSet& set_of(std::uint32_t node, std::uint32_t set) { return sets_[node][set]; }
    Result<void> add(std::uint32_t node, Account account, std::int64_t amount, bool upgrading);
    void pause(std::uint64_t longest_ns);
    bool excused(const char* what, const Failure& failure);
    bool any_dead();
    kddm::sync::Hub& hub(std::uint32_t node) { return world_.hub(node); }

    const Options& options_;
    const Catalog& catalog_;
    World& world_;
    Random random_;
    std::vector<std::vector<kddm::RawSet>> sets_;   // by node
    std::vector<std::uint32_t> tasks_, ended_;      // by node
    bool over_ = false;
    bool losses_ = false;
    std::uint32_t dead_before_ = 0;                 // when the cut was begun

    std::uint64_t number_ = 0;                      // of the last cut
    std::uint64_t made_ = 0;
    int in_a_row_ = 0;                   // cuts that were refused as something had moved
    bool catalog_too_ = false;                      // the workload's own sets are part of the cut
    bool frozen_now_ = false;
    std::map<Name, Frozen> frozen_;
    std::uint64_t in_channels_ = 0;

    // of cuts that all take together
    bool together_ = false;                         // this one
    std::vector<std::unique_ptr<ckpt::Votes>> votes_;   // by node
    std::vector<std::unique_ptr<ckpt::Meetings>> meetings_;
    std::uint64_t shadow_bytes_ = 0;
    std::uint32_t kept_ = 0;                        // nodes that have begun
    bool disturbed_ = false;                        // somebody knew of a loss before all had begun
    std::string objection_;                         // to the cut, unless it is disturbed
    std::uint32_t kill_at_ = 0;                     // in which cut
    bool kill_now_ = false;
    Moment kill_moment_;
    std::uint64_t kill_countdown_;
};

}  // namespace ssi::model
