// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/kddm/atomics.hpp"

namespace ssi::kddm {
namespace {

template <class N>
std::uint64_t result(AtomicOp op, N before, N operand) {
    const auto bits = [](N value) { return std::bit_cast<std::uint64_t>(value); };
    switch (op) {
        case AtomicOp::min: return bits(operand < before ? operand : before);
        case AtomicOp::max: return bits(operand > before ? operand : before);
        default:   // add; unsigned arithmetic, as signed numbers must not overflow
            if constexpr (std::is_floating_point_v<N>)
                return bits(before + operand);
            else
                return bits(before) + bits(operand);
    }
}

}  // namespace

std::uint64_t Atomic::apply(std::uint64_t before) const {
    if (op == AtomicOp::exchange) return operand;
    if (op == AtomicOp::compare_exchange) return before == expected ? operand : before;
    switch (kind) {
        case NumberKind::uint64: return result(op, before, operand);
        case NumberKind::float64:
            return result(op, std::bit_cast<double>(before), std::bit_cast<double>(operand));
        default:
            return result(op, static_cast<std::int64_t>(before),
                          static_cast<std::int64_t>(operand));
    }
}

}  // namespace ssi::kddm
