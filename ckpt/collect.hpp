// SPDX-License-Identifier: BSD-3-Clause
// What all nodes of a session find out together. Collective, like all collectives of node.hpp.
#pragma once

#include <functional>
#include <new>
#include <span>
#include <string>
#include <vector>

#include "ssi/node/node.hpp"

namespace ssi::ckpt {

using Bytes = std::vector<std::byte>;

Bytes encode_failure(const Failure& failure);
Failure decode_failure(std::span<const std::byte> bytes);

// Fine when it was on every node; else the failure of the first that had one, on every node.
Result<void> agree(node::Node& node, Result<void> mine);
// At the first member what each had, in the order of ranks; elsewhere nothing.
Result<std::vector<Bytes>> gather(node::Node& node, std::span<const std::byte> mine);
// The first member's, or that of `rank`, on every node.
Result<void> share(node::Node& node, Bytes& bytes, int rank = 0);
Result<std::uint64_t> largest(node::Node& node, std::uint64_t mine);
// What an application's callback says; what it throws is a failure, too.
Result<void> guarded(const std::function<Result<void>()>& callback);
// What a step of our own says; also that memory runs out in it: `what` there is none for.
template <class Step>
auto with_memory(const char* what, Step&& step) -> decltype(step()) {
    try {
        return step();
    } catch (const std::bad_alloc&) {
        return fail(Errc::out_of_memory, std::string("no memory for ") + what);
    }
}
NodeId node_of(const node::Node& node, int rank);
// For messages: with "; " between them.
std::string joined(std::span<const std::string> texts);

}  // namespace ssi::ckpt
