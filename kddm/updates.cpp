// SPDX-License-Identifier: BSD-3-Clause
// RawUpdates: buffers per home, batches under way, and update_many on top of them.
#include "ssi/kddm/updates.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <deque>

#include "engine_impl.hpp"
#include "ssi/base/assert.hpp"

namespace ssi::kddm {

namespace {

constexpr std::size_t most_lanes = 256;         // buffers of 8 KiB
constexpr std::size_t most_under_way = 32;      // batches that are not answered yet
constexpr std::size_t lane_slots = 2 * most_lanes;
constexpr std::size_t known_slots = 256;
constexpr int polls_per_batch = 4;

// What waits to be sent to one home.
struct Lane {
    NodeId home = no_node;
    std::uint32_t slot_version = 0;
    std::uint32_t count = 0;
    bool wide = false;
    bool results = false;
    std::vector<std::uint64_t*> before;   // one an element, once the first is wanted
    std::array<std::byte, net::max_copied_payload> bytes;
};

// Where an object that was added to lately goes: valid while the lane's home stays.
struct Known {
    ObjectId id{UINT64_MAX, UINT64_MAX};
    Lane* lane = nullptr;
    std::uint32_t slot_version = 0;
};

// A batch that is not answered yet. Its place in memory is known to the engine.
struct Flight {
    Rpc rpc;
    std::vector<std::uint64_t*> before;
};

}  // namespace

struct RawUpdates::Impl {
    Engine::Impl& engine;
    SetState& set;
    AtomicOp op;
    NumberKind kind;
    std::vector<std::unique_ptr<Lane>> lanes;
    std::array<std::uint16_t, lane_slots> lane_of{};   // 1 + place in `lanes`, by home
    std::array<Known, known_slots> known{};
    std::size_t victim = 0;
    std::uint32_t length = set.fixed_length() ? set.fixed_length() : max_object_bytes;
    std::deque<std::unique_ptr<Flight>> under_way;
    Result<void> failed;
    ObjectId smallest{UINT64_MAX, UINT64_MAX};          // of what is not answered yet
    bool fetched = false;                               // something that is not answered yet

