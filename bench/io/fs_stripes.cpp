// SPDX-License-Identifier: BSD-3-Clause
// One file striped over 1, 2 and 4 volumes of 200 MB/s each, emulated by a token bucket before one
// real disk: what striping gives where there are several disks. The floor is the same bytes by
// plain writes of 1 MiB to as many such disks, 32 under way. One rank.
#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "fs_bench.hpp"
#include "ssi/io/libaio_disk.hpp"
#include "ssi/io/throttled_disk.hpp"

namespace ssi::bench {
namespace {

constexpr std::uint32_t most_volumes = 4;
constexpr std::uint64_t disk_bytes_per_second = 200'000'000;

// Where four disks of that rate cannot be emulated before the real one, they are before memory.
constexpr double most_of_ideal = 1.05;

double ideal_ns(std::uint32_t volumes) {
    return mib * 1e9 / static_cast<double>(disk_bytes_per_second * volumes);
}

// Of this process, all its threads, so far.
double cpu_ns() {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    const auto ns = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_usec) * 1e3;
    };
    return ns(used.ru_utime) + ns(used.ru_stime);
}

struct Disks {
    std::vector<std::unique_ptr<io::Disk>> real;
    std::vector<io::ThrottledDisk*> emulated;

    std::unique_ptr<io::ThrottledDisk> open(const std::string& path) {
        std::filesystem::create_directory(path);
        real.push_back(take(io::make_libaio_disk(path)));
        auto disk = io::make_throttled_disk(*real.back(),
                                            {.bytes_per_second = disk_bytes_per_second});
        emulated.push_back(disk.get());
        return disk;
    }
    Nanoseconds idle(std::uint32_t first) const {
        return std::accumulate(emulated.begin(), emulated.begin() + first, Nanoseconds{0},
                               [](Nanoseconds sum, const auto* one) { return sum + one->idle(); });
    }
};

// A file on each of the emulated disks, all its room set aside.
class PlainDisks {
public:
    PlainDisks(const std::string& directory, std::uint64_t mib_of_each) : each_(mib_of_each) {
        for (std::uint32_t i = 0; i < most_volumes; ++i) {
            owned_.push_back(disks_.open(directory + "/plain" + std::to_string(i)));
            files_.push_back(take(owned_.back()->open("file", io::OpenMode::create)));
            if (!files_.back()->allocate(0, mib_of_each * mib))
                throw std::runtime_error("stripes: no room for the floor");
        }
    }
    // Nanoseconds a MiB.
    double write(std::uint32_t volumes, std::uint64_t count) {
        std::vector<io::DiskRequest> requests(std::min<std::uint64_t>(depth, count));
        std::vector<io::DiskRequest> syncs(volumes);
        const auto go = [](io::Disk& disk, io::DiskRequest& request) {
            io::DiskRequest* const one[] = {&request};
            disk.submit(one);
        };
        const auto wait = [](io::Disk& disk, io::DiskRequest& request) {
            disk.wait(request);
            check(request.sys_errno == 0, "write to an emulated disk");
        };
        const double start = now_ns();
        for (std::uint64_t i = 0; i < count + requests.size(); ++i) {
            io::DiskRequest& request = requests[i % requests.size()];
            if (i >= requests.size()) wait(*owned_[(i - requests.size()) % volumes], request);
            if (i >= count) continue;
            request.kind = io::DiskRequest::Kind::write;
            request.file = files_[i % volumes].get();
            request.place = i / volumes % each_ * mib;
            request.memory = memory_.at(i % depth);
            request.length = mib;
            go(*owned_[i % volumes], request);
        }
        for (std::uint32_t i = 0; i < volumes; ++i) {
            syncs[i].kind = io::DiskRequest::Kind::sync;
            syncs[i].file = files_[i].get();
            go(*owned_[i], syncs[i]);
        }
        for (std::uint32_t i = 0; i < volumes; ++i) wait(*owned_[i], syncs[i]);
        return (now_ns() - start) / static_cast<double>(count);
    }

private:
    const std::uint64_t each_;
    Memory memory_;
    Disks disks_;
    std::vector<std::unique_ptr<io::ThrottledDisk>> owned_;
    std::vector<std::unique_ptr<io::DiskFile>> files_;
};

// A directory before which the disks come up to their rate, and what it is.
std::unique_ptr<Directory> choose_directory(std::string& what, std::uint64_t count) {
    what = "one real disk";
    auto directory = std::make_unique<Directory>();
    if (std::getenv("BENCH_DIRECTORY")) return directory;   // whatever it can do
    PlainDisks plain(directory->path(), count);
    (void)plain.write(most_volumes, count);   // room is written for the first time
    const double took = plain.write(most_volumes, count);
    if (took <= most_of_ideal * ideal_ns(most_volumes)) return directory;
    what = "memory, as the disk there takes " + std::to_string(static_cast<int>(
               mib * 1e3 / took)) + " MB/s";
    return std::make_unique<Directory>("/dev/shm");
}

