// SPDX-License-Identifier: BSD-3-Clause
#include "sync_hub.hpp"

#include <xxhash.h>

#include <exception>

#include "barrier_machine.hpp"
#include "channel_machine.hpp"
#include "lock_machine.hpp"
#include "share_machine.hpp"
#include "ssi/base/assert.hpp"

namespace ssi::kddm::sync {
namespace {

constexpr const char* plant_names[] = {
    "none",          "lock_for_two",       "lock_never_passed", "writer_beside_reader",
    "early_barrier", "lost_wakeup",        "channel_duplicates", "channel_loses",
    "channel_reorders", "channel_overfills",
};
constexpr const char* kind_names[] = {"?",         "mutex",   "shared mutex",
                                      "condition", "barrier", "channel"};
constexpr std::size_t most_payload_bytes = 128u << 20;

const char* kind_name(Kind kind) { return kind_names[static_cast<unsigned>(kind)]; }

std::unique_ptr<Machine> make_machine(const Place& place) {
    switch (static_cast<Kind>(place.id.hi)) {
        case Kind::mutex: return std::make_unique<LockMachine>(place);
        case Kind::shared_mutex: return std::make_unique<ShareMachine>(place);
        case Kind::condition: return std::make_unique<ConditionMachine>(place);
        case Kind::barrier: return std::make_unique<BarrierMachine>(place);
        default: return std::make_unique<ChannelMachine>(place);
    }
}

// Bytes that the transport reads until it releases them.
void release_payload(void* bytes) { delete static_cast<std::vector<std::byte>*>(bytes); }

}  // namespace

const char* plant_name(Plant plant) { return plant_names[static_cast<unsigned>(plant)]; }

std::vector<Plant> all_plants() {
    std::vector<Plant> plants;
    for (unsigned i = 1; i < std::size(plant_names); ++i) plants.push_back(static_cast<Plant>(i));
    return plants;
}

std::string_view name_of(const Object& object) { return object.name; }
NodeId home_of(const Object& object) { return object.place.home; }

ObjectId id_of(Kind kind, std::string_view name) {
    return {static_cast<std::uint64_t>(kind), XXH3_64bits(name.data(), name.size())};
}

Hub::Impl::Impl(node::Node& node_, Plant plant_)
    : node(node_), slots(node.slot_table()), plant(plant_), self(node.id()),
      log(node.doors().log), waiter(node.doors().waiter), clock(node.doors().clock),
      cut_gate(node) {
    node.attach(node::ChannelId::sync, this);
}

Hub::Hub(node::Node& node, Plant plant) : impl_(std::make_unique<Impl>(node, plant)) {}

Hub::~Hub() {
    if (impl_->node.any_lost() || std::uncaught_exceptions() != 0) return;
    for (const auto& [id, object] : impl_->objects) {
        std::lock_guard lock(object->mutex);
        SSI_ASSERT(!object->machine->held(), "the session ends while a task of this node holds a "
                                             "mutex: unlock it before closing the session");
    }
}

Object& Hub::mutex(std::string_view name) { return impl_->open(Kind::mutex, name); }
Object& Hub::shared_mutex(std::string_view name) { return impl_->open(Kind::shared_mutex, name); }
Object& Hub::condition(std::string_view name) { return impl_->open(Kind::condition, name); }

Object& Hub::Impl::open(Kind kind, std::string_view name) {
    Object& object = find_or_make(id_of(kind, name));
    std::lock_guard lock(object.mutex);
    SSI_ASSERT(object.name.empty() || object.name == name,
               "two names of synchronisation objects have the same hash: rename one of them");
    if (object.name.empty()) object.name = name;
    return object;
}

Object& Hub::Impl::find_or_make(ObjectId id) {
    std::lock_guard lock(mutex);
    auto& object = objects[id];
    if (object) return *object;
    const auto slot = static_cast<std::uint32_t>(mix64(id.lo + id.hi) % slots.size());
    const Place place{id, self, slots.at(SlotId(slot)).node, plant};
    object.reset(new Object{*this, place, {}, {}, make_machine(place)});
    // Born after a loss, it learns of it like all others: nobody waits for it yet.
    Outbox nobody;
    for (const NodeId lost : dead) object->machine->lose(lost, nobody);
    return *object;
}

void Hub::Impl::deliver_here(Object& object, Outbox& out) {
    for (std::size_t i = 0; i < out.items.size(); ++i) {
        if (out.items[i].to != self) continue;
        const Outbox::Item item = std::move(out.items[i]);
        out.items[i].to = no_node;
        object.machine->receive(self, item.message, item.payload, out);
    }
}

void Hub::Impl::carry_out(Outbox& out) {
    for (Outbox::Item& item : out.items) {
        if (item.to == no_node) continue;
        net::Payload payload{item.payload.data(), item.payload.size(), nullptr, nullptr};
        if (payload.length > net::max_copied_payload) {
            auto* lent = new std::vector<std::byte>(std::move(item.payload));
            payload = {lent->data(), lent->size(), &release_payload, lent};
        }
        count(item.to, item.message, true);   // before it can be received
        const auto sent =
            node.send(item.to, std::as_writable_bytes(std::span(&item.message, 1)), payload);
        // Of a dead node the machines hear by themselves.
        if (!sent && sent.error().code != Errc::peer_lost)
            SSI_LOG(log, error, "sync", "message {} to node {} not sent: {}",
                    item.message.header.kind, item.to.value, sent.error().to_string());
    }
    for (Waiter* w : out.done) {
        if (w->also) waiter.notify(*w->also);
        waiter.notify(w->cell);
    }
}

std::byte* Hub::Impl::on_large(NodeId, std::span<const std::byte>, std::size_t length) {
    if (length > most_payload_bytes) return nullptr;
    return new (std::nothrow) std::byte[length];
}

void Hub::Impl::on_large_failed(NodeId, std::byte* memory) {
    std::unique_ptr<std::byte[]>{memory};
}

void Hub::Impl::on_message(NodeId from, std::span<const std::byte> header,
                           std::span<std::byte> payload, bool owned) {
    std::unique_ptr<std::byte[]> memory(owned ? payload.data() : nullptr);
    Message m;
    if (!decode(header, payload.size(), m)) {
        SSI_LOG(log, error, "sync", "malformed message of {} bytes and {} of payload from node {}",
                header.size(), payload.size(), from.value);
        return;
    }
    Object& object = find_or_make(m.id());
    step(object, [&](Outbox& out) { object.machine->receive(from, m, payload, out); });
    count(from, m, false);   // after what it led to was sent
}

void Hub::Impl::on_node_lost(NodeId lost) {
    std::vector<Object*> all;
    {
        std::lock_guard lock(mutex);
        dead.push_back(lost);
        for (const auto& [id, object] : objects) all.push_back(object.get());
    }
    {
        std::lock_guard lock(traffic_mutex);
        traffic.erase(lost);
    }
    for (Object* object : all)
        step(*object, [&](Outbox& out) { object->machine->lose(lost, out); });
}

node::WaitDescription ObjectWait::describe() const {
    const Kind kind = static_cast<Kind>(object_.place.id.hi);
    node::WaitDescription what;
    what.verb = fmt::format("{} of {} '{}'", verb_, kind_name(kind), object_.name);
    what.home = object_.place.home;
    return what;
}

Result<void> result_of(const Object& object, const Waiter& w) {
    const char* kind = kind_name(static_cast<Kind>(object.place.id.hi));
    switch (w.outcome) {
        case Errc::ok: return {};
        case Errc::would_block:
            return fail(w.outcome, fmt::format("{} '{}': it would have to wait", kind,
                                               object.name));
        case Errc::timed_out:
            return fail(w.outcome, fmt::format("{} '{}': the time limit passed", kind,
                                               object.name));
        case Errc::peer_lost:
            return fail(w.outcome,
                        fmt::format("{} '{}': node {} is dead, which {}", kind, object.name,
                                    w.fault.value,
                                    w.fault == object.place.home ? "kept it"
                                                                 : "had it or may be waited for"),
                        w.fault);
        case Errc::cancelled:
            return fail(w.outcome, fmt::format("{} '{}' is closed", kind, object.name));
        default:
            return fail(w.outcome,
                        fmt::format("{} '{}': opened here with other options than elsewhere ({}); "
                                    "use the same on every node", kind, object.name, w.value));
    }
}

}  // namespace ssi::kddm::sync
