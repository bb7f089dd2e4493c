// SPDX-License-Identifier: BSD-3-Clause
// Inbox: what a node reads in a dataset and another one must put in its place: parts of spans and
// arrays, and channels. Objects of a set, each at home where it is wanted.
#pragma once

#include <functional>

#include "collect.hpp"
#include "ssi/ckpt/dataset.hpp"
#include "ssi/kddm/engine.hpp"

namespace ssi::ckpt {

class Inbox {
public:
    Inbox(node::Node& node, kddm::Engine& engine) : node_(node), engine_(engine) {}

    Result<void> open();                 // collective; anew for each use
    // `part.offset` is where the bytes begin.
    Result<void> send(int rank, const Part& part, std::span<const std::byte> bytes);
    // Once all have sent what they send.
    using Visit = std::function<Result<void>(const Part& part, std::span<const std::byte> bytes)>;
    Result<void> receive(const Visit& visit);
    Result<void> close();                // collective

private:
    node::Node& node_;
    kddm::Engine& engine_;
    kddm::RawSet set_;
    std::uint64_t sent_ = 0;
};

}  // namespace ssi::ckpt
