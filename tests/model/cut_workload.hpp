// SPDX-License-Identifier: BSD-3-Clause
// CutWorkload: cuts of the whole world while everything else goes on, and a bank whose money must
// be there in each of them. Checkers: `cut` (what is handed out is what each node had when all was
// at rest, each object once; the sum; a task's own order of writes; messages in channels) and
// `cut_stalls` (tasks that are blocked keep no cut from being made).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "catalog.hpp"
#include "options.hpp"
#include "ssi/base/random.hpp"
#include "ssi/kddm/cut.hpp"
#include "world.hpp"

namespace ssi::model {

class CutWorkload {
public:
    CutWorkload(const Options& options, std::uint64_t seed, const Catalog& catalog, World& world);

    // Then world.run().
    void start();
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

    // the coordinator
    void coordinate();
    bool make_cut();
    bool come_to_rest();
    bool everywhere(const std::function<void(std::uint32_t node)>& body);
    void freeze(std::uint32_t node);
    void freeze_object(std::uint32_t node, kddm::RawSet& set, ObjectId id);
    void read_out(std::uint32_t node, bool whole);
    void hand_out(std::uint32_t node, const kddm::CutObject& object);
    void check_money();
    void check_complete();
    std::int64_t number_in(std::uint32_t set, std::uint64_t id) const;
    std::vector<kddm::RawSet> chosen_at(std::uint32_t node);
    kddm::Cut cut_at(std::uint32_t node) { return kddm::Cut(world_.engine(node), &hub(node)); }
    void abandon();

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
    std::uint32_t tasks_ = 0;
    std::uint32_t ended_ = 0;
    bool over_ = false;
    bool losses_ = false;

    std::uint64_t number_ = 0;                      // of the last cut
    std::uint64_t made_ = 0;
    bool catalog_too_ = false;                      // the workload's own sets are part of the cut
    bool frozen_now_ = false;
    std::map<Name, Frozen> frozen_;
    std::uint64_t in_channels_ = 0;
};

}  // namespace ssi::model
