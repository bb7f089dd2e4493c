// SPDX-License-Identifier: BSD-3-Clause
// What the kernel has is told by slots: a request that was given to it holds one until it is done.
// A slot may go round several times: after a short transfer with the rest, for a durable write
// without RWF_DSYNC with the sync. System calls and `done` are called without the lock.
#include "aio_queue.hpp"

#include <fmt/format.h>
#include <libaio.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <mutex>
#include <vector>

#include "disk_parts.hpp"
#include "libaio_file.hpp"
#include "ssi/node/owned_fd.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::io {
namespace {

using Kind = DiskRequest::Kind;

// How long a reaper stays in the kernel before it looks around: only for what should not happen.
constexpr timespec longest_stay{0, 100'000'000};
constexpr long events_at_once = 64;
// Tries for which the kernel may have no memory for a request, with yields between them.
constexpr int most_tries = 10'000;

struct Slot {
    iocb block{};
    DiskRequest* request = nullptr;
    std::size_t moved = 0;
    bool syncing = false;              // a sync, or that of a durable write
    bool dsync = false;
    std::vector<iovec> pieces;
};

struct Sleeper {
    const DiskRequest* request;
    sys::Condition woken;
};

// What is left to do once the lock is released.
struct Work {
    struct Told {
        void (*done)(DiskRequest&, void*);
        void* context;
        DiskRequest* request;
    };
    std::vector<Slot*> submit;
    std::vector<Told> told;
    std::size_t finished = 0;
};

const LibaioFile& file_of(const DiskRequest& request) {
    return static_cast<const LibaioFile&>(*request.file);
}

class Queue final : public AioQueue {
public:
    Queue(Options options, io_context_t context, node::OwnedFd event_fd)
        : context_(context), event_fd_(std::move(event_fd)), dsync_(options.dsync),
          slots_(options.depth) {
        for (Slot& slot : slots_) free_.push_back(&slot);
    }
    ~Queue() override;

    void submit(std::span<DiskRequest* const> requests) override;
    std::size_t poll() override;
    void wait(DiskRequest& request) override;
    int event_fd() const override { return event_fd_.get(); }

private:
    using Lock = std::unique_lock<sys::Mutex>;
    // With the lock held:
    void fill(Work& work);
    void prepare(Slot& slot);
    void settle(Slot& slot, long result, Work& work);
    bool goes_on(Slot& slot, long result, int& sys_errno);
    void finish_slot(Slot& slot, int sys_errno, Work& work);
    void conclude(DiskRequest& request, std::size_t moved, int sys_errno, Work& work);
    void hand_over();
    std::size_t reap(Lock& lock, bool may_block);
    // Without:
    void run(Work& work);
    void give_to_kernel(Work& work);
    long submit_some(std::span<iocb*> blocks);

