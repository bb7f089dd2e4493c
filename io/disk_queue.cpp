// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/io/disk_queue.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <tuple>

#include "disk_parts.hpp"
#include "wrapped_disk.hpp"

namespace ssi::io {
namespace {

class Fifo final : public DiskQueuePolicy {
public:
    void add(DiskRequest& request) override { waiting_.push_back(&request); }
    std::vector<DiskRequest*> take() override {
        if (waiting_.empty()) return {};
        DiskRequest* const first = waiting_.front();
        waiting_.pop_front();
        return {first};
    }

private:
    std::deque<DiskRequest*> waiting_;
};

std::size_t pieces_of(const DiskRequest& request) {
    return std::max<std::size_t>(request.pieces.size(), 1);
}

class Elevator final : public DiskQueuePolicy {
public:
    explicit Elevator(std::size_t merged_bytes) : merged_bytes_(merged_bytes) {}
    void add(DiskRequest& request) override {
        waiting_.emplace(Key{request.file->name(), request.place, ++sequence_}, &request);
    }
    std::vector<DiskRequest*> take() override {
        if (waiting_.empty()) return {};
        auto at = waiting_.lower_bound(here_);
        if (at == waiting_.end()) at = waiting_.begin();
        std::vector<DiskRequest*> taken;
        std::size_t bytes = 0, pieces = 0;
        const auto goes_along = [&](const DiskRequest& next) {
            const DiskRequest& last = *taken.back();
            return next.file == last.file && next.kind == last.kind &&
                   next.durable == last.durable && next.place == last.place + last.length &&
                   bytes + next.length <= merged_bytes_ && pieces + pieces_of(next) <= most_pieces;
        };
        while (at != waiting_.end() && (taken.empty() || goes_along(*at->second))) {
            taken.push_back(at->second);
            bytes += at->second->length;
            pieces += pieces_of(*at->second);
            here_ = at->first;
            at = waiting_.erase(at);
        }
        return taken;
    }

private:
    using Key = std::tuple<std::string, std::uint64_t, std::uint64_t>;   // file, place, age
    const std::size_t merged_bytes_;
    std::map<Key, DiskRequest*> waiting_;
    std::uint64_t sequence_ = 0;
    Key here_;                         // of the last request taken
};

Shadow& shadow_of(DiskRequest& below) { return *static_cast<Shadow*>(below.context); }

class Queue final : public Wrapping<Disk> {
public:
    Queue(Disk& below, const DiskQueueOptions& options)
        : Wrapping(below), most_(std::max<std::size_t>(options.in_flight, 1)),
          policy_(options.policy()) {}

private:
    Result<void> allow(const char*, const std::string&) override { return {}; }
    void start(Shadow& shadow) override;
    void after(Shadow& shadow) override;
    void pump();

    const std::size_t most_;
    sys::Mutex mutex_;
    const std::unique_ptr<DiskQueuePolicy> policy_;
    std::size_t in_flight_ = 0;
};

void Queue::start(Shadow& shadow) {
    if (shadow.below.kind == DiskRequest::Kind::sync) return forward(shadow);
    {
        std::lock_guard lock(mutex_);
        policy_->add(shadow.below);
    }
    pump();
}

// Lets as many in as may be. The first of those that go together carries the memory of all.
void Queue::pump() {
    while (true) {
        std::vector<DiskRequest*> taken;
        {
            std::lock_guard lock(mutex_);
            if (in_flight_ == most_) return;
            taken = policy_->take();
            if (taken.empty()) return;
            ++in_flight_;
        }
        Shadow& first = shadow_of(*taken[0]);
        std::vector<Shadow*> others;
        if (taken.size() > 1) {
            std::size_t length = 0;
            for (const DiskRequest* one : taken) {
                for_each_piece(*one, [&](std::byte* memory, std::size_t bytes) {
                    first.pieces.push_back({memory, bytes});
                });
                length += one->length;
            }
            for (std::size_t i = 1; i < taken.size(); ++i) others.push_back(&shadow_of(*taken[i]));
            first.below.memory = nullptr;
            first.below.length = length;
            first.below.pieces = first.pieces;
        }
        forward(first, others);
    }
}

void Queue::after(Shadow& shadow) {
    if (shadow.below.kind == DiskRequest::Kind::sync) return end(shadow);
    {
        std::lock_guard lock(mutex_);
        --in_flight_;
    }
    // Each gets its part of what was moved, and the error only when its part is not whole.
    std::size_t left = shadow.below.moved;
    const int sys_errno = shadow.below.sys_errno;
    const std::vector<Shadow*> others = std::move(shadow.others);
    const auto part = [&](Shadow& one) {
        const std::size_t length = one.request->length;
        one.below.moved = std::min(left, length);
        left -= one.below.moved;
        one.below.sys_errno = one.below.moved == length && length > 0 ? 0 : sys_errno;
    };
    part(shadow);
    for (Shadow* other : others) {
        part(*other);
        end(*other);
    }
    end(shadow);
    pump();
}

}  // namespace

std::unique_ptr<DiskQueuePolicy> make_fifo_policy() { return std::make_unique<Fifo>(); }

std::unique_ptr<DiskQueuePolicy> make_elevator_policy(std::size_t merged_bytes) {
    return std::make_unique<Elevator>(merged_bytes);
}

std::unique_ptr<Disk> make_disk_queue(Disk& below, DiskQueueOptions options) {
    return std::make_unique<Queue>(below, options);
}

}  // namespace ssi::io
