// SPDX-License-Identifier: BSD-3-Clause
// Planning, bookkeeping and the checks of a whole run. The verbs are in workload_verbs.cpp.
#include "workload.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "pattern.hpp"

namespace ssi::model {
namespace {

constexpr const char* verb_names[] = {
    "get",   "get_twice",  "grab",          "grab_new", "try_grab", "upgrade",
    "nested", "descending", "fetch_add",    "apply",    "apply_here", "apply_failing",
    "prefetch", "flush",   "remove",        "find",     "stale",    "get_many",
    "grab_many", "prefetch_many", "update_many", "read",   "migrate",
};
static_assert(std::size(verb_names) == verb_count);

struct Share {
    Verb verb;
    std::uint32_t share;
};
constexpr Share value_shares[] = {
    {Verb::get, 32},    {Verb::get_twice, 2},  {Verb::grab, 20},        {Verb::grab_new, 2},
    {Verb::try_grab, 6}, {Verb::upgrade, 8},   {Verb::nested, 6},       {Verb::descending, 1},
    {Verb::apply, 8},   {Verb::apply_here, 2}, {Verb::apply_failing, 1}, {Verb::prefetch, 4},
    {Verb::flush, 7},   {Verb::find, 1},       {Verb::get_many, 4},     {Verb::grab_many, 5},
    {Verb::prefetch_many, 2}, {Verb::read, 25},  {Verb::migrate, 3},
};
constexpr Share counter_shares[] = {
    {Verb::fetch_add, 60}, {Verb::get, 25}, {Verb::flush, 5}, {Verb::prefetch, 5}, {Verb::stale, 5},
    {Verb::update_many, 20}, {Verb::read, 20},
};
constexpr Share churn_shares[] = {
    {Verb::get, 25},   {Verb::grab, 35}, {Verb::grab_new, 10},
    {Verb::remove, 20}, {Verb::flush, 5}, {Verb::prefetch, 5}, {Verb::grab_many, 5},
    {Verb::read, 20},
};

constexpr std::uint64_t hot_percent = 35;
constexpr std::uint64_t longest_thought_ns = 4000;
constexpr std::uint64_t sequential_thought_ns = 200'000;  // longer than any transition
constexpr std::size_t most_last_readers = 8;

// The storm.
constexpr std::uint32_t storm_nodes = 6;
constexpr std::uint32_t storm_tasks = 4;      // of each of these
constexpr std::uint32_t storm_rounds = 360;   // operations of one task of all of these together
constexpr std::uint64_t storm_thought_ns = 2000;
// In 12,000 storms nobody was passed more than 62 times; when the last to come is served first,
// somebody is passed 100 to 500 times.
constexpr std::uint64_t storm_patience = 100;

}  // namespace

const char* verb_name(Verb verb) { return verb_names[static_cast<std::size_t>(verb)]; }

Workload::Workload(const Options& options, std::uint64_t seed, const Catalog& catalog,
                   World& world)
    : options_(options), catalog_(catalog), world_(world), random_(mix64(seed) + 4),
      oracle_(world.verdict, catalog.object_count()),
      histories_(catalog.object_count()), counters_(catalog.object_count()), ops_(1),
      under_way_(options.nodes) {
    if (options.faults.kill) kills_ = kills_left_ = options.nodes >= 8 ? 2 : 1;
    world.on_message = [this](const net::SimNetwork::Record& record) {
        if (record.cause.operation == 0) return;
        VerbCount& count = counts_[static_cast<std::size_t>(ops_[record.cause.operation].verb)];
        ++count.messages;
        count.bytes += record.header.size() + record.payload_bytes;
    };
}

void Workload::prepare(std::uint32_t node, kddm::Engine& engine) {
    for (const kddm::Run run : {kddm::Run::inline_in_handler, kddm::Run::on_executor})
        engine.register_function(
            run == kddm::Run::inline_in_handler ? "replace" : "replace_later", run,
            [this, node](kddm::ObjectView& object, std::span<const std::byte> arguments,
                         std::vector<std::byte>& reply) {
                return run_function(node, object, arguments, reply);
            });
    engine.register_placement(Catalog::placement_name, &Catalog::place_by_low_bits);
    if (!options_.evict) return;
    // One for each set, as ids are of a set.
    for (const SetPlan& plan : catalog_.sets()) {
        if (!plan.linked()) continue;
        linkers_.push_back(std::make_shared<SlowLinker>(world_.tasks, random_.next()));
        engine.register_linker(plan.options.linker, linkers_.back());
    }
}

void Workload::hook_releases() {
    // The executor's task works for many causes, so it would add up their delays.
    if (options_.sequential) return;
    for (std::uint32_t node = 0; node < options_.nodes; node += 2)
        for (const std::uint32_t set : {0u, 1u})
            world_.sets_at(node)[set].on_release(
                [this, node, set](ObjectId id, std::span<const std::byte> bytes) {
                    on_release(node, catalog_.number_of(set, id), bytes);
                });
}

void Workload::start_storm() {
    if (options_.sequential) return;
    world_.progressed();
    world_.network.set_delays(false);
    const std::uint32_t nodes = std::min(options_.nodes, storm_nodes);
    oracle_.set_patience(storm_patience);
    // The hot object of one of the sets that are cached.
    const std::uint32_t object = catalog_.sets()[random_.below(3)].first;
    const auto first = static_cast<std::uint32_t>(random_.below(options_.nodes));
    for (std::uint32_t i = 0; i < nodes; ++i)
        for (std::uint32_t task = 0; task < storm_tasks; ++task)
            storm_task((first + i) % options_.nodes, object, storm_rounds / nodes);
}

void Workload::storm_task(std::uint32_t node, std::uint32_t object, std::uint32_t rounds) {
    world_.on_node(node, [this, node, object, rounds] {
        for (std::uint32_t round = 0; round < rounds; ++round) {
            world_.tasks.sleep_for(static_cast<Nanoseconds>(random_.below(storm_thought_ns)));
            const Op op = make_op(node, random_.chance(1, 2) ? Verb::get : Verb::grab, object);
            ++planned_;
            op.verb == Verb::get ? do_get(op, false) : do_grab(op);
            ++done_;
            ops_[op.number].ended = true;
            world_.progressed();
        }
    });
}

void Workload::start() {
    world_.network.set_delays(true);
    oracle_.set_patience(UINT64_MAX);
    planned_ = done_ = 0;
    world_.progressed();
    const std::uint32_t tasks = options_.sequential ? 1 : options_.nodes * options_.tasks;
    for (std::uint32_t task = 0; task < tasks; ++task) start_task(task);
}

void Workload::start_task(std::uint32_t task) {
    const std::uint64_t longest = options_.sequential ? sequential_thought_ns : longest_thought_ns;
    const std::uint64_t shortest = options_.sequential ? sequential_thought_ns / 2 : 0;
    const auto thought = static_cast<Nanoseconds>(shortest + random_.below(longest - shortest));
    world_.scheduler.at(world_.scheduler.now() + thought,
                        [](void* workload, std::uint64_t number) {
                            static_cast<Workload*>(workload)->next_op_of(
                                static_cast<std::uint32_t>(number));
                        },
                        this, task);
}

void Workload::next_op_of(std::uint32_t task) {
    if (planned_ == options_.ops) return;
    const std::uint32_t node = options_.sequential
                                   ? static_cast<std::uint32_t>(random_.below(options_.nodes))
                                   : task % options_.nodes;
    if (!world_.alive(node)) return;
    ++planned_;
    const Op op = plan(node);
    ++under_way_[node];
    world_.on_node(node, [this, task, op] {
        world_.scheduler.causality() = {0, op.number};
        perform(op);
        end_op(op);
        start_task(task);
    });
}

void Workload::end_op(const Op& op) {
    ++done_;
    --under_way_[op.node];
    ops_[op.number].ended = true;
    world_.progressed();
    VerbCount& count = counts_[static_cast<std::size_t>(op.verb)];
    const std::uint32_t delays = world_.scheduler.causality().delays;
    ++count.operations;
    count.delays += delays;
    count.most_delays = std::max(count.most_delays, delays);
    maybe_kill();
}

Workload::Op Workload::make_op(std::uint32_t node, Verb verb, std::uint32_t object) {
    ops_.push_back({static_cast<std::uint32_t>(ops_.size()), node, verb, object, tick()});
    return ops_.back();
}

Workload::Op Workload::plan(std::uint32_t node) {
    const std::uint32_t object = plan_object();
    return make_op(node, plan_verb(catalog_.plan_of(object).use), object);
}

// A set by lot, the first more often than the others; then one of its few hot or many cold objects.
std::uint32_t Workload::plan_object() {
    const auto& sets = catalog_.sets();
    const std::uint64_t draw = random_.below(2 * sets.size());
    const SetPlan& plan = sets[draw < sets.size() ? draw : draw < 2 * sets.size() - 2 ? 0 : 4];
    if (!options_.sequential && random_.chance(hot_percent, 100))
        return plan.first + static_cast<std::uint32_t>(random_.below(plan.hot));
    return plan.first + static_cast<std::uint32_t>(random_.below(plan.objects));
}

Verb Workload::plan_verb(Use use) {
    if (options_.reads != 0 && random_.chance(options_.reads, 100)) return Verb::get;
    std::span<const Share> shares = value_shares;
    if (use == Use::counter) shares = counter_shares;
    if (use == Use::churn) shares = churn_shares;
    std::uint32_t total = 0;
    for (const Share& share : shares) total += share.share;
    auto draw = static_cast<std::uint32_t>(random_.below(total));
    for (const Share& share : shares) {
        if (draw < share.share)
            // Without reordering no message is ever late enough to meet a new slot table.
            return share.verb == Verb::stale && !options_.faults.reorder ? Verb::get : share.verb;
        draw -= share.share;
    }
    return Verb::get;
}

// One node after a third of the operations, another after half.
void Workload::maybe_kill() {
    const std::uint64_t due = kills_left_ == kills_ ? options_.ops / 3 : options_.ops / 2;
    if (kills_left_ == 0 || done_ < due) return;
    --kills_left_;
    std::uint32_t victim = static_cast<std::uint32_t>(random_.below(options_.nodes));
    while (!world_.alive(victim)) victim = (victim + 1) % options_.nodes;
    // This may run on the victim: it must leave the processor first.
    world_.scheduler.at(
        world_.scheduler.now(),
        [](void* workload, std::uint64_t node) {
            static_cast<Workload*>(workload)->kill(static_cast<std::uint32_t>(node));
        },
        this, victim);
}

void Workload::kill(std::uint32_t victim) {
    losses_ = true;
    abandoned_ += under_way_[victim];
    under_way_[victim] = 0;
    oracle_.node_died(victim);
    world_.kill(victim, static_cast<Nanoseconds>(20'000 + random_.below(80'000)));
}

