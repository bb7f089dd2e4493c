// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/kddm/engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "engine_impl.hpp"
#include "ssi/base/assert.hpp"
#include "ssi/base/config.hpp"

namespace ssi::kddm {

using Impl = Engine::Impl;

namespace {

constexpr const char* plant_names[] = {
    "none",          "skip_invalidation_ack", "skip_invalidation", "lost_upgrade",
    "double_execution", "early_grant",        "stale_slot",        "evict_without_ack",
    "forget_copy",   "stale_data",            "lost_write",        "unfair_queue",
    "careless_compare", "parallel_pinning",   "update_twice",      "unverified_read",
    "unverified_rma", "drop_dirty",           "cut_ignores_gate",  "cut_misses_write",
    "cut_misses_leaving", "cut_takes_newborn",
};
static_assert(std::size(plant_names) == static_cast<std::size_t>(Plant::cut_takes_newborn) + 1);

ReadWay read_way_of(const Config& config) {
    const std::string& way = config.text("kddm.read_way");
    if (way == "mapped") return ReadWay::mapped;
    if (way == "rma") return ReadWay::rma;
    return way == "message" ? ReadWay::message : ReadWay::automatic;
}

bool maps_memory(const Config& config) {
    const ReadWay way = read_way_of(config);
    return config.text("net.same_host") == "on" &&
           (way == ReadWay::automatic || way == ReadWay::mapped);
}

}  // namespace

const char* plant_name(Plant plant) { return plant_names[static_cast<unsigned>(plant)]; }

std::vector<Plant> all_plants() {
    std::vector<Plant> plants;
    for (unsigned i = 1; i < std::size(plant_names); ++i) plants.push_back(static_cast<Plant>(i));
    return plants;
}

bool Inspection::copyset_covers(NodeId node) const {
    if (groups.empty()) return std::find(exact.begin(), exact.end(), node) != exact.end();
    const std::size_t g = static_cast<std::size_t>(members->index_of(node)) / group_size;
    return (groups[g / 8] >> (g % 8)) & 1;
}

Impl::Impl(Engine* owner_, node::Node& node_, Options options_)
    : owner(owner_),
      node(node_),
      membership(node.members()),
      slots(node.slot_table()),
      options(std::move(options_)),
      self(node.id()),
      log(node.doors().log),
      waiter(node.doors().waiter),
      clock(node.doors().clock),
      try_timeout(node.doors().config.integer("kddm.try_timeout_us") * 1000),
      loss_grace(node.doors().config.integer("detect.grace_ms") * 1'000'000),
      shard_count(options.simulated
                      ? 1u
                      : std::bit_ceil(static_cast<std::uint32_t>(
                            node.doors().config.integer("kddm.shards")))),
      evict_timeout(node.doors().config.integer("kddm.evict_timeout_ms") * 1'000'000),
      moves_to_visit(static_cast<std::uint8_t>(node.doors().config.integer("kddm.moves_to_visit"))),
      direct_(options.direct && options.plant == Plant::none),
      read_way(read_way_of(node.doors().config)),
      atomics_in_place_(node.doors().config.boolean("kddm.atomics_in_place") && pin_mark(self)),
      blocks(node.doors().config, log, options.simulated),
      executor(node.doors().tasks,
               static_cast<unsigned>(node.doors().config.integer("kddm.executor_threads"))),
      offer(blocks.offer()),
      windows(node, maps_memory(node.doors().config), options.peers_in_process),
      linker_pool(node.doors().tasks,
                  static_cast<unsigned>(node.doors().config.integer("kddm.linker_threads"))),
      cut(node, *owner) {
    if (blocks.use.limit != 0) blocks.count(*this);
    if (options.plant == Plant::double_execution) node.accept_duplicates_for_test();
    node.attach(node::ChannelId::kddm, this);
    if (uses_rma()) node.doors().transport.show(&blocks);
    const auto warm = static_cast<std::size_t>(node.doors().config.integer("arena.warm_bytes"));
    if (warm != 0 && !options.simulated) executor.post([this, warm] { blocks.warm(warm); });
}

Impl::~Impl() {
    closing = true;
    if (uses_rma()) node.doors().transport.show(nullptr);
    executor.stop();
    linker_pool.stop();
    for (auto& chunk : set_chunks) delete chunk.load();
}

Engine::Engine(node::Node& node, Options options)
    : impl_(std::make_unique<Impl>(this, node, std::move(options))) {
    impl_->add_control_verbs();
}
Engine::~Engine() { impl_->remove_control_verbs(); }

Result<RawSet> Engine::create_or_open(std::string_view name, const SetOptions& options) {
    auto set = impl_->open_set(name, &options);
    if (!set) return tl::unexpected<Failure>(std::move(set).error());
    return RawSet(this, *set);
}

Result<RawSet> Engine::open(std::string_view name) {
    auto set = impl_->open_set(name, nullptr);
    if (!set) return tl::unexpected<Failure>(std::move(set).error());
    return RawSet(this, *set);
}

Result<void> Engine::destroy(std::string_view name) { return impl_->destroy_set(name); }

void Engine::register_function(std::string_view name, Run run, ShippedFunction function) {
    std::lock_guard lock(impl_->sets_mutex);
    impl_->functions[function_hash(name)] = {std::string(name), run, std::move(function)};
}

void Engine::register_placement(std::string_view name, PlacementFunction function) {
    std::lock_guard lock(impl_->sets_mutex);
    impl_->placements[std::string(name)] = function;
}

Result<void> Engine::register_homes(std::string_view name, std::vector<NodeId> homes,
                                    PlacementFunction slot_of) {
    if (!std::has_single_bit(homes.size()) || homes.size() > most_home_slots)
        return fail(Errc::invalid_argument,
                    fmt::format("homes '{}': {} slots are no power of two up to {}", name,
                                homes.size(), most_home_slots));
    for (const NodeId home : homes)
        if (!impl_->membership.find(home))
            return fail(Errc::invalid_argument,
                        fmt::format("homes '{}': no node {} in this session", name, home.value));
    std::lock_guard lock(impl_->sets_mutex);
    impl_->homes[std::string(name)] =
        std::make_shared<const HomeTable>(HomeTable{std::move(homes), slot_of});
    return {};
}

void Engine::register_linker(std::string_view name, std::shared_ptr<Linker> linker) {
    std::lock_guard lock(impl_->sets_mutex);
    impl_->linkers[std::string(name)] = std::move(linker);
}

std::vector<RawSet> Engine::sets() const {
    std::lock_guard lock(impl_->sets_mutex);
    std::vector<RawSet> sets;
    for (const auto& set : impl_->owned_sets)
        if (!set->destroyed) sets.emplace_back(const_cast<Engine*>(this), set.get());
    return sets;
}

void Engine::publish_stats() {
    Stats& stats = impl_->node.doors().stats;
    for (const RawSet& set : sets()) {
        const SetStats s = set.stats();
        const std::string label = fmt::format("set=\"{}\"", set.name());
        const std::pair<const char*, std::uint64_t> values[] = {
            {"gets", s.gets},           {"grabs", s.grabs},
            {"hits", s.hits},           {"remote_gets", s.remote_gets},
            {"remote_grabs", s.remote_grabs}, {"invalidations", s.invalidations},
            {"transfers", s.transfers}, {"applies", s.applies},
            {"recalls", s.recalls},     {"evictions", s.evictions},
            {"reads", s.reads},         {"reads_by_message", s.reads_by_message},
            {"reads_mapped", s.reads_mapped}, {"reads_by_rma", s.reads_by_rma},
            {"bytes_in", s.bytes_in},   {"bytes_out", s.bytes_out},
            {"objects", s.objects},     {"loads", s.loads},
            {"write_backs", s.write_backs}, {"drops", s.drops},
            {"bounces", s.bounces},     {"visits", s.visits},
            {"atomics_in_place", s.atomics_in_place}};
        for (const auto& [name, value] : values)
            stats.counter(fmt::format("ssi_kddm_{}_total", name), label).set(value);
    }
    stats.counter("ssi_kddm_mapped_peers").set(impl_->windows.count());
    stats.counter("ssi_kddm_refused_slots_total").set(impl_->refused_slots.load());
}

Inspection Engine::inspect(SetId set_id, ObjectId id) const {
    Inspection out;
    const SetState* set = impl_->find_set(set_id);
    if (!set) return out;
    out.members = impl_->node.membership();
    out.is_home = impl_->home_of(*set, id) == impl_->self;
    const std::uint64_t hash = hash_object(set_id, id);
    const Shard& shard = set->shard(hash);
    std::lock_guard lock(shard.mutex);
    const Entry* e = shard.index.find(hash, id);
    if (!e) return out;
    const std::uint64_t word = e->word.load(std::memory_order_acquire);
    out.present = e->state != CacheState::invalid;
    out.access = word & pin::writable   ? Access::write
                 : word & pin::readable ? Access::read
                                        : Access::none;
    out.owner = e->state == CacheState::owner || e->state == CacheState::exclusive ||
                e->state == CacheState::evicting;
    out.writer_held = word & pin::writer_held;
    out.pins = pin::count(word);
    out.in_transition = e->busy && !e->busy->idle();
    out.version = e->version.load(std::memory_order_relaxed);
    const Home* home = e->home();
    if (!home) {
        if (out.is_home) out.home_owner = impl_->self;
        return out;
    }
    out.home_busy = home->busy_txn != 0 || !home->queue.empty();
    out.home_owner = home->owner;
    const Copyset& copies = home->copies;
    if (!copies.coarse()) {
        for (unsigned i = 0; i < copies.inline_size(); ++i) out.exact.push_back(copies.at(i));
        return out;
    }
    out.group_size = Copyset::group_size(out.members->members.size());
    out.groups.assign(Copyset::group_bits / 8, 0);
    for (unsigned g = 0; g < Copyset::group_bits; ++g)
        if (copies.group(g)) out.groups[g / 8] |= static_cast<std::uint8_t>(1u << (g % 8));
    return out;
}

void Engine::inject_stale_request(SetId set_id, ObjectId id) {
    const SetState* set = impl_->find_set(set_id);
    if (!set) return;
    const auto [home, slot_version] = impl_->place_of(*set, id);
    if (home == impl_->self) return;
    Message m = make_message(Kind::atomic, set_id, id, TxnId(impl_->next_txn() | Impl::rpc_bit),
                             impl_->self);
    m.version = 1;
    m.slot_version = slot_version - 1;
    impl_->send_block(home, m, nullptr);
}

std::size_t Engine::bytes_in_use() const {
    std::size_t bytes = impl_->blocks.bytes_in_use();
    std::lock_guard lock(impl_->sets_mutex);
    for (const auto& set : impl_->owned_sets) {
        bytes += sizeof(SetState) + impl_->shard_count * sizeof(Shard);
        for (std::uint32_t i = 0; i <= set->shard_mask; ++i) {
            const Shard& shard = set->shards[i];
            std::lock_guard shard_lock(shard.mutex);
            bytes += shard.index.bytes();
            for (const Slab& slab : shard.slabs) bytes += slab.private_bytes();
        }
    }
    return bytes;
}

}  // namespace ssi::kddm
