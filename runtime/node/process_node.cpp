// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/node/process_node.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <utility>

#include "address_book.hpp"
#include "control.hpp"
#include "control_service.hpp"
#include "detector.hpp"
#include "mpi_bootstrap.hpp"
#include "session_start.hpp"
#include "ssi/base/assert.hpp"
#include "ssi/net/ucx.hpp"
#include "ssi/node/poll_waiter.hpp"
#include "ssi/node/progress_thread.hpp"
#include "ssi/sys/topology.hpp"

namespace ssi::node {
namespace {

constexpr Nanoseconds millisecond = 1'000'000;
// After everybody has come to stop(), peers answer at once or are gone.
constexpr Nanoseconds farewell_ns = 5'000 * millisecond;
// After a loss: for the news to reach the others, who may be leaving as well.
constexpr Nanoseconds hasty_farewell_ns = 300 * millisecond;

ProgressThread::Options progress_options(const Config& config) {
    ProgressThread::Options options;
    options.interval_ns = config.integer("wait.backoff_us") * 1000;
    return options;
}

}  // namespace

// Members are destroyed last to first: whatever a thread or a call-back needs stands above it.
struct ProcessNode::Impl {
    explicit Impl(Config c)
        : config(std::move(c)), log(Log::from_config(config)), tasks(sys::make_thread_tasks()) {}

    ~Impl() {
        if (!stopped) leave(false);
    }

    Result<void> start(const void* mpi_comm);
    Result<void> meet(const void* mpi_comm);
    void build(Roll roll, Addresses addresses);
    Result<void> stop(Nanoseconds patience);
    void leave(bool in_order);
    void publish();
    void write_stats();

