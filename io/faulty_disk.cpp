// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/io/faulty_disk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <vector>

#include "delay_line.hpp"
#include "disk_parts.hpp"
#include "ssi/base/random.hpp"
#include "wrapped_disk.hpp"

namespace ssi::io {
namespace {

using Kind = DiskRequest::Kind;

// What is to happen to a request; kept as the shadow's stage.
enum class Fault : int {
    none, error, no_room, short_transfer, torn_write, torn_write_back, flipped_read, flipped_write,
    slow, stuck
};

void take_buffer(Shadow& shadow) {
    shadow.buffer = {static_cast<std::byte*>(std::aligned_alloc(block_bytes, shadow.below.length)),
                     &std::free};
    std::memset(shadow.buffer.get(), 0, shadow.below.length);
}

void use_buffer(Shadow& shadow, Kind kind) {
    shadow.below.kind = kind;
    shadow.below.memory = shadow.buffer.get();
    shadow.below.pieces = {};
}

// Calls visit(memory of the request, place in the request, length) for pieces of at most a sector.
template <class Visit>
void for_each_sector(const DiskRequest& request, Visit visit) {
    std::size_t place = 0;
    for_each_piece(request, [&](std::byte* memory, std::size_t length) {
        for (std::size_t i = 0; i < length; i += sector_bytes, place += sector_bytes)
            visit(memory + i, place);
    });
}

class Faulty final : public Wrapping<FaultyDisk> {
public:
    Faulty(Disk& below, const FaultyDiskOptions& options)
        : Wrapping(below), plan_(options.plan), random_(options.plan.seed),
          own_tasks_(options.tasks ? nullptr : sys::make_thread_tasks()),
          line_(options.tasks ? *options.tasks : *own_tasks_,
                options.clock ? *options.clock : real_clock_) {}
    ~Faulty() override { release_stuck(); }

    void set_plan(FaultPlan plan) override {
        std::lock_guard lock(mutex_);
        plan_ = plan;
        random_ = Random(plan.seed);
        operations_ = faults_ = 0;
    }
    std::uint64_t operations() const override {
        std::lock_guard lock(mutex_);
        return operations_;
    }
    std::uint64_t faults() const override {
        std::lock_guard lock(mutex_);
        return faults_;
    }
    std::size_t release_stuck() override;

private:
    Result<void> allow(const char* verb, const std::string& name) override;
    void start(Shadow& shadow) override;
    void after(Shadow& shadow) override;
    // With the lock held:
    bool its_turn();
    Fault choose(const DiskRequest& request);
    std::size_t part_of(const DiskRequest& request) {
        return random_.below(request.length / block_bytes) * block_bytes;
    }
    void shorten(Shadow& shadow);
    void flip(const DiskRequest& request);
    void end_with(Shadow& shadow, int sys_errno) {
        shadow.below.sys_errno = sys_errno;
        end(shadow);
    }

