// SPDX-License-Identifier: BSD-3-Clause
// The Disk door beside libaio itself, on one file system: 1 MiB writes and reads with 32 under way,
// random 4 KiB reads, and small durable writes. Every rank works on a file of its own at once.
#include <fcntl.h>
#include <libaio.h>
#include <mpi.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>

#include "slices.hpp"
#include "ssi/base/random.hpp"
#include "ssi/io/disk.hpp"
#include "ssi/io/libaio_disk.hpp"

namespace ssi::bench {
namespace {

constexpr std::size_t mib = 1u << 20;
constexpr std::size_t small = io::block_bytes;
constexpr std::size_t depth = 32;
constexpr std::size_t file_bytes = 256 * mib;

void check(bool good, const char* what) {
    if (!good) throw std::runtime_error(std::string("disk benchmark: cannot ") + what);
}

template <class T>
T take(Result<T> result) {
    return value_or_throw(std::move(result));
}

// A directory of this rank's own, removed at the end.
class Directory {
public:
    Directory() {
        const char* const chosen = std::getenv("SSI_BENCH_DIRECTORY");
        path_ = (chosen ? std::filesystem::path(chosen) : std::filesystem::temp_directory_path()) /
                "ssi-bench-XXXXXX";
        check(::mkdtemp(path_.data()) != nullptr, "make a temporary directory");
    }
    ~Directory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

// What both sides do: transfers at places of a file of `file_bytes`, by depth of them at a time,
// into memory of their own, each of which holds its place in the file.
struct Pattern {
    bool write = false;
    bool random = false;
    bool durable = false;              // each by itself, one at a time
    std::size_t bytes = mib;
};

struct Memory {
    std::byte* data = static_cast<std::byte*>(std::aligned_alloc(small, depth * mib));
    Memory() { std::memset(data, 0, depth * mib); }
    ~Memory() { std::free(data); }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    std::byte* at(std::size_t slot) { return data + slot * mib; }
    // Every block tells its place, so that what is read back can be checked.
    void mark(std::size_t slot, std::uint64_t place, std::size_t bytes) {
        for (std::size_t i = 0; i < bytes; i += small) {
            const std::uint64_t tag = place + i + 1;
            std::memcpy(at(slot) + i, &tag, sizeof tag);
        }
    }
    void expect(std::size_t slot, std::uint64_t place, std::size_t bytes) {
        for (std::size_t i = 0; i < bytes; i += small) {
            std::uint64_t tag = 0;
            std::memcpy(&tag, at(slot) + i, sizeof tag);
            if (tag != place + i + 1) wrong_data("disk");
        }
    }
};

class Places {
public:
    explicit Places(const Pattern& pattern) : pattern_(pattern) {}
    std::uint64_t next() {
        const std::uint64_t count = file_bytes / pattern_.bytes;
        const std::uint64_t index = pattern_.random ? random_.below(count) : next_++ % count;
        return index * pattern_.bytes;
    }

private:
    const Pattern pattern_;
    std::uint64_t next_ = 0;
    Random random_{7};
};

class Floor {
public:
    Floor(const std::string& path, Memory& memory) : memory_(memory) {
        fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_DIRECT, 0600);
        check(fd_ >= 0, "open a file with O_DIRECT");
        check(::fallocate(fd_, 0, 0, file_bytes) == 0, "preallocate");
        check(io_setup(depth, &context_) == 0, "set libaio up");
    }
    ~Floor() {
        io_destroy(context_);
        ::close(fd_);
    }
    void run(const Pattern& pattern, Places& places, std::uint64_t count) {
        if (pattern.durable) return run_durable(places, count);
        iocb blocks[depth];
        std::uint64_t at[depth];
        std::uint64_t started = 0, done = 0;
        const auto start = [&](std::size_t slot) {
            at[slot] = places.next();
            if (pattern.write) {
                memory_.mark(slot, at[slot], pattern.bytes);
                io_prep_pwrite(&blocks[slot], fd_, memory_.at(slot), pattern.bytes,
                               static_cast<long long>(at[slot]));
            } else {
                io_prep_pread(&blocks[slot], fd_, memory_.at(slot), pattern.bytes,
                              static_cast<long long>(at[slot]));
            }
            blocks[slot].data = reinterpret_cast<void*>(slot);
            ++started;
            return &blocks[slot];
        };
        iocb* batch[depth];
        long batched = 0;
        for (std::size_t slot = 0; slot < std::min<std::uint64_t>(depth, count); ++slot)
            batch[batched++] = start(slot);
        while (done < count) {
            if (batched > 0) check(io_submit(context_, batched, batch) == batched, "submit");
            batched = 0;
            io_event events[depth];
            const long got = io_getevents(context_, 1, depth, events, nullptr);
            check(got > 0, "get events");
            for (long i = 0; i < got; ++i) {
                check(events[i].res == pattern.bytes, "move all bytes");
                const auto slot = reinterpret_cast<std::size_t>(events[i].data);
                if (!pattern.write) memory_.expect(slot, at[slot], pattern.bytes);
                ++done;
                if (started < count) batch[batched++] = start(slot);
            }
        }
        if (pattern.write) check(::fdatasync(fd_) == 0, "sync");
    }

private:
    void run_durable(Places& places, std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; ++i) {
            const std::uint64_t place = places.next();
            memory_.mark(0, place, small);
            check(::pwrite(fd_, memory_.at(0), small, static_cast<off_t>(place)) == small, "write");
            check(::fdatasync(fd_) == 0, "sync");
        }
    }

    Memory& memory_;
    int fd_ = -1;
    io_context_t context_ = nullptr;
};

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
