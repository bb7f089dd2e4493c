// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/kddm/session.hpp"

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "ssi/base/config.hpp"
#include "ssi/kddm/engine.hpp"
#include "ssi/node/process_node.hpp"

namespace ssi {

namespace {

// What Session::exit must know about a session that is gone: whether a peer died in it, and whether
// it ended without the others.
std::atomic<bool> lost_a_peer{false};
std::atomic<bool> ended_alone{false};
// How long an exception that ends a session waits for the others to end theirs.
constexpr Nanoseconds unwinding_patience_ns = 2'000'000'000;

node::ReduceOp op_of(Reduce op) {
    switch (op) {
        case Reduce::min: return node::ReduceOp::min;
        case Reduce::max: return node::ReduceOp::max;
        default: return node::ReduceOp::sum;
    }
}

}  // namespace

struct Session::Impl {
    std::unique_ptr<node::ProcessNode> process;
    std::unique_ptr<kddm::Engine> engine;
    std::unique_ptr<kddm::sync::Hub> sync;
    const int exceptions = std::uncaught_exceptions();   // that are no reason to hurry

    Impl() = default;
    ~Impl() { (void)stop(); }   // the engine outlives whatever still delivers to it
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    static std::unique_ptr<Impl> start(Config config, const void* comm) {
        auto impl = std::make_unique<Impl>();
        impl->process = value_or_throw(node::ProcessNode::start(std::move(config), comm));
        impl->engine =
            std::make_unique<kddm::Engine>(impl->process->node(), kddm::Engine::Options{});
        impl->sync = std::make_unique<kddm::sync::Hub>(impl->process->node());
        // Nobody may send before everybody can receive.
        value_or_throw(impl->process->node().barrier());
        return impl;
    }

