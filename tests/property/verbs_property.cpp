// SPDX-License-Identifier: BSD-3-Clause
// The verbs of a set, one command after another, on three nodes of a simulated world, against a
// model that is one map from object to value. A guard may stay held while others act.
#include <gtest/gtest.h>
// After gtest, which it does not include itself.
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <map>
#include <utility>

#include "pattern.hpp"
#include "ssi/kddm/many.hpp"
#include "ssi/kddm/updates.hpp"
#include "world.hpp"

namespace ssi::model {
namespace {

constexpr std::uint32_t nodes = 3;
constexpr std::uint32_t objects_per_set = 3;

enum class Act : std::uint8_t {
    get, grab, grab_new, try_grab, upgrade, remove, flush, prefetch, fetch_add, apply, hold, let_go,
    get_many, grab_many, update_many, read, read_many,
};
constexpr const char* act_names[] = {"get",       "grab",   "grab_new", "try_grab",
                                     "upgrade",   "remove", "flush",    "prefetch",
                                     "fetch_add", "apply",  "hold",     "let_go",
                                     "get_many", "grab_many", "update_many",
                                     "read", "read_many"};

struct Command {
    Act act;
    std::uint32_t node;
    std::uint32_t set;
    std::uint32_t object;   // within the set
};

std::ostream& operator<<(std::ostream& out, const Command& command) {
    return out << act_names[static_cast<std::size_t>(command.act)] << " on node " << command.node
               << " of object " << command.object << " of set " << command.set;
}

rc::Gen<Command> a_command() {
    return rc::gen::build<Command>(
        rc::gen::set(&Command::act, rc::gen::map(rc::gen::inRange(0, 17),
                                                 [](int i) { return static_cast<Act>(i); })),
        rc::gen::set(&Command::node, rc::gen::inRange(0u, nodes)),
        rc::gen::set(&Command::set, rc::gen::inRange(0u, 6u)),
        rc::gen::set(&Command::object, rc::gen::inRange(0u, objects_per_set)));
}

Options three_nodes() {
    Options options;
    options.nodes = nodes;
    options.visits = false;   // so that who grabbed an object last has it
    options.objects = objects_per_set;
    options.sequential = true;
    return options;
}

// The shipped function: replaces the value, replies with what it was.
Result<void> replace(kddm::ObjectView& object, std::span<const std::byte> arguments,
                     std::vector<std::byte>& reply) {
    std::uint64_t value = 0;
    std::memcpy(&value, arguments.data(), sizeof(value));
    const std::uint64_t before = value_of(object.bytes()).value_or(UINT64_MAX);
    const auto* first = reinterpret_cast<const std::byte*>(&before);
    reply.assign(first, first + sizeof(before));
    if (object.bytes().size() != 64 && object.bytes().size() != 16384 &&
        object.bytes().size() != 48 && object.bytes().size() != 32)
        SSI_TRY(object.resize(variable_length(value)));
    fill(object.bytes(), value);
    return {};
}

class Session {
public:
    explicit Session(std::uint64_t seed)
        : options_(three_nodes()), catalog_(options_), world_(options_, seed, catalog_) {
        world_.open_sets([](std::uint32_t, kddm::Engine& engine) {
            engine.register_function("replace", kddm::Run::inline_in_handler, replace);
            engine.register_placement(Catalog::placement_name, &Catalog::place_by_low_bits);
        });
        RC_ASSERT(!world_.verdict.failed());
    }

