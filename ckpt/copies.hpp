// SPDX-License-Identifier: BSD-3-Clause
// Copies: members that are sent from one node to another one's store, in pieces. Not collective:
// the two of a copy call, each by one task.
#pragma once

#include "pieces.hpp"
#include "ssi/ckpt/store.hpp"

namespace ssi::ckpt {

struct CopyOf {
    DatasetId dataset;
    VersionNumber version = 0;
    MemberIndex member = 0;
};

class Copies;

// Sends a member while it is written.
class MemberSender final : public io::SealedLogMirror {
public:
    MemberSender(Copies& copies, int to) : copies_(copies), to_(to) {}
    Result<void> write(std::string_view file, std::uint64_t most, std::uint64_t place,
                       std::span<const std::byte> bytes) override;
    Result<void> end(std::string_view file, std::uint64_t bytes) override;
    // What makes it whole, as it is in the store; or why it is not, which the other one hears of.
    Result<void> finish(const CopyOf& copy, Store& from, const Result<void>& saved);

private:
    Result<PieceSender*> sender();

    Copies& copies_;
    const int to_;
    std::optional<PieceSender> sender_;
};

class Copies {
public:
    Copies(node::Node& node, kddm::Engine& engine, kddm::sync::Hub& hub)
        : doors_{node, engine, hub} {}

    // `ready`: what went wrong before, which the other one hears of instead. peer_lost; io of the
    // store; what the other one's store said.
    Result<void> send(int to, const CopyOf& copy, Store& from, const Result<void>& ready);
    // Durable here when it returns. exists is no failure. With `damaged`, what the member should
    // be: verified, and in place of what is here. `ready`: what went wrong before, which is
    // returned when all that the other one sends has been received.
    Result<void> receive(int from, const CopyOf& copy, Store& into,
                         const MemberInfo* damaged = nullptr, Result<void> ready = {});

    // Every node is told of all pairs before they copy, as any may be home to their channels: these
    // are no part of a checkpoint, in this session.
    void know(int from, int to);
    // Another one of the two, of bytes, for rebuilding. At both ends.
    Result<kddm::sync::Object*> channel(int from, int to);
    const PieceDoors& doors() const { return doors_; }

private:
    const PieceDoors doors_;
};

}  // namespace ssi::ckpt
