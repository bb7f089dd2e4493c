// SPDX-License-Identifier: BSD-3-Clause
// Where the time of a verb between two nodes goes: both nodes in one thread over a transport that
// only copies, so that nothing waits, nothing depends on the network and callgrind counts the same
// instructions each time:
//
//     kddm_profile get 100000 5
//     valgrind --tool=callgrind --toggle-collect='*timed*' kddm_profile get 20000 2
//
// The result is the work of both nodes together, `done` messages included: an upper bound of what a
// verb adds to a raw round trip. Not a row of the suite.
#include <array>
#include <cstdio>
#include <cstring>
#include <memory>

#include "report.hpp"
#include "ssi/base/config.hpp"
#include "ssi/base/log.hpp"
#include "ssi/base/stats.hpp"
#include "ssi/kddm/engine.hpp"
#include "ssi/node/node.hpp"

namespace ssi::bench {
namespace {

// A mailbox of small messages. Large payloads (rendezvous) are not needed here.
class CopyTransport final : public net::Transport {
public:
    explicit CopyTransport(NodeId self) : self_(self), slots_(64) {}
    void connect(CopyTransport* other) { other_ = other; }

    NodeId self() const override { return self_; }
    void set_receiver(net::Receiver* receiver) override { receiver_ = receiver; }
    Result<void> send(NodeId, std::span<const std::byte> header,
                      const net::Payload& payload) override {
        Slot& slot = other_->slots_[other_->head_++ % other_->slots_.size()];
        std::memcpy(slot.header.data(), header.data(), header.size());
        if (payload.length) std::memcpy(slot.payload.data(), payload.data, payload.length);
        slot.header_length = header.size();
        slot.payload_length = payload.length;
        if (payload.release) payload.release(payload.context);
        return {};
    }
    bool poll() override {
        if (tail_ == head_) return false;
        Slot& slot = slots_[tail_++ % slots_.size()];
        receiver_->on_message(other_->self_, {slot.header.data(), slot.header_length},
                              {slot.payload.data(), slot.payload_length}, false);
        return true;
    }
    void forget(NodeId) override {}
    int event_fd() const override { return -1; }
    bool arm() override { return false; }
    std::uint64_t poll_count() const override { return tail_; }

private:
    struct Slot {
        std::array<std::byte, net::max_header_bytes> header;
        std::array<std::byte, net::max_copied_payload> payload;
        std::size_t header_length = 0, payload_length = 0;
    };
    NodeId self_;
    CopyTransport* other_ = nullptr;
    net::Receiver* receiver_ = nullptr;
    std::vector<Slot> slots_;
    std::uint64_t head_ = 0, tail_ = 0;
};

class BothWaiter final : public sys::Waiter {
public:
    BothWaiter(CopyTransport& a, CopyTransport& b) : a_(a), b_(b) {}
    bool wait_until(sys::WaitCell& cell, Nanoseconds) override {
        while (!cell.ready()) {
            b_.poll();
            a_.poll();
        }
        return true;
    }
    void notify(sys::WaitCell& cell) override {
        cell.state().store(1, std::memory_order_release);
    }
    // What is off the critical path.
    void drain() {
        while (a_.poll() || b_.poll()) {
        }
    }

private:
    CopyTransport& a_;
    CopyTransport& b_;
};

struct TwoNodes {
    TwoNodes() : transports{CopyTransport(NodeId(0)), CopyTransport(NodeId(1))} {
        transports[0].connect(&transports[1]);
        transports[1].connect(&transports[0]);
        std::vector<node::Member> members;
        for (std::uint32_t n = 0; n < 2; ++n)
            members.push_back({NodeId(n), Incarnation(1), 1, static_cast<std::int32_t>(n), "host"});
        const auto membership = node::make_membership(std::move(members));
        for (std::uint32_t n = 0; n < 2; ++n) {
            nodes[n] = std::make_unique<node::Node>(
                node::Doors{transports[n], clock, waiter, *tasks, log, stats[n], config, n + 1u},
                membership, NodeId(n));
            engines[n] = std::make_unique<kddm::Engine>(*nodes[n], kddm::Engine::Options{});
        }
    }
    Config config;
    Log log;
    RealClock clock;
    Stats stats[2];
    std::unique_ptr<sys::Tasks> tasks = sys::make_thread_tasks();
    std::array<CopyTransport, 2> transports;
    BothWaiter waiter{transports[0], transports[1]};
    std::unique_ptr<node::Node> nodes[2];
    std::unique_ptr<kddm::Engine> engines[2];
};

// Not inlined, so that callgrind can be told to count only this.
template <class Operation>
[[gnu::noinline]] double timed_pass(std::uint64_t count, Operation&& operation) {
    const double start = now_ns();
    for (std::uint64_t i = 0; i < count; ++i) operation(ObjectId(i * 7919 % count));
    return (now_ns() - start) / static_cast<double>(count);
}

Result<void> add(kddm::ObjectView& object, std::span<const std::byte> delta,
                 std::vector<std::byte>& reply) {
    std::uint64_t value = 0, more = 0;
    std::memcpy(&value, object.bytes().data(), sizeof value);
    std::memcpy(&more, delta.data(), sizeof more);
    reply.assign(object.bytes().begin(), object.bytes().end());
    value += more;
    std::memcpy(object.bytes().data(), &value, sizeof value);
    return {};
}

double pass(kddm::RawSet sets[2], const std::string& verb, std::uint64_t count) {
    // The home takes everything back.
    for (std::uint64_t i = 0; i < count; ++i) value_or_throw(sets[1].grab(i));
    if (verb == "upgrade" || verb == "cached")
        for (std::uint64_t i = 0; i < count; ++i) value_or_throw(sets[0].get(i));
    const std::uint64_t one = 1;
    if (verb == "get" || verb == "cached")
        return timed_pass(count, [&](ObjectId id) { value_or_throw(sets[0].get(id)); });
    if (verb == "grab" || verb == "upgrade")
        return timed_pass(count, [&](ObjectId id) { value_or_throw(sets[0].grab(id)); });
    if (verb == "fetch_add")
        return timed_pass(count, [&](ObjectId id) { value_or_throw(sets[0].fetch_add(id, 1)); });
    if (verb == "apply")
        return timed_pass(count, [&](ObjectId id) {
            value_or_throw(sets[0].apply(id, "add", std::as_bytes(std::span(&one, 1))));
        });
    throw std::runtime_error("verbs: get, grab, upgrade, cached, fetch_add, apply");
}

void run(const std::string& verb, std::uint64_t count, int passes) {
    TwoNodes world;
    for (auto& engine : world.engines)
        engine->register_function("add", kddm::Run::inline_in_handler, add);
    kddm::RawSet sets[2];
    for (int n : {1, 0})
        sets[n] = value_or_throw(world.engines[n]->create_or_open(
            "profile", {.object_bytes = 8, .placement = "node:1"}));
    for (int i = 0; i < passes; ++i) {
        std::printf("%s: %.1f ns\n", verb.c_str(), pass(sets, verb, count));
        world.waiter.drain();
    }
}

}  // namespace
}  // namespace ssi::bench

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fprintf(stderr, "usage: %s VERB OBJECTS PASSES\n", argv[0]);
        return 2;
    }
    try {
        ssi::bench::run(argv[1], std::stoull(argv[2]), std::stoi(argv[3]));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", argv[0], error.what());
        return 1;
    }
    return 0;
}
