// SPDX-License-Identifier: BSD-3-Clause
// The cut on one node: the gate, what is looked at before, the generation. Why it is consistent is
// told in docs/decisions/0021.
#include "ssi/kddm/cut.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "engine_impl.hpp"
#include "ssi/base/assert.hpp"
#include "sync_hub.hpp"

namespace ssi::kddm {

using Impl = Engine::Impl;
using Phase = Impl::CutState::Phase;

namespace {

constexpr std::size_t most_named = 8;

void name(CutLook& look, std::string what) {
    if (look.in_the_way.size() < most_named) look.in_the_way.push_back(std::move(what));
}

// Why an object is not at rest here; empty: it is. Under the shard lock.
std::string unrest(const Entry& e) {
    const std::uint64_t word = e.word.load(std::memory_order_seq_cst);
    if (pin::count(word) != 0)
        return fmt::format("is held ({})", word & pin::writer_held ? "grab" : "get");
    if (e.state == CacheState::evicting || e.state == CacheState::given)
        return "is on its way home";
    if (e.busy && e.busy->head) return "is waited for";
    if (e.busy && e.busy->loading) return "is being read by its linker";
    if (e.busy && !e.busy->idle()) return "is on its way";
    const Home* home = e.home();
    if (home && (home->busy_txn != 0 || !home->queue.empty())) return "is in transition";
    return {};
}

}  // namespace

// -- what the paths of acquisition ask

bool passes_stop(SetState& set, std::uint64_t control) {
    if (control & control::troubled) return false;
    const bool ignored = set.owner->impl().options.plant == Plant::cut_ignores_gate;
    if (!Held::of_task().inside() && !ignored) return false;
    set.heard.fetch_add(1, std::memory_order_seq_cst);
    return true;
}

bool Impl::admit(SetState& set, Entry& entry, Access access) {
    const std::uint64_t control = set.control.load(std::memory_order_seq_cst);
    if ((control & control::stops) && !passes_stop(set, control)) return false;
    if (access == Access::write) before_write(set, entry, true);
    return true;
}

void keep_before_write(SetState& set, Entry& entry) {
    set.owner->impl().before_write(set, entry, true);
}

void Impl::keep_before_write(SetState& set, Entry& entry, std::uint64_t control, bool may_wait) {
    if ((control & control::reading) && options.plant != Plant::cut_misses_write)
        cut.read_out.keep_written(set, entry, may_wait);
    pin::set_generation(entry.word, pin::generation_of(control));
}

// -- the gate

// Chosen first, all of them: whoever holds a guard of one passes the gates of the others.
Result<void> Impl::close_gate(std::span<const RawSet> sets) {
    std::lock_guard lock(cut.mutex);
    if (cut.phase != Phase::none)
        return fail(Errc::would_block, "another cut is being made, or read out");
    std::vector<SetState*> chosen;
    for (const RawSet& set : sets) {
        SetState* state = find_set(set.id());
        if (!state || state->name != set.name())
            return fail(Errc::invalid_argument,
                        fmt::format("set '{}' is of another engine", set.name()));
        if (state->destroyed)
            return fail(Errc::not_found, fmt::format("set '{}' was destroyed", set.name()));
        if (std::ranges::find(chosen, state) == chosen.end()) chosen.push_back(state);
    }
    cut.sets = std::move(chosen);
    cut.phase = Phase::closed;
    cut.seen_quiet = false;
    cut.gate.close();
    for (SetState* set : cut.sets) set->control.fetch_or(control::chosen);
    for (SetState* set : cut.sets) set->control.fetch_or(control::gated);
    return {};
}

// The gate first at the sets: whoever is woken looks at them anew.
void Impl::open_gate() {
    std::lock_guard lock(cut.mutex);
    if (cut.phase != Phase::closed && cut.phase != Phase::begun) return;
    for (SetState* set : cut.sets) set->control.fetch_and(~control::gated);
    for (SetState* set : cut.sets) set->control.fetch_and(~control::chosen);
    cut.gate.open();
    cut.phase = cut.phase == Phase::begun ? Phase::open : Phase::none;
}

// -- is anything under way?

std::uint64_t Impl::heard_by(const std::vector<SetState*>& sets) const {
    std::uint64_t heard = cut.passed.load(std::memory_order_seq_cst);
    for (const SetState* set : sets) heard += set->heard.load(std::memory_order_seq_cst);
    return heard;
}

// All objects of the set, one shard after the other. True when nothing is in the way.
bool Impl::scan(SetState& set, CutLook& look) {
    const std::size_t before = look.in_the_way.size();
    if (const std::uint64_t inside = set.inside.load(std::memory_order_seq_cst); inside != 0)
        name(look, fmt::format("{} verbs on set '{}' have not returned at node {}", inside,
                               set.name, self.value));
    for (std::uint32_t i = 0; i <= set.shard_mask && look.in_the_way.size() < most_named; ++i) {
        std::lock_guard lock(set.shards[i].mutex);
        if (set.shards[i].counters.hooks != 0)
            name(look, fmt::format("a release hook of set '{}' runs at node {}", set.name,
                                   self.value));
        set.shards[i].index.for_each([&](const Entry& e) {
            if (std::string why = unrest(e); !why.empty()) [[unlikely]]
                name(look, fmt::format("object {}{} of set '{}' {} at node {}",
                                       e.id.hi ? fmt::format("{}:", e.id.hi) : std::string(),
                                       e.id.lo, set.name, why, self.value));
        });
    }
    return look.in_the_way.size() == before;
}

// What was seen to be quiet once, with the gate closed, stays so until a message is heard: nobody
// here is inside who could begin anything.
void Impl::look_for_rest(CutLook& look) {
    std::lock_guard lock(cut.mutex);
    const std::uint64_t heard = heard_by(cut.sets);
    look.transitions = heard;
    if (cut.phase != Phase::closed) return name(look, "no gate is closed, or the cut has begun");
    if (cut.seen_quiet && cut.heard == heard) {
        look.quiet = true;
        return;
    }
    cut.seen_quiet = false;
    if (const std::uint64_t open = cut.critical.load(std::memory_order_seq_cst); open != 0)
        name(look, fmt::format("{} critical sections are open at node {}", open, self.value));
    bool quiet = look.in_the_way.empty();
    for (SetState* set : cut.sets) quiet = scan(*set, look) && quiet;
    {
        std::lock_guard rpc_lock(rpc_mutex);
        for (Rpc* first : rpcs)
            for (Rpc* rpc = first; rpc; rpc = rpc->next)
                for (const SetState* set : cut.sets) {
                    if (rpc->set != set->id) continue;
                    quiet = false;
                    name(look, fmt::format("node {} has not answered a request of node {} about "
                                           "set '{}'", rpc->to.value, self.value, set->name));
                }
    }
    if (quiet && heard_by(cut.sets) != heard) {   // not one moment: it moved while it was looked at
        quiet = false;
        name(look, fmt::format("objects move at node {}", self.value));
    }
    look.quiet = cut.seen_quiet = quiet;
    cut.heard = heard;
}

bool at_rest(std::span<const CutLook> first, std::span<const CutLook> second) {
    std::uint64_t sent = 0, received = 0;
    for (std::size_t i = 0; i < second.size(); ++i) {
        const CutLook& a = first[i];
        const CutLook& b = second[i];
        if (!a.quiet || !b.quiet || a.transitions != b.transitions || a.sent != b.sent ||
            a.received != b.received)
            return false;
        sent += b.sent;
        received += b.received;
    }
    return first.size() == second.size() && sent == received;
}

// -- the generation

// Of all sets, so that it does not depend on when a node has opened one.
void Impl::begin_cut(std::uint64_t next, std::uint64_t shadow_bytes) {
    cut.read_out.begin(cut.sets, next, shadow_bytes);
    std::lock_guard lock(sets_mutex);
    generation = next;
    for (const auto& set : owned_sets) {
        const bool read = std::ranges::find(cut.sets, set.get()) != cut.sets.end();
        const std::uint64_t also = next | (read ? control::reading : 0);
        std::uint64_t v = set->control.load();
        while (!set->control.compare_exchange_weak(v, (v & ~pin::generation_mask) | also)) {
        }
    }
}

// All that this node owns is of this generation afterwards, so that the next one is another for
// each of them.
void Impl::end_cut() {
    std::vector<SetState*> all;
    {
        std::lock_guard lock(sets_mutex);
        for (const auto& set : owned_sets) {
            set->control.fetch_and(~control::reading);
            all.push_back(set.get());
        }
    }
    cut.read_out.end();
    for (SetState* set : all) {
        const std::uint64_t now = pin::generation_of(set->control.load());
        for (std::uint32_t i = 0; i <= set->shard_mask; ++i) {
            std::lock_guard lock(set->shards[i].mutex);
            set->shards[i].index.for_each([&](Entry& e) {
                if (e.state == CacheState::owner || e.state == CacheState::exclusive)
                    pin::set_generation(e.word, now);
            });
        }
    }
}

// -- the handle

Result<void> Cut::close(std::span<const RawSet> sets) {
    SSI_TRY(engine_.impl().close_gate(sets));
    if (hub_) hub_->impl().cut_gate.close();
    return {};
}

// Channels last: what a task sent that held a guard is counted when no guard is seen any more.
CutLook Cut::look() {
    CutLook look;
    engine_.impl().look_for_rest(look);
    if (hub_) hub_->impl().look(look);
    return look;
}

Result<void> Cut::begin(std::uint64_t number, CutOptions options) {
    Impl& impl = engine_.impl();
    std::lock_guard lock(impl.cut.mutex);
    Impl::CutState& cut = impl.cut;
    const std::uint64_t next = (number << pin::generation_shift) & pin::generation_mask;
    if (number <= cut.last_number || next == impl.generation)
        return fail(Errc::invalid_argument,
                    fmt::format("cut {} after cut {}: numbers ascend, and are not 256 apart",
                                number, cut.last_number));
    if (cut.phase != Phase::closed || !cut.seen_quiet || impl.heard_by(cut.sets) != cut.heard)
        return fail(Errc::would_block, "the sets are not known to be at rest: look again");
    cut.last_number = number;
    cut.channels.clear();
    if (hub_) cut.channels = hub_->impl().channels();
    impl.begin_cut(next, options.shadow_bytes);
    cut.phase = Phase::begun;
    return {};
}

void Cut::open() {
    if (hub_) hub_->impl().cut_gate.open();
    engine_.impl().open_gate();
}

bool Cut::next(const std::function<void(const CutObject&)>& visit) {
    return engine_.impl().cut.read_out.next(visit);
}

std::uint64_t Cut::last_number() const {
    Impl& impl = engine_.impl();
    std::lock_guard lock(impl.cut.mutex);
    return impl.cut.last_number;
}

const std::vector<CutChannel>& Cut::channels() const { return engine_.impl().cut.channels; }

void Cut::end() {
    Impl& impl = engine_.impl();
    {
        std::lock_guard lock(impl.cut.mutex);
        SSI_ASSERT(impl.cut.phase != Phase::begun, "open() comes before end(): or call abandon()");
        if (impl.cut.phase != Phase::open) return;
    }
    impl.end_cut();
    std::lock_guard lock(impl.cut.mutex);
    impl.cut.channels.clear();
    impl.cut.phase = Phase::none;
}

void Cut::abandon() {
    open();
    end();
}

CriticalSection::CriticalSection(Engine& engine) : engine_(engine) {
    Held& held = Held::of_task();
    Impl::CutState& cut = engine.impl().cut;
    while (held.critical == 0) {
        cut.critical.fetch_add(1, std::memory_order_seq_cst);
        if (!cut.gate.closed()) break;
        if (held.inside()) {
            cut.passed.fetch_add(1, std::memory_order_seq_cst);
            break;
        }
        cut.critical.fetch_sub(1, std::memory_order_release);
        cut.gate.wait();
    }
    ++held.critical;
}

CriticalSection::~CriticalSection() {
    if (--Held::of_task().critical != 0) return;
    engine_.impl().cut.critical.fetch_sub(1, std::memory_order_release);
}

}  // namespace ssi::kddm
