// SPDX-License-Identifier: BSD-3-Clause
// SyncWorkload: what some tasks do with mutexes, shared mutexes, conditions, barriers and channels
// beside the workload on objects, and what they must see: checkers `mutual_exclusion`,
// `lock_fairness`, `barrier`, `waiting` and `channel`.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "options.hpp"
#include "ssi/base/random.hpp"
#include "ssi/kddm/sync.hpp"
#include "world.hpp"

namespace ssi::model {

class SyncWorkload {
public:
    // Each `phase` has objects of its own. `fair`: nothing is delayed, so nobody may be passed
    // often.
    SyncWorkload(const Options& options, std::uint64_t seed, World& world, const char* phase,
                 bool fair);

    // Then world.run().
    void start();
    // After the run: every task has ended, and nothing sent is missing.
    void check_rest();
    std::uint64_t most_passed() const { return most_passed_; }

private:
    struct Holder {
        std::uint32_t node;
        bool writes;
    };
    struct Waiting {
        std::uint64_t ticket;
        std::uint64_t passed;                 // how many that came later were served first
    };
    struct Lock {
        std::string name;
        bool shared = false;
        std::vector<Holder> holders = {};
        std::vector<Waiting> waiting = {};
    };
    struct Meeting {
        std::string name;
        std::vector<std::uint32_t> rounds = {};   // of each participant: arrivals so far
    };
    struct Stream {
        std::string name;
        std::uint32_t capacity = 0;
        std::uint32_t senders = 0;            // that have not ended
        std::uint64_t returned = 0;           // sends that have returned
        std::uint64_t received = 0;
        std::uint64_t receiving = 0;          // receives under way
        std::vector<std::vector<bool>> seen = {};   // by sender and number
    };
    struct Message {
        std::uint32_t sender;
        std::uint32_t number;
    };
    // Of one receiver: the newest number of each sender and stream.
    using Newest = std::map<std::pair<const std::string, std::uint32_t>, std::int64_t>;

    void spawn(std::uint32_t node, std::function<void()> body);
    void lock_task(std::uint32_t node, Lock& lock);
    bool lock_round(std::uint32_t node, Lock& lock, bool writes);
    void meet_task(std::uint32_t node, std::uint32_t participant);
    void turn_task(std::uint32_t node, std::uint32_t parity);
    void send_task(std::uint32_t node, Stream& stream, std::uint32_t sender);
    bool any_dead() const;
    bool send_one(Stream& stream, kddm::sync::Object& channel, const Message& message);
    void receive_task(std::uint32_t node, Stream& stream);
    void select_task(std::uint32_t node);
    bool receive_one(Stream& stream, kddm::sync::Object& channel, Nanoseconds timeout,
                     Newest& newest);
    kddm::sync::Object* open(std::uint32_t node, const Stream& stream);
    void entered(Lock& lock, std::uint64_t ticket, std::uint32_t node, bool writes);
    void left(Lock& lock, std::uint32_t node, bool writes);
    // False when a loss excuses it; without one the run has failed.
    bool excused(const char* what, const Failure& failure);
    void pause(std::uint64_t longest_ns);
    kddm::sync::Hub& hub(std::uint32_t node) { return world_.hub(node); }

    struct Task {
        std::uint32_t node;
        bool ended;
    };

    const Options& options_;
    World& world_;
    Random random_;
    const std::string phase_;
    const bool fair_;
    Lock mutex_, shared_;
    Meeting meeting_;
    std::vector<Stream> streams_;
    std::vector<Task> tasks_;
    std::uint64_t turns_ = 0;
    std::uint64_t tickets_ = 0;
    std::uint64_t most_passed_ = 0;
    bool losses_ = false;
};

}  // namespace ssi::model
