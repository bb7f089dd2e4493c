// SPDX-License-Identifier: BSD-3-Clause
// File::Open: what an open file of this node has, and the gate that every call of it passes, so
// that one thread may close it while others are inside.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <set>

#include "fs_core.hpp"

namespace ssi::fs {

// Who is inside is counted, until it is closed: then nobody comes in any more, and whoever closes
// waits for the others. Thread-safe; ends only after close and wait_empty.
class FileGate {
public:
    explicit FileGate(sys::Waiter& waiter) : waiter_(waiter) {}
    bool enter() {
        if (!(word_.fetch_add(1, std::memory_order_acquire) & closed_bit)) return true;
        leave();
        return false;
    }
    void leave() {
        if (word_.fetch_sub(1, std::memory_order_acq_rel) == closed_bit + 1) last_has_left();
    }
    bool is_closed() const { return word_.load(std::memory_order_acquire) & closed_bit; }
    bool close() {   // false: it was
        return !(word_.fetch_or(closed_bit, std::memory_order_acq_rel) & closed_bit);
    }
    // False when `deadline` passed first.
    bool wait_empty(Nanoseconds deadline) {
        if (word_.load(std::memory_order_acquire) == closed_bit) {
            std::lock_guard lock(mutex_);   // who told so has gone on
            return true;
        }
        if (!waiter_.wait_until(empty_, deadline)) return false;
        std::lock_guard lock(mutex_);
        return true;
    }

private:
    static constexpr std::uint64_t closed_bit = std::uint64_t{1} << 63;
    // Also when somebody came too late and went again: it is told once.
    void last_has_left() {
        std::lock_guard lock(mutex_);
        if (told_) return;
        told_ = true;
        waiter_.notify(empty_);
    }
    sys::Waiter& waiter_;
    std::atomic<std::uint64_t> word_{0};   // who is inside; the top bit: closed
    sys::Mutex mutex_;
    bool told_ = false;
    sys::WaitCell empty_;
};

// Who a file system's handle acts for, also by the files it has opened: as a process that takes
// another identity does. Thread-safe.
class Identity {
public:
    explicit Identity(Credentials who) { set(std::move(who)); }
    void set(Credentials who) {
        auto fresh = std::make_shared<const Credentials>(std::move(who));
        std::lock_guard lock(mutex_);
        who_.swap(fresh);
    }
    std::shared_ptr<const Credentials> get() const {
        std::lock_guard lock(mutex_);
        return who_;
    }

private:
    mutable sys::Mutex mutex_;
    std::shared_ptr<const Credentials> who_;
};

struct File::Open {
    Open(Core& c, InodeId i) : core(&c), inode(i), gate(c.node().doors().waiter) {}
    Core* core;
    InodeId inode;
    std::string path;                     // that it was opened by
    int flags = 0;
    bool directory = false;
    std::shared_ptr<const Identity> identity;
    std::shared_ptr<const Credentials> who() const { return identity->get(); }
    VolumeList volumes;                   // that lead to it
    Stream stream;
    std::uint64_t number = 0;             // of this node's opens: each has its own
    FileGate gate;
    sys::Mutex mutex;                     // of the position
    std::uint64_t position = 0;
    sys::Mutex owners_mutex;
    std::set<std::uint64_t> owners;       // of locks of bytes that were taken through it

    bool reads() const { return (flags & O_ACCMODE) != O_WRONLY; }
    bool writes() const { return (flags & O_ACCMODE) != O_RDONLY; }
};

// A call that is inside an open file. False: there is none, or it is closed.
class Inside {
public:
    explicit Inside(File::Open* open) : open_(open && open->gate.enter() ? open : nullptr) {}
    ~Inside() {
        if (open_) open_->gate.leave();
    }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
    explicit operator bool() const { return open_ != nullptr; }
    File::Open* operator->() const { return open_; }

private:
    File::Open* open_;
};

inline tl::unexpected<Failure> not_open() { return refuse(EBADF, "the file is not open"); }
Result<void> check_reading(const Inside& open);
Result<void> check_writing(const Inside& open);

}  // namespace ssi::fs
