// SPDX-License-Identifier: BSD-3-Clause
// History: what a policy may go by: when checkpoints were taken and what they have cost, how often
// the program comes by, when its job ends, how often it has failed. Of the session's first node,
// and of the task that calls need() and take().
#pragma once

#include <memory>
#include <optional>

#include "saving.hpp"
#include "ssi/base/config.hpp"
#include "ssi/ckpt/policies.hpp"

namespace ssi::ckpt {

struct Taking {
    std::uint32_t level = 0;
    bool incremental = false;            // and not whole all the same
    bool asynchronous = false;
    std::uint32_t wanted_level = 0;      // by a policy; the program need not have heeded it
};

class History {
public:
    // `possible`: a bit for each level.
    History(const Clock& clock, const Config& config, std::uint32_t possible);

    void came_by();                      // a call of need()
    void stood_still();                  // since then: that is no time between points
    // Its cut was just made.
    void took(std::shared_ptr<CheckpointTicket::State> ticket, const Taking& how);
    ssi_checkpoint_view view(bool asked, bool leaving);

private:
    void settle();                       // what the last one has cost, if it has ended
    double seconds_since(Nanoseconds time) const;
    double left_s() const;

    const Clock& clock_;
    const Nanoseconds begun_;
    const double mtbf_s_, failures_, ran_s_;
    double job_end_s_ = 0;               // since the Unix epoch; 0: unknown
    ssi_checkpoint_view view_;           // but for the times
    Nanoseconds taken_[SSI_CHECKPOINT_LEVELS] = {};
    std::optional<Nanoseconds> last_point_;
    struct Open {
        std::shared_ptr<CheckpointTicket::State> ticket;
        Taking how;
        Nanoseconds blocked = 0;
    };
    std::optional<Open> open_;
};

}  // namespace ssi::ckpt
