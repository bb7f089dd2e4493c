// SPDX-License-Identifier: BSD-3-Clause
#include "wrapped_disk.hpp"

#include <cerrno>
#include <mutex>

#include "disk_parts.hpp"

namespace ssi::io {

Result<void> WrappedFile::truncate(std::uint64_t bytes) {
    SSI_TRY(disk_.allow("truncate", name()));
    return below->truncate(bytes);
}

Result<void> WrappedFile::allocate(std::uint64_t place, std::uint64_t bytes) {
    SSI_TRY(disk_.allow("allocate", name()));
    return below->allocate(place, bytes);
}

Result<void> WrappedFile::punch(std::uint64_t place, std::uint64_t bytes) {
    SSI_TRY(disk_.allow("punch", name()));
    return below->punch(place, bytes);
}

Result<std::unique_ptr<DiskFile>> WrappedDisk::open_below(const std::string& name, OpenMode mode) {
    if (auto allowed = allow("open", name); !allowed)
        return tl::unexpected<Failure>(std::move(allowed).error());
    auto file = below_.open(name, mode);
    if (!file) return file;
    return std::make_unique<WrappedFile>(std::move(*file), *this);
}

void WrappedDisk::submit_shadows(std::span<DiskRequest* const> requests) {
    for (DiskRequest* request : requests) {
        request->moved = 0;
        request->sys_errno = check_request(*request);
        if (request->sys_errno != 0) {
            refuse(*request);
            continue;
        }
        auto* const shadow = new Shadow;
        shadow->request = request;
        shadow->disk = this;
        DiskRequest& below = shadow->below;
        below.kind = request->kind;
        below.durable = request->durable;
        below.file = static_cast<WrappedFile&>(*request->file).below.get();
        below.place = request->place;
        below.memory = request->memory;
        below.length = request->length;
        below.pieces = request->pieces;
        below.done = &WrappedDisk::done_below;
        below.context = shadow;
        request->of_disk = shadow;
        request->finished.store(false, std::memory_order_relaxed);
        start(*shadow);
    }
}

void WrappedDisk::refuse(DiskRequest& request) {
    auto* const done = request.done;
    void* const context = request.context;
    {
        std::lock_guard lock(mutex_);
        request.finished.store(true, std::memory_order_release);
        changed_.notify_all();
    }
    if (done) done(request, context);
}

void WrappedDisk::forward(Shadow& shadow, std::vector<Shadow*> others) {
    {
        std::lock_guard lock(mutex_);
        shadow.forwarded = true;
        shadow.others = std::move(others);
        for (Shadow* other : shadow.others) {
            other->forwarded = true;
            other->leader = &shadow;
        }
        shadow.below.finished.store(false, std::memory_order_relaxed);
        ++shadow.users;                // it may be done, and ended, before submit returns
        enter(shadow);
        changed_.notify_all();
    }
    DiskRequest* const one[] = {&shadow.below};
    below_.submit(one);
    std::lock_guard lock(mutex_);
    leave(shadow);
}

void WrappedDisk::done_below(DiskRequest&, void* context) {
    Shadow& shadow = *static_cast<Shadow*>(context);
    WrappedDisk& disk = *shadow.disk;
    {
        std::lock_guard lock(disk.mutex_);
        disk.take_out(shadow);
    }
    disk.after(shadow);
}

void WrappedDisk::enter(Shadow& shadow) {
    shadow.before = last_;
    shadow.behind = nullptr;
    if (last_) last_->behind = &shadow;
    last_ = &shadow;
}

void WrappedDisk::take_out(Shadow& shadow) {
    if (shadow.before) shadow.before->behind = shadow.behind;
    if (shadow.behind) shadow.behind->before = shadow.before;
    if (last_ == &shadow) last_ = shadow.before;
}

// One that may be waited for below; null when all that are there are being ended.
Shadow* WrappedDisk::one_below() const {
    Shadow* one = last_;
    while (one && one->below.is_done()) one = one->before;
    return one;
}

void WrappedDisk::end(Shadow& shadow) {
    DiskRequest& request = *shadow.request;
    auto* const done = request.done;
    void* const context = request.context;
    {
        std::lock_guard lock(mutex_);
        request.moved = shadow.below.moved;
        request.sys_errno = shadow.below.sys_errno;
        request.of_disk = nullptr;
        request.finished.store(true, std::memory_order_release);
        leave(shadow);
        changed_.notify_all();
    }
    if (done) done(request, context);
}

void WrappedDisk::leave(Shadow& shadow) {
    if (--shadow.users == 0) delete &shadow;
}

void WrappedDisk::wait_for(DiskRequest& request) {
    if (request.is_done()) return;
    std::unique_lock lock(mutex_);
    while (!request.is_done()) {
        auto* shadow = static_cast<Shadow*>(request.of_disk);
        if (shadow && shadow->leader) shadow = shadow->leader;
        // One that was not forwarded may have to wait for others that nobody else reaps.
        if (shadow && !shadow->forwarded) shadow = one_below();
        if (!shadow || shadow->below.is_done()) {
            changed_.wait(mutex_);     // until it is forwarded, or ended by who reaped it
            continue;
        }
        ++shadow->users;
        lock.unlock();
        below_.wait(shadow->below);
        lock.lock();
        leave(*shadow);
    }
}

}  // namespace ssi::io
