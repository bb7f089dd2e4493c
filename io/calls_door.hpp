// SPDX-License-Identifier: BSD-3-Clause
// Door: what the node delivers to. It outlives its Calls, as a message may come at any time.
#pragma once

#include <new>
#include <utility>

#include "calls_state.hpp"

namespace ssi::io {

class Calls::Impl::Door final : public node::Channel {
public:
    Door(node::Node& node, node::ChannelId channel, Impl* impl)
        : node_(node), channel_(channel), impl_(impl) {}
    void close() {
        std::lock_guard lock(mutex_);
        impl_ = nullptr;
    }

    std::byte* on_large(NodeId from, std::span<const std::byte> bytes,
                        std::size_t length) override {
        auto* memory = length <= Calls::most_bytes ? new (std::nothrow) std::byte[length] : nullptr;
        std::lock_guard lock(mutex_);
        Header header;
        if (!memory && impl_ && parse(from, bytes, header)) impl_->no_room(from, header, length);
        return memory;
    }
    void on_large_failed(NodeId, std::byte* memory) override {
        std::unique_ptr<std::byte[]>{memory};
    }
    void on_message(NodeId from, std::span<const std::byte> bytes, std::span<std::byte> payload,
                    bool owned) override {
        Arrived arrived{std::unique_ptr<std::byte[]>(owned ? payload.data() : nullptr),
                        payload.size()};
        std::lock_guard lock(mutex_);
        Header header;
        if (!parse(from, bytes, header)) return;
        if (!owned && !payload.empty()) {
            arrived.memory = std::make_unique_for_overwrite<std::byte[]>(payload.size());
            std::memcpy(arrived.memory.get(), payload.data(), payload.size());
        }
        if (impl_)
            impl_->arrived(from, header, std::move(arrived));
        else if (header.what() == calls::What::request)
            calls::answer(node_, channel_, from, header, tl::unexpected(calls::cancelled_here()));
    }
    void on_node_lost(NodeId node) override {
        std::lock_guard lock(mutex_);
        if (impl_)
            impl_->end_pending({Errc::peer_lost, 0, node,
                                fmt::format("node {} is dead, which was called", node.value)},
                               node);
    }

private:
    bool parse(NodeId from, std::span<const std::byte> bytes, Header& header) {
        if (bytes.size() == sizeof header) {
            std::memcpy(static_cast<void*>(&header), bytes.data(), sizeof header);
            if (header.what() >= calls::What::request && header.what() <= calls::What::last)
                return true;
        }
        if (impl_)
            impl_->malformed(from, fmt::format("a header of {} bytes that is none of a call",
                                               bytes.size()));
        return false;
    }

    node::Node& node_;
    const node::ChannelId channel_;
    sys::Mutex mutex_;              // few contend: messages come one at a time
    Impl* impl_;
};

}  // namespace ssi::io