    void run(const Command& command);
    void finish();

private:
    struct Held {
        std::uint32_t object;
        std::uint32_t node;
        bool write;
        bool acquired = false;
        bool wanted = false;   // by try_grab elsewhere: new readers come after what that began
        sys::WaitCell end;
    };
    // Starts the body on the node. What it throws (a failed RC_ASSERT) must not leave the fiber: it
    // is thrown again by settle().
    void start(std::uint32_t node, std::function<void()> body) {
        world_.on_node(node, [this, body = std::move(body)] {
            try {
                body();
            } catch (...) {
                thrown_ = std::current_exception();
            }
        });
    }
    void settle() {
        world_.run();
        if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
        RC_ASSERT(!world_.verdict.failed());
    }
    // Runs the body on the node and lets the world come to rest.
    void on(std::uint32_t node, std::function<void()> body) {
        bool ended = false;
        start(node, [&] {
            body();
            ended = true;
        });
        settle();
        RC_ASSERT(ended);
    }
    bool counter(std::uint32_t object) const {
        return catalog_.plan_of(object).use == Use::counter;
    }
    bool variable(std::uint32_t object) const {
        return catalog_.plan_of(object).options.kind == kddm::ObjectKind::variable;
    }
    std::uint64_t read(std::uint32_t object, std::span<const std::byte> bytes) const {
        if (!counter(object)) return value_of(bytes).value_or(UINT64_MAX);
        std::uint64_t value = 0;
        std::memcpy(&value, bytes.data(), sizeof(value));
        return value;
    }
    void write(std::uint32_t object, kddm::RawGuard& guard) {
        const std::uint64_t value = ++last_value_;
        if (counter(object)) {
            std::memcpy(guard.writable().data(), &value, sizeof(value));
        } else {
            if (variable(object)) RC_ASSERT(guard.resize(variable_length(value)));
            fill(guard.writable(), value);
        }
        model_[object] = value;
    }
    void exclusive(const Command& command, std::uint32_t object);
    void ship(const Command& command, std::uint32_t object);
    void hold(const Command& command, std::uint32_t object);
    void many(const Command& command);
    void update_many(const Command& command);
    void snapshot(const Command& command, std::uint32_t object);
    void let_go();
    bool blocked_by_holder(const Command& command, std::uint32_t object);