void Workload::check_rest() {
    if (done_ + abandoned_ != planned_)
        world_.verdict.fail("progress", fmt::format("nothing is left to happen, but {} operations "
                                                    "have not ended:\n{}",
                                                    planned_ - done_ - abandoned_,
                                                    describe_unended(10)));
    // A dead node's handler keeps the message that it was about to handle.
    if (world_.network.usage().under_way != 0 && !losses_)
        world_.verdict.fail("progress", "nothing is left to happen, but messages are under way");
    if (!losses_) world_.coherence.look_at_rest();
}

std::string Workload::describe_unended(std::size_t limit) const {
    std::string text;
    for (const Op& op : ops_) {
        if (op.number == 0 || op.ended || !world_.alive(op.node) || limit == 0) continue;
        --limit;
        const SetPlan& plan = catalog_.plan_of(op.object);
        text += fmt::format("operation {} ({}) on node {}, object {} of set {}\n", op.number,
                            verb_name(op.verb), world_.id_of(op.node).value, op.object - plan.first,
                            plan.name);
    }
    return text;
}

void Workload::start_last_reads() {
    for (auto& linker : linkers_) linker->stop_failing();
    for (std::uint32_t object = 0; object < catalog_.object_count(); ++object) {
        auto readers = world_.coherence.holders(object);
        if (readers.size() > most_last_readers) readers.resize(most_last_readers);
        readers.push_back(static_cast<std::uint32_t>(random_.below(options_.nodes)));
        for (const std::uint32_t node : readers) {
            if (!world_.alive(node)) continue;
            ++planned_;
            ++under_way_[node];
            const Op op = make_op(node, Verb::get, object);
            world_.on_node(node, [this, op] {
                do_get(op, false);
                --under_way_[op.node];
                ++done_;
                ops_[op.number].ended = true;
                world_.progressed();
            });
        }
    }
    for (std::uint32_t node = 0; node < options_.nodes; ++node) {
        if (!world_.alive(node)) continue;
        const Op op = make_op(node, Verb::flush, 0);
        world_.on_node(node, [this, op] {
            for (kddm::RawSet& set : world_.sets_at(op.node))
                if (auto synced = set.sync(); !synced) failed(op, synced.error());
        });
    }
}

