// SPDX-License-Identifier: BSD-3-Clause
// The levels that there are, ascending in what they survive. A new one is one row here.
#pragma once

#include <array>
#include <string_view>

#include "ssi/ckpt/checkpoint.hpp"
#include "ssi/ckpt/policy.h"

namespace ssi::ckpt {

struct LevelName {
    CheckpointLevel level;
    std::string_view name;
    std::uint32_t index() const { return static_cast<std::uint32_t>(level); }
};

inline constexpr std::array level_names{
    LevelName{CheckpointLevel::local, "local"},
    LevelName{CheckpointLevel::partner, "partner"},
    LevelName{CheckpointLevel::parity, "parity"},
    LevelName{CheckpointLevel::global, "global"},
};
static_assert(static_cast<std::uint32_t>(level_names.back().level) < SSI_CHECKPOINT_LEVELS);

// Of 0 and of what is none: "any".
constexpr std::string_view level_name(std::uint32_t index) {
    for (const LevelName& one : level_names)
        if (one.index() == index) return one.name;
    return "any";
}

}  // namespace ssi::ckpt
