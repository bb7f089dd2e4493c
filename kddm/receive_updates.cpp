// SPDX-License-Identifier: BSD-3-Clause
// Updates at their home. A batch runs in the handler: each object is looked up and pinned once, the
// words it is about are fetched ahead, and nothing locks. Objects that are not free are left to
// operations that wait for them, as single atomics do.
#include <fmt/format.h>

#include <array>
#include <mutex>

#include "engine_impl.hpp"

namespace ssi::kddm {

using Impl = Engine::Impl;

namespace {

constexpr std::size_t table_slots = 2 * most_elements;
constexpr std::size_t recent_slots = 64;   // objects found without hashing
constexpr std::size_t words_ahead = 32;    // fetched before they are needed
static_assert((table_slots & (table_slots - 1)) == 0);

// An object of the batch.
struct Pinned {
    Entry* entry;                   // null: not free, see Impl::defer
    std::byte* bytes;
    std::uint32_t length;
    ObjectId id;
    std::uint64_t hash;
};

// What a handler needs for one batch; too much for a handler's stack.
struct Scratch {
    std::array<std::uint16_t, table_slots> table;   // 1 + place in `objects`
    std::array<std::uint16_t, recent_slots> recent; // the same, by the lowest bits of the id
    std::array<std::uint16_t, most_elements> object_of;
    std::array<Pinned, most_elements> objects;
    std::size_t count = 0;
    std::size_t object_count = 0;
};

Atomic atomic_of(const Message& m, std::uint64_t operand) {
    const unsigned flags = m.header.flags;
    return {static_cast<AtomicOp>((flags >> flag::atomic_op_shift) & 15),
            static_cast<NumberKind>((flags >> flag::number_kind_shift) & 15), operand, 0};
}

bool known_operation(const Message& m) {
    const Atomic atomic = atomic_of(m, 0);
    return atomic.op < AtomicOp::compare_exchange && atomic.kind <= NumberKind::float64;
}

// The place of `id` among the batch's objects; a new one is looked up at once.
std::uint16_t find_place(Scratch& s, SetState& set, ObjectId id) {
    const std::uint64_t hash = hash_object(set.id, id);
    std::size_t at = hash & (table_slots - 1);
    for (; s.table[at]; at = (at + 1) & (table_slots - 1)) {
        const auto place = static_cast<std::uint16_t>(s.table[at] - 1);
        if (s.objects[place].id == id) return place;
    }
    const auto place = static_cast<std::uint16_t>(s.object_count++);
    s.table[at] = static_cast<std::uint16_t>(place + 1);
    Entry* entry = set.shard(hash).index.find_hint(hash);
    if (entry) __builtin_prefetch(entry, 1);
    s.objects[place] = {entry, nullptr, 0, id, hash};
    return place;
}

inline std::uint16_t object_place(Scratch& s, SetState& set, ObjectId id) {
    std::uint16_t& recent = s.recent[id.lo % recent_slots];
    if (recent && s.objects[recent - 1u].id == id) [[likely]]
        return static_cast<std::uint16_t>(recent - 1);
    const std::uint16_t place = find_place(s, set, id);
    recent = static_cast<std::uint16_t>(place + 1);
    return place;
}

// Pins what is free. The lines of entries and blocks were asked for one loop earlier.
void pin_objects(Impl& impl, Scratch& s, SetState& set) {
    for (std::size_t i = 0; i < s.object_count; ++i)
        if (Entry* entry = s.objects[i].entry) expect_bytes(*entry);
    for (std::size_t i = 0; i < s.object_count; ++i) {
        Pinned& object = s.objects[i];
        Entry* entry = std::exchange(object.entry, nullptr);
        if (!entry || !pin::try_write(entry->word)) continue;
        if (entry->id != object.id) {
            unpin_stranger(set, entry, Access::write);
            continue;
        }
        impl.before_write(set, *entry, false);
        object.entry = entry;
        object.bytes = entry->bytes().data();
        object.length = static_cast<std::uint32_t>(entry->bytes().size());
    }
}

Result<void> out_of_bounds(const Element& e, std::uint32_t length) {
    return fail(Errc::invalid_argument,
                fmt::format("an update at offset {} of object {}:{} of {} bytes: needs 8 aligned "
                            "bytes", e.offset, e.id.hi, e.id.lo, length));
}

// One loop per operator, as the compiler then sees plain arithmetic.
template <bool wide, class F>
void apply_words(Scratch& s, std::span<const std::byte> payload, std::span<std::byte> results,
                 Result<void>& failed, F&& after) {
    for (std::size_t e = 0; e < s.count; ++e) {
        if (e + words_ahead < s.count) {
            const Element ahead = element_at(payload, e + words_ahead, wide);
            __builtin_prefetch(s.objects[s.object_of[e + words_ahead]].bytes + ahead.offset, 1);
        }
        const Pinned& object = s.objects[s.object_of[e]];
        const Element element = element_at(payload, e, wide);
        if (!object.entry) continue;
        if (element.offset + 8ull > object.length) [[unlikely]] {
            if (failed) failed = out_of_bounds(element, object.length);
            continue;
        }
        std::byte* at = object.bytes + element.offset;
        std::uint64_t before;
        std::memcpy(&before, at, 8);
        const std::uint64_t now = after(before, element.operand);
        std::memcpy(at, &now, 8);
        if (!results.empty()) std::memcpy(results.data() + e * 8, &before, 8);
    }
}

template <bool wide>
void apply_batch(Scratch& s, const Message& m, std::span<const std::byte> payload,
                 std::span<std::byte> results, Result<void>& failed) {
    const Atomic atomic = atomic_of(m, 0);
    if (atomic.op == AtomicOp::add && atomic.kind != NumberKind::float64)
        return apply_words<wide>(s, payload, results, failed,
                                 [](std::uint64_t before, std::uint64_t x) { return before + x; });
    apply_words<wide>(s, payload, results, failed,
                      [&](std::uint64_t before, std::uint64_t operand) {
                          return Atomic{atomic.op, atomic.kind, operand, 0}.apply(before);
                      });
}

}  // namespace

void UpdateBatch::note(Result<void>&& failed) {
    if (failed) return;
    std::lock_guard lock(mutex);
    if (result) result = std::move(failed);
}

// Answers as soon as everything is done. `from` may be this node.
void Impl::receive_updates(SetState& set, const Message& m, std::span<const std::byte> payload) {
    const bool wide = m.has(flag::wide);
    std::vector<std::byte> results;
    Message answer = make_message(Kind::reply, m.set_id(), 0, TxnId(m.txn), self);
    answer.acks = m.acks;
    if (!known_operation(m) || m.acks > most_elements ||
        payload.size() != m.acks * element_bytes(wide))
        return answer_operation(m, answer, fail(Errc::bad_message, "malformed updates"), results);
    auto scratch = std::make_unique_for_overwrite<Scratch>();
    Scratch& s = *scratch;
    s.table.fill(0);
    s.recent.fill(0);
    s.count = m.acks;
    s.object_count = 0;
    for (std::size_t e = 0; e < s.count; ++e) {
        const Element element = wide ? element_at(payload, e, true) : element_at(payload, e, false);
        s.object_of[e] = object_place(s, set, element.id);
    }
    for (std::size_t i = 0; i < s.object_count; ++i) {
        if (set.touched) [[unlikely]] learn_touched(set, s.objects[i].id);
        const Place place = place_of(set, s.objects[i].id);
        if (place.home == self && place.slot_version == m.slot_version) continue;
        refused_slots.fetch_add(1, std::memory_order_relaxed);
        return answer_operation(m, answer, fail(Errc::stale_slot, "updates of an object that is at "
                                                                  "home elsewhere"), results);
    }
    if (m.has(flag::results)) results.resize(s.count * 8);
    Result<void> result;
    pin_objects(*this, s, set);
    if (wide)
        apply_batch<true>(s, m, payload, results, result);
    else
        apply_batch<false>(s, m, payload, results, result);
    // Who shares them must not be kept waiting until the batch is answered.
    std::size_t deferred = 0;
    for (std::size_t i = 0; i < s.object_count; ++i) {
        Pinned& object = s.objects[i];
        if (!object.entry) {
            ++deferred;
            continue;
        }
        object.entry->next_version();
        if (pin::must_run(pin::drop(object.entry->word, Access::write)))
            run_unpinned(set, object.id, object.entry);
    }
    if (deferred == 0) return answer_operation(m, answer, result, results);
    auto batch = std::make_shared<UpdateBatch>();
    batch->request = m;
    batch->payload.assign(payload.begin(), payload.end());
    batch->results = std::move(results);
    batch->note(std::move(result));
    std::vector<UpdatePart> parts(s.object_count);
    for (std::size_t e = 0; e < s.count; ++e)
        if (!s.objects[s.object_of[e]].entry)
            parts[s.object_of[e]].elements.push_back(static_cast<std::uint32_t>(e));
    for (std::size_t i = 0; i < s.object_count; ++i)
        if (!parts[i].elements.empty())
            defer(set, batch, s.objects[i].id, std::move(parts[i].elements));
    finish_part(*batch);
}

// Elements whose object is held, or elsewhere, or not born yet.
void Impl::defer(SetState& set, const std::shared_ptr<UpdateBatch>& batch, ObjectId id,
                 std::vector<std::uint32_t> elements) {
    if (options.plant == Plant::update_twice) elements.push_back(elements.back());
    batch->missing.fetch_add(1, std::memory_order_relaxed);
    auto* operation = new Operation;
    operation->request = batch->request;
    operation->request.hi = id.hi;
    operation->request.lo = id.lo;
    operation->part = std::make_unique<UpdatePart>(UpdatePart{batch, std::move(elements)});
    queue_operation(set, operation, nullptr);
}

// The operation has the write pin, or has failed.
void Impl::run_part(Operation& operation, Operations& ready) {
    UpdateBatch& batch = *operation.part->batch;
    const Message& m = operation.request;
    if (!operation.granted) {
        std::string text = "updates were not executed: an object is out of reach";
        if (operation.error == Errc::linker_failed)
            text += ": " + linker_failure(*operation.set);
        batch.note(fail(operation.error, std::move(text), operation.fault));
        return finish_part(batch);
    }
    Entry* entry = operation.entry;
    pin::before_bytes_change();   // another task may have closed the word for us
    before_write(*operation.set, *entry, false);
    const std::span<std::byte> bytes = entry->bytes();
    for (const std::uint32_t e : operation.part->elements) {
        const Element element = element_at(batch.payload, e, m.has(flag::wide));
        if (element.offset + 8ull > bytes.size()) {
            batch.note(out_of_bounds(element, static_cast<std::uint32_t>(bytes.size())));
            continue;
        }
        std::uint64_t before;
        std::memcpy(&before, bytes.data() + element.offset, 8);
        const std::uint64_t after = atomic_of(m, element.operand).apply(before);
        std::memcpy(bytes.data() + element.offset, &after, 8);
        if (!batch.results.empty()) std::memcpy(batch.results.data() + e * 8, &before, 8);
    }
    entry->next_version();
    const auto before = pin::drop(entry->word, Access::write);
    finish_part(batch);
    if (pin::must_run(before)) run_unpinned(*operation.set, m.object(), entry, &ready);
}

void Impl::finish_part(UpdateBatch& batch) {
    if (batch.missing.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    const Message& m = batch.request;
    Message answer = make_message(Kind::reply, m.set_id(), 0, TxnId(m.txn), self);
    answer.acks = m.acks;
    answer_operation(m, answer, batch.result, batch.results);
}

}  // namespace ssi::kddm