// After the last sync a linker has the newest value of whatever it ever got, or will be asked for.
void Workload::check_linkers() {
    if (losses_) return;
    for (std::uint32_t object = 0; object < catalog_.object_count(); ++object) {
        const SetPlan& plan = catalog_.plan_of(object);
        if (!plan.linked() || plan.use != Use::value) continue;
        const SlowLinker& linker = linker_of(world_.home_of(object), catalog_.set_of(object));
        const auto* bytes = linker.find(catalog_.id_of(object));
        const std::uint64_t there = bytes ? ssi::model::value_of(*bytes).value_or(UINT64_MAX) : 0;
        if (there == oracle_.value_of(object)) continue;
        return world_.verdict.fail(
            "linker", fmt::format("object {} of set {} has the value {}, but its linker keeps {}",
                                  object - plan.first, plan.name, oracle_.value_of(object), there));
    }
}

// Engines are prepared in the order of nodes, the sets of each in theirs.
const SlowLinker& Workload::linker_of(std::uint32_t node, std::uint32_t set) const {
    std::size_t number = 0, linked = 0;
    for (std::uint32_t i = 0; i < catalog_.sets().size(); ++i) {
        if (i == set) number = linked;
        linked += catalog_.sets()[i].linked();
    }
    return *linkers_[node * linked + number];
}

