// SPDX-License-Identifier: BSD-3-Clause
// Meetings: how all ranks come to the same take or restart, and back from its callbacks, before
// anything of it is collective. Ranks wait for those that are late for so long; then that attempt
// is given up by all, also by those that come to it afterwards. So nobody comes to another attempt
// than the others, and nobody has begun a collective that others do not come to.
#pragma once

#include <memory>
#include <string>

#include "ssi/kddm/engine.hpp"
#include "ssi/node/node.hpp"

namespace ssi::ckpt {

// What a rank is doing, as others are told when they wait for it.
enum class Doing : std::uint8_t {
    elsewhere,         // the program
    saving,            // waits for the checkpoint before to be durable
    waiting,           // for the others
    before,            // callbacks
    prepared,          // and back from them
    after,
    restarted,
};

class Meetings {
public:
    // Not collective; all nodes make one before any meets.
    static Result<std::unique_ptr<Meetings>> make(node::Node& node, kddm::Engine& engine);
    // Collective, once: attempts are numbered on from where those of the session have got to.
    Result<void> begin();

    // Attempts are numbered by each rank: its next one begins here. Until all ranks have come to
    // theirs of that number. timed_out: some had not come after so long; the text names them, and
    // who comes later gets the same, at once. peer_lost.
    Result<void> meet(Nanoseconds timeout);
    // After a meet(): until all have come back from their callbacks. The same failures.
    Result<void> meet_again(Nanoseconds timeout);
    void now(Doing doing);

private:
    Meetings(node::Node& node, kddm::RawSet words, kddm::RawSet reasons)
        : node_(node), words_(words), reasons_(reasons) {}
    Result<void> come(bool again, Nanoseconds timeout);
    Result<void> wait(Nanoseconds timeout, bool first);
    Result<std::uint64_t> look();
    Result<void> give_up(std::uint64_t word, Nanoseconds timeout);
    Result<void> given_up();
    Result<void> forget_last(std::uint64_t number);
    std::string missing();
    Failure lost_one() const;

    node::Node& node_;
    kddm::RawSet words_;                 // of a meeting: how many have come; of a rank: its doing
    kddm::RawSet reasons_;               // why a meeting was given up
    std::uint64_t attempt_ = 0;
    std::uint64_t meeting_ = 0;          // two for an attempt
    bool given_up_ = false;              // that one
};

}  // namespace ssi::ckpt
