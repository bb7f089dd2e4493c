// SPDX-License-Identifier: BSD-3-Clause
// Saved: what is saved of a run beside its blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "grid/types.hpp"

namespace jacobi {

// As it lies in a checkpoint, in the order of bytes of the machine.
struct Saved {
    static constexpr std::uint32_t newest_format = 1;

    std::uint32_t format = newest_format;
    std::uint32_t zero = 0;
    Plate plate;
    BlockGrid grid;
    double speed = 0;
    std::uint64_t steps = 0;     // that were done
    double seconds = 0;          // that they took
    friend bool operator==(const Saved&, const Saved&) = default;
};

// Of the bytes of a checkpoint; the fault, or an empty string.
std::string read_saved(std::span<const std::byte> bytes, Saved& saved);
// Why a run of this plate, speed and number of steps cannot go on from it, or an empty string.
std::string fault_of(const Saved& saved, const Plate& plate, double speed, std::uint64_t steps);

}  // namespace jacobi