    mutable sys::Mutex mutex_;
    FaultPlan plan_;
    Random random_;
    std::uint64_t operations_ = 0;
    std::uint64_t faults_ = 0;
    std::vector<Shadow*> stuck_;
    const RealClock real_clock_;
    const std::unique_ptr<sys::Tasks> own_tasks_;
    DelayLine line_;
};

bool Faulty::its_turn() {
    ++operations_;
    if (plan_.fail_at == 0) return false;
    const bool fails =
        plan_.fail_after ? operations_ >= plan_.fail_at : operations_ == plan_.fail_at;
    if (fails) ++faults_;
    return fails;
}

Result<void> Faulty::allow(const char* verb, const std::string& name) {
    std::lock_guard lock(mutex_);
    if (!its_turn()) return {};
    return fail_errno(Errc::io, plan_.sys_errno,
                      fmt::format("cannot {} {} of {}: a fault of the plan", verb, name,
                                  below().name()));
}

Fault Faulty::choose(const DiskRequest& request) {
    const bool reads = request.kind == Kind::read, writes = request.kind == Kind::write;
    const bool moves = (reads || writes) && request.length > 0;
    if (its_turn()) return Fault::error;
    const auto hit = [&](bool can, unsigned of_10000) {
        return of_10000 != 0 && can && random_.chance(of_10000, 10'000);
    };
    Fault fault = Fault::none;
    if (hit(reads, plan_.read_errors) || hit(writes, plan_.write_errors) ||
        hit(request.kind == Kind::sync, plan_.sync_errors))
        fault = Fault::error;
    else if (hit(writes && moves, plan_.no_room))
        fault = Fault::no_room;
    else if (hit(moves, plan_.short_transfers))
        fault = Fault::short_transfer;
    else if (hit(writes && moves, plan_.torn_writes))
        fault = Fault::torn_write;
    else if (hit(reads && moves, plan_.flipped_reads))
        fault = Fault::flipped_read;
    else if (hit(writes && moves, plan_.flipped_writes))
        fault = Fault::flipped_write;
    else if (hit(true, plan_.slow))
        fault = Fault::slow;
    else if (hit(true, plan_.stuck))
        fault = Fault::stuck;
    if (fault != Fault::none) ++faults_;
    return fault;
}

// Only a part of it goes to the disk below: the first whole blocks.
void Faulty::shorten(Shadow& shadow) {
    DiskRequest& below = shadow.below;
    const std::size_t part = part_of(below);
    if (!below.pieces.empty()) {
        take_buffer(shadow);
        if (below.kind == Kind::write)
            for_each_sector(below, [&](std::byte* memory, std::size_t place) {
                std::memcpy(shadow.buffer.get() + place, memory, sector_bytes);
            });
        use_buffer(shadow, below.kind);
    }
    below.length = part;
}

void Faulty::flip(const DiskRequest& request) {
    const std::size_t where = random_.below(request.length);
    const auto bit = static_cast<std::byte>(1u << random_.below(8));
    for_each_sector(request, [&](std::byte* memory, std::size_t place) {
        if (where >= place && where < place + sector_bytes) memory[where - place] ^= bit;
    });
}

void Faulty::start(Shadow& shadow) {
    Fault fault;
    int sys_errno;
    Nanoseconds slow_by;
    {
        std::lock_guard lock(mutex_);
        fault = choose(shadow.below);
        shadow.stage = static_cast<int>(fault);
        sys_errno = plan_.sys_errno;
        slow_by = plan_.slow_by;
        if (fault == Fault::no_room || fault == Fault::short_transfer) shorten(shadow);
        if (fault == Fault::torn_write) {
            // Reads what is there, to mix it with what is to be written.
            take_buffer(shadow);
            use_buffer(shadow, Kind::read);
        }
        if (fault == Fault::flipped_write) {
            take_buffer(shadow);
            for_each_sector(shadow.below, [&](std::byte* memory, std::size_t place) {
                std::memcpy(shadow.buffer.get() + place, memory, sector_bytes);
            });
            use_buffer(shadow, Kind::write);
            flip(shadow.below);
        }
        if (fault == Fault::stuck) stuck_.push_back(&shadow);
    }
    if (fault == Fault::error)
        end_with(shadow, sys_errno);
    else if (fault == Fault::slow)
        line_.at(line_.now() + slow_by, [this, &shadow] { forward(shadow); });
    else if (fault != Fault::stuck)
        forward(shadow);
}

void Faulty::after(Shadow& shadow) {
    DiskRequest& below = shadow.below;
    const auto fault = static_cast<Fault>(shadow.stage);
    if (below.sys_errno != 0) return end(shadow);
    int sys_errno = 0;
    {
        std::lock_guard lock(mutex_);
        sys_errno = plan_.sys_errno;
        if (fault == Fault::torn_write) {
            for_each_sector(*shadow.request, [&](std::byte* memory, std::size_t place) {
                if (random_.chance(1, 2))
                    std::memcpy(shadow.buffer.get() + place, memory, sector_bytes);
            });
            use_buffer(shadow, Kind::write);
            shadow.stage = static_cast<int>(Fault::torn_write_back);
        }
        if (fault == Fault::flipped_read) flip(*shadow.request);
    }
    switch (fault) {
        case Fault::torn_write: return forward(shadow);
        case Fault::torn_write_back:
            below.moved = 0;
            return end_with(shadow, sys_errno);
        case Fault::no_room: return end_with(shadow, ENOSPC);
        case Fault::short_transfer:
            if (below.kind == Kind::read && shadow.buffer)
                for_each_sector(*shadow.request, [&](std::byte* memory, std::size_t place) {
                    if (place < below.moved)
                        std::memcpy(memory, shadow.buffer.get() + place, sector_bytes);
                });
            return end_with(shadow, sys_errno);
        default: return end(shadow);
    }
}

std::size_t Faulty::release_stuck() {
    std::vector<Shadow*> stuck;
    {
        std::lock_guard lock(mutex_);
        plan_.stuck = 0;
        stuck.swap(stuck_);
    }
    for (Shadow* shadow : stuck) forward(*shadow);
    return stuck.size();
}

}  // namespace

std::unique_ptr<FaultyDisk> make_faulty_disk(Disk& below, FaultyDiskOptions options) {
    return std::make_unique<Faulty>(below, options);
}

}  // namespace ssi::io
