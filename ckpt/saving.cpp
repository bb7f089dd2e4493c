// SPDX-License-Identifier: BSD-3-Clause
#include "saving.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <new>
#include <optional>

#include "explained.hpp"
#include "fault_point.hpp"
#include "manifest.hpp"
#include "store_files.hpp"
#include "store_state.hpp"

namespace ssi {

void CheckpointTicket::State::was_saved() {
    std::lock_guard lock(mutex);
    saved = true;
    saved_at = clock.now();
}

void CheckpointTicket::State::finish(Result<void> result) {
    std::lock_guard lock(mutex);
    outcome = std::move(result);
    end = clock.now();
    done = true;
    ended.notify_all();
}

namespace ckpt {
namespace {

constexpr std::uint8_t fine = 1, failed = 0;
// An object that is written while the cut shows it has at most so many bytes.
constexpr std::size_t brief_bytes = std::size_t{1} << 20;

// Whatever is thrown meanwhile: what the task works with outlives it.
class Joined {
public:
    explicit Joined(std::unique_ptr<sys::Tasks::Handle> task) : task_(std::move(task)) {}
    Joined(const Joined&) = delete;
    Joined& operator=(const Joined&) = delete;
    ~Joined() { task_->join(); }

private:
    std::unique_ptr<sys::Tasks::Handle> task_;
};

Bytes with_head(std::uint8_t head, std::span<const std::byte> body) {
    Bytes out(1 + body.size(), std::byte{head});
    std::ranges::copy(body, out.begin() + 1);
    return out;
}

}  // namespace

void Saving::counted(const Part& part) {
    Count& count = counts_[part.item];
    ++count.objects;
    count.bytes += part.total;
    fault_point(FaultPoint::object_saved);
    ticket_->saved_bytes.fetch_add(part.total, std::memory_order_relaxed);
}

Result<void> Saving::put(const Part& part, std::span<const std::byte> bytes) {
    SSI_TRY(writer_->put(part, bytes));
    counted(part);
    return {};
}

Result<void> Saving::put(const Changed& changed, std::span<const std::byte> bytes) {
    const auto member = static_cast<MemberIndex>(doors_.node.rank());
    for (const Run& run : changed.runs) {
        Part part = changed.part;
        part.offset = run.offset;
        SSI_TRY(run.same ? writer_->put_ref(part, run.length, {doors_.changes->base(), member})
                         : writer_->put(part, bytes.subspan(run.offset, run.length)));
    }
    counted(changed.part);
    return {};
}

Result<void> Saving::save_memory(const SavedMemory& memory) {
    if (!doors_.changes) return put(memory.part, memory.bytes);
    Changed changed;
    doors_.changes->look(memory.part, memory.bytes, false, changed);
    return put(changed, memory.bytes);
}

// Whoever wants to change an object that is held meanwhile does not wait for the disk: there is
// room in the log for one of usual length before it is shown, and a longer one is only copied, what
// has changed of it, and written afterwards.
Result<void> Saving::save_objects() {
    Changed changed;
    Bytes& copy = doors_.scratch;
    Result<void> done;
    bool copied = false;
    const auto visit = [&](const kddm::CutObject& object) {
        const Part part{.item = doors_.protection.of_set(object.set)->item.id,
                        .id = object.id,
                        .version = object.version,
                        .offset = 0,
                        .total = object.bytes.size()};
        if (doors_.changes) {
            doors_.changes->look(part, object.bytes, true, changed);
        } else {
            changed.part = part;
            changed.runs.assign(1, {0, part.total, false});
        }
        copied = object.held && part.total > brief_bytes;
        if (!copied) {
            done = put(changed, object.bytes);
            return;
        }
        copy.resize(std::max<std::size_t>(copy.size(), part.total));
        for (const Run& run : changed.runs)
            if (!run.same)
                std::memcpy(copy.data() + run.offset, object.bytes.data() + run.offset,
                            run.length);
    };
    for (;;) {
        SSI_TRY(writer_->prepare(brief_bytes));
        if (!doors_.cut.next(visit)) return {};
        if (copied) done = put(changed, std::span(copy).first(changed.part.total));
        SSI_TRY(done);
    }
}

Result<MemberInfo> Saving::save() {
    fault_point(FaultPoint::saving_begun);
    Result<void> saved;
    try {
        saved = save_all();
    } catch (const std::bad_alloc&) {
        saved = fail(Errc::out_of_memory, "no memory for a copy of one object and its hashes");
    }
    doors_.cut.end();
    fault_point(FaultPoint::objects_saved);
    if (!saved) return explained(Result<MemberInfo>(tl::unexpected(std::move(saved).error())));
    auto member = writer_->finish();
    fault_point(FaultPoint::member_durable);
    return explained(std::move(member));
}

// Before others hear of it.
template <class T>
Result<T> Saving::explained(Result<T> result) const {
    std::uint64_t known = 0;
    for (const SavedMemory& memory : memory_) known += memory.bytes.size();
    return ckpt::explained(std::move(result), doors_.places.own(),
                           std::max(known, ticket_->saved_bytes.load()));
}

Result<void> Saving::save_all() {
    // First, as nothing goes on in those meanwhile.
    SSI_TRY(save_states());
    for (const SavedMemory& memory : memory_) SSI_TRY(save_memory(memory));
    SSI_TRY(save_files());
    for (const kddm::CutChannel& channel : doors_.cut.channels())
        SSI_TRY(put({.item = channels_item, .id = channel.id, .total = channel.state.size()},
                    channel.state));
    SSI_TRY(save_objects());
    return sync_files();
}

Result<void> Saving::save_states() {
    const ObjectId id{static_cast<std::uint64_t>(doors_.node.rank()), 0};
    return frozen_.save([&](SetId item, std::uint64_t total, std::uint64_t place,
                            std::span<const std::byte> bytes) -> Result<void> {
        const Part part{.item = item, .id = id, .version = 0, .offset = place, .total = total};
        SSI_TRY(writer_->put(part, bytes));
        if (place + bytes.size() == total) counted(part);
        return {};
    });
}

Result<void> Saving::save_files() {
    const auto rank = static_cast<std::uint64_t>(doors_.node.rank());
    for (SavedFile& file : files_) {
        if (!file.kept) return tl::unexpected<Failure>(file.kept.error());
        const Bytes& bytes = file.kept->bytes;
        SSI_TRY(save_memory({{.item = file.item, .id = {rank, 0}, .total = bytes.size()}, bytes}));
    }
    return {};
}

// A version of which it is durable how long a file is, and not what is in it, would be no good.
Result<void> Saving::sync_files() {
    for (SavedFile& file : files_) {
        if (!file.kept->sync) continue;
        auto synced = file.kept->sync->result();
        if (synced) continue;
        Failure failure = synced.error();
        failure.text = fmt::format("file {}: {}", file.kept->state.path, failure.text);
        return tl::unexpected(std::move(failure));
    }
    return {};
}

CopyOf Saving::copy_of(int rank) const {
    return {version_.dataset, version_.version, static_cast<MemberIndex>(rank)};
}

Result<void> Saving::receive(int from) {
    return with_memory("a piece of a member", [&] {
        return doors_.copies.receive(from, copy_of(from), doors_.places.own());
    });
}

// A task for each member that comes, as its sender may wait for nobody else meanwhile.
Result<MemberInfo> Saving::save_and_copy() {
    if (!group_.ranks.empty()) return save_with_parity();
    if (partners_.empty()) return save();
    const auto self = doors_.node.rank();
    std::vector<int> from;
    for (std::size_t rank = 0; rank < partners_.size(); ++rank)
        if (partners_[rank] == self) from.push_back(static_cast<int>(rank));
    std::vector<Result<void>> came(from.size());
    std::deque<Joined> tasks;
    for (std::size_t i = 0; i < from.size(); ++i)
        tasks.emplace_back(doors_.node.doors().tasks.spawn(
            "checkpoint copy", [&, i] { came[i] = receive(from[i]); }));
    MemberSender sender(doors_.copies, partners_[static_cast<std::size_t>(self)]);
    writer_->set_mirror(&sender);
    auto saved = save();
    writer_->set_mirror(nullptr);
    auto sent = sender.finish(copy_of(self), doors_.places.own(),
                              saved ? Result<void>() : tl::unexpected<Failure>(saved.error()));
    tasks.clear();
    fault_point(FaultPoint::copies_made);
    if (!sent) return tl::unexpected<Failure>(std::move(sent).error());
    for (auto& one : came)
        if (!one) return tl::unexpected<Failure>(std::move(one).error());
    return saved;
}

// The parity of what others send is kept by another task, as all wait for each other in turn.
Result<MemberInfo> Saving::save_with_parity() {
    const auto self = doors_.node.rank();
    ParityKeeper keeper(doors_.copies, group_, doors_.places.own(), copy_of(self));
    Result<void> kept;
    const auto receive_all = [&] {
        kept = with_memory("a row of parity", [&] { return keeper.receive(); });
    };
    std::optional<Joined> task(
        std::in_place, doors_.node.doors().tasks.spawn("checkpoint parity", receive_all));
    ParitySender sender(doors_.copies, group_);
    writer_->set_mirror(&sender);
    auto saved = save();
    writer_->set_mirror(nullptr);
    auto sent = sender.finish(saved);
    task.reset();
    if (!sent) return tl::unexpected<Failure>(std::move(sent).error());
    if (kept) kept = keeper.finish(std::move(*sent));
    if (!kept) return tl::unexpected<Failure>(std::move(kept).error());
    return saved;
}

Result<void> Saving::run() {
    const auto saved = explained(save_and_copy());
    const auto decision = doors_.votes.vote(
        ballot(saved), [this](const std::vector<Bytes>& ballots) { return decide(ballots); });
    // A node has died: what is durable stays, as the others may have committed it.
    if (!decision) return tl::unexpected<Failure>(decision.error());
    auto concluded = conclude(*decision);
    writer_.reset();
    if (doors_.changes && concluded) doors_.changes->committed(version_.version);
    return concluded;
}

Bytes Saving::ballot(const Result<MemberInfo>& saved) const {
    if (!saved) {
        Failure failure = saved.error();
        failure.text = fmt::format("node {}: {}", doors_.node.id().value, failure.text);
        return with_head(failed, encode_failure(failure));
    }
    Writer out;
    out.block(encode_member(*saved));
    out.put(static_cast<std::uint32_t>(counts_.size()));
    for (const auto& [item, count] : counts_) {
        out.put(item.value);
        out.put(count.objects);
        out.put(count.bytes);
    }
    return with_head(fine, out.bytes());
}

// The manifest, once all members are known to be durable.
Result<Manifest> Saving::count(const std::vector<Bytes>& ballots) const {
    Manifest manifest = version_;
    std::map<SetId, Count> counts;
    for (std::size_t rank = 0; rank < ballots.size(); ++rank) {
        const std::span<const std::byte> ballot = ballots[rank];
        if (ballot.empty())
            return fail(Errc::bad_message, fmt::format("rank {} did not tell how it has saved",
                                                       rank));
        if (ballot[0] != std::byte{fine})
            return tl::unexpected(decode_failure(ballot.subspan(1)));
        Reader in(ballot.subspan(1));
        auto member = decode_member(in.block());
        if (!member) return tl::unexpected<Failure>(std::move(member).error());
        manifest.members.push_back(std::move(*member));
        const std::uint32_t items = in.count(sizeof(std::uint32_t) + sizeof(Count));
        for (std::uint32_t i = 0; i < items; ++i) {
            Count& count = counts[SetId(in.get<std::uint32_t>())];
            count.objects += in.get<std::uint64_t>();
            count.bytes += in.get<std::uint64_t>();
        }
    }
    for (Item& item : manifest.items) {
        item.objects = counts[item.id].objects;
        item.bytes = counts[item.id].bytes;
    }
    return manifest;
}

// On the first node. Committed here, the version counts, whatever becomes of the others.
Bytes Saving::decide(const std::vector<Bytes>& ballots) {
    const auto manifest = count(ballots);
    Result<void> done;
    if (manifest)
        done = explained(commit(*manifest));
    else
        done = tl::unexpected<Failure>(manifest.error());
    return done ? with_head(fine, encode_manifest(*manifest))
                : with_head(failed, encode_failure(done.error()));
}

Result<void> Saving::conclude(std::span<const std::byte> decision) {
    fault_point(FaultPoint::decision_heard);
    if (decision.empty()) return fail(Errc::bad_message, "a checkpoint's end was not told");
    if (decision[0] != std::byte{fine}) {
        drop_parity();
        writer_->abandon();
        drop_copies();
        return tl::unexpected(decode_failure(decision.subspan(1)));
    }
    const auto manifest = decode_manifest(decision.subspan(1));
    if (!manifest) return tl::unexpected<Failure>(manifest.error());
    if (doors_.node.rank() == 0) return {};   // it has
    // The version is valid by the first node's copy: to have none here is worth a warning.
    if (auto done = commit(*manifest); !done)
        SSI_LOG(doors_.node.doors().log, warn, "checkpoint", "version {}: no manifest in {}: {}",
                manifest->version, doors_.places.own().name(), done.error().to_string());
    return {};
}

// What others' members have left here of a version that failed.
void Saving::drop_copies() {
    for (std::size_t rank = 0; rank < partners_.size(); ++rank)
        if (partners_[rank] == doors_.node.rank())
            (void)doors_.places.own().state().drop_member(version_.version,
                                                          static_cast<MemberIndex>(rank));
}

void Saving::drop_parity() {
    if (group_.ranks.empty()) return;
    const auto member = static_cast<MemberIndex>(doors_.node.rank());
    (void)remove_folder(doors_.places.own().state().disk,
                        parity_folder(version_.version, member));
}

Result<void> Saving::commit(const Manifest& manifest) {
    if (!doors_.places.leads()) return {};
    auto done = doors_.places.own().commit(manifest);
    fault_point(FaultPoint::committed);
    if (!done && done.error().code == Errc::exists) {
        // Of another host that has this store, too.
        const auto there = doors_.places.own().manifest(manifest.version);
        if (there && *there == manifest) return {};
    }
    return done;
}

void Saving::prune() {
    if (!doors_.places.leads()) return;
    const auto pruned = prune_versions(doors_.places.all(), keep_);
    fault_point(FaultPoint::pruned);
    if (!pruned)
        SSI_LOG(doors_.node.doors().log, warn, "checkpoint", "older versions stay: {}",
                pruned.error().to_string());
}

}  // namespace ckpt
}  // namespace ssi
