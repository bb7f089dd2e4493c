// SPDX-License-Identifier: BSD-3-Clause
// Members of datasets beside the disk: 512 MiB in objects of 1 MiB, 100,000 objects of 4 KiB, until
// everything is committed; and reading them back, verified. Every rank has a member of its own.
#include <mpi.h>

#include <cstring>
#include <functional>
#include <vector>

#include "disk_floor.hpp"
#include "slices.hpp"
#include "ssi/ckpt/store.hpp"
#include "ssi/io/libaio_disk.hpp"
#include "ssi/io/segment_log.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::bench {
namespace {

constexpr std::size_t state_bytes = 512 * mib;
constexpr std::size_t small_objects = 100'000;

// What is saved: no block is zeroes, and each tells its place.
class State {
public:
    State() : bytes_(state_bytes) {
        Random random(11);
        for (std::size_t i = 0; i < bytes_.size(); i += sizeof(std::uint64_t)) {
            const std::uint64_t word = random.next() | 1;
            std::memcpy(bytes_.data() + i, &word, sizeof word);
        }
    }
    std::span<const std::byte> object(std::size_t index, std::size_t length) const {
        return std::span(bytes_).subspan(index * length, length);
    }

private:
    std::vector<std::byte> bytes_;
};

class Checkpoints {
public:
    Checkpoints(const std::string& directory)
        : disk_(take(io::make_libaio_disk(directory))),
          store_(take(ckpt::Store::open({.disk = disk_.get(), .lock = true}))) {}

    // Returns seconds.
    double write(const State& state, std::size_t objects, std::size_t length) {
        const double start = now_ns();
        ckpt::Manifest manifest{.dataset = {1, ++version_}, .version = version_};
        auto member = take(store_->begin({.dataset = manifest.dataset, .version = version_}));
        for (std::size_t i = 0; i < objects; ++i)
            take(member->put({SetId{1}, i, version_, 0, length}, state.object(i, length)));
        manifest.members.push_back(take(member->finish()));
        take(store_->commit(manifest));
        return now_ns() - start;
    }
    double read(const State& state, std::size_t length, std::vector<std::byte>& into) {
        ckpt::Store* const stores[] = {store_.get()};
        const double start = now_ns();
        auto dataset = take(ckpt::Dataset::open(stores, version_));
        take(dataset->stream(0, [&](const ckpt::FoundPart& found) -> Result<void> {
            std::memcpy(into.data() + found.part.id.lo * length + found.part.offset,
                        found.bytes.data(), found.bytes.size());
            return {};
        }));
        const double ns = now_ns() - start;
        for (std::size_t i = 0; (i + 1) * length <= into.size(); i += 97)
            if (std::memcmp(into.data() + i * length, state.object(i, length).data(), length) != 0)
                wrong_data("dataset");
        return ns;
    }
    void remove() { take(store_->remove(version_)); }
    // The same records through a SegmentLog, with its defaults and a task that writes behind.
    double write_segment_log(const State& state, std::size_t objects, std::size_t length) {
        const double start = now_ns();
        const std::string directory = "log" + std::to_string(++version_);
        const auto tasks = sys::make_thread_tasks();
        auto log = take(io::SegmentLog::open({.disk = disk_.get(),
                                              .directory = directory,
                                              .identity = {{1, version_}, 1},
                                              .create = true,
                                              .tasks = tasks.get()},
                                             [](const io::FoundRecord&) {}));
        for (std::size_t i = 0; i < objects; ++i) {
            const io::LogRecord record{.set = SetId{1}, .id = i,
                                       .value_bytes = static_cast<std::uint32_t>(length),
                                       .payload = state.object(i, length)};
            take(log->append({&record, 1}));
        }
        take(log->close());
        const double ns = now_ns() - start;
        log.reset();
        for (const std::string& name : take(disk_->list(directory)))
            take(disk_->remove(directory + "/" + name));
        take(disk_->remove_directory(directory));
        return ns;
    }

private:
    std::unique_ptr<io::Disk> disk_;
    std::unique_ptr<ckpt::Store> store_;
    std::uint64_t version_ = 0;
};

double floor_ns(Floor& floor, bool write, std::size_t bytes) {
    const Pattern pattern{.write = write};
    Places places(pattern);
    const double start = now_ns();
    floor.run(pattern, places, bytes / mib);
    return now_ns() - start;
}

void run(const Settings& settings, Report& report) {
    Memory memory;
    const Directory directory;
    const State state;
    std::vector<std::byte> into(state_bytes, std::byte{1});
    Floor floor(directory.path() + "/floor", memory);
    Checkpoints checkpoints(directory.path());
    floor_ns(floor, true, file_bytes);
    struct Case {
        const char* name;
        bool write;
        std::size_t objects, length;
        bool segment_log = false;
    };
    const Case cases[] = {{"ckpt/member_write", true, state_bytes / mib, mib},
                          {"ckpt/member_read", false, state_bytes / mib, mib},
                          {"ckpt/member_objects_100k_4KiB", true, small_objects, small},
                          {"ckpt/member_read_100k_4KiB", false, small_objects, small},
                          {"ckpt/by_segment_log", true, state_bytes / mib, mib, true}};
    for (const Case& one : cases) {
        if (!settings.wants(one.name)) continue;
        const std::size_t bytes = one.objects * one.length;
        const double operations = static_cast<double>(bytes) / mib;
        Row row{.name = one.name, .floor = one.write ? "floor/disk_write" : "floor/disk_read"};
        for (int i = 0; i < (settings.quick ? 5 : 11); ++i) {
            MPI_Barrier(MPI_COMM_WORLD);
            // What is read was written just before, on both sides.
            if (!one.write) {
                floor_ns(floor, true, file_bytes);
                checkpoints.write(state, one.objects, one.length);
            }
            const double below = max_over_ranks(floor_ns(floor, one.write, bytes));
            into.resize(bytes);
            MPI_Barrier(MPI_COMM_WORLD);
            const double ours = max_over_ranks(
                one.segment_log ? checkpoints.write_segment_log(state, one.objects, one.length)
                : one.write     ? checkpoints.write(state, one.objects, one.length)
                                : checkpoints.read(state, one.length, into));
            if (!one.segment_log) checkpoints.remove();
            row.slices.push_back(ours / operations);
            row.floor_slices.push_back(below / operations);
        }
        into.resize(state_bytes);
        row.bytes_per_operation = static_cast<double>(mib) * settings.size;
        row.note = "1 MiB of it; committed, or verified; the device's cache is not controlled";
        report.add(std::move(row));
    }
}

}  // namespace
}  // namespace ssi::bench

int main(int argc, char** argv) { return ssi::bench::run_program(argc, argv, ssi::bench::run); }
