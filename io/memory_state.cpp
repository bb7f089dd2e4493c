// SPDX-License-Identifier: BSD-3-Clause
#include "memory_state.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "disk_parts.hpp"

namespace ssi::io {

using Kind = DiskRequest::Kind;

// Those whose time has come, in the order in which they are to be done.
std::vector<MemoryWaiting> MemoryState::take_due() {
    std::vector<MemoryWaiting> due;
    if (timed()) {
        const Nanoseconds time = now();
        std::erase_if(waiting, [&](const MemoryWaiting& one) {
            if (one.due > time) return false;
            due.push_back(one);
            return true;
        });
        std::stable_sort(due.begin(), due.end(),
                         [](const auto& a, const auto& b) { return a.due < b.due; });
    } else if (!waiting.empty()) {
        for (std::size_t count = 1 + random.below(waiting.size()); count > 0; --count) {
            const std::size_t pick = random.below(waiting.size());
            due.push_back(waiting[pick]);
            waiting[pick] = waiting.back();
            waiting.pop_back();
        }
    }
    return due;
}

void MemoryState::perform(const MemoryWaiting& one) {
    DiskRequest& request = *one.request;
    MemoryContent& content = *memory_file_of(request).content;
    ++operations;
    if (request.kind == Kind::sync) {
        content.sync(one.covered);
        return;
    }
    for_each_piece(request, [&](std::byte* memory, std::size_t length) {
        if (request.sys_errno != 0) return;
        const std::uint64_t place = request.place + request.moved;
        if (request.kind == Kind::read) {
            request.moved += content.read(place, {memory, length});
            return;
        }
        const std::size_t written =
            content.write(place, {memory, length}, operations, request.durable, room);
        request.moved += written;
        if (written < length) request.sys_errno = ENOSPC;
    });
}

// Does the requests that are due; how many.
std::size_t MemoryState::reap() {
    std::vector<MemoryWaiting> due;
    std::vector<std::uint64_t> numbers;
    {
        std::lock_guard lock(mutex);
        due = take_due();
        for (const MemoryWaiting& one : due) {
            perform(one);
            numbers.push_back(operations);
        }
    }
    if (due.empty()) return 0;
    for (std::size_t i = 0; i < due.size(); ++i) {
        const bool changing = due[i].request->kind != Kind::read;
        finish(*due[i].request);
        if (changing) tell(numbers[i]);
    }
    std::lock_guard lock(mutex);
    changed.notify_all();
    return due.size();
}

// The body of the fiber that does requests in virtual time, while there are any.
void MemoryState::serve() {
    std::unique_lock lock(mutex);
    while (!waiting.empty() && !gone) {
        const Nanoseconds left = next_due() - now();
        if (left > 0) {
            changed.wait_for(mutex, left);
            continue;
        }
        lock.unlock();
        reap();
        lock.lock();
    }
    served = false;
}

template <class Change>
Result<void> MemoryFile::change(const char* verb, Change change) {
    if (read_only)
        return fail_errno(Errc::io, EBADF,
                          fmt::format("cannot {} {}: it is open for reading", verb, name_));
    std::uint64_t operation;
    {
        std::lock_guard lock(state_->mutex);
        operation = ++state_->operations;
        if (!change(operation))
            return fail_errno(Errc::io, ENOSPC,
                              fmt::format("cannot {} {} of {}", verb, name_,
                                          state_->options.name));
    }
    state_->tell(operation);
    return {};
}

Result<std::uint64_t> MemoryFile::size() const {
    std::lock_guard lock(state_->mutex);
    return content->size();
}

Result<void> MemoryFile::truncate(std::uint64_t bytes) {
    return change("truncate", [&](std::uint64_t operation) {
        content->truncate(bytes, operation, state_->room);
        return true;
    });
}

Result<void> MemoryFile::allocate(std::uint64_t place, std::uint64_t bytes) {
    return change("allocate", [&](std::uint64_t operation) {
        return content->allocate(place, bytes, operation, state_->room);
    });
}

Result<void> MemoryFile::punch(std::uint64_t place, std::uint64_t bytes) {
    if (place % block_bytes != 0 || bytes % block_bytes != 0)
        return fail_errno(Errc::io, EINVAL,
                          fmt::format("cannot punch parts of blocks of {}", name_));
    return change("punch", [&](std::uint64_t operation) {
        content->punch(place, bytes, operation, state_->room);
        return true;
    });
}

}  // namespace ssi::io