// What was asked but never answered may have taken effect, at any time since.
void Workload::note_doubtful() {
    for (const Op& op : ops_)
        if (op.number != 0 && !op.ended && op.verb != Verb::get && op.verb != Verb::read)
            doubtful_.push_back(op.number);
    for (const std::uint32_t number : doubtful_) {
        const Op& op = ops_[number];
        auto& history = histories_[op.object];
        if (oracle_.was_executed(number) && op.verb == Verb::apply)
            history.push_back({HistoryOp::Kind::write, op.call, never, 0, new_value(op), number});
        if (op.verb == Verb::remove || op.verb == Verb::grab_new)
            history.push_back({HistoryOp::Kind::remove, op.call, never, 0, 0, number});
    }
}

void Workload::check_histories() {
    if (losses_) note_doubtful();
    for (std::uint32_t object = 0; object < catalog_.object_count(); ++object) {
        auto wrong = catalog_.plan_of(object).use == Use::counter
                         ? check_counter(std::move(counters_[object]), !losses_)
                         : check_register(std::move(histories_[object]));
        if (!wrong) continue;
        const SetPlan& plan = catalog_.plan_of(object);
        return world_.verdict.fail("linearizable",
                                   fmt::format("object {} of set {} has no order of its "
                                               "operations: {}",
                                               object - plan.first, plan.name, *wrong));
    }
}

// Up to this many nodes each has a bit of its own in a copyset: no trees of invalidations.
constexpr std::uint32_t exact_copyset_nodes = 512;

void Workload::check_delays() {
    if (!options_.sequential || options_.any_fault()) return;
    for (const Verb verb :
         {Verb::get, Verb::read, Verb::grab, Verb::grab_new, Verb::try_grab}) {
        const bool reads = verb == Verb::get || verb == Verb::read;
        if (!reads && options_.nodes > exact_copyset_nodes) continue;
        const VerbCount& count = counts_[static_cast<std::size_t>(verb)];
        if (count.most_delays <= 3) continue;
        world_.verdict.fail("delays", fmt::format("an undisturbed {} took {} message delays, more "
                                                  "than 3",
                                                  verb_name(verb), count.most_delays));
    }
}

}  // namespace ssi::model
