// SPDX-License-Identifier: BSD-3-Clause
// Checkpoints: when an application that works in units is saved, and what it goes on from. Does
// nothing when the options name no store. All functions are collective.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "ssi/base/clock.hpp"
#include "ssi/ckpt/checkpoint.hpp"
#include "ssi/ssi.hpp"
#include "support/checkpoint_options.hpp"

namespace support {

class Checkpoints {
public:
    // `unit`: "step". `program`: who speaks on rank 0's standard error.
    Checkpoints(ssi::Session& session, const CheckpointOptions& options, std::string program,
                std::string unit, const ssi::Clock& clock);

    // Opens the store. What restart() will go on from if it is all whole; nothing when the run
    // begins anew. Before any set need be there.
    ssi::Result<std::optional<ssi::Restarted>> find();
    void protect(const ssi::kddm::RawSet& set);
    // The same, and it is put back into the protected sets.
    ssi::Result<std::optional<ssi::Restarted>> restart();

    // Between two units, of which `number` are done: saves when it is time, and says when that
    // fails. The exit code of a program that shall leave now.
    std::optional<int> at(std::uint64_t number, std::span<const std::byte> bytes);
    // Waits for what is being saved.
    CheckpointReport finish();

private:
    bool is_due(std::uint64_t number);
    ssi::Result<void> take(std::uint64_t number, std::span<const std::byte> bytes, bool wait);
    ssi::Result<void> settle();
    void say(const std::string& text) const;

    ssi::Session& session_;
    const CheckpointOptions& options_;
    std::string program_;
    const ssi::Clock& clock_;
    std::optional<ssi::Checkpoint> checkpoint_;
    std::optional<ssi::CheckpointTicket> last_;
    ssi::Nanoseconds since_ = 0;      // the last one, or the start
    std::uint64_t begun_at_ = 0;      // units
    CheckpointReport report_;
};

// What ends a run: the failure, which every rank has, is said once. Its exit code. Throws after the
// loss of a node, when nothing collective would end.
int leave_with(ssi::Session& session, const std::string& program, const ssi::Failure& failure);

}  // namespace support
