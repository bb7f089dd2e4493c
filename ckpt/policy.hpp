// SPDX-License-Identifier: BSD-3-Clause
// Policy: one strategy at work, ours or a plugin's, with what stands between it and the rest: its
// plans are looked at, and whoever gives one that is none, or is slow, is replaced by on_request.
#pragma once

#include <memory>
#include <string>

#include "ssi/ckpt/policies.hpp"

namespace ssi::ckpt {

class Policy {
public:
    // As Policies::make.
    static Result<std::unique_ptr<Policy>> make(PolicyText text, std::string_view path,
                                                const Clock* clock);
    ~Policy();
    Policy(const Policy&) = delete;
    Policy& operator=(const Policy&) = delete;

    // That of on_request from the moment on when `ejected` is not empty.
    ssi_checkpoint_plan decide(const ssi_checkpoint_view& view);
    void keep(Policies::Counts& counts) const;

    const PolicyText& text() const { return text_; }
    const std::string& origin() const { return origin_; }
    const std::string& ejected() const { return ejected_; }

private:
    Policy() = default;
    Result<void> create();
    void look_at_keep();
    void eject(std::string why);
    void drop();
    std::string fault_of(const ssi_checkpoint_plan& plan) const;

    PolicyText text_;
    std::string origin_, ejected_;
    const Clock* clock_ = nullptr;
    std::shared_ptr<void> library_;      // as long as its code may run
    const ssi_checkpoint_policy* table_ = nullptr;
    void* made_ = nullptr;
    Policies::Counts counts_{};
    int slow_ = 0;                       // calls in a row
};

}  // namespace ssi::ckpt
