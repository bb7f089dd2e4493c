// SPDX-License-Identifier: BSD-3-Clause
// The Disk door beside libaio itself, on one file system: 1 MiB writes and reads with 32 under way,
// random 4 KiB reads, and small durable writes. Every rank works on a file of its own at once.
#include <mpi.h>
#include <sys/statfs.h>

#include <algorithm>
#include <functional>
#include <memory>

#include "disk_floor.hpp"
#include "slices.hpp"
#include "ssi/io/disk.hpp"
#include "ssi/io/libaio_disk.hpp"

namespace ssi::bench {
namespace {

class Ours {
public:
    Ours(const std::string& directory, Memory& memory)
        : memory_(memory), disk_(take(io::make_libaio_disk(directory))),
          file_(take(disk_->open("ours", io::OpenMode::create))) {
        take(file_->allocate(0, file_bytes));
    }
    void run(const Pattern& pattern, Places& places, std::uint64_t count) {
        if (pattern.durable) {
            for (std::uint64_t i = 0; i < count; ++i) {
                const std::uint64_t place = places.next();
                memory_.mark(0, place, small);
                take(io::write(*disk_, *file_, {memory_.at(0), small}, place, true));
            }
            return;
        }
        io::DiskRequest requests[depth];
        std::uint64_t started = 0, done = 0;
        const auto start = [&](std::size_t slot) {
            io::DiskRequest& one = requests[slot];
            one.kind = pattern.write ? io::DiskRequest::Kind::write : io::DiskRequest::Kind::read;
            one.file = file_.get();
            one.place = places.next();
            one.memory = memory_.at(slot);
            one.length = pattern.bytes;
            if (pattern.write) memory_.mark(slot, one.place, pattern.bytes);
            ++started;
            return &one;
        };
        std::vector<io::DiskRequest*> batch;
        const std::size_t slots = std::min<std::uint64_t>(depth, count);
        for (std::size_t slot = 0; slot < slots; ++slot) batch.push_back(start(slot));
        disk_->submit(batch);
        while (done < count) {
            // The oldest, and whatever was done with it.
            disk_->wait(requests[done % slots]);
            batch.clear();
            for (; done < count && requests[done % slots].is_done(); ++done) {
                const std::size_t slot = done % slots;
                io::DiskRequest& one = requests[slot];
                check(one.sys_errno == 0 && one.moved == pattern.bytes, "move all bytes");
                if (!pattern.write) memory_.expect(slot, one.place, pattern.bytes);
                if (started == count) continue;
                batch.push_back(start(slot));
                one.finished.store(false, std::memory_order_relaxed);
            }
            disk_->submit(batch);
        }
        if (pattern.write) take(io::sync(*disk_, *file_));
    }

private:
    Memory& memory_;
    std::unique_ptr<io::Disk> disk_;
    std::unique_ptr<io::DiskFile> file_;
};

void compare(const Settings& settings, Report& report, Floor& floor, Ours& ours,
             const Pattern& pattern, const std::string& floor_name, const std::string& name,
             const std::string& note) {
    if (!settings.wants(name) && !settings.wants(floor_name)) return;
    Places floor_places(pattern), our_places(pattern);
    const auto side = [&](auto& what, Places& places) {
        Side one;
        one.most_operations = pattern.durable ? 40 : pattern.bytes == small ? 4096 : 128;
        one.multiple_of = pattern.durable ? 10 : depth;
        one.slice_seconds = settings.long_slice_seconds();
        one.run = [&](std::uint64_t count, std::vector<double>* samples) {
            MPI_Barrier(MPI_COMM_WORLD);
            const double start = now_ns();
            if (samples)
                for (std::uint64_t i = 0; i < count; ++i) {
                    const std::uint64_t before = ticks();
                    what.run(pattern, places, 1);
                    samples->push_back(static_cast<double>(ticks() - before));
                }
            else
                what.run(pattern, places, count);
            return max_over_ranks((now_ns() - start) / static_cast<double>(count));
        };
        return one;
    };
    Row row{.name = name + settings.suffix}, floor_row{.name = floor_name + settings.suffix};
    Side our_side = side(ours, our_places), floor_side = side(floor, floor_places);
    alternate(settings, our_side, row, &floor_side, &floor_row);
    for (Row* one : {&row, &floor_row}) {
        const double ranks = settings.size;
        if (!pattern.durable)
            one->bytes_per_operation = static_cast<double>(pattern.bytes) * ranks;
        if (pattern.bytes == small) one->items_per_operation = ranks;
        one->note = note + "; the device's cache is not controlled";
    }
    report.add(std::move(row));
    report.add(std::move(floor_row));
}

void run(const Settings& settings, Report& report) {
    Memory memory;
    const Directory directory;
    struct statfs system {};
    check(::statfs(directory.path().c_str(), &system) == 0, "look at the file system");
    char type[32];
    std::snprintf(type, sizeof type, "0x%lx", static_cast<unsigned long>(system.f_type));
    report.context("file_system_magic", type);
    Floor floor(directory.path() + "/floor", memory);
    Ours ours(directory.path(), memory);
    // The whole file once, unmeasured, so that what is read was written and blocks are in place.
    const Pattern writing{.write = true};
    Places all(writing), all_again(writing);
    floor.run(writing, all, file_bytes / mib);
    ours.run(writing, all_again, file_bytes / mib);
    compare(settings, report, floor, ours, writing, "floor/disk_write", "io/disk_write",
            "1 MiB, 32 under way, blocks written before, fdatasync at the end of a slice");
    compare(settings, report, floor, ours, {}, "floor/disk_read", "io/disk_read",
            "1 MiB, 32 under way");
    compare(settings, report, floor, ours, {.random = true, .bytes = small},
            "floor/disk_random_read", "io/disk_random_read", "random 4 KiB, 32 under way");
    compare(settings, report, floor, ours, {.write = true, .durable = true, .bytes = small},
            "floor/fdatasync", "io/disk_durable_write", "4 KiB, one at a time");
}

}  // namespace
}  // namespace ssi::bench

int main(int argc, char** argv) { return ssi::bench::run_program(argc, argv, ssi::bench::run); }
