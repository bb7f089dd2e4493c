// SPDX-License-Identifier: BSD-3-Clause
// Locks of an open file: from offsets and owners as fcntl(2) and flock(2) have them to those of the
// LockService; and the close, which is the end of some of them.
#include <unistd.h>

#include <cerrno>
#include <mutex>

#include "file_open.hpp"

namespace ssi::fs {
namespace {

constexpr std::uint64_t last_byte = INT64_MAX;   // up to it: whatever the file grows to
constexpr Nanoseconds between_looks = 10'000'000;

Result<LockRange> range_of(const ByteLock& lock) {
    if (lock.offset > last_byte) return refuse(EINVAL, "a lock with a negative offset");
    if (lock.length == 0) return LockRange{lock.offset, LockRange::end};
    if (lock.length - 1 > last_byte - lock.offset)
        return refuse(EOVERFLOW, "a lock beyond the largest offset");
    const std::uint64_t last = lock.offset + lock.length - 1;
    return LockRange{lock.offset, last == last_byte ? LockRange::end : last};
}

Result<std::uint64_t> owner_of(const Inside& open, std::uint64_t owner) {
    if (owner == ByteLock::of_this_open) return LockOwner::first_open + open->number;
    if (owner >= LockOwner::first_open)
        return refuse(EINVAL, "an owner's number is below 2^63");
    return owner;
}

Result<void> check_kind(const Inside& open, LockKind kind) {
    if (kind == LockKind::shared && !open->reads())
        return refuse(EBADF, "a shared lock needs a file that is open for reading");
    if (kind == LockKind::exclusive && !open->writes())
        return refuse(EBADF, "an exclusive lock needs a file that is open for writing");
    return {};
}

LockService::Patience patience_of(const Inside& open, const LockWait& wait) {
    LockService::Patience patience;
    patience.wait = wait.timeout > 0;
    patience.interrupted = wait.cancelled;
    patience.through = open->number;
    const Nanoseconds now = open->core->node().doors().clock.now();
    if (wait.timeout < sys::Waiter::forever - now) patience.deadline = now + wait.timeout;
    return patience;
}

// What a call about bytes names: checked, and as the service has it.
struct Named {
    LockRange range;
    std::uint64_t owner = 0;
};
Result<Named> named(const Inside& open, const ByteLock& lock) {
    if (!open) return not_open();
    const auto range = range_of(lock);
    if (!range) return tl::unexpected<Failure>(range.error());
    const auto owner = owner_of(open, lock.owner);
    if (!owner) return tl::unexpected<Failure>(owner.error());
    return Named{*range, *owner};
}

std::uint64_t whole_owner(const Inside& open) { return LockOwner::first_open + open->number; }

}  // namespace

Result<void> File::lock(const ByteLock& wanted, const LockWait& wait) {
    const Inside open(open_.get());
    const auto bytes = named(open, wanted);
    if (!bytes) return tl::unexpected<Failure>(bytes.error());
    SSI_TRY(check_kind(open, wanted.kind));
    {
        std::lock_guard lock(open->owners_mutex);
        open->owners.insert(bytes->owner);
    }
    const auto process =
        bytes->owner >= LockOwner::first_open ? 0 : static_cast<unsigned>(::getpid());
    return open->core->locks().lock({open->inode, LockFamily::range}, bytes->owner, wanted.kind,
                                    bytes->range, process, patience_of(open, wait));
}

Result<void> File::try_lock(const ByteLock& wanted) { return lock(wanted, {.timeout = 0}); }

Result<void> File::unlock(const ByteLock& range) {
    const Inside open(open_.get());
    const auto bytes = named(open, range);
    if (!bytes) return tl::unexpected<Failure>(bytes.error());
    return open->core->locks().unlock({open->inode, LockFamily::range}, bytes->owner,
                                      bytes->range);
}

Result<std::optional<HeldLock>> File::find_lock(const ByteLock& wanted) const {
    const Inside open(open_.get());
    const auto bytes = named(open, wanted);
    if (!bytes) return tl::unexpected<Failure>(bytes.error());
    const auto found = open->core->locks().test({open->inode, LockFamily::range}, bytes->owner,
                                                wanted.kind, bytes->range);
    if (!found) return tl::unexpected<Failure>(found.error());
    if (!*found) return std::optional<HeldLock>();
    const FileLock& lock = **found;
    HeldLock held{lock.kind, lock.range.first, 0, lock.owner.node, lock.process};
    if (lock.range.last != LockRange::end) held.length = lock.range.last - lock.range.first + 1;
    return held;
}

Result<void> File::lock_whole(LockKind kind, const LockWait& wait) {
    const Inside open(open_.get());
    if (!open) return not_open();
    return open->core->locks().lock({open->inode, LockFamily::whole}, whole_owner(open), kind, {},
                                    0, patience_of(open, wait));
}
Result<void> File::try_lock_whole(LockKind kind) { return lock_whole(kind, {.timeout = 0}); }

Result<void> File::unlock_whole() {
    const Inside open(open_.get());
    if (!open) return not_open();
    return open->core->locks().unlock({open->inode, LockFamily::whole}, whole_owner(open), {});
}

// Locks go before the file counts as closed: who gets one sees what was done under it.
Result<void> File::close() {
    if (!open_ || !open_->gate.close()) return {};
    Open& open = *open_;
    LockService& locks = open.core->locks();
    const Clock& clock = open.core->node().doors().clock;
    // Again and again: one may have come in before the gate closed, and wait a little later.
    do {
        locks.end_waits(open.number);
    } while (!open.gate.wait_empty(clock.now() + between_looks));
    Result<void> result = locks.release({open.inode, LockFamily::range}, ByteLock::of_process);
    const auto release = [&](LockFamily family, std::uint64_t owner) {
        auto released = locks.release({open.inode, family}, owner);
        if (result && !released) result = std::move(released);
    };
    for (const std::uint64_t owner : open.owners) release(LockFamily::range, owner);
    release(LockFamily::whole, LockOwner::first_open + open.number);
    auto closed = open.core->closed(open.inode);
    return result ? closed : result;
}

}  // namespace ssi::fs
