// SPDX-License-Identifier: BSD-3-Clause
// One file striped over 1, 2 and 4 volumes of 200 MB/s each, emulated by a token bucket before one
// real disk: what striping gives where there are several disks. One rank.
#include <fcntl.h>

#include <algorithm>
#include <filesystem>

#include "fs_bench.hpp"
#include "ssi/io/libaio_disk.hpp"
#include "ssi/io/throttled_disk.hpp"

namespace ssi::bench {
namespace {

constexpr std::uint32_t most_volumes = 4;
constexpr std::uint64_t disk_bytes_per_second = 200'000'000;

void run(const Settings& settings, Report& report) {
    if (settings.size != 1) throw std::runtime_error("stripes: needs 1 rank");
    const Directory directory;
    std::vector<std::unique_ptr<io::Disk>> disks;   // the real ones, behind
    Session session = open_session();
    fs::Options options;
    for (std::uint32_t i = 0; i < most_volumes; ++i)
        options.volumes.directories.push_back(directory.path() + "/v" + std::to_string(i));
    options.volumes.open_disk = [&](const std::string& path) -> Result<std::unique_ptr<io::Disk>> {
        std::filesystem::create_directory(path);
        auto below = io::make_libaio_disk(path);
        if (!below) return below;
        disks.push_back(std::move(*below));
        return io::make_throttled_disk(*disks.back(),
                                       {.bytes_per_second = disk_bytes_per_second});
    };
    auto system = value_or_throw(fs::FileSystem::mount(session, std::move(options)));
    const auto store = iobench::make_kdfs_store(*system);
    iobench::Buffer buffer(mib);
    const auto transfers = iobench::Transfers::easy(mib);
    const std::uint64_t count = settings.quick ? 64 : 256;
    double one_volume = 0;
    for (const std::uint32_t volumes : {1u, 2u, 4u}) {
        Row row{.name = "io/stripe_scaling/volumes:" + std::to_string(volumes)};
        const fs::Striping striping{.unit_bytes = mib, .count = volumes};
        const auto file = store->open("/striped." + std::to_string(volumes), O_CREAT | O_RDWR,
                                      striping);
        double read_ns = 0;
        for (std::uint64_t pass = 0; pass < (settings.quick ? 2 : 4); ++pass) {
            double start = now_ns();
            for (std::uint64_t i = 0; i < count; ++i) buffer.write(*file, transfers, i, pass);
            file->sync();
            const double each = (now_ns() - start) / static_cast<double>(count);
            if (pass > 0) row.slices.push_back(each);   // the first makes the file
            store->drop_caches();
            start = now_ns();
            for (std::uint64_t i = 0; i < count; ++i) buffer.read(*file, transfers, i, pass);
            read_ns = (now_ns() - start) / static_cast<double>(count);
        }
        std::vector<double> sorted = row.slices;
        std::ranges::sort(sorted);
        const double middle = sorted[sorted.size() / 2];
        if (volumes == 1) one_volume = middle;
        row.iterations = count * row.slices.size();
        row.bytes_per_operation = mib;
        // 1: as many times as fast as there are volumes; 1.11: 0.9 of that.
        row.counters["of_linear"] = middle * volumes / one_volume;
        row.counters["read_bytes_per_second"] = mib * 1e9 / read_ns;
        row.note = "written and synced; disks of 200 MB/s, emulated before one real disk";
        report.add(std::move(row));
    }
    value_or_throw(system->close());
    value_or_throw(session.close());
    system.reset();
}

}  // namespace
}  // namespace ssi::bench

int main(int argc, char** argv) { return ssi::bench::run_program(argc, argv, ssi::bench::run); }