class Stripes {
public:
    Stripes(const Settings& settings, Report& report)
        : settings_(settings), report_(report), count_(settings.quick ? 64 : 256),
          directory_(choose_directory(behind_, count_)), plain_(directory_->path(), count_),
          session_(open_session()) {
        fs::Options options;
        for (std::uint32_t i = 0; i < most_volumes; ++i)
            options.volumes.directories.push_back(directory_->path() + "/v" + std::to_string(i));
        options.volumes.open_disk =
            [this](const std::string& path) -> Result<std::unique_ptr<io::Disk>> {
            return disks_.open(path);
        };
        system_ = value_or_throw(fs::FileSystem::mount(session_, std::move(options)));
        store_ = iobench::make_kdfs_store(*system_);
    }

    void run(std::uint32_t volumes) {
        const std::string name = "stripe_scaling/volumes:" + std::to_string(volumes);
        Row row{.name = "io/" + name, .floor = "floor/" + name};
        Row floor{.name = row.floor};
        const fs::Striping striping{.unit_bytes = mib, .count = volumes};
        const auto file = store_->open("/striped." + std::to_string(volumes), O_CREAT | O_RDWR,
                                       striping);
        double writing_ns = 0, read_ns = 0, idle = 0, cpu = 0;
        const std::uint64_t passes = settings_.quick ? 4 : 8;
        for (std::uint64_t pass = 0; pass < passes; ++pass) {
            const double theirs = plain_.write(volumes, count_);
            const Nanoseconds idle_before = disks_.idle(volumes);
            const double cpu_before = cpu_ns();
            double start = now_ns();
            for (std::uint64_t i = 0; i < count_; ++i) buffer_.write(*file, transfers_, i, pass);
            const double written = now_ns();
            file->sync();
            const double took = now_ns() - start;
            if (pass > 0) {   // the first makes the file
                row.slices.push_back(took / static_cast<double>(count_));
                row.floor_slices.push_back(theirs);
                floor.slices.push_back(theirs);
                writing_ns += written - start;
                cpu += cpu_ns() - cpu_before;
                idle += static_cast<double>(disks_.idle(volumes) - idle_before) / (took * volumes);
            }
            store_->drop_caches();
            start = now_ns();
            for (std::uint64_t i = 0; i < count_; ++i) buffer_.read(*file, transfers_, i, pass);
            read_ns = (now_ns() - start) / static_cast<double>(count_);
        }
        const auto counted = static_cast<double>(passes - 1);
        std::vector<double> sorted = row.slices;
        std::ranges::sort(sorted);
        const double middle = sorted[sorted.size() / 2];
        if (volumes == 1) one_volume_ = middle;
        // 1: as many times as fast as there are volumes; 1.11: 0.9 of that.
        row.counters["of_linear"] = middle * volumes / one_volume_;
        row.counters["of_ideal"] = middle / ideal_ns(volumes);
        row.counters["disks_idle"] = idle / counted;   // share of the time
        row.counters["writing_ms"] = writing_ns * 1e-6 / counted / static_cast<double>(count_);
        row.counters["cpu_ms"] = cpu * 1e-6 / counted / static_cast<double>(count_);
        row.counters["read_bytes_per_second"] = mib * 1e9 / read_ns;
        row.note = "written and synced; disks of 200 MB/s, emulated before " + behind_;
        for (Row* one : {&floor, &row}) {
            one->iterations = count_ * one->slices.size();
            one->bytes_per_operation = mib;
        }
        floor.note = "plain writes of 1 MiB, 32 under way, to the same disks";
        report_.add(std::move(floor));
        report_.add(std::move(row));
    }

    void close() {
        store_.reset();
        value_or_throw(system_->close());
        value_or_throw(session_.close());
        system_.reset();
    }

private:
    const Settings& settings_;
    Report& report_;
    const std::uint64_t count_;                // MiB of a pass
    std::string behind_;
    const std::unique_ptr<Directory> directory_;
    PlainDisks plain_;
    Disks disks_;
    Session session_;
    std::unique_ptr<fs::FileSystem> system_;
    std::unique_ptr<iobench::Store> store_;
    iobench::Buffer buffer_{mib};
    const iobench::Transfers transfers_ = iobench::Transfers::easy(mib);
    double one_volume_ = 0;
};

void run(const Settings& settings, Report& report) {
    if (settings.size != 1) throw std::runtime_error("stripes: needs 1 rank");
    Stripes stripes(settings, report);
    for (const std::uint32_t volumes : {1u, 2u, 4u}) stripes.run(volumes);
    stripes.close();
}

}  // namespace
}  // namespace ssi::bench

int main(int argc, char** argv) { return ssi::bench::run_program(argc, argv, ssi::bench::run); }
