// SPDX-License-Identifier: BSD-3-Clause
// Reads kddm's messages with kddm's own private header: a trace that shows bare numbers helps
// nobody.
#include "trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "kind_names.hpp"
#include "wire.hpp"

namespace ssi::model {
namespace {

using Happening = net::SimNetwork::Happening;

constexpr const char* happening_names[] = {"sent", "delivered", "duplicated", "dropped"};

std::string format(const TraceEvent& e) {
    switch (e.what) {
        case TraceEvent::What::message: {
            const bool named = e.channel == static_cast<std::uint8_t>(node::ChannelId::kddm) &&
                               e.kind < std::size(kddm::kind_names);
            const std::string name = named ? kddm::kind_names[e.kind]
                                           : fmt::format("channel {} kind {}", e.channel, e.kind);
            return fmt::format("{:>12} node {} to node {}: {} set {} object {}:{} txn {} version "
                               "{} {}, {} bytes, operation {}\n",
                               e.time, e.node, e.peer, name, e.set.value, e.id.hi, e.id.lo, e.value,
                               e.version, happening_names[static_cast<int>(e.happening)], e.bytes,
                               e.op);
        }
        case TraceEvent::What::operation:
            return fmt::format("{:>12} node {} operation {} {} set {} object {}:{} {}, value {} "
                               "version {}\n",
                               e.time, e.node, e.op, e.text, e.set.value, e.id.hi, e.id.lo, e.phase,
                               e.value, e.version);
        case TraceEvent::What::node:
            return fmt::format("{:>12} node {} {}\n", e.time, e.node, e.text);
    }
    return {};
}

}  // namespace

void Trace::add(const TraceEvent& event) {
    if (print_) {
        const std::string line = format(event);
        std::fwrite(line.data(), 1, line.size(), stdout);
    }
    ring_[count_++ % ring_events] = event;
}

void Trace::add_message(Nanoseconds now, const net::SimNetwork::Record& record) {
    TraceEvent event;
    event.time = now;
    event.what = TraceEvent::What::message;
    event.happening = record.what;
    event.node = record.from.value;
    event.peer = record.to.value;
    event.op = record.cause.operation;
    event.bytes = static_cast<std::uint32_t>(record.header.size() + record.payload_bytes);
    node::MessageHeader header;
    if (record.header.size() >= sizeof(header)) {
        std::memcpy(&header, record.header.data(), sizeof(header));
        event.channel = header.channel;
        event.kind = header.kind;
    }
    kddm::Message message;
    const bool ours = event.channel == static_cast<std::uint8_t>(node::ChannelId::kddm);
    if (ours && kddm::decode(record.header, message)) {
        event.set = message.set_id();
        // An answer that tells where an object stands has an address there, which no seed decides.
        const bool placed = message.kind() == kddm::Kind::reply &&
                            message.has(kddm::flag::placed);
        event.id = placed ? ObjectId{} : message.object();
        event.value = message.txn;
        event.version = message.version;
    }
    add(event);
}

std::string Trace::tail(std::size_t lines) const {
    const std::uint64_t kept = std::min<std::uint64_t>({count_, ring_events, lines});
    std::string text;
    for (std::uint64_t i = count_ - kept; i < count_; ++i) text += format(ring_[i % ring_events]);
    return text;
}

}  // namespace ssi::model
