// SPDX-License-Identifier: BSD-3-Clause
// Atomic operations on a number of 8 bytes inside an object, run where the object is at home.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <type_traits>

namespace ssi::kddm {

enum class AtomicOp : std::uint8_t { add, min, max, exchange, compare_exchange };
// How the 8 bytes are read; little endian.
enum class NumberKind : std::uint8_t { int64, uint64, float64 };

// One operation. Numbers travel as their bits.
struct Atomic {
    AtomicOp op = AtomicOp::add;
    NumberKind kind = NumberKind::int64;
    std::uint64_t operand = 0;
    std::uint64_t expected = 0;   // compare_exchange only

    // What stands there afterwards. Integers wrap; a NaN is neither smaller nor greater; equality
    // in compare_exchange is of bits.
    std::uint64_t apply(std::uint64_t before) const;
};

template <class N>
concept AtomicNumber = std::is_arithmetic_v<N> && !std::same_as<N, bool>;

// The number that an argument of type N stands for: integers and floats of any width are widened.
template <AtomicNumber N>
using Wide = std::conditional_t<std::is_floating_point_v<N>, double,
                                std::conditional_t<std::is_signed_v<N>, std::int64_t,
                                                   std::uint64_t>>;

template <AtomicNumber N>
Atomic make_atomic(AtomicOp op, N operand, N expected = {}) {
    using W = Wide<N>;
    constexpr NumberKind kind = std::is_floating_point_v<N> ? NumberKind::float64
                                : std::is_signed_v<N>       ? NumberKind::int64
                                                            : NumberKind::uint64;
    return {op, kind, std::bit_cast<std::uint64_t>(static_cast<W>(operand)),
            std::bit_cast<std::uint64_t>(static_cast<W>(expected))};
}

}  // namespace ssi::kddm
