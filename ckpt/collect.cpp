// SPDX-License-Identifier: BSD-3-Clause
#include "collect.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <exception>

#include "manifest.hpp"

namespace ssi::ckpt {

Bytes encode_failure(const Failure& failure) {
    Writer out;
    out.put(static_cast<std::uint16_t>(failure.code));
    out.put(static_cast<std::int32_t>(failure.sys_errno));
    out.put(failure.node.value);
    out.text(std::string_view(failure.text).substr(0, longest_text));
    return {out.bytes().begin(), out.bytes().end()};
}

Failure decode_failure(std::span<const std::byte> bytes) {
    Reader in(bytes);
    Failure failure;
    failure.code = static_cast<Errc>(in.get<std::uint16_t>());
    failure.sys_errno = in.get<std::int32_t>();
    failure.node = NodeId(in.get<std::uint32_t>());
    failure.text = in.text();
    if (in.ok() && in.at_end()) return failure;
    return {Errc::bad_message, 0, no_node, "a node told of a failure in other words than ours"};
}

Result<void> guarded(const std::function<Result<void>()>& callback) {
    try {
        return callback();
    } catch (const Error& error) {
        return tl::unexpected(error.failure());
    } catch (const std::exception& error) {
        return fail(Errc::function_failed,
                    fmt::format("a callback of a checkpoint failed: {}", error.what()));
    } catch (...) {
        return fail(Errc::function_failed, "a callback of a checkpoint threw something that is no "
                                           "std::exception");
    }
}

NodeId node_of(const node::Node& node, int rank) {
    return node.members().members[static_cast<std::size_t>(rank)].node;
}

std::string joined(std::span<const std::string> texts) {
    std::string all;
    for (const std::string& text : texts) all += (all.empty() ? "" : "; ") + text;
    return all;
}

Result<void> share(node::Node& node, Bytes& bytes, int rank) {
    return node.broadcast(node_of(node, rank), bytes);
}

Result<std::uint64_t> largest(node::Node& node, std::uint64_t mine) {
    SSI_TRY(node.all_reduce(std::span(&mine, 1), node::ReduceOp::max));
    return mine;
}

Result<void> agree(node::Node& node, Result<void> mine) {
    const auto size = static_cast<std::uint64_t>(node.size());
    const auto rank = static_cast<std::uint64_t>(node.rank());
    std::uint64_t first = mine ? size : rank;
    SSI_TRY(node.all_reduce(std::span(&first, 1), node::ReduceOp::min));
    if (first == size) return {};
    Bytes bytes;
    if (first == rank) bytes = encode_failure(mine.error());
    SSI_TRY(share(node, bytes, static_cast<int>(first)));
    return tl::unexpected(decode_failure(bytes));
}

Result<std::vector<Bytes>> gather(node::Node& node, std::span<const std::byte> mine) {
    const auto longest = largest(node, mine.size());
    if (!longest) return tl::unexpected<Failure>(longest.error());
    const bool first = node.rank() == 0;
    const auto nodes = static_cast<std::size_t>(node.size());
    const std::size_t slot = sizeof(std::uint64_t) + *longest;
    Bytes padded(slot), all(first ? slot * nodes : 0);
    const std::uint64_t length = mine.size();
    std::memcpy(padded.data(), &length, sizeof length);
    std::ranges::copy(mine, padded.begin() + sizeof length);
    SSI_TRY(node.gather(node_of(node, 0), padded, all));
    std::vector<Bytes> out(first ? nodes : 0);
    for (std::size_t i = 0; i < out.size(); ++i) {
        const auto one = std::span<const std::byte>(all).subspan(i * slot, slot);
        std::uint64_t bytes = 0;
        std::memcpy(&bytes, one.data(), sizeof bytes);
        if (bytes > *longest) return fail(Errc::bad_message, "a node gave more than it said");
        const auto content = one.subspan(sizeof bytes, bytes);
        out[i].assign(content.begin(), content.end());
    }
    return out;
}

}  // namespace ssi::ckpt
