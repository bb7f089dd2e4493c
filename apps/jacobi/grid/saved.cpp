// SPDX-License-Identifier: BSD-3-Clause
#include "grid/saved.hpp"

#include <fmt/core.h>

#include "support/saved_state.hpp"

namespace jacobi {
namespace {

constexpr std::int64_t most_cells = 1'000'000;   // on a side, as the command line allows

bool is_possible(const Saved& saved) {
    const auto within = [](std::int64_t value, std::int64_t most) {
        return value >= 1 && value <= most;
    };
    return saved.zero == 0 && within(saved.plate.rows, most_cells) &&
           within(saved.plate.cols, most_cells) && within(saved.grid.rows, saved.plate.rows) &&
           within(saved.grid.cols, saved.plate.cols);
}

}  // namespace

std::string read_saved(std::span<const std::byte> bytes, Saved& saved) {
    std::string fault = support::read_saved_state(bytes, "a plate", saved);
    if (fault.empty() && !is_possible(saved)) fault = "has a state that no plate can have";
    return fault;
}

std::string fault_of(const Saved& saved, const Plate& plate, double speed, std::uint64_t steps) {
    if (saved.plate != plate)
        return fmt::format("is of a plate of {} x {} cells, not {} x {}", saved.plate.rows,
                           saved.plate.cols, plate.rows, plate.cols);
    if (saved.speed != speed)
        return fmt::format("is of a run with --speed {}, not {}", saved.speed, speed);
    if (saved.steps > steps)
        return fmt::format("is of step {}, beyond --iterations {}", saved.steps, steps);
    return {};
}

}  // namespace jacobi
