// SPDX-License-Identifier: BSD-3-Clause
// Linearizability of one object from its recorded history, in O(n log n). Each object is judged by
// itself (Herlihy and Wing: linearizability is local).
//
// Every value written is unique, so who read from whom is known. An operation that reads r and
// writes w fixes that w directly follows r: values form chains, cut where somebody wrote without
// reading. Within a chain the order is given; between chains, chain A must come before chain B when
// an operation of A returned before one of B was called. It is linearizable exactly when no chain
// contradicts its own order and no two chains must each come first (Gibbons and Korach, "Testing
// shared memories", SIAM J. Comput. 26(4), 1997, theorem on zones, with chains in place of writes).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ssi::model {

inline constexpr std::uint64_t never = UINT64_MAX;

struct HistoryOp {
    enum class Kind : std::uint8_t {
        read,
        write,    // without reading
        update,   // reads and writes
        remove,   // back to value 0
    };
    Kind kind = Kind::read;
    std::uint64_t call = 0;         // positions in one total order of events, from 1
    std::uint64_t ret = never;      // never: it may or may not have taken effect
    std::uint64_t read = 0;
    std::uint64_t written = 0;
    std::uint32_t op = 0;           // for the report
};

// What is wrong, or nothing. An object starts with value 0.
std::optional<std::string> check_register(std::vector<HistoryOp> history);

// A counter: each add returns what it was; each read sees a value between two adds.
struct CounterOp {
    bool add = false;
    std::uint64_t call = 0;
    std::uint64_t ret = never;
    std::int64_t seen = 0;          // an add's result, or the value read
    std::int64_t delta = 0;
    std::uint32_t op = 0;
};

// `complete`: every add's result is known, so the sum must be exact; else gaps are accepted.
std::optional<std::string> check_counter(std::vector<CounterOp> history, bool complete);

}  // namespace ssi::model
