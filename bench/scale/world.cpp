// SPDX-License-Identifier: BSD-3-Clause
#include "world.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace ssi::bench {

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
        machines_.push_back(std::move(machine));
    }
}

World::~World() = default;

std::size_t World::membership_bytes() const {
    std::size_t bytes = sizeof(node::Membership) + sizeof(node::SlotTable);
    bytes += membership_->members.capacity() * sizeof(node::Member);
    for (const node::Member& member : membership_->members)
        // Short names live inside the string itself.
        if (member.host_name.capacity() > 15) bytes += member.host_name.capacity() + 1;
    return bytes + membership_->slot_table->slots.capacity() * sizeof(node::SlotEntry);
}

void World::settle() {
    if (scheduler_.run() != sys::FiberScheduler::Outcome::idle)
        throw std::runtime_error("the simulation stopped early");
}

void World::count_from_here() {
    mark_ = {network_.usage(), clock_.now()};
    scheduler_.causality() = {};
}

Cost World::cost_since_mark() const {
    Cost cost;
    cost.messages = static_cast<double>(network_.usage().messages - mark_.usage.messages);
    cost.bytes = static_cast<double>(network_.usage().bytes - mark_.usage.bytes);
    return cost;
}

Cost World::run(std::uint32_t n, const std::function<void()>& operation) {
    bool finished = false;
    double delays = 0, virtual_ns = 0;
    scheduler_.spawn(n, [&] {
        count_from_here();
        operation();
        delays = scheduler_.causality().delays;
        virtual_ns = static_cast<double>(clock_.now() - mark_.time);
        finished = true;
    });
    settle();
    if (!finished) throw std::runtime_error("an operation never returned");
    Cost cost = cost_since_mark();
    cost.delays = delays;
    cost.virtual_ns = virtual_ns;
    return cost;
}

Cost World::run_all(const std::function<void(std::uint32_t n)>& operation) {
    mark_ = {network_.usage(), clock_.now()};
    std::uint32_t finished = 0;
    double delays = 0, virtual_ns = 0;
    for (std::uint32_t n = 0; n < size_; ++n)
        scheduler_.spawn(n, [&, n] {
            scheduler_.causality() = {};
            operation(n);
            delays = std::max(delays, static_cast<double>(scheduler_.causality().delays));
            virtual_ns =
                std::max(virtual_ns, static_cast<double>(clock_.now() - mark_.time));
            ++finished;
        });
    settle();
    if (finished != size_) throw std::runtime_error("some nodes never returned");
    Cost cost = cost_since_mark();
    cost.delays = delays;
    cost.virtual_ns = virtual_ns;
    return cost;
}

}  // namespace ssi::bench
