// SPDX-License-Identifier: BSD-3-Clause
#include "world.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <stdexcept>

#include "kind_names.hpp"

namespace ssi::bench {
namespace {

constexpr Nanoseconds longest_run = 100'000'000'000;

// kddm's messages by name; of others what they begin and which kind that is.
std::string name_of(const net::SimNetwork::Record& record) {
    node::MessageHeader header;
    if (record.header.size() < sizeof header) return "?";
    std::memcpy(&header, record.header.data(), sizeof header);
    switch (static_cast<node::ChannelId>(header.channel)) {
        case node::ChannelId::kddm:
            return header.kind < std::size(kddm::kind_names) ? kddm::kind_names[header.kind] : "?";
        case node::ChannelId::file_system:   // requests, answers and failures of io::Calls
            return fmt::format("{}({})",
                               header.kind == 1 ? "call" : header.kind == 2 ? "answer" : "failure",
                               header.flags);
        default: return fmt::format("channel {} kind {}", header.channel, header.kind);
    }
}

}  // namespace

std::string text_of(const std::vector<Hop>& chain) {
    std::string text;
    for (const Hop& hop : chain)
        text += fmt::format("{}{} to {}", text.empty() ? "" : ", ", hop.name,
                            hop.to == chain.back().to ? "us" : std::to_string(hop.to.value));
    return text;
}

World::World(std::uint32_t nodes)
    : size_(nodes),
      scheduler_({.seed = 1, .random_order = false}),
      network_(scheduler_, {.seed = 1}),
      clock_(scheduler_),
      waiter_(scheduler_),
      tasks_(scheduler_) {
    std::vector<node::Member> members;
    for (std::uint32_t n = 0; n < nodes; ++n)
        members.push_back({.node = NodeId(n),
                           .incarnation = Incarnation(1),
                           .host_id = n,
                           .process_id = static_cast<std::int32_t>(n + 1),
                           .host_name = "node" + std::to_string(n)});
    membership_ = node::make_membership(std::move(members));
    for (std::uint32_t n = 0; n < nodes; ++n) {
        auto machine = std::make_unique<Machine>();
        node::Doors doors{.transport = network_.endpoint(NodeId(n), n),
                          .clock = clock_,
                          .waiter = waiter_,
                          .tasks = tasks_,
                          .log = log_,
                          .stats = machine->stats,
                          .config = config_,
                          .random_seed = n + 1};
        machine->node = std::make_unique<node::Node>(doors, membership_, NodeId(n));
        kddm::Engine::Options options;
        options.simulated = true;
        machine->engine = std::make_unique<kddm::Engine>(*machine->node, options);
        machine->hub = std::make_unique<kddm::sync::Hub>(*machine->node);
        machines_.push_back(std::move(machine));
    }
}

// Where tasks stay nobody can join them any more: something went wrong, all is as it is for ever.
World::~World() {
    if (quiet_ == 0) return;
    for (auto& machine : machines_) (void)machine.release();
}

void World::close() {
    run_all([this](std::uint32_t n) {
        machines_[n]->hub.reset();
        machines_[n]->engine.reset();
    });
    quiet_ = 0;
}

std::size_t World::membership_bytes() const {
    std::size_t bytes = sizeof(node::Membership) + sizeof(node::SlotTable);
    bytes += membership_->members.capacity() * sizeof(node::Member);
    for (const node::Member& member : membership_->members)
        // Short names live inside the string itself.
        if (member.host_name.capacity() > 15) bytes += member.host_name.capacity() + 1;
    return bytes + membership_->slot_table->slots.capacity() * sizeof(node::SlotEntry);
}

// Sleeps as long as messages come; then nothing is ready to run either.
void World::watch_quiet(const std::function<bool()>& ended) {
    const Nanoseconds last = clock_.now() + longest_run;
    std::uint64_t seen = 0;
    do {
        seen = network_.usage().messages;
        scheduler_.sleep_until(clock_.now() + quiet_);
    } while (clock_.now() < last &&
             (!ended() || network_.usage().under_way != 0 || network_.usage().messages != seen));
    scheduler_.stop();
}

void World::settle(const std::function<bool()>& ended) {
    using Outcome = sys::FiberScheduler::Outcome;
    if (quiet_ != 0) scheduler_.spawn(sys::no_group, [&] { watch_quiet(ended); });
    if (scheduler_.run() != (quiet_ != 0 ? Outcome::stopped : Outcome::idle))
        throw std::runtime_error("the simulation stopped early");
    if (!ended())
        throw std::runtime_error("an operation never returned:\n" +
                                 scheduler_.describe_parked(10));
}

void World::mark() {
    mark_ = {network_.usage(), clock_.now()};
    hops_.clear();
    scheduler_.forget_delays();
}

void World::count_from_here() { mark(); }

Cost World::cost_since_mark() const {
    Cost cost;
    cost.messages = static_cast<double>(network_.usage().messages - mark_.usage.messages);
    cost.bytes = static_cast<double>(network_.usage().bytes - mark_.usage.bytes);
    cost.gets = static_cast<double>(network_.usage().gets - mark_.usage.gets);
    return cost;
}

void World::record_hops() {
    network_.set_observer([this](const net::SimNetwork::Record& record) {
        if (record.what == net::SimNetwork::Happening::sent)
            hops_.push_back({record.from, record.to, record.cause.delays, name_of(record)});
    });
}

// Backwards from the last message that the caller had to wait for.
std::vector<Hop> World::longest_chain(NodeId caller, std::uint32_t delays) const {
    std::vector<Hop> chain;
    NodeId to = caller;
    for (auto hop = hops_.rbegin(); hop != hops_.rend() && delays != 0; ++hop) {
        if (hop->to != to || hop->delays != delays) continue;
        chain.push_back(*hop);
        to = hop->from;
        --delays;
    }
    std::reverse(chain.begin(), chain.end());
    return chain;
}

Cost World::run(std::uint32_t n, const std::function<void()>& operation) {
    bool finished = false;
    std::uint32_t delays = 0;
    double virtual_ns = 0;
    std::vector<Hop> chain;
    record_hops();
    scheduler_.spawn(n, [&] {
        mark();
        operation();
        delays = scheduler_.causality().delays;
        virtual_ns = static_cast<double>(clock_.now() - mark_.time);
        chain = longest_chain(NodeId(n), delays);
        finished = true;
    });
    settle([&] { return finished; });
    network_.set_observer({});
    Cost cost = cost_since_mark();
    cost.delays = delays;
    cost.virtual_ns = virtual_ns;
    cost.chain = std::move(chain);
    return cost;
}

Cost World::run_all(const std::function<void(std::uint32_t n)>& operation) {
    mark();
    std::uint32_t finished = 0;
    double delays = 0, virtual_ns = 0;
    for (std::uint32_t n = 0; n < size_; ++n)
        scheduler_.spawn(n, [&, n] {
            operation(n);
            delays = std::max(delays, static_cast<double>(scheduler_.causality().delays));
            virtual_ns =
                std::max(virtual_ns, static_cast<double>(clock_.now() - mark_.time));
            ++finished;
        });
    settle([&] { return finished == size_; });
    Cost cost = cost_since_mark();
    cost.delays = delays;
    cost.virtual_ns = virtual_ns;
    return cost;
}

}  // namespace ssi::bench