    Result<void> stop() {
        if (!process) return {};
        if (engine) engine->publish_stats();
        const bool unwinding = std::uncaught_exceptions() > exceptions;
        Result<void> stopped =
            process->stop(unwinding ? unwinding_patience_ns : sys::Waiter::forever);
        if (process->must_exit_hard()) ended_alone = true;
        if (process->node().any_lost()) lost_a_peer = true;
        sync.reset();
        engine.reset();
        process.reset();
        return stopped;
    }
};

Session::Session(int& argc, char** argv)
    : impl_(Impl::start(value_or_throw(Config::load(&argc, argv)), nullptr)) {}
Session::Session(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&& other) noexcept {
    if (this == &other) return *this;
    end();
    impl_ = std::move(other.impl_);
    return *this;
}

Session Session::from_mpi(const void* mpi_comm) {
    char* no_arguments[] = {nullptr};
    int argc = 0;
    return Session(Impl::start(value_or_throw(Config::load(&argc, no_arguments)), mpi_comm));
}

Session::~Session() { end(); }

void Session::end() noexcept {
    if (!impl_ || !impl_->process) return;
    // The session's log ends with it; the failure is still worth a line, but not when something
    // else that went wrong is about to be told.
    const bool unwinding = std::uncaught_exceptions() > impl_->exceptions;
    if (auto stopped = impl_->stop(); !stopped && !unwinding) {
        Log log;
        SSI_LOG(log, error, "session", "close: {}", stopped.error().to_string());
    }
}

Result<void> Session::close() { return impl_->stop(); }

Result<kddm::RawSet> Session::raw_set(std::string_view name, const kddm::SetOptions& options) {
    return impl_->engine->create_or_open(name, options);
}
Result<kddm::RawSet> Session::open(std::string_view name) { return impl_->engine->open(name); }
Result<void> Session::destroy(std::string_view name) { return impl_->engine->destroy(name); }

void Session::register_function(std::string_view name, kddm::Run run,
                                kddm::ShippedFunction function) {
    impl_->engine->register_function(name, run, std::move(function));
}
void Session::register_placement(std::string_view name, kddm::PlacementFunction function) {
    impl_->engine->register_placement(name, function);
}

Result<void> Session::register_homes(std::string_view name, std::vector<NodeId> homes,
                                     kddm::PlacementFunction slot_of) {
    return impl_->engine->register_homes(name, std::move(homes), slot_of);
}

void Session::register_linker(std::string_view name, std::shared_ptr<kddm::Linker> linker) {
    impl_->engine->register_linker(name, std::move(linker));
}

NodeId Session::node() const { return impl_->process->node().id(); }
int Session::rank() const { return impl_->process->node().rank(); }
int Session::size() const { return impl_->process->node().size(); }

void Session::barrier() { value_or_throw(impl_->process->node().barrier()); }

namespace {

// The node of a rank; no_node for everybody (-1).
NodeId root_node(const node::Node& node, int root) {
    if (root == -1) return no_node;
    const auto& members = node.membership()->members;
    if (root < 0 || root >= node.size())
        throw Error(Failure{Errc::invalid_argument, 0, no_node,
                            "a collective with a root outside the session"});
    return members[static_cast<std::size_t>(root)].node;
}

}  // namespace

void Session::broadcast(int root, std::vector<std::byte>& bytes) {
    node::Node& node = impl_->process->node();
    value_or_throw(node.broadcast(root_node(node, root), bytes));
}

void Session::raw_broadcast(int root, std::span<std::byte> bytes) {
    node::Node& node = impl_->process->node();
    value_or_throw(node.broadcast(root_node(node, root), bytes));
}

void Session::raw_reduce(int root, std::span<std::byte> values, std::size_t element_bytes,
                         void (*combine)(std::byte*, const std::byte*, std::size_t, void*),
                         void* op) {
    node::Node& node = impl_->process->node();
    value_or_throw(node.reduce(values, {element_bytes, combine, op}, root_node(node, root)));
}

void Session::raw_gather(int root, std::span<const std::byte> mine, std::span<std::byte> all) {
    node::Node& node = impl_->process->node();
    value_or_throw(node.gather(root_node(node, root), mine, all));
}

double Session::reduce(double value, Reduce op) {
    value_or_throw(impl_->process->node().all_reduce(std::span(&value, 1), op_of(op)));
    return value;
}
std::uint64_t Session::reduce(std::uint64_t value, Reduce op) {
    value_or_throw(impl_->process->node().all_reduce(std::span(&value, 1), op_of(op)));
    return value;
}

std::int64_t Session::reduce(std::int64_t value, Reduce op) {
    // Order as unsigned numbers, for min and max; sums need no such thing.
    constexpr std::uint64_t sign = 1ull << 63;
    auto shifted = static_cast<std::uint64_t>(value);
    if (op != Reduce::sum) shifted ^= sign;
    shifted = reduce(shifted, op);
    return static_cast<std::int64_t>(op != Reduce::sum ? shifted ^ sign : shifted);
}

Mutex Session::mutex(std::string_view name) { return Mutex(impl_->sync->mutex(name)); }
SharedMutex Session::shared_mutex(std::string_view name) {
    return SharedMutex(impl_->sync->shared_mutex(name));
}
Condition Session::condition(std::string_view name) {
    return Condition(impl_->sync->condition(name));
}
Barrier Session::barrier(std::string_view name, std::uint32_t participants) {
    return Barrier(*value_or_throw(impl_->sync->barrier(name, participants)));
}
kddm::sync::Object& Session::raw_channel(std::string_view name, ChannelOptions options,
                                         std::uint64_t type) {
    return *value_or_throw(impl_->sync->channel(name, options.capacity, type));
}

const Config& Session::config() const { return impl_->process->config(); }
Stats& Session::stats() { return impl_->process->stats(); }
kddm::sync::Hub& Session::internal_hub() { return *impl_->sync; }
node::Node& Session::internal_node() { return impl_->process->node(); }
kddm::Engine& Session::internal_engine() { return *impl_->engine; }

void Session::exit(int code) {
    if (!ended_alone) std::exit(code);
    std::fflush(nullptr);
    ::_exit(lost_a_peer ? error_info(Errc::peer_lost).exit_code : code);
}

}  // namespace ssi
