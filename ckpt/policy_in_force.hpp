// SPDX-License-Identifier: BSD-3-Clause
// PolicyInForce: the policies of a Checkpoint. At the first node they decide; others may be put in
// their place at any time, and decide from the next call of need() on.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "history.hpp"
#include "ssi/base/json.hpp"
#include "ssi/base/log.hpp"
#include "ssi/ckpt/policies.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::ckpt {

class PolicyInForce {
public:
    // Why a session cannot have a level; fine: it can.
    using CanHave = std::function<Result<void>(CheckpointLevel)>;
    struct Doors {
        const Clock& clock;
        const Config& config;
        Log& log;
    };
    // `text`: empty: checkpoint.policy of the configuration. Failures as of Policies::make, and
    // unsupported: a level that the session cannot have.
    static Result<std::unique_ptr<PolicyInForce>> make(Doors doors, std::string_view text,
                                                       const CanHave& can_have);

    // -- any task: the failures of make, and all is as before then
    Result<void> set(std::string_view text);
    Result<void> set_interval(std::uint64_t seconds);
    std::uint64_t interval_s() const;    // of `interval`; 0: never
    std::string text() const;
    std::string report() const;          // JSON, for `ssi checkpoint policy`

    // -- the task that calls need() and take()
    PolicyDecision decide(bool asked, bool leaving);
    Policies::Counts keep() const { return now_.keep(); }
    History& history() { return history_; }

private:
    // By level, why the session cannot have it.
    using Missing = std::array<std::optional<std::string>, SSI_CHECKPOINT_LEVELS>;
    PolicyInForce(const Doors& doors, Missing missing, Policies now);
    static Result<Policies> prepare(const Doors& doors, const Missing& missing,
                                    std::string_view text);
    void take_over();
    void show(const PolicyDecision& decision, const ssi_checkpoint_view& view);
    void put_view(Json& json) const;

    const Doors doors_;
    const Missing missing_;
    Policies now_;                       // of the task that decides
    History history_;
    mutable sys::Mutex mutex_;           // of all below
    std::optional<Policies> next_;
    std::string text_;                   // of next_, when there is one, else of now_
    std::vector<Policies::Shown> shown_; // of now_
    PolicyDecision last_;                // and when, and by what
    std::optional<Nanoseconds> decided_;
    ssi_checkpoint_view view_;
    std::string taken_why_;              // of the last one that was wanted
};

}  // namespace ssi::ckpt