    Result<void> add(ObjectId id, std::uint64_t operand, std::uint32_t offset,
                     std::uint64_t* before);
    Result<bool> add_held(ObjectId id, std::uint64_t operand, std::uint32_t offset,
                          std::uint64_t* before);
    Result<Lane*> lane(NodeId home);
    bool must_wait(const Lane& lane, bool results) const;
    void send(Lane& lane);
    Result<void> send_in_order(Lane& lane);
    Result<void> may_wait() const;
    void wait_oldest();
    void finish();
    Result<void> flush();
};

// The buffer for a home: its own, a new one, or one taken from another home.
Result<Lane*> RawUpdates::Impl::lane(NodeId home) {
    std::size_t at = mix64(home.value) & (lane_slots - 1);
    for (; lane_of[at]; at = (at + 1) & (lane_slots - 1))
        if (lanes[lane_of[at] - 1u]->home == home) return lanes[lane_of[at] - 1u].get();
    if (lanes.size() < most_lanes) {
        lanes.push_back(std::make_unique<Lane>());
        lanes.back()->home = home;
        lane_of[at] = static_cast<std::uint16_t>(lanes.size());
        return lanes.back().get();
    }
    Lane& taken = *lanes[victim];
    if (taken.count) SSI_TRY(send_in_order(taken));
    victim = (victim + 1) % most_lanes;
    taken.home = home;
    known.fill({});
    lane_of.fill(0);
    for (std::size_t i = 0; i < lanes.size(); ++i) {
        std::size_t slot = mix64(lanes[i]->home.value) & (lane_slots - 1);
        while (lane_of[slot]) slot = (slot + 1) & (lane_slots - 1);
        lane_of[slot] = static_cast<std::uint16_t>(i + 1);
    }
    return &taken;
}

// Messages overtake each other. Where that would show, in what is fetched or in what the last
// exchange leaves, a batch follows the answers to those that its home has been sent.
bool RawUpdates::Impl::must_wait(const Lane& lane, bool results) const {
    if (op != AtomicOp::exchange && !fetched && !results) return false;
    return std::any_of(under_way.begin(), under_way.end(),
                       [&](const auto& flight) { return flight->rpc.to == lane.home; });
}

Result<void> RawUpdates::Impl::send_in_order(Lane& lane) {
    while (must_wait(lane, lane.results)) {
        SSI_TRY(may_wait());
        wait_oldest();
    }
    send(lane);
    return {};
}

// Waits for nobody, but at a closed gate.
void RawUpdates::Impl::send(Lane& lane) {
    const Engine::Impl::Entrance entrance(engine, set);
    auto& flight = *under_way.emplace_back(std::make_unique<Flight>());
    Message m = make_message(Kind::update, set.id, 0, no_txn, engine.self);
    m.header.flags = static_cast<std::uint16_t>(
        static_cast<unsigned>(op) << flag::atomic_op_shift |
        static_cast<unsigned>(kind) << flag::number_kind_shift |
        (lane.results ? flag::results : 0u) | (lane.wide ? flag::wide : 0u));
    m.acks = std::exchange(lane.count, 0);
    m.slot_version = lane.slot_version;
    flight.before = std::exchange(lane.before, {});
    m.txn = engine.new_rpc(flight.rpc, lane.home, set.id);
    const std::span<const std::byte> bytes{lane.bytes.data(), m.acks * element_bytes(lane.wide)};
    lane.wide = lane.results = false;
    if (lane.home == engine.self) return engine.receive_updates(set, m, bytes);
    if (!engine.node.lost(lane.home)) {
        engine.send_bytes(lane.home, m, bytes);
        // Whoever only adds would leave what is under way, and what others sent here, lying.
        net::Transport& transport = engine.node.doors().transport;
        for (int i = 0; i < polls_per_batch && transport.poll(); ++i) {
        }
        return;
    }
    Message e = make_message(Kind::error, m.set_id(), 0, TxnId(m.txn), lane.home);
    e.acks = static_cast<std::uint32_t>(Errc::peer_lost);
    engine.complete_rpc(e, {});
}

// To wait is to want all objects at once, so the smallest must come after what the task holds.
Result<void> RawUpdates::Impl::may_wait() const {
    const Held& held = Held::of_task();
    if (held.empty() || under_way.empty()) return {};
    return engine.check_order(set, smallest, held);
}

void RawUpdates::Impl::wait_oldest() {
    Flight& flight = *under_way.front();
    engine.wait_answered(flight.rpc);
    const Rpc& rpc = flight.rpc;
    if (rpc.error != Errc::ok) {
        std::string text(reinterpret_cast<const char*>(rpc.bytes.data()), rpc.bytes.size());
        if (text.empty()) text = fmt::format("updates sent to node {} failed", rpc.to.value);
        if (failed) failed = fail(rpc.error, std::move(text), rpc.fault);
    } else {
        for (std::size_t i = 0; i < flight.before.size() && (i + 1) * 8 <= rpc.bytes.size(); ++i)
            if (flight.before[i]) std::memcpy(flight.before[i], rpc.bytes.data() + i * 8, 8);
    }
    under_way.pop_front();
}

// What this task has grabbed is updated in place: true. What it holds by get, or what comes before
// something that it holds, it must not wait for.
Result<bool> RawUpdates::Impl::add_held(ObjectId id, std::uint64_t operand, std::uint32_t offset,
                                        std::uint64_t* before) {
    Held& held = Held::of_task();
    HeldItem* item = held.find(&set, id);
    if (!item) {
        if (auto ordered = engine.check_order(set, id, held); !ordered)
            return tl::unexpected<Failure>(std::move(ordered).error());
        return false;
    }
    if (!item->write)
        return fail(Errc::deadlock, "the update needs its object exclusively, but this task holds "
                                    "it: let go first");
    Message m = make_message(Kind::atomic, set.id, id, no_txn, engine.self);
    m.header.flags = static_cast<std::uint16_t>(
        static_cast<unsigned>(op) << flag::atomic_op_shift |
        static_cast<unsigned>(kind) << flag::number_kind_shift);
    m.version = operand;
    m.acks = offset;
    item->entry->note_change();
    if (auto done = engine.execute_atomic(item->entry->bytes(), m, {}, m); !done)
        return tl::unexpected<Failure>(std::move(done).error());
    if (before) *before = m.version;
    return true;
}

Result<void> RawUpdates::Impl::add(ObjectId id, std::uint64_t operand, std::uint32_t offset,
                                   std::uint64_t* before) {
    SSI_TRY(engine.check_verb(set, id));
    if (offset % 8 != 0 || offset + 8ull > length) [[unlikely]]
        return fail(Errc::invalid_argument,
                    fmt::format("an update at offset {} of an object of {} bytes: needs 8 aligned "
                                "bytes", offset, length));
    if (!Held::of_task().empty()) [[unlikely]] {
        auto in_place = add_held(id, operand, offset, before);
        if (!in_place) return tl::unexpected<Failure>(std::move(in_place).error());
        if (*in_place) return {};
    }
    const auto [home, slot_version] = engine.place_of(set, id);
    auto found = this->lane(home);
    if (!found) return tl::unexpected<Failure>(std::move(found).error());
    Lane& lane = **found;
    const bool wide = !NarrowElement::fits(id);
    const bool fits = lane.wide || !wide;
    if (lane.count && (lane.slot_version != slot_version || !fits)) [[unlikely]]
        SSI_TRY(send_in_order(lane));
    if (lane.count == 0) {
        lane.wide = wide;
        lane.slot_version = slot_version;
    }
    // Refused before it is added: whoever is told of a failure may add it again.
    const bool fills = (lane.count + 2) * element_bytes(lane.wide) > lane.bytes.size();
    if (fills && (under_way.size() >= most_under_way || must_wait(lane, before || lane.results)))
        SSI_TRY(may_wait());
    if (before && !lane.results) {
        fetched = lane.results = true;
        lane.before.assign(lane.count, nullptr);
    }
    if (lane.results) lane.before.push_back(before);
    put_element(lane.bytes.data() + lane.count * element_bytes(lane.wide), lane.wide,
                {id, operand, offset});
    ++lane.count;
    if (id < smallest) smallest = id;
    if (!wide) known[id.lo % known_slots] = {id, &lane, slot_version};
    if (!fills) [[likely]]
        return {};
    while (must_wait(lane, lane.results)) wait_oldest();
    send(lane);
    while (under_way.size() > most_under_way) wait_oldest();
    return {};
}

void RawUpdates::Impl::finish() {
    while (!under_way.empty()) wait_oldest();
    smallest = {UINT64_MAX, UINT64_MAX};
    fetched = false;
}

Result<void> RawUpdates::Impl::flush() {
    for (auto& lane : lanes)
        if (lane->count) SSI_TRY(send_in_order(*lane));
    SSI_TRY(may_wait());
    finish();
    return std::exchange(failed, {});
}

RawUpdates::RawUpdates(const RawSet& set, AtomicOp op, NumberKind kind)
    : impl_(new Impl{set.engine_->impl(), *set.set_, op, kind}) {
    SSI_ASSERT(op != AtomicOp::compare_exchange,
               "updates add, take the minimum or maximum, or exchange: use compare_exchange()");
}
RawUpdates::RawUpdates(RawUpdates&&) noexcept = default;

RawUpdates::~RawUpdates() {
    if (!impl_) return;
    Result<void> done = impl_->flush();
    if (!done && !impl_->under_way.empty()) {
        SSI_ASSERT(false, "updates of smaller objects than this task holds must be flushed before "
                          "they are wanted: flush(), or let go first");
    }
    if (!done) impl_->set.fail_later(std::move(done).error());
}

// Of the checks of add(), those that an object can fail that has passed them before.
bool RawUpdates::try_add(ObjectId id, std::uint64_t operand, std::uint32_t offset) {
    Impl& impl = *impl_;
    const Known& known = impl.known[id.lo % known_slots];
    if (known.id != id || offset % 8 != 0 || offset + 8ull > impl.length) [[unlikely]]
        return false;
    Lane& lane = *known.lane;
    // An empty lane learns its slot's version from add(), and a full one is sent by it.
    const std::size_t at = lane.count * sizeof(NarrowElement);
    const bool room = lane.count != 0 && at + 2 * sizeof(NarrowElement) <= lane.bytes.size();
    if (!room || lane.slot_version != known.slot_version || lane.wide || lane.results ||
        !Held::of_task().empty() ||
        (impl.set.control.load(std::memory_order_relaxed) & control::stops)) [[unlikely]]
        return false;
    put_element(lane.bytes.data() + at, false, {id, operand, offset});
    ++lane.count;
    if (id < impl.smallest) impl.smallest = id;
    return true;
}

Result<void> RawUpdates::add(ObjectId id, std::uint64_t operand, std::uint32_t offset) {
    return impl_->add(id, operand, offset, nullptr);
}

Result<void> RawUpdates::fetch(ObjectId id, std::uint64_t operand, std::uint32_t offset,
                               std::uint64_t* before) {
    return impl_->add(id, operand, offset, before);
}

Result<void> RawUpdates::flush() { return impl_->flush(); }

Result<void> RawSet::update_many(AtomicOp op, NumberKind kind, std::span<const Update> updates,
                                 std::span<std::uint64_t> before) {
    if (op == AtomicOp::compare_exchange || (!before.empty() && before.size() != updates.size()))
        return ssi::fail(Errc::invalid_argument,
                         op == AtomicOp::compare_exchange
                             ? "update_many: compare_exchange needs an answer: use it by itself"
                             : "update_many: there must be room for one result an update");
    auto& impl = engine_->impl();
    Held& held = Held::of_task();
    const std::uint32_t length =
        set_->fixed_length() ? set_->fixed_length() : max_object_bytes;
    for (const Update& u : updates) {   // before any is executed
        SSI_TRY(impl.check_verb(*set_, u.id));
        if (!held.empty() && !held.find(set_, u.id)) SSI_TRY(impl.check_order(*set_, u.id, held));
        if (u.offset % 8 != 0 || u.offset + 8ull > length)
            return ssi::fail(Errc::invalid_argument,
                             fmt::format("update_many: offset {} of object {}:{} of {} bytes: "
                                         "needs 8 aligned bytes", u.offset, u.id.hi, u.id.lo,
                                         length));
    }
    RawUpdates buffer(*this, op, kind);
    Result<void> added;
    for (std::size_t i = 0; i < updates.size() && added; ++i)
        added = buffer.fetch(updates[i].id, updates[i].operand, updates[i].offset,
                             before.empty() ? nullptr : &before[i]);
    Result<void> flushed = buffer.flush();
    return added ? std::move(flushed) : std::move(added);
}

}  // namespace ssi::kddm
