// SPDX-License-Identifier: BSD-3-Clause
// Names of sets. The first member manages them: it numbers sets in creation order and remembers
// their options; a node that hears of a set it does not know asks whoever mentioned it.
#include <fmt/format.h>

#include <cstring>

#include "engine_impl.hpp"
#include "ssi/base/config.hpp"

namespace ssi::kddm {

using Impl = Engine::Impl;

namespace {

constexpr std::size_t max_name_bytes = 255;

struct WireOptions {
    std::uint64_t count;
    std::uint64_t memory_bytes;
    std::uint32_t object_bytes;
    std::uint8_t kind;
    std::uint8_t coherence;
    std::uint8_t placement_bytes;
    std::uint8_t name_bytes;
    std::uint8_t linker_bytes;
    std::uint8_t visits;
    std::uint8_t reserved[6];
};
static_assert(sizeof(WireOptions) == 32);

std::vector<std::byte> encode(std::string_view name, const SetOptions& o) {
    WireOptions w{o.count,
                  o.memory_bytes,
                  o.object_bytes,
                  static_cast<std::uint8_t>(o.kind),
                  static_cast<std::uint8_t>(o.coherence),
                  static_cast<std::uint8_t>(o.placement.size()),
                  static_cast<std::uint8_t>(name.size()),
                  static_cast<std::uint8_t>(o.linker.size()),
                  o.visits,
                  {}};
    std::vector<std::byte> out(sizeof(w));
    std::memcpy(out.data(), &w, sizeof(w));
    for (const std::string_view text : {std::string_view(o.placement), name,
                                        std::string_view(o.linker)}) {
        const auto bytes = std::as_bytes(std::span(text));
        out.insert(out.end(), bytes.begin(), bytes.end());
    }
    return out;
}

bool decode(std::span<const std::byte> bytes, std::string& name, SetOptions& o) {
    WireOptions w;
    if (bytes.size() < sizeof(w)) return false;
    std::memcpy(&w, bytes.data(), sizeof(w));
    if (bytes.size() != sizeof(w) + w.placement_bytes + w.name_bytes + w.linker_bytes) return false;
    if (w.kind > static_cast<std::uint8_t>(ObjectKind::typed) || w.coherence > 1) return false;
    const char* text = reinterpret_cast<const char*>(bytes.data() + sizeof(w));
    o.count = w.count;
    o.memory_bytes = w.memory_bytes;
    o.visits = w.visits != 0;
    o.object_bytes = w.object_bytes;
    o.kind = static_cast<ObjectKind>(w.kind);
    o.coherence = static_cast<Coherence>(w.coherence);
    o.placement.assign(text, w.placement_bytes);
    name.assign(text + w.placement_bytes, w.name_bytes);
    o.linker.assign(text + w.placement_bytes + w.name_bytes, w.linker_bytes);
    return true;
}

Result<void> check_options(std::string_view name, const SetOptions& o) {
    if (name.empty() || name.size() > max_name_bytes)
        return fail(Errc::invalid_argument, fmt::format("a set's name has 1 to {} bytes, not {}",
                                                        max_name_bytes, name.size()));
    if (o.placement.size() > max_name_bytes)
        return fail(Errc::invalid_argument, "the name of a placement is longer than 255 bytes");
    if (o.linker.empty() || o.linker.size() > max_name_bytes)
        return fail(Errc::invalid_argument,
                    fmt::format("set '{}': the name of a linker has 1 to {} bytes", name,
                                max_name_bytes));
    if (o.memory_bytes > INT64_MAX)
        return fail(Errc::invalid_argument,
                    fmt::format("set '{}': memory_bytes is too large", name));
    if (o.kind == ObjectKind::fixed && o.object_bytes == 0)
        return fail(Errc::invalid_argument,
                    fmt::format("set '{}': objects of fixed size need object_bytes", name));
    if (o.object_bytes > max_object_bytes)
        return fail(Errc::too_large, fmt::format("set '{}': objects of {} bytes: the limit is {}",
                                                 name, o.object_bytes, max_object_bytes));
    if (o.kind != ObjectKind::fixed && o.object_bytes != 0)
        return fail(Errc::invalid_argument,
                    fmt::format("set '{}': object_bytes is for objects of fixed size", name));
    if ((o.placement == "blocked" || o.placement == "first_touch") && o.count == 0)
        return fail(Errc::invalid_argument,
                    fmt::format("set '{}': placement '{}' needs a count", name, o.placement));
    return {};
}

}  // namespace

SetState* Impl::find_set(SetId id) const {
    const SetChunk* chunk = id.value / set_chunk < set_chunk
                                ? set_chunks[id.value / set_chunk].load(std::memory_order_acquire)
                                : nullptr;
    return chunk ? chunk->sets[id.value % set_chunk].load(std::memory_order_acquire) : nullptr;
}

Result<Placement> Impl::parse_placement(const SetOptions& options) const {
    Placement p;
    const std::string& name = options.placement;
    if (name == "hashed") return p;
    p.kind = name == "blocked"       ? Placement::Kind::blocked
             : name == "high_bits"   ? Placement::Kind::high_bits
             : name == "first_touch" ? Placement::Kind::first_touch
                                     : Placement::Kind::hashed;
    if (p.kind != Placement::Kind::hashed) return p;
    if (name.starts_with("node:")) {
        const char* first = name.c_str() + 5;
        char* end = nullptr;
        p.kind = Placement::Kind::node;
        p.node = NodeId(static_cast<std::uint32_t>(std::strtoul(first, &end, 10)));
        if (end == first || *end || !membership.find(p.node))
            return fail(Errc::invalid_argument,
                        fmt::format("placement '{}': no such node in this session", name));
        return p;
    }
    if (const auto it = homes.find(name); it != homes.end()) {
        p.kind = Placement::Kind::homes;
        p.homes = it->second;
        return p;
    }
    const auto it = placements.find(name);
    if (it == placements.end())
        return fail(Errc::invalid_argument,
                    fmt::format("placement '{}' is none of hashed, blocked, high_bits, "
                                "first_touch, node:<id> and not registered at node {}",
                                name, self.value));
    p.kind = Placement::Kind::function;
    p.function = it->second;
    return p;
}

Result<std::shared_ptr<Linker>> Impl::find_linker(const SetOptions& options) const {
    if (options.linker == "memory") return std::shared_ptr<Linker>();
    const auto it = linkers.find(options.linker);
    if (it != linkers.end()) return it->second;
    return fail(Errc::invalid_argument,
                fmt::format("linker '{}' is not registered at node {}: call register_linker on "
                            "every node before the set is opened", options.linker, self.value));
}

// Makes the set known to this node. Idempotent. Under sets_mutex.
Result<SetState*> Impl::install_set(SetId id, std::string_view name, const SetOptions& options) {
    if (SetState* known = find_set(id)) return known;
    if (gone.contains(id.value))   // while this node was opening it
        return fail(Errc::not_found, fmt::format("set '{}' was destroyed", name));
    if (id.value / set_chunk >= set_chunk)
        return fail(Errc::too_large, fmt::format("more than {} sets in one session",
                                                 set_chunk * set_chunk));
    auto placement = parse_placement(options);
    if (!placement) return tl::unexpected<Failure>(std::move(placement).error());
    auto linker = find_linker(options);
    if (!linker) return tl::unexpected<Failure>(std::move(linker).error());
    static std::atomic<std::uint64_t> last_uid{0};
    auto set = std::make_unique<SetState>();
    set->owner = owner;
    set->control = generation;
    set->id = id;
    set->name = name;
    set->options = options;
    if (options.count != 0) set->limit = options.count;
    set->placement = *placement;
    set->uid = ++last_uid;
    set->shards = std::make_unique<Shard[]>(shard_count);
    if (options.visits && options.coherence != Coherence::home)
        set->moves_to_visit = moves_to_visit;
    if (placement->kind == Placement::Kind::first_touch)
        set->touched = std::make_unique<Touched>(options.count, slots.size());
    set->linker = std::move(*linker);
    set->use.limit = static_cast<std::int64_t>(options.memory_bytes);
    if (set->use.limit != 0) blocks.count(*this);
    for (std::uint32_t i = 0; i < shard_count; ++i) {
        set->shards[i].inline_length = set->inline_length();
        set->shards[i].blocks = &blocks;
        if (blocks.use.limit != 0) set->shards[i].node_use = &blocks.use;
        if (set->use.limit != 0) set->shards[i].set_use = &set->use;
    }
    set->shard_mask = shard_count - 1;
    auto& slot = set_chunks[id.value / set_chunk];
    if (!slot.load(std::memory_order_relaxed))
        slot.store(new SetChunk, std::memory_order_release);
    SetState* raw = set.get();
    owned_sets.push_back(std::move(set));
    by_name[std::string(name)] = raw;
    slot.load()->sets[id.value % set_chunk].store(raw, std::memory_order_release);
    return raw;
}

// The manager's decision; ok, not_found or mismatch. Under sets_mutex.
Errc Impl::manage_open(std::string_view name, const SetOptions* create, SetId& id,
                       SetOptions& options) {
    const auto it = managed.find(name);
    if (it == managed.end()) {
        if (!create) return Errc::not_found;
        id = SetId(++last_set_id);
        options = *create;
        managed.emplace(std::string(name), ManagedSet{id, options});
        return Errc::ok;
    }
    id = it->second.id;
    options = it->second.options;
    return create && *create != options ? Errc::mismatch : Errc::ok;
}

Result<SetState*> Impl::open_set(std::string_view name, const SetOptions* create) {
    if (create) SSI_TRY(check_options(name, *create));
    const auto mismatch = [&] {
        return fail(Errc::mismatch, fmt::format("set '{}' exists with other options: open it with "
                                                "the same ones, or destroy it first", name));
    };
    {
        std::lock_guard lock(sets_mutex);
        if (create) {
            if (auto p = parse_placement(*create); !p)
                return tl::unexpected<Failure>(std::move(p).error());
            if (auto l = find_linker(*create); !l)
                return tl::unexpected<Failure>(std::move(l).error());
        }
        const auto it = by_name.find(name);
        if (it != by_name.end() && !it->second->destroyed) {
            if (create && it->second->options != *create) return mismatch();
            return it->second;
        }
        if (self == manager()) {
            SetId id;
            SetOptions options;
            const Errc error = manage_open(name, create, id, options);
            if (error == Errc::mismatch) return mismatch();
            if (error == Errc::not_found)
                return fail(error, fmt::format("no set '{}' in this session", name));
            return install_set(id, name, options);
        }
    }
    Message m = make_message(Kind::set_open, SetId(0), 0, no_txn, self);
    if (create) m.header.flags = flag::create;
    Rpc rpc;
    m.txn = new_rpc(rpc, manager());
    if (auto done = call(manager(), m, encode(name, create ? *create : SetOptions{}), rpc); !done) {
        if (done.error().code == Errc::mismatch) return mismatch();
        if (done.error().code == Errc::not_found)
            return fail(Errc::not_found, fmt::format("no set '{}' in this session", name));
        return tl::unexpected<Failure>(std::move(done).error());
    }
    std::string found;
    SetOptions options;
    if (!decode(rpc.bytes, found, options))
        return fail(Errc::bad_message, "the set manager's answer is malformed");
    return learn_set(rpc.answer.set_id(), found, options);
}

void Impl::send_set_info(NodeId to, std::uint64_t txn, SetId id, std::string_view name,
                         const SetOptions& options) {
    Message m = make_message(Kind::set_info, id, 0, TxnId(txn), self);
    send_bytes(to, m, encode(name, options));
}

void Impl::answer_open(NodeId from, const Message& m, std::span<const std::byte> payload) {
    std::string name;
    SetOptions wanted, options;
    SetId id;
    Errc error = Errc::bad_message;
    if (decode(payload, name, wanted)) {
        std::lock_guard lock(sets_mutex);
        error = manage_open(name, m.has(flag::create) ? &wanted : nullptr, id, options);
    }
    if (error == Errc::ok) return send_set_info(from, m.txn, id, name, options);
    Message e = make_message(Kind::error, SetId(0), 0, TxnId(m.txn), no_node);
    e.acks = static_cast<std::uint32_t>(error);
    send_block(from, e, nullptr);
}

void Impl::receive_control(NodeId from, const Message& m, std::span<std::byte> payload) {
    switch (m.kind()) {
        case Kind::set_open: return answer_open(from, m, payload);
        case Kind::set_needed: {
            SetState* set = find_set(m.set_id());
            if (set) send_set_info(from, 0, set->id, set->name, set->options);
            return;
        }
        case Kind::set_info: {
            std::string name;
            SetOptions options;
            if (decode(payload, name, options)) (void)learn_set(m.set_id(), name, options);
            return;
        }
        case Kind::set_destroy: {
            const std::string name(reinterpret_cast<const char*>(payload.data()), payload.size());
            return start_destroy(name, from, m.txn);
        }
        default:
            if (m.has(flag::want_done)) return receive_set_gone(from, m, payload);
            return set_gone_acknowledged(from, m.txn);
    }
}

// Keeps a message for a set that this node does not know yet and asks the sender about it. Returns
// the set, and keeps nothing, when another task has learned of it meanwhile.
SetState* Impl::park(NodeId from, const Message& m, std::span<const std::byte> payload) {
    {
        std::lock_guard lock(sets_mutex);
        if (SetState* known = find_set(m.set_id())) return known;
        parked[m.set].push_back({from, m, {payload.begin(), payload.end()}});
    }
    Message ask = make_message(Kind::set_needed, m.set_id(), 0, no_txn, self);
    send_block(from, ask, nullptr);
    return nullptr;
}

// Installs a set and delivers what waited for it.
Result<SetState*> Impl::learn_set(SetId id, std::string_view name, const SetOptions& options) {
    Result<SetState*> set = nullptr;
    std::vector<Parked> waiting;
    {
        std::lock_guard lock(sets_mutex);
        set = install_set(id, name, options);
        const auto it = parked.find(id.value);
        if (it != parked.end()) {
            waiting = std::move(it->second);
            parked.erase(it);
        }
    }
    for (Parked& p : waiting) {
        if (set) {
            receive(p.from, **set, p.message, p.payload, nullptr);
            continue;
        }
        Message e = make_message(Kind::error, id, p.message.object(), TxnId(p.message.txn), self);
        e.acks = static_cast<std::uint32_t>(set.error().code);
        send_block(p.from, e, nullptr);
    }
    return set;
}

}  // namespace ssi::kddm
