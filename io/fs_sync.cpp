// SPDX-License-Identifier: BSD-3-Clause
// Durability: fsync makes durable the bytes, the inode, and whatever leads to it: the logs of all
// volumes whose directories were passed on the way. The rest follows by itself within a second.
#include <algorithm>
#include <cerrno>

#include "fs_core.hpp"

namespace ssi::fs {

// All at once: each node commits those that it has.
Result<void> Core::commit(const VolumeList& volumes) {
    SmallVector<NodeId, 6> homes;
    Writer call;
    for (const std::uint32_t volume : volumes.all()) {
        call.put(volume);
        const NodeId home = volumes_->node_of(volume);
        if (std::ranges::find(homes, home) == homes.end()) homes.push_back(home);
    }
    for (auto& done :
         calls_->call_all(homes, static_cast<std::uint8_t>(Verb::commit), call.bytes()))
        if (!done) return tl::unexpected<Failure>(std::move(done).error());
    return {};
}

Result<Core::Bytes> Core::serve_commit(std::span<const std::byte> arguments) {
    SmallVector<io::ObjectLog*, 6> logs;
    for (Reader reader(arguments); !reader.at_end();) {
        io::ObjectLog* log = volumes_->log(reader.get<std::uint32_t>(), io::KeptIn::metadata);
        if (!reader.ok()) return fail(Errc::bad_message, "a malformed request to commit");
        if (log) logs.push_back(log);
    }
    if (logs.empty())
        return fail(Errc::bad_message, "a request to commit volumes that are not mounted here");
    for (io::ObjectLog* log : logs)
        if (logs.size() > 1) log->start_commit();
    for (io::ObjectLog* log : logs) SSI_TRY(log->commit_all());
    return Bytes{};
}

// The inode's newest value, whoever has it, is logged.
Result<void> Core::persist_here(InodeId inode) {
    const ObjectId id(inode.value);
    return inodes_.write_back({&id, 1});
}

Result<void> Core::sync(InodeId inode, const VolumeList& volumes) {
    auto head = peek(inode);
    if (!head) {
        if (head.error().sys_errno == ENOENT) return {};   // nothing is left to keep
        return tl::unexpected<Failure>(std::move(head).error());
    }
    if (head->paged()) {
        const Layout layout = Layout::unpack(head->layout);
        const bool mine = head->writer == 0 || head->writer == node_.id().value + 1;
        SSI_TRY(mine ? pages_->sync(inode, layout)
                     : pages_->sync_whole(inode, layout, head->size));
    }
    if (auto done = at_inode(Verb::persist, inode); !done)
        return tl::unexpected<Failure>(std::move(done).error());
    VolumeList all = options_.plant == Plant::forget_way ? VolumeList{} : volumes;
    all.add(volume_of(inode));
    if (head->is_directory()) {
        auto buckets = buckets_of(inode);
        if (!buckets) return tl::unexpected<Failure>(std::move(buckets).error());
        for (const BucketKey key : *buckets) all.add(volume_of_bucket(inode, key));
    }
    return commit(all);
}

Result<void> Core::sync_mine() {
    SSI_TRY(pages_->sync_all());
    SSI_TRY(inodes_.sync());
    return buckets_.sync();
}

Result<void> Core::sync_all() {
    SSI_TRY(pages_->sync_all());
    Result<void> result;
    for (auto& done : calls_->call_all(all_nodes(), static_cast<std::uint8_t>(Verb::sync_all),
                                       Writer().put(no_inode).bytes()))
        if (!done && result) result = tl::unexpected<Failure>(std::move(done).error());
    SSI_TRY(std::move(result));
    SSI_TRY(settle_intents());
    SSI_TRY(erase_gone());
    std::lock_guard lock(committer_mutex_);
    return std::exchange(trouble_, {});
}

// Metadata that nobody asked to be durable becomes so.
void Core::run_committer() {
    for (;;) {
        {
            std::lock_guard lock(committer_mutex_);
            if (!stopping_)
                committer_wakes_.wait_for(
                    committer_mutex_, static_cast<Nanoseconds>(options_.commit_ms) * 1'000'000);
            if (stopping_) return;
        }
        Result<void> done = inodes_.sync();
        if (done) done = buckets_.sync();
        if (done) done = settle_intents();
        if (done) done = erase_gone();
        if (done || done.error().code == Errc::cancelled) continue;
        std::lock_guard lock(committer_mutex_);
        if (!trouble_) continue;   // it is known, and told by the next sync
        SSI_LOG(node_.doors().log, warn, "kdfs", "metadata could not be made durable: {}",
                done.error().to_string());
        trouble_ = std::move(done);
    }
}

}  // namespace ssi::fs