    Options options_;
    Catalog catalog_;
    World world_;
    std::map<std::uint32_t, std::uint64_t> model_;
    std::map<std::uint32_t, std::uint64_t> versions_;   // as reads saw them
    std::uint64_t last_value_ = 1000;
    std::unique_ptr<Held> held_;
    std::exception_ptr thrown_;
};

// While a task on some node holds the object, what would wait for it is not tried; what would not
// wait must say so.
bool Session::blocked_by_holder(const Command& command, std::uint32_t object) {
    if (!held_ || held_->object != object) return false;
    auto& set = world_.set_at(command.node, object);
    const ObjectId id = catalog_.id_of(object);
    const bool only_looks =
        command.act == Act::get || command.act == Act::read || command.act == Act::read_many;
    if (only_looks && !held_->write) return held_->wanted;
    if (command.act == Act::try_grab) {
        held_->wanted = true;
        on(command.node, [&] {
            auto guard = set.try_grab(id);
            RC_ASSERT(!guard && guard.error().code == Errc::would_block);
        });
    }
    if (command.act == Act::flush && command.node == held_->node)
        on(command.node, [&] { (void)set.flush(id); });
    return true;
}

void Session::exclusive(const Command& command, std::uint32_t object) {
    auto& set = world_.set_at(command.node, object);
    const ObjectId id = catalog_.id_of(object);
    const bool renew = command.act == Act::grab_new;
    auto guard = renew                            ? set.grab_new(id)
                 : command.act == Act::try_grab   ? set.try_grab(id)
                 : command.act == Act::upgrade    ? set.get(id)
                                                  : set.grab(id);
    RC_ASSERT(guard);
    if (command.act == Act::upgrade) {
        RC_ASSERT(guard->upgrade());
    }
    RC_ASSERT(read(object, guard->bytes()) == (renew ? 0 : model_[object]));
    if (variable(object) && renew) RC_ASSERT(guard->bytes().empty());
    write(object, *guard);
    if (counter(object)) {   // in place, as this task holds it
        const auto before = set.fetch_add(id, std::uint64_t{1});
        RC_ASSERT(before && *before == model_[object]);
        ++model_[object];
    }
    RC_ASSERT(guard->put());
    if (catalog_.plan_of(object).options.coherence == kddm::Coherence::coherent)
        RC_ASSERT(set.find(id) == kddm::Access::write);
}

// Which atomic operation, follows from the operand; unsigned and signed numbers differ in min, max.
template <class N>
std::uint64_t act_on(kddm::RawSet& set, ObjectId id, std::uint64_t operand, std::uint64_t now) {
    const N n = static_cast<N>(operand);
    const N expected = static_cast<N>(operand % 2 ? now : now + 1);
    const auto before = [&]() -> Result<kddm::Wide<N>> {
        switch (operand % 5) {
            case 0: return set.fetch_add(id, n);
            case 1: return set.fetch_min(id, n);
            case 2: return set.fetch_max(id, n);
            case 3: return set.exchange(id, n);
            default: return set.compare_exchange(id, expected, n);
        }
    }();
    RC_ASSERT(before);
    return static_cast<std::uint64_t>(*before);
}
template <class N>
std::uint64_t acted_on(std::uint64_t operand, std::uint64_t now) {
    const N n = static_cast<N>(operand), was = static_cast<N>(now);
    switch (operand % 5) {
        case 0: return now + operand;
        case 1: return static_cast<std::uint64_t>(std::min(was, n));
        case 2: return static_cast<std::uint64_t>(std::max(was, n));
        case 3: return operand;
        default: return operand % 2 ? operand : now;   // expected what is there, or did not
    }
}

void Session::ship(const Command& command, std::uint32_t object) {
    auto& set = world_.set_at(command.node, object);
    const ObjectId id = catalog_.id_of(object);
    if (counter(object)) {
        const std::uint64_t operand = ++last_value_;
        std::uint64_t& now = model_[object];
        const auto before = operand % 3 ? act_on<std::uint64_t>(set, id, operand, now)
                                        : act_on<std::int64_t>(set, id, 0 - operand, now);
        RC_ASSERT(before == now);
        now = operand % 3 ? acted_on<std::uint64_t>(operand, now)
                          : acted_on<std::int64_t>(0 - operand, now);
        return;
    }
    const std::uint64_t value = ++last_value_;
    auto reply = set.apply(id, "replace", std::as_bytes(std::span(&value, 1)));
    std::uint64_t before = 0;
    RC_ASSERT(reply && reply->size() == sizeof(before));
    std::memcpy(&before, reply->data(), sizeof(before));
    RC_ASSERT(before == model_[object]);
    model_[object] = value;
}

// All objects of the set but the one that is held, the last first and the first again.
void Session::many(const Command& command) {
    const SetPlan& plan = catalog_.sets()[command.set];
    std::vector<std::uint32_t> objects;
    for (std::uint32_t i = plan.objects; i > 0; --i) objects.push_back(plan.first + i - 1);
    objects.push_back(plan.first);
    std::erase_if(objects, [&](std::uint32_t o) { return held_ && held_->object == o; });
    std::vector<ObjectId> ids;
    for (const std::uint32_t o : objects) ids.push_back(catalog_.id_of(o));
    auto& set = world_.set_at(command.node, plan.first);
    const bool grabs = command.act == Act::grab_many;
    auto guards = grabs ? set.grab_many(ids) : set.get_many(ids);
    RC_ASSERT(guards && guards->size() == ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
        RC_ASSERT((*guards)[i].id() == ids[i]);
        RC_ASSERT(read(objects[i], guards->bytes(i)) == model_[objects[i]]);
        if (grabs) write(objects[i], (*guards)[i]);
    }
    RC_ASSERT(guards->put());
}

// A word of each object that is a number, twice; an empty list where none is.
void Session::update_many(const Command& command) {
    const SetPlan& plan = catalog_.sets()[command.set];
    std::vector<kddm::Update> updates;
    std::vector<std::uint32_t> objects;
    for (std::uint32_t i = 0; i < 2 * plan.objects; ++i) {
        const std::uint32_t object = plan.first + i / 2;
        if (!counter(object) || (held_ && held_->object == object)) continue;
        updates.push_back({catalog_.id_of(object), ++last_value_, 0});
        objects.push_back(object);
    }
    std::vector<std::uint64_t> before(updates.size());
    RC_ASSERT(world_.set_at(command.node, plan.first)
                  .update_many(kddm::AtomicOp::add, kddm::NumberKind::uint64, updates, before));
    for (std::size_t i = 0; i < updates.size(); ++i) {
        RC_ASSERT(before[i] == model_[objects[i]]);
        model_[objects[i]] += updates[i].operand;
    }
}

// A copy, a part of one, and, by read_many, one beside others; none leaves a guard or a copy
// behind, and no version goes back.
void Session::snapshot(const Command& command, std::uint32_t object) {
    auto& set = world_.set_at(command.node, object);
    const ObjectId id = catalog_.id_of(object);
    const kddm::Access before = set.find(id);
    Result<kddm::RawSnapshot> seen = kddm::RawSnapshot{};
    if (command.act == Act::read) {
        seen = set.read(id);
    } else {
        const ObjectId ids[] = {id, id};
        auto both = set.read_many(ids);
        RC_ASSERT(both && both->size() == 2u && (*both)[0].bytes == (*both)[1].bytes);
        seen = std::move((*both)[1]);
    }
    RC_ASSERT(seen && read(object, seen->bytes) == model_[object]);
    RC_ASSERT(seen->version >= versions_[object]);
    versions_[object] = seen->version;
    const std::size_t length = seen->bytes.size();
    const auto part = set.read(id, length / 3, length / 2);
    RC_ASSERT(part && std::equal(part->bytes.begin(), part->bytes.end(),
                                 seen->bytes.begin() + static_cast<std::ptrdiff_t>(length / 3)));
    RC_ASSERT(part->version == seen->version);
    const auto beyond = set.read(id, length, 1);
    RC_ASSERT(!beyond && beyond.error().code == Errc::invalid_argument);
    const bool home = set.home(id) == world_.id_of(command.node);
    RC_ASSERT(home || set.find(id) == before);
}

void Session::hold(const Command& command, std::uint32_t object) {
    if (held_) return let_go();
    held_ = std::make_unique<Held>();
    held_->object = object;
    held_->node = command.node;
    held_->write = command.object % 2 == 0;
    start(command.node, [this, object, held = held_.get()] {
        auto& set = world_.set_at(held->node, object);
        auto guard =
            held->write ? set.grab(catalog_.id_of(object)) : set.get(catalog_.id_of(object));
        RC_ASSERT(guard);
        RC_ASSERT(read(object, guard->bytes()) == model_[object]);
        held->acquired = true;
        world_.waiter.wait(held->end);
        RC_ASSERT(read(object, guard->bytes()) == model_[object]);
        if (held->write) write(object, *guard);
        RC_ASSERT(guard->put());
    });
    settle();
    RC_ASSERT(held_->acquired);
}

void Session::let_go() {
    if (!held_) return;
    on(held_->node, [this] { world_.waiter.notify(held_->end); });
    held_.reset();
}

void Session::run(const Command& command) {
    const SetPlan& plan = catalog_.sets()[command.set];
    const std::uint32_t object = plan.first + command.object % plan.objects;
    if (blocked_by_holder(command, object)) return;
    auto& set = world_.set_at(command.node, object);
    const ObjectId id = catalog_.id_of(object);
    switch (command.act) {
        case Act::get:
            return on(command.node, [&] {
                auto guard = set.get(id);
                RC_ASSERT(guard && read(object, guard->bytes()) == model_[object]);
            });
        case Act::grab:
        case Act::grab_new:
        case Act::try_grab:
        case Act::upgrade: return on(command.node, [&] { exclusive(command, object); });
        case Act::remove:
            return on(command.node, [&] {
                RC_ASSERT(set.remove(id));
                model_[object] = 0;
            });
        case Act::flush:
            return on(command.node, [&] {
                RC_ASSERT(set.flush(id));
                RC_ASSERT(set.sync());
                const bool home = set.home(id) == world_.id_of(command.node);
                RC_ASSERT(home || set.find(id) == kddm::Access::none);
            });
        case Act::prefetch:
            on(command.node, [&] { RC_ASSERT(set.prefetch(id)); });
            // An object that was never touched is not born by a prefetch at its home.
            RC_ASSERT(plan.options.coherence == kddm::Coherence::home ||
                      set.home(id) == world_.id_of(command.node) ||
                      set.find(id) != kddm::Access::none);
            return;
        case Act::fetch_add:
        case Act::apply: return on(command.node, [&] { ship(command, object); });
        case Act::get_many:
        case Act::grab_many: return on(command.node, [&] { many(command); });
        case Act::read:
        case Act::read_many: return on(command.node, [&] { snapshot(command, object); });
        case Act::update_many: return on(command.node, [&] { update_many(command); });
        case Act::hold: return hold(command, object);
        case Act::let_go: return let_go();
    }
}

// Every node sees what the model says; then the world is taken down, which must leave nothing.
void Session::finish() {
    let_go();
    for (std::uint32_t node = 0; node < nodes; ++node)
        for (std::uint32_t object = 0; object < catalog_.object_count(); ++object)
            on(node, [&] {
                auto guard = world_.set_at(node, object).get(catalog_.id_of(object));
                RC_ASSERT(guard && read(object, guard->bytes()) == model_[object]);
            });
    world_.coherence.look_at_rest();
    world_.close();
    RC_ASSERT(!world_.verdict.failed());
}

RC_GTEST_PROP(VerbsProperty, act_as_one_map_would, (std::uint64_t seed)) {
    const auto commands = *rc::gen::container<std::vector<Command>>(a_command());
    Session session(seed);
    for (const Command& command : commands) session.run(command);
    session.finish();
}

}  // namespace
}  // namespace ssi::model
