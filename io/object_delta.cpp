// SPDX-License-Identifier: BSD-3-Clause
#include "object_delta.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace ssi::io {

std::span<const std::byte> without_zero_tail(std::span<const std::byte> value) {
    constexpr std::size_t few = 64;   // not worth it
    static constexpr std::byte zeroes[256] = {};
    std::size_t end = value.size();
    while (end > 0) {
        const std::size_t step = std::min(end, sizeof zeroes);
        if (std::memcmp(value.data() + end - step, zeroes, step) != 0) break;
        end -= step;
    }
    while (end >= 8 && std::memcmp(value.data() + end - 8, zeroes, 8) == 0) end -= 8;
    return value.size() - end < few ? value : value.first(end);
}

std::size_t delta_bytes(std::span<const ValueChange> changes) {
    std::size_t bytes = delta_head_bytes;
    for (const ValueChange& change : changes) bytes += change_head_bytes + change.bytes.size();
    return bytes;
}

void encode_delta(Version base, std::span<const ValueChange> changes, std::span<std::byte> out) {
    std::memcpy(out.data(), &base, sizeof base);
    std::byte* at = out.data() + delta_head_bytes;
    for (const ValueChange& change : changes) {
        const std::uint32_t head[2] = {change.offset,
                                       static_cast<std::uint32_t>(change.bytes.size())};
        std::memcpy(at, head, sizeof head);
        if (!change.bytes.empty())
            std::memcpy(at + sizeof head, change.bytes.data(), change.bytes.size());
        at += sizeof head + change.bytes.size();
    }
}

Result<void> apply_changes(std::vector<std::byte>& value, std::uint32_t value_bytes,
                           std::span<const ValueChange> changes) {
    value.resize(value_bytes);
    for (const ValueChange& change : changes) {
        if (change.offset > value_bytes || change.bytes.size() > value_bytes - change.offset)
            return fail(Errc::invalid_argument,
                        fmt::format("a change of {} bytes at {} of a value of {}",
                                    change.bytes.size(), change.offset, value_bytes));
        if (!change.bytes.empty())
            std::memcpy(value.data() + change.offset, change.bytes.data(), change.bytes.size());
    }
    return {};
}

Result<void> apply_delta(std::vector<std::byte>& value, Version base, std::uint32_t value_bytes,
                         std::span<const std::byte> payload) {
    Version of = 0;
    if (payload.size() < delta_head_bytes) return fail(Errc::io, "the delta is too short");
    std::memcpy(&of, payload.data(), sizeof of);
    if (of != base)
        return fail(Errc::io, fmt::format("the delta changes version {}, the value has {}", of,
                                          base));
    std::vector<ValueChange> changes;
    for (std::size_t at = delta_head_bytes; at < payload.size();) {
        std::uint32_t head[2] = {};
        if (payload.size() - at < sizeof head) return fail(Errc::io, "the delta is cut off");
        std::memcpy(head, payload.data() + at, sizeof head);
        at += sizeof head;
        if (head[1] > payload.size() - at) return fail(Errc::io, "the delta is cut off");
        changes.push_back({head[0], payload.subspan(at, head[1])});
        at += head[1];
    }
    auto applied = apply_changes(value, value_bytes, changes);
    if (!applied) applied = fail(Errc::io, applied.error().text);
    return applied;
}

}  // namespace ssi::io
