// SPDX-License-Identifier: BSD-3-Clause
#include "world.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ssi/base/assert.hpp"

namespace ssi::model {
namespace {

constexpr Nanoseconds longest_standstill = 20'000'000'000;

// Never, at once, or after some moves: as rarely as in real runs, visits would hardly be tested.
std::uint64_t moves_to_visit(const Options& options, std::uint64_t seed) {
    return options.visits ? seed % 4 : 0;
}

Config simulated_config(const char* read_way, std::uint64_t moves_to_visit) {
    Config config;
    value_or_throw(config.set("kddm.read_way", read_way, "simulator"));
    // The grace after a loss is virtual time here: short, so that a run with a loss ends soon.
    value_or_throw(config.set("detect.grace_ms", "100", "simulator"));
    value_or_throw(config.set("kddm.moves_to_visit", std::to_string(moves_to_visit), "simulator"));
    return config;
}

}  // namespace

World::World(const Options& options, std::uint64_t seed, const Catalog& catalog)
    : scheduler({.seed = mix64(seed) + 1,
                 .preempt_every = options.sequential ? 0 : options.preempt_every}),
      trace(options.trace),
      coherence(*this, catalog, verdict, mix64(seed) + 2),
      network(scheduler, {.seed = mix64(seed) + 3,
                          .delay = options.faults.delay,
                          .reorder = options.faults.reorder,
                          .duplicate = options.faults.duplicate}),
      catalog_(catalog), config_(simulated_config(options.sequential ? "message" : "auto",
                                                 moves_to_visit(options, seed))),
      rma_config_(simulated_config("rma", moves_to_visit(options, seed))), nodes_(options.nodes) {
    make_membership(seed);
    network.set_observer([this](const net::SimNetwork::Record& record) {
        trace.add_message(scheduler.now(), record);
        if (record.what == net::SimNetwork::Happening::sent && on_message) on_message(record);
    });
    scheduler.set_step_hook(
        [](void* world, std::uint64_t) { static_cast<World*>(world)->after_step(); }, this);
    for (std::uint32_t i = 0; i < options.nodes; ++i) make_node(i, options, seed);
}

World::~World() {
    // A dead node is as it was when it died, locks and waiters and all: it is not taken apart.
    for (SimNode& node : nodes_) {
        if (!node.dead) continue;
        (void)node.hub.release();
        (void)node.engine.release();
        (void)node.node.release();
    }
}

void World::after_step() {
    coherence.look();
    if (scheduler.now() - last_progress_ > longest_standstill)
        verdict.fail("progress", "nothing has ended for 20 s of virtual time:\n" +
                                     scheduler.describe_parked(10));
}

// Ids are sparse on odd seeds: nothing may take an id for an index.
void World::make_membership(std::uint64_t seed) {
    const std::uint32_t step = seed % 2 == 1 ? 3 : 1;
    std::vector<node::Member> members;
    for (std::uint32_t i = 0; i < nodes_.size(); ++i) {
        ids_.push_back(NodeId{i * step});
        members.push_back({ids_[i], Incarnation{1 + i % 2}, i / 4, static_cast<int>(i), "sim"});
    }
    membership_ = node::make_membership(std::move(members));
}

void World::make_node(std::uint32_t index, const Options& from, std::uint64_t seed) {
    const bool preempts = !from.sequential && from.preempt_every != 0;
    SimNode& made = nodes_[index];
    // Gets are no messages, but what they miss is then asked for, one object after the other.
    const bool by_rma = index % 4 == 2 && !from.sequential;
    made.log = std::make_unique<Log>(
        LogLevel::error, [this](LogLevel level, std::string_view line) { on_log(level, line); });
    made.log->set_node(ids_[index]);
    made.stats = std::make_unique<Stats>();
    made.node = std::make_unique<node::Node>(
        node::Doors{network.endpoint(ids_[index], index), clock, waiter, tasks, *made.log,
                    *made.stats, by_rma ? rma_config_ : config_, mix64(seed + 1) + index},
        membership_, ids_[index]);
    kddm::Engine::Options options;
    options.plant = from.plant;
    options.simulated = true;
    options.direct = index % 3 != 2;   // the general steps alone must do, and both must get along
    // Most nodes read each other's memory, as if it were mapped, and are torn away in the middle of
    // it now and then; some read it over the network; some ask.
    options.peers_in_process = index % 4 != 3;
    if (preempts)
        options.on_half_read = [this] {
            if (scheduler.random().chance(1, 3))
                tasks.sleep_for(static_cast<Nanoseconds>(scheduler.random().below(20'000)));
        };
    options.on_step = [this, index](SetId set, ObjectId id) {
        const auto at = std::find(set_ids_.begin(), set_ids_.end(), set);
        if (at == set_ids_.end()) return;
        coherence.touched(index, catalog_.number_of(
                                     static_cast<std::uint32_t>(at - set_ids_.begin()), id));
    };
    made.engine = std::make_unique<kddm::Engine>(*made.node, std::move(options));
    made.hub = std::make_unique<kddm::sync::Hub>(*made.node, from.sync_plant);
}

void World::on_log(LogLevel level, std::string_view line) {
    if (level != LogLevel::error) return;
    if (error_lines++ == 0) first_error_line = line;
    if (!killed_)
        verdict.fail("error_line", fmt::format("nothing failed, but a node logged: {}", line));
}

void World::open_sets(const std::function<void(std::uint32_t, kddm::Engine&)>& prepare) {
    for (std::uint32_t i = 0; i < node_count(); ++i) prepare(i, engine(i));
    for (std::uint32_t i = 0; i < node_count(); ++i)
        on_node(i, [this, i] { open_sets_here(i); });
    run();
    if (verdict.failed()) return;
    for (const SimNode& node : nodes_)
        if (node.sets.size() != catalog_.sets().size())
            return verdict.fail("progress", "opening the sets never ended:\n" +
                                                scheduler.describe_parked(10));
    for (const kddm::RawSet& set : nodes_[0].sets) set_ids_.push_back(set.id());
}

void World::open_sets_here(std::uint32_t index) {
    for (const SetPlan& plan : catalog_.sets()) {
        auto set = engine(index).create_or_open(plan.name, plan.options);
        if (!set)
            return verdict.fail("errors", fmt::format("node {} cannot open set {}: {}",
                                                      ids_[index].value, plan.name,
                                                      set.error().to_string()));
        nodes_[index].sets.push_back(*set);
    }
}

void World::run() { scheduler.run(); }

void World::close() {
    for (std::uint32_t i = 0; i < node_count(); ++i) {
        if (nodes_[i].dead) continue;
        on_node(i, [this, i] {
            nodes_[i].sets.clear();
            nodes_[i].hub.reset();
            nodes_[i].engine.reset();
        });
    }
    run();
    for (const SimNode& node : nodes_)
        if (node.engine && !node.dead)
            verdict.fail("progress", "a node's engine cannot be closed:\n" +
                                         scheduler.describe_parked(10));
}

void World::abandon() {
    for (SimNode& node : nodes_) node.dead = true;
}

void World::on_node(std::uint32_t node, std::function<void()> body) {
    scheduler.spawn(node, std::move(body));
}

void World::kill(std::uint32_t node, Nanoseconds detection) {
    killed_ = true;
    nodes_[node].dead = true;
    TraceEvent event;
    event.time = scheduler.now();
    event.what = TraceEvent::What::node;
    event.node = ids_[node].value;
    event.text = "is killed";
    trace.add(event);
    network.kill(ids_[node]);
    for (std::uint32_t i = 0; i < node_count(); ++i) {
        if (nodes_[i].dead) continue;
        on_node(i, [this, i, node, detection] {
            const auto spread = scheduler.random().below(static_cast<std::uint64_t>(detection));
            scheduler.sleep_until(scheduler.now() + detection + static_cast<Nanoseconds>(spread));
            nodes_[i].node->declare_lost(ids_[node], "killed by the simulator");
        });
    }
}

bool World::settled(std::uint32_t node) const {
    return !nodes_[node].dead && nodes_[node].engine && !scheduler.in_the_middle(node);
}

kddm::Inspection World::inspect(std::uint32_t node, std::uint32_t object) const {
    return nodes_[node].engine->inspect(set_ids_[catalog_.set_of(object)], catalog_.id_of(object));
}

std::uint32_t World::home_of(std::uint32_t object) const {
    for (const auto& node : nodes_) {
        const NodeId home = node.sets[catalog_.set_of(object)].home(catalog_.id_of(object));
        if (home != no_node) return index_of(home);
    }
    return 0;   // nobody has touched it
}

std::uint32_t World::index_of(NodeId node) const {
    const int index = membership_->index_of(node);
    SSI_ASSERT(index >= 0, "the engine named a node that is no member");
    return static_cast<std::uint32_t>(index);
}

}  // namespace ssi::model
