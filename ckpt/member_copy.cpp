// SPDX-License-Identifier: BSD-3-Clause
#include "member_copy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <deque>

#include "manifest.hpp"
#include "parity_file.hpp"

namespace ssi::ckpt {
namespace {

constexpr const char* lock_name = "lock";

// Files that are made durable together, while the next ones are written.
constexpr std::size_t synced_together = 4;

}  // namespace

Result<void> Flight::wait(Piece& piece) {
    disk_.wait(piece.request);
    first_ = (first_ + 1) % places;
    --under_way_;
    return outcome_of(disk_, piece.request,
                      piece.request.kind == io::DiskRequest::Kind::read ? "read" : "write");
}

Result<std::span<std::byte>> Flight::next(std::size_t bytes) {
    if (under_way_ == places) SSI_TRY(wait(pieces_[first_]));
    Piece& piece = pieces_[(first_ + under_way_) % places];
    if (piece.capacity < bytes) {
        piece.memory.reset(static_cast<std::byte*>(std::aligned_alloc(io::block_bytes, bytes)));
        piece.capacity = piece.memory ? bytes : 0;
        if (!piece.memory)
            return fail(Errc::out_of_memory, "no memory for a piece of a member");
    }
    piece.request.memory = piece.memory.get();
    piece.request.length = bytes;
    return std::span(piece.memory.get(), bytes);
}

void Flight::submit(io::DiskRequest::Kind kind, io::DiskFile& file, std::uint64_t place) {
    io::DiskRequest& request = pieces_[(first_ + under_way_) % places].request;
    ++under_way_;
    ++submitted_;
    request.kind = kind;
    request.file = &file;
    request.place = place;
    request.moved = 0;
    request.sys_errno = 0;
    io::DiskRequest* const submitted[] = {&request};
    disk_.submit(submitted);
}

void Flight::submit(io::DiskRequest::Kind kind, io::DiskFile& file, std::uint64_t place,
                    std::size_t bytes) {
    pieces_[(first_ + under_way_) % places].request.length = bytes;
    submit(kind, file, place);
}

Result<std::span<const std::byte>> Flight::oldest() {
    Piece& piece = pieces_[first_];
    SSI_TRY(wait(piece));
    return std::span<const std::byte>(piece.memory.get(), piece.request.moved);
}

Result<void> Flight::land() {
    Result<void> worst;
    while (under_way_ != 0)
        if (auto done = wait(pieces_[first_]); !done && worst) worst = std::move(done);
    return worst;
}

Result<std::vector<std::string>> files_of_member(Store& store, VersionNumber version,
                                                 MemberIndex member) {
    auto names = store.state().disk.list(member_folder(version, member));
    if (!names) return names;
    std::erase(*names, lock_name);
    const auto last = std::ranges::find(*names, member_name);
    if (last == names->end())
        return fail(Errc::not_found, fmt::format("member {} of version {} is not finished in {}",
                                                 member, version, store.name()));
    std::rotate(last, last + 1, names->end());
    return names;
}

Result<void> read_file_of_member(Store& store, VersionNumber version, MemberIndex member,
                                 const std::string& name, std::size_t most,
                                 const VisitPiece& piece) {
    io::Disk& disk = store.state().disk;
    const auto file = disk.open(member_folder(version, member) + "/" + name, io::OpenMode::read);
    if (!file) return tl::unexpected<Failure>(file.error());
    const auto size = (*file)->size();
    if (!size) return tl::unexpected<Failure>(size.error());
    Flight flight(disk);   // lands before the file is closed
    std::uint64_t asked = 0;
    for (std::uint64_t place = 0; place < *size;) {
        for (; asked < *size && flight.under_way() < Flight::places - 1; asked += most) {
            SSI_TRY(flight.next(std::min<std::uint64_t>(most, *size - asked)));
            flight.submit(io::DiskRequest::Kind::read, **file, asked);
        }
        const auto bytes = flight.oldest();
        if (!bytes) return tl::unexpected<Failure>(bytes.error());
        const std::uint64_t wanted = std::min<std::uint64_t>(most, *size - place);
        if (bytes->size() != wanted)
            return fail(Errc::io, fmt::format("{} of {} became shorter while it was read", name,
                                              store.name()));
        SSI_TRY(piece({name, *size, place, *bytes}));
        place += wanted;
    }
    return {};
}

Result<std::unique_ptr<MemberCopy>> MemberCopy::begin(Store& store, const DatasetId& dataset,
                                                      VersionNumber version, MemberIndex member) {
    if (const auto here = store.member(version, member); here && here->dataset == dataset)
        return fail(Errc::exists, fmt::format("member {} of version {} is in {} already", member,
                                              version, store.name()));
    auto lock = MemberLock::take(store.state(), version, member);
    if (!lock) return tl::unexpected<Failure>(std::move(lock).error());
    std::unique_ptr<MemberCopy> copy(new MemberCopy(store, std::move(*lock), dataset, version,
                                                    member));
    if (auto opened = copy->open(); !opened)
        return tl::unexpected<Failure>(std::move(opened).error());
    return copy;
}

Result<std::unique_ptr<MemberCopy>> MemberCopy::rebuild(Store& store, const MemberInfo& info) {
    auto lock = MemberLock::take(store.state(), info.version, info.member);
    if (!lock) return tl::unexpected<Failure>(std::move(lock).error());
    std::unique_ptr<MemberCopy> copy(
        new MemberCopy(store, std::move(*lock), info.dataset, info.version, info.member));
    copy->folder_ = rebuild_folder(info.version, info.member);
    copy->rebuilt_ = info;
    if (auto opened = copy->open(); !opened)
        return tl::unexpected<Failure>(std::move(opened).error());
    return copy;
}

// As by MemberWriter, so that a version belongs to one dataset here, too.
Result<void> MemberCopy::open() {
    io::Disk& disk = store_.state().disk;
    const std::string version = version_folder(version_);
    SSI_TRY(disk.make_directory(version));
    const auto claim = disk.open(version + "/" + claim_name(dataset_), io::OpenMode::create);
    if (!claim) return tl::unexpected<Failure>(claim.error());
    SSI_TRY(disk.make_directory(member_folder(version_, member_)));
    SSI_TRY(lock_.lock_folder());
    SSI_TRY(disk.make_directory(folder_));
    const auto old = disk.list(folder_);
    if (!old) return tl::unexpected<Failure>(old.error());
    for (const std::string& name : *old)
        if (name != lock_name) SSI_TRY(disk.remove(folder_ + "/" + name));
    return {};
}

// With room for all of it: a write that makes a file longer is waited for where it is submitted.
Result<void> MemberCopy::begin_file(const FilePiece& first) {
    const bool some_landed = files_.size() > synced_together &&
                             files_[synced_together - 1].written <= flight_.landed();
    if (first.name == member_name) {   // which tells that all others are whole
        SSI_TRY(sync_files());
    } else if (some_landed) {
        SSI_TRY(end_sync());
        SSI_TRY(begin_sync(synced_together));
    }
    if (first.name.empty() || first.name.find('/') != first.name.npos || first.name == lock_name)
        return fail(Errc::bad_message, fmt::format("a file \"{}\" of a member", first.name));
    auto file = store_.state().disk.open(
        fmt::format("{}/{}", folder_, first.name), io::OpenMode::create);
    if (!file) return tl::unexpected<Failure>(std::move(file).error());
    files_.push_back({std::move(*file), first.file_bytes, first.file_bytes, 0});
    name_ = first.name;
    return files_.back().file->allocate(0, first.file_bytes);
}

Result<void> MemberCopy::end_file(std::string_view name, std::uint64_t bytes) {
    if (name != name_ || files_.empty() || bytes > files_.back().room)
        return fail(Errc::bad_message, fmt::format("the end of a file \"{}\" of a member", name));
    files_.back().bytes = bytes;
    return {};
}

// Of the oldest, all of whose writes are done: a sync covers no others. What was set aside beyond
// the end is given back.
Result<void> MemberCopy::begin_sync(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i)
        if (const File& one = files_[i]; one.bytes != one.room)
            SSI_TRY(one.file->truncate(one.bytes));
    std::vector<io::DiskRequest*> submitted;
    for (; count != 0; --count) {
        Syncing& one = syncing_.emplace_back();
        one.file = std::move(files_.front().file);
        one.request.kind = io::DiskRequest::Kind::sync;
        one.request.file = one.file.get();
        submitted.push_back(&one.request);
        files_.pop_front();
    }
    store_.state().disk.submit(submitted);
    return {};
}

