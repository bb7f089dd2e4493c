// SPDX-License-Identifier: BSD-3-Clause
// Control: the verbs of checkpoints on a node's control socket (docs/formats/control.md).
#pragma once

#include <memory>
#include <string>

#include "drain.hpp"
#include "requests.hpp"
#include "ssi/ckpt/checkpoint.hpp"
#include "ssi/node/control_verbs.hpp"

namespace ssi::ckpt {

class Control {
public:
    // All outlive it. `policy`: null but on the first node. `drain`: null: none.
    Control(node::Node& node, Requests& requests, PolicyInForce* policy, const Drain* drain,
            std::string directory, std::string application);
    ~Control();
    Control(const Control&) = delete;
    Control& operator=(const Control&) = delete;

    // Whether a node has one.
    static bool is_there(node::Node& node);
    // The one that is being taken from now on.
    void took(std::shared_ptr<CheckpointTicket::State> ticket);

private:
    std::string status();
    Result<std::string> answer_policy(const JsonValue& request);

    node::Node& node_;
    Requests& requests_;
    PolicyInForce* const policy_;
    const Drain* const drain_;
    const std::string directory_, application_;
    sys::Mutex mutex_;                                   // of all below
    std::shared_ptr<CheckpointTicket::State> last_;
    std::uint64_t taken_ = 0;
};

}  // namespace ssi::ckpt
