// SPDX-License-Identifier: BSD-3-Clause
// Where tests end a process by SIGKILL: at the point that $SSI_TEST_FAULT_POINT names, "NAME", or
// "NAME:N" when it is passed for the N-th time, in the rank $SSI_TEST_FAULT_RANK, or in all. Else a
// point costs a load.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace ssi::ckpt {

enum class FaultPoint : std::uint8_t {
    take_begun, version_agreed, member_begun, gate_closed, at_rest, cut_begun, memory_kept,
    gate_opened, saving_begun, object_saved, objects_saved, member_durable, copies_made,
    parity_begun, parity_row, parity_durable, ballot_given, ballots_counted, file_written,
    file_renamed, committed, decision_heard, manifest_removed, pruned, cleaning,
    drain_begun, drain_half, drain_copied, drain_manifest, drain_committed, drain_pruned,
    restart_chosen, member_read, inbox_read, restarted, count
};

inline constexpr std::array<std::string_view, static_cast<std::size_t>(FaultPoint::count)>
    fault_point_names{
        "take_begun", "version_agreed", "member_begun", "gate_closed", "at_rest", "cut_begun",
        "memory_kept", "gate_opened", "saving_begun", "object_saved", "objects_saved",
        "member_durable", "copies_made", "parity_begun", "parity_row", "parity_durable",
        "ballot_given", "ballots_counted", "file_written", "file_renamed", "committed",
        "decision_heard", "manifest_removed", "pruned", "cleaning", "drain_begun",
        "drain_half", "drain_copied", "drain_manifest", "drain_committed", "drain_pruned",
        "restart_chosen", "member_read", "inbox_read", "restarted"};

void fault_point(FaultPoint point);

}  // namespace ssi::ckpt