Result<void> MemberCopy::end_sync() {
    io::Disk& disk = store_.state().disk;
    Result<void> worst;
    for (Syncing& one : syncing_) {
        disk.wait(one.request);
        if (auto done = outcome_of(disk, one.request, "sync"); !done && worst)
            worst = std::move(done);
    }
    syncing_.clear();
    return worst;
}

Result<void> MemberCopy::sync_files() {
    SSI_TRY(flight_.land());
    SSI_TRY(end_sync());
    name_.clear();
    SSI_TRY(begin_sync(files_.size()));
    return end_sync();
}

Result<std::span<std::byte>> MemberCopy::room(const FilePiece& piece, std::size_t bytes) {
    if (piece.name != name_) SSI_TRY(begin_file(piece));
    if (bytes % io::block_bytes != 0 || piece.place % io::block_bytes != 0 ||
        piece.file_bytes != files_.back().room || piece.place > piece.file_bytes ||
        bytes > piece.file_bytes - piece.place)
        return fail(Errc::bad_message, "a piece of a member that is not in whole blocks, or not of "
                                       "its file");
    room_place_ = piece.place;
    return flight_.next(bytes);
}

void MemberCopy::write_room() {
    flight_.submit(io::DiskRequest::Kind::write, *files_.back().file, room_place_);
    files_.back().written = flight_.submitted();
}