    Config config;
    RealClock clock;
    Stats stats;
    Log log;
    std::unique_ptr<sys::Tasks> tasks;
    std::unique_ptr<MpiBootstrap> mpi;
    std::unique_ptr<net::UcxTransport> transport;
    std::unique_ptr<PollWaiter> waiter;
    SessionName name;
    std::unique_ptr<Node> node;
    std::unique_ptr<ControlService> service;
    std::unique_ptr<AddressBook> book;
    std::unique_ptr<ProgressThread> progress;
    std::unique_ptr<Detector> detector;
    std::unique_ptr<Control> control;
    bool stopped = false;
    bool exit_hard = false;
};

Result<void> ProcessNode::Impl::start(const void* mpi_comm) {
    const Nanoseconds timeout = config.integer("session.start_timeout_ms") * millisecond;
    const Nanoseconds deadline = clock.now() + timeout;
    if (auto met = meet(mpi_comm); !met) {
        // Everybody alive failed with the same words. MPI ends in order only if all are there.
        stopped = exit_hard = true;
        service.reset();
        if (mpi && mpi->healthy()) {
            mpi->finalize();
            exit_hard = false;
        }
        return met;
    }
    detector->start();
    SSI_TRY(progress->start());
    // The first messages over the session's own network.
    auto together = node->barrier(std::max(deadline, clock.now() + 1000 * millisecond));
    if (!together && together.error().code == Errc::timed_out)
        together.error().text =
            fmt::format("node {} cannot be reached over UCX, or died while the session started; "
                        "see UCX_TLS, UCX_NET_DEVICES and `ssi doctor`",
                        together.error().node.value);
    if (together) service->publish_contact(*node, name);
    return together;
}

Result<void> ProcessNode::Impl::meet(const void* mpi_comm) {
    const Nanoseconds timeout = config.integer("session.start_timeout_ms") * millisecond;
    auto begun = MpiBootstrap::begin(mpi_comm, clock, *tasks, timeout);
    if (!begun) return tl::unexpected(std::move(begun).error());
    mpi = std::move(*begun);
    const NodeId self{static_cast<std::uint32_t>(mpi->rank())};
    log.set_node(self);
    set_current_node(self);

    service = std::make_unique<ControlService>(config, log);
    auto roll = call_the_roll(*mpi, service->open());
    if (!roll) return tl::unexpected(std::move(roll).error());

    net::UcxOptions options;
    options.self = self;
    options.want_address = [this](NodeId target) { book->want(target); };
    if (config.text("net.same_host") == "on") options.host_id = roll->members[self.value].host_id;
    const std::string& way = config.text("kddm.read_way");
    options.gets = way == "rma" || (way == "auto" && !roll->one_host);
    options.keepalive = !roll->one_host && config.boolean("detect.enabled");
    auto made = net::make_ucx_transport(std::move(options), config, log);
    Result<Blob> own = Blob{};
    if (made) {
        transport = std::move(*made);
        own = Blob(transport->address().begin(), transport->address().end());
    } else {
        Failure why = std::move(made).error();
        why.text = fmt::format("rank {}: {}", self.value, why.text);
        why.node = self;
        own = tl::unexpected(std::move(why));
    }
    auto addresses = exchange_addresses(*mpi, std::move(own));
    if (!addresses) return tl::unexpected(std::move(addresses).error());
    build(std::move(*roll), std::move(*addresses));
    return {};
}

void ProcessNode::Impl::build(Roll roll, Addresses addresses) {
    const NodeId self = transport->self();
    name = std::move(roll.name);
    const auto policy =
        WaitPolicy::from_config(config, sys::usable_cores(), roll.sharing_our_cores);
    waiter = std::make_unique<PollWaiter>(*transport, clock, *tasks, policy);
    progress = std::make_unique<ProgressThread>(*transport, clock, *tasks,
                                                progress_options(config));
    node = std::make_unique<Node>(Doors{*transport, clock, *waiter, *tasks, log, stats, config,
                                        Random::seed_from_system()},
                                  make_membership(std::move(roll.members)), self);
    book = std::make_unique<AddressBook>(
        *node, addresses.parent, NodeId{0}, std::move(addresses.known),
        [this](NodeId target, std::span<const std::byte> address) {
            transport->learn_address(target, address);
        });
    detector = std::make_unique<Detector>(*node, *progress, std::move(addresses.neighbours));
    control = std::make_unique<Control>(*node, *book, *detector);
    node->control().add_publisher("node", [this] { publish(); });
    service->begin(*node, name, sys::usable_cores());
    control->set_relay(service->relay());
    node->attach(ChannelId::control, control.get());
    node->set_suspect_handler(
        [this](NodeId peer, const Failure& why) { detector->on_suspect(peer, why); });
    progress->set_tick(config.integer("detect.interval_ms") * millisecond,
                       [this] { detector->on_tick(); });
}

Result<void> ProcessNode::Impl::stop(Nanoseconds patience) {
    if (std::exchange(stopped, true)) return {};
    const bool hurried = patience != sys::Waiter::forever;
    Result<void> together = node->meet_to_close(hurried ? clock.now() + patience : patience);
    if (together) {
        // All have come, so nobody computes any more and whoever ends now ends in order. The second
        // barrier: all know that, so nobody takes an early leaver for dead.
        detector->close();
        if (auto done = node->meet_to_close(clock.now() + farewell_ns); !done)
            SSI_LOG(log, debug, "session", "the last barrier: {}", done.error().text);
    }
    leave(together.has_value());
    return together;
}

// In order: everybody leaves too. Else it waits for nobody.
void ProcessNode::Impl::leave(bool in_order) {
    stopped = true;
    if (!node) return;
    service->end();
    detector->close();
    progress->stop();
    const Nanoseconds end = clock.now() + (in_order ? farewell_ns : hasty_farewell_ns);
    // Others go on: what they were lent must not change under their eyes.
    while (!in_order && transport->lending() && clock.now() < end) {
        transport->poll();
        tasks->yield();
    }
    // What was sent still leaves, the news of a loss among it; endpoints to the dead are gone.
    transport->close(false);
    while (!transport->closed() && clock.now() < end) {
        transport->poll();
        tasks->yield();
    }
    transport->abandon();
    publish();
    write_stats();
    if (in_order && mpi->healthy())
        mpi->finalize();
    else
        exit_hard = true;
}

void ProcessNode::Impl::publish() {
    node->publish_stats();
    const auto net = transport->counts();
    stats.counter("ssi_net_endpoints").set(net.endpoints);
    stats.counter("ssi_net_sends_deferred_total").set(net.deferred);
    stats.counter("ssi_net_sends_queued_total").set(net.queued);
    const auto slept = progress->counts();
    stats.counter("ssi_progress_sleeps_total").set(slept.sleeps);
    stats.counter("ssi_progress_takeovers_total").set(slept.takeovers);
}

void ProcessNode::Impl::write_stats() {
    std::string path = config.text("stats.file");
    if (path.empty()) return;
    const std::string id = std::to_string(node->id().value);
    for (auto at = path.find("%n"); at != std::string::npos; at = path.find("%n", at + id.size()))
        path.replace(at, 2, id);
    // Beside, then renamed: a reader never sees half a file.
    const std::string beside = path + ".part";
    std::ofstream out(beside, std::ios::trunc);
    out << stats.open_metrics();
    out.close();
    if (!out || std::rename(beside.c_str(), path.c_str()) != 0)
        SSI_LOG(log, error, "session", "cannot write the statistics to {}", path);
}

ProcessNode::ProcessNode(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ProcessNode::~ProcessNode() = default;

Result<std::unique_ptr<ProcessNode>> ProcessNode::start(Config config, const void* mpi_comm) {
    auto impl = std::make_unique<Impl>(std::move(config));
    if (auto started = impl->start(mpi_comm); !started)
        return tl::unexpected(std::move(started).error());
    return std::unique_ptr<ProcessNode>(new ProcessNode(std::move(impl)));
}

Node& ProcessNode::node() { return *impl_->node; }
const Config& ProcessNode::config() const { return impl_->config; }
Stats& ProcessNode::stats() { return impl_->stats; }
Log& ProcessNode::log() { return impl_->log; }
Result<void> ProcessNode::stop(Nanoseconds patience) { return impl_->stop(patience); }
bool ProcessNode::must_exit_hard() const { return impl_->exit_hard; }

}  // namespace ssi::node