    const io_context_t context_;
    const node::OwnedFd event_fd_;
    sys::Mutex mutex_;
    bool dsync_;                         // until the kernel says that it has none
    bool reaping_ = false;               // somebody is in io_getevents
    std::vector<Slot> slots_;
    std::vector<Slot*> free_;
    std::deque<DiskRequest*> queued_;    // no slot yet
    std::deque<Sleeper*> sleepers_;      // first come, first to reap
};

// The kernel still writes to memory: whoever frees it must wait for that.
Queue::~Queue() {
    {
        Lock lock(mutex_);
        while (free_.size() < slots_.size() || !queued_.empty()) reap(lock, true);
    }
    io_destroy(context_);
}

void Queue::prepare(Slot& slot) {
    const DiskRequest& request = *slot.request;
    const int fd = file_of(request).fd;
    if (slot.syncing) {
        io_prep_fdsync(&slot.block, fd);
    } else {
        slot.pieces.clear();
        std::size_t skip = slot.moved;
        for_each_piece(request, [&](std::byte* memory, std::size_t length) {
            const std::size_t skipped = std::min(skip, length);
            skip -= skipped;
            if (length > skipped) slot.pieces.push_back({memory + skipped, length - skipped});
        });
        const auto place = static_cast<long long>(request.place + slot.moved);
        const int pieces = static_cast<int>(slot.pieces.size());
        if (request.kind == Kind::read)
            io_prep_preadv(&slot.block, fd, slot.pieces.data(), pieces, place);
        else
            io_prep_pwritev(&slot.block, fd, slot.pieces.data(), pieces, place);
        slot.dsync = request.kind == Kind::write && request.durable && dsync_;
        if (slot.dsync) slot.block.aio_rw_flags = RWF_DSYNC;
    }
    slot.block.data = &slot;
    if (event_fd_.get() >= 0) io_set_eventfd(&slot.block, event_fd_.get());
}

void Queue::fill(Work& work) {
    while (!free_.empty() && !queued_.empty()) {
        Slot& slot = *free_.back();
        free_.pop_back();
        slot.request = queued_.front();
        queued_.pop_front();
        slot.moved = 0;
        slot.syncing = slot.request->kind == Kind::sync;
        prepare(slot);
        work.submit.push_back(&slot);
    }
}

// Whether the slot goes round again after this result; else `sys_errno` tells how it ended.
bool Queue::goes_on(Slot& slot, long result, int& sys_errno) {
    const DiskRequest& request = *slot.request;
    sys_errno = result < 0 ? static_cast<int>(-result) : 0;
    if (sys_errno == EINTR) return true;
    if (slot.dsync && (sys_errno == EOPNOTSUPP || sys_errno == EINVAL)) {
        dsync_ = false;                  // an older kernel, or file system: sync after the write
        return true;
    }
    if (slot.syncing || sys_errno != 0) return false;
    slot.moved += static_cast<std::size_t>(result);
    if (slot.moved == request.length) {
        if (request.kind == Kind::read || !request.durable || slot.dsync) return false;
        slot.syncing = true;
        return true;
    }
    // A short transfer: the end of the file, or the next try moves the rest or tells why not.
    if (request.kind == Kind::write) {
        if (result == 0) sys_errno = EIO;
        slot.moved -= slot.moved % sector_bytes;
        return result != 0;
    }
    const auto size = file_of(request).size();
    if (result == 0 || (size && request.place + slot.moved >= *size)) return false;
    slot.moved -= slot.moved % sector_bytes;
    return true;
}

void Queue::finish_slot(Slot& slot, int sys_errno, Work& work) {
    DiskRequest& request = *slot.request;
    slot.request = nullptr;
    free_.push_back(&slot);
    conclude(request, slot.moved, sys_errno, work);
}

void Queue::conclude(DiskRequest& request, std::size_t moved, int sys_errno, Work& work) {
    request.moved = moved;
    request.sys_errno = sys_errno;
    if (request.done) work.told.push_back({request.done, request.context, &request});
    ++work.finished;
    // Without `done` the request may be gone from here on: only its address is compared.
    request.finished.store(true, std::memory_order_release);
    for (Sleeper* sleeper : sleepers_)
        if (sleeper->request == &request) sleeper->woken.notify_one();
}

void Queue::settle(Slot& slot, long result, Work& work) {
    int sys_errno = 0;
    if (goes_on(slot, result, sys_errno)) {
        prepare(slot);
        work.submit.push_back(&slot);
    } else {
        finish_slot(slot, sys_errno, work);
    }
}

void Queue::hand_over() {
    if (!reaping_ && !sleepers_.empty()) sleepers_.front()->woken.notify_one();
}

// Waits for events of the kernel, or only looks, and does what follows. Nobody else reaps.
std::size_t Queue::reap(Lock& lock, bool may_block) {
    io_event events[events_at_once];
    timespec limit = may_block ? longest_stay : timespec{};
    reaping_ = true;
    lock.unlock();
    if (event_fd_.get() >= 0) {
        // Before looking: what comes later makes it readable again.
        std::uint64_t count;
        [[maybe_unused]] const ssize_t got = ::read(event_fd_.get(), &count, sizeof count);
    }
    const long got = io_getevents(context_, may_block ? 1 : 0, events_at_once, events, &limit);
    Work work;
    lock.lock();
    reaping_ = false;
    for (long i = 0; i < got; ++i)
        settle(*static_cast<Slot*>(events[i].data), static_cast<long>(events[i].res), work);
    fill(work);
    lock.unlock();
    run(work);
    lock.lock();
    return work.finished;
}

// The disk is kept busy first; then those that wait are told.
void Queue::run(Work& work) {
    while (!work.submit.empty()) give_to_kernel(work);
    for (const Work::Told& one : work.told) one.done(*one.request, one.context);
}

long Queue::submit_some(std::span<iocb*> blocks) {
    for (int tries = 0;; ++tries) {
        const long taken = io_submit(context_, static_cast<long>(blocks.size()), blocks.data());
        if (taken != -EAGAIN || tries == most_tries) return taken;
        sys::yield_task();
    }
}

void Queue::give_to_kernel(Work& work) {
    const std::vector<Slot*> slots = std::move(work.submit);
    work.submit.clear();
    std::vector<iocb*> blocks;
    for (Slot* slot : slots) blocks.push_back(&slot->block);
    for (std::size_t taken = 0; taken < blocks.size();) {
        long result = submit_some(std::span(blocks).subspan(taken));
        if (result > 0) {
            taken += static_cast<std::size_t>(result);
            continue;
        }
        // The first one was refused.
        Slot& slot = *slots[taken++];
        if (slot.syncing && result == -EINVAL)   // a kernel that cannot sync asynchronously
            result = ::fdatasync(file_of(*slot.request).fd) == 0 ? 0 : -errno;
        Lock lock(mutex_);
        settle(slot, result, work);
        fill(work);
    }
}

void Queue::submit(std::span<DiskRequest* const> requests) {
    Work work;
    {
        Lock lock(mutex_);
        for (DiskRequest* request : requests) {
            request->finished.store(false, std::memory_order_relaxed);
            int sys_errno = check_request(*request);
            if (sys_errno == 0 && request->kind == Kind::write && file_of(*request).read_only)
                sys_errno = EBADF;
            const bool nothing = request->kind != Kind::sync && request->length == 0;
            if (sys_errno == 0 && !nothing)
                queued_.push_back(request);
            else
                conclude(*request, 0, sys_errno, work);
        }
        fill(work);
    }
    run(work);
}

std::size_t Queue::poll() {
    Lock lock(mutex_);
    if (reaping_ || free_.size() == slots_.size()) return 0;
    const std::size_t finished = reap(lock, false);
    hand_over();
    return finished;
}

void Queue::wait(DiskRequest& request) {
    if (request.is_done()) return;
    Lock lock(mutex_);
    while (!request.is_done()) {
        if (!reaping_) {
            reap(lock, true);
            continue;
        }
        Sleeper self{&request, {}};
        sleepers_.push_back(&self);
        self.woken.wait(mutex_);
        std::erase(sleepers_, &self);
    }
    hand_over();
}

}  // namespace

Result<std::unique_ptr<AioQueue>> AioQueue::make(Options options) {
    if (options.depth == 0)
        return fail(Errc::invalid_argument, "a disk's queue depth is at least 1");
    node::OwnedFd event_fd;
    if (options.event_fd) {
        event_fd = node::OwnedFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
        if (event_fd.get() < 0) return fail_errno(Errc::io, errno, "cannot make an eventfd");
    }
    io_context_t context = nullptr;
    if (const int result = io_setup(static_cast<int>(options.depth), &context); result != 0)
        return fail_errno(Errc::out_of_memory, -result,
                          fmt::format("the kernel refuses a queue of {} requests: see "
                                      "fs.aio-max-nr and fs.aio-nr, or use a smaller one",
                                      options.depth));
    return std::make_unique<Queue>(options, context, std::move(event_fd));
}

}  // namespace ssi::io
