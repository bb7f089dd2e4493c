// SPDX-License-Identifier: BSD-3-Clause
#include "fs_core.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "fs_look.hpp"
#include "fs_transaction.hpp"
#include "volumes_state.hpp"

namespace ssi::fs {
namespace {

constexpr std::uint64_t serials_at_once = 1u << 20;
constexpr std::uint64_t first_serial = 1024;
constexpr std::uint8_t default_unit_shift = 4;      // 1 MiB
constexpr unsigned call_tasks = 2;
constexpr std::string_view serial_set = "fs/serials";

Errc code_of(int sys_errno) {
    switch (sys_errno) {
        case ENOENT: return Errc::not_found;
        case EEXIST: return Errc::exists;
        case EINVAL: return Errc::invalid_argument;
        case ENAMETOOLONG: return Errc::too_large;
        default: return Errc::io;
    }
}

}  // namespace

tl::unexpected<Failure> refuse(int sys_errno, std::string_view what) {
    return fail_errno(code_of(sys_errno), sys_errno, std::string(what));
}

Core::Core(node::Node& node, kddm::Engine& engine, Options options)
    : node_(node), engine_(engine), options_(std::move(options)) {}

Core::~Core() {
    if (!closed_) (void)stop();
}

Result<std::unique_ptr<Core>> Core::mount(node::Node& node, kddm::Engine& engine,
                                          Options options) {
    // Sets stay with their session, and with the volumes that they were opened on. Nobody makes
    // them before all nodes have come to what follows.
    if (engine.open("fs/buckets"))
        return fail_errno(Errc::exists, EBUSY,
                          "this session mounts its file system, or did: it takes a session of its "
                          "own to mount one again");
    std::unique_ptr<Core> core(new Core(node, engine, std::move(options)));
    auto volumes = io::Volumes::mount(node, engine, core->options_.volumes);
    if (!volumes) return tl::unexpected<Failure>(std::move(volumes).error());
    core->volumes_ = std::move(*volumes);
    SSI_TRY(core->start());
    return core;
}

// Collective, the same steps everywhere.
Result<void> Core::start() {
    slots_ = volumes_->slots();
    for (std::uint32_t v = 0; v < volumes_->volumes().size(); ++v)
        if (volumes_->log(v, io::KeptIn::metadata)) own_volumes_.push_back(v);
    next_intent_ = static_cast<std::uint64_t>(node_.doors().clock.wall());
    calls_ = std::make_unique<io::Calls>(node_, node::ChannelId::file_system, call_tasks);
    register_calls();
    looked_at_ = std::make_unique<LookedAt>(*this);
    calls_->handle(static_cast<std::uint8_t>(Verb::look), io::Calls::Sort::leaf,
                   [this](NodeId from, std::span<const std::byte> arguments) {
                       return looked_at_->serve(from, arguments);
                   });
    locks_ = std::make_unique<LockService>(node_, *calls_, static_cast<std::uint8_t>(Verb::lock),
                                           [this](InodeId inode) { return home_of(inode); });
    async_ = std::make_unique<AsyncIo>(node_);
    pages_ = std::make_unique<Pages>(node_, engine_, *volumes_, *calls_,
                                     PagesOptions{options_.cache_bytes, options_.write_back_ms});
    SSI_TRY(make_sets());
    SSI_TRY(calls_->start());
    locks_->start();
    SSI_TRY(pages_->open());
    SSI_TRY(agree(lacks_root() ? make_root() : Result<void>{}));
    if (!volumes_->was_clean()) SSI_TRY(recover());
    committer_ = node_.doors().tasks.spawn("ssi-fs-commit", [this] { run_committer(); });
    return {};
}

// The same outcome on every node: that of the first that failed.
Result<void> Core::agree(Result<void> mine) { return io::agree(node_, mine); }

std::vector<NodeId> Core::all_nodes() const {
    std::vector<NodeId> nodes;
    for (const auto& member : node_.members().members) nodes.push_back(member.node);
    return nodes;
}

Result<void> Core::make_sets() {
    kddm::SetOptions variable;
    variable.kind = kddm::ObjectKind::variable;
    auto buckets = volumes_->keep("fs/buckets", variable, io::KeptIn::metadata, slot_of_bucket);
    if (!buckets) return tl::unexpected<Failure>(std::move(buckets).error());
    auto inodes = volumes_->keep("fs/inodes", variable, io::KeptIn::metadata, slot_of_inode);
    if (!inodes) return tl::unexpected<Failure>(std::move(inodes).error());
    const auto open_all = [&]() -> Result<void> {
        auto b = engine_.create_or_open("fs/buckets", *buckets);
        if (!b) return tl::unexpected<Failure>(std::move(b).error());
        auto i = engine_.create_or_open("fs/inodes", *inodes);
        if (!i) return tl::unexpected<Failure>(std::move(i).error());
        buckets_ = *b, inodes_ = *i;
        return {};
    };
    // Sets are created by one node, in the order in which guards are taken.
    SSI_TRY(agree(node_.rank() == 0 ? open_all() : Result<void>{}));
    SSI_TRY(agree(node_.rank() != 0 ? open_all() : Result<void>{}));
    bucket_number_ = volumes_->number_of("fs/buckets");
    inode_number_ = volumes_->number_of("fs/inodes");
    serial_number_ = volumes_->number_of(serial_set);
    return {};
}

// New volumes do, and those whose first session died before the root was durable: until then
// nothing else was made.
bool Core::lacks_root() const {
    const io::ObjectLog* log = volumes_->log(volume_of(root_inode), io::KeptIn::metadata);
    return log && log->objects(inode_number_).empty() && log->objects(bucket_number_).empty();
}

Result<void> Core::make_root() {
    const Credentials who = Credentials::of_process();
    NewInode made;
    made.head.mode = S_IFDIR | 0755;
    made.head.uid = who.uid;
    made.head.gid = who.gid;
    made.head.links = 1;
    auto guard = new_inode_guard(root_inode, made, now());
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    Transaction tx(*this);
    tx.change_made(volume_of(root_inode), inode_number_, *guard);
    SSI_TRY(tx.apply());
    return volumes_->log(volume_of(root_inode), io::KeptIn::metadata)->commit_all();
}

Result<void> Core::stop() {
    {
        std::lock_guard lock(committer_mutex_);
        stopping_ = true;
        committer_wakes_.notify_all();
    }
    if (committer_) committer_->join();
    committer_.reset();
    if (async_) async_->stop();
    if (pages_) pages_->stop();
    if (locks_) locks_->stop();
    if (calls_) calls_->stop();
    closed_ = true;
    return {};
}

// Nobody uses the file system any more before any node begins, nor ends before all have written.
Result<void> Core::close() {
    if (closed_) return {};
    calls_->drain();
    SSI_TRY(node_.barrier());
    Result<void> synced = sync_mine();
    if (synced) synced = settle_intents();
    if (synced) synced = erase_all_gone();   // while all others still answer
    synced = agree(std::move(synced));
    SSI_TRY(stop());
    SSI_TRY(node_.barrier());
    Result<void> closed = volumes_->close();
    SSI_TRY(std::move(synced));
    return closed;
}

std::uint32_t Core::volume_of(InodeId inode) const {
    return volumes_->volume_of(slot_of_inode({}, ObjectId(inode.value), slots_));
}
std::uint32_t Core::volume_of_bucket(InodeId directory, BucketKey key) const {
    return volumes_->volume_of(slot_of_bucket({}, bucket_id(directory, key), slots_));
}
NodeId Core::home_of(InodeId inode) const { return volumes_->node_of(volume_of(inode)); }
NodeId Core::home_of_bucket(InodeId directory, BucketKey key) const {
    return volumes_->node_of(volume_of_bucket(directory, key));
}

std::int64_t Core::now() const {
    constexpr std::int64_t tick = 4'000'000;
    return node_.doors().clock.wall() / tick * tick;
}

std::uint64_t Core::chance() const {
    return mix64(chance_.fetch_add(1, std::memory_order_relaxed) +
                 (std::uint64_t{node_.id().value} << 40));
}

// Of a volume of this node; of any where it has none.
SlotId Core::own_slot(std::uint64_t chance) const {
    const auto slot = static_cast<std::uint32_t>(chance) & (slots_ - 1);
    if (own_volumes_.empty()) return SlotId(slot);
    const std::uint32_t wanted = own_volumes_[(chance >> 32) % own_volumes_.size()];
    for (std::uint32_t i = 0; i < slots_; ++i) {
        const SlotId at((slot + i) & (slots_ - 1));
        if (volumes_->volume_of(at) == wanted) return at;
    }
    return SlotId(slot);
}

Layout Core::new_layout(const InodeHead& directory, const Striping& wanted) const {
    Layout layout;
    layout.unit_shift = default_unit_shift;
    if (directory.unit_shift)
        layout.unit_shift = static_cast<std::uint8_t>(directory.unit_shift - page_shift);
    if (wanted.unit_bytes)
        layout.unit_shift =
            static_cast<std::uint8_t>(std::countr_zero(wanted.unit_bytes >> page_shift));
    std::uint32_t count = wanted.count ? wanted.count : directory.count;
    const auto all = static_cast<std::uint32_t>(volumes_->volumes().size());
    if (count == 0 || count > all) count = all;
    layout.count = static_cast<std::uint8_t>(std::min<std::uint32_t>(count, 255));
    const auto placement = wanted.placement != Placement::inherit
                               ? wanted.placement
                               : static_cast<Placement>(directory.placement);
    const std::uint64_t r = chance();
    const SlotId start = placement == Placement::local_first
                             ? own_slot(r)
                             : SlotId(static_cast<std::uint32_t>(r) & (slots_ - 1));
    layout.start = static_cast<std::uint16_t>(start.value);
    return layout;
}

// A number that no inode of the volume ever had, also after a crash: they are reserved, durably, a
// million at a time.
Result<std::uint64_t> Core::next_serial(std::uint32_t volume) {
    std::lock_guard lock(serial_mutex_);
    auto at = std::ranges::find(serials_, volume, &Serials::volume);
    io::ObjectLog* log = volumes_->log(volume, io::KeptIn::metadata);
    if (!log) return fail(Errc::internal, "an inode for a volume that is not mounted here");
    if (at == serials_.end()) {
        Serials fresh{volume, first_serial, first_serial};
        auto kept = log->get(serial_number_, ObjectId(0));
        if (kept && kept->bytes.size() == 8) {
            std::memcpy(&fresh.next, kept->bytes.data(), 8);
            fresh.reserved = fresh.next;
        } else if (!kept && kept.error().code != Errc::not_found) {
            return tl::unexpected<Failure>(std::move(kept).error());
        }
        serials_.push_back(fresh);
        at = serials_.end() - 1;
    }
    if (at->next == at->reserved) {
        const std::uint64_t reserved = at->reserved + serials_at_once;
        io::LogTransaction change;
        change.put(serial_number_, ObjectId(0), std::as_bytes(std::span(&reserved, 1)));
        if (auto done = log->apply(change); !done)
            return tl::unexpected<Failure>(std::move(done).error());
        SSI_TRY(log->commit_all());
        at->reserved = reserved;
    }
    return at->next++;
}

}  // namespace ssi::fs