Result<void> MemberCopy::write(const FilePiece& piece) {
    const auto memory = room(piece, piece.bytes.size());
    if (!memory) return tl::unexpected<Failure>(memory.error());
    std::ranges::copy(piece.bytes, memory->begin());
    write_room();
    return {};
}

Result<void> MemberCopy::finish() {
    SSI_TRY(sync_files());
    if (rebuilt_) SSI_TRY(take_place());
    io::Disk& disk = store_.state().disk;
    SSI_TRY(disk.sync_directory(member_folder(version_, member_)));
    SSI_TRY(disk.sync_directory(version_folder(version_)));
    SSI_TRY(disk.sync_directory(""));
    const auto copied = store_.member(version_, member_);
    if (!copied) return tl::unexpected<Failure>(copied.error());
    if (copied->dataset != dataset_)
        return fail(Errc::mismatch, fmt::format("member {} of version {} is another dataset's than "
                                                "was to be copied", member_, version_));
    finished_ = true;
    return {};
}

MemberCopy::~MemberCopy() {
    (void)flight_.land();
    (void)end_sync();
    files_.clear();
    if (!finished_) discard();
}

// What was there before stays; a folder that was not does not.
void MemberCopy::discard() {
    io::Disk& disk = store_.state().disk;
    (void)remove_folder(disk, folder_);
    const std::string folder = member_folder(version_, member_);
    const auto left = disk.list(folder);
    if (left && std::ranges::all_of(*left, [](const auto& name) { return name == lock_name; }))
        (void)remove_folder(disk, folder);
}

Result<void> MemberCopy::write_member_file(const MemberInfo& info) {
    const auto bytes = encode_member(info);
    return write({member_name, bytes.size(), 0, bytes});
}

// Each file at once by the one of its name. Those that differ are of no use as they are.
Result<void> MemberCopy::take_place() {
    io::Disk& disk = store_.state().disk;
    SSI_TRY(disk.sync_directory(folder_));
    SSI_TRY(verify_log(disk, folder_, *rebuilt_));
    const std::string folder = member_folder(version_, member_);
    std::vector<std::string> names;
    for (std::uint64_t segment = 1; segment <= rebuilt_->log.segments; ++segment)
        names.push_back(io::sealed_file_name(segment));
    names.emplace_back(member_name);
    for (const std::string& name : names)
        SSI_TRY(disk.rename(folder_ + "/" + name, folder + "/" + name));
    const auto there = disk.list(folder);
    if (!there) return tl::unexpected<Failure>(there.error());
    for (const std::string& name : *there)
        if (name != lock_name && std::ranges::find(names, name) == names.end())
            SSI_TRY(disk.remove(folder + "/" + name));
    return remove_folder(disk, folder_);
}

}  // namespace ssi::ckpt
