// SPDX-License-Identifier: BSD-3-Clause
// File data by itself, without names: Pages beside plain files in shared memory and libaio on the
// same disk. For looking at the data path; the rows of suite io are those of the whole file system.
#include <fcntl.h>
#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "calls.hpp"
#include "fs_pages.hpp"
#include "report.hpp"
#include "slices.hpp"
#include "ssi/io/libaio_disk.hpp"
#include "ssi/io/volumes.hpp"
#include "ssi/kddm/session.hpp"

namespace ssi::bench {
namespace {

constexpr std::size_t mib = 1u << 20;
constexpr std::size_t hard_bytes = 47008;

template <class T>
T take(Result<T> result) {
    return value_or_throw(std::move(result));
}

struct Bench {
    Session& session;
    std::size_t file_bytes;
    std::string directory;
    int rank, size;
    fs::Pages* pages = nullptr;
    io::Volumes* volumes = nullptr;
    std::vector<std::byte> buffer;

    // All ranks at once; GB/s of all together by the slowest.
    double gbs(const std::function<std::uint64_t()>& body) {
        session.barrier();
        const double begin = now_ns();
        const std::uint64_t bytes = body();
        const double took = now_ns() - begin;
        session.barrier();   // and serves the others meanwhile
        return sum_over_ranks(static_cast<double>(bytes)) / max_over_ranks(took);
    }
    void mark(std::uint64_t tag, std::span<std::byte> bytes) const {
        for (std::size_t i = 0; i < bytes.size(); i += 4096) {
            const std::uint64_t value = tag + i + 1;
            std::memcpy(bytes.data() + i, &value, 8);
        }
    }
    void expect(std::uint64_t tag, std::span<const std::byte> bytes, const char* row) const {
        for (std::size_t i = 0; i < bytes.size(); i += 4096) {
            std::uint64_t value = 0;
            std::memcpy(&value, bytes.data() + i, 8);
            if (value != tag + i + 1) wrong_data(row);
        }
    }
};

struct Row {
    const char* name;
    std::function<double()> measure;
    std::vector<double> values;
};

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

fs::Layout layout_at(const Bench& bench, int rank) {
    const auto home = NodeId(static_cast<std::uint32_t>(rank));
    for (std::uint32_t slot = 0; slot < bench.volumes->slots(); ++slot)
        if (bench.volumes->node_of(bench.volumes->volume_of(SlotId(slot))) == home)
            return {.start = static_cast<std::uint16_t>(slot), .unit_shift = 4, .count = 1};
    return {};
}

// One descriptor a rank, on tmpfs.
struct Plain {
    explicit Plain(const std::string& path) : path_(path) {
        fd = ::open(path.c_str(), O_RDWR | O_CREAT, 0600);
    }
    ~Plain() {
        ::close(fd);
        ::unlink(path_.c_str());
    }
    int fd;
    std::string path_;
};

void run(Bench& bench, int rounds, const std::string& only) {
    const std::size_t transfers = bench.file_bytes / mib;
    const auto inode = [&](int rank) {
        return fs::make_inode(SlotId(0), static_cast<std::uint64_t>(rank) + 2);
    };
    const int other = (bench.rank + 1) % bench.size;
    const fs::Layout here = layout_at(bench, bench.rank), there = layout_at(bench, other);
    const fs::InodeId mine = inode(bench.rank), away = inode(bench.rank + 100);
    const fs::InodeId shared = fs::make_inode(SlotId(0), 1000);
    const fs::Layout wide{.start = 0, .unit_shift = 4,
                          .count = static_cast<std::uint8_t>(bench.volumes->volumes().size())};
    Plain plain("/dev/shm/ssi-pages-" + std::to_string(bench.rank));
    Plain plain_hard("/dev/shm/ssi-pages-hard");
    const std::span<std::byte> buffer(bench.buffer);

    const auto write_file = [&](fs::InodeId file, fs::Layout layout) {
        fs::Stream stream;
        for (std::size_t i = 0; i < transfers; ++i) {
            bench.mark(i * mib, buffer);
            take(bench.pages->write(file, layout, i * mib, buffer, &stream));
        }
        return bench.file_bytes;
    };
    const auto read_file = [&](fs::InodeId file, fs::Layout layout, const char* row) {
        fs::Stream stream{.end = bench.file_bytes};
        for (std::size_t i = 0; i < transfers; ++i) {
            take(bench.pages->read(file, layout, i * mib, buffer, &stream));
            bench.expect(i * mib, buffer, row);
        }
        return bench.file_bytes;
    };
    const std::size_t hard_count = bench.file_bytes / hard_bytes;
    const auto hard_place = [&](std::size_t i, int rank) {
        return (i * static_cast<std::size_t>(bench.size) + static_cast<std::size_t>(rank)) *
               hard_bytes;
    };
    bool is_written = false;
    std::vector<Row> rows{
        {"tmpfs_write", [&] { return bench.gbs([&] {
             for (std::size_t i = 0; i < transfers; ++i) {
                 bench.mark(i * mib, buffer);
                 (void)!::pwrite(plain.fd, buffer.data(), mib, static_cast<off_t>(i * mib));
             }
             return bench.file_bytes;
         }); }, {}},
        {"easy_write", [&] { return bench.gbs([&] { return write_file(mine, here); }); }, {}},
        {"tmpfs_read", [&] { return bench.gbs([&] {
             for (std::size_t i = 0; i < transfers; ++i) {
                 (void)!::pread(plain.fd, buffer.data(), mib, static_cast<off_t>(i * mib));
                 bench.expect(i * mib, buffer, "tmpfs");
             }
             return bench.file_bytes;
         }); }, {}},
        {"easy_read", [&] { return bench.gbs([&] { return read_file(mine, here, "read"); }); },
         {}},
        {"read_remote_one", [&] {
             take(bench.pages->drop_caches());
             bench.session.barrier();
             write_file(mine, here);
             return bench.gbs([&]() -> std::uint64_t {
                 if (bench.rank != 0) return 0;
                 return read_file(inode(other), there, "remote");
             }); }, {}},
        {"read_remote_all", [&] {
             take(bench.pages->drop_caches());
             bench.session.barrier();
             write_file(mine, here);
             return bench.gbs([&] { return read_file(inode(other), there, "remote"); }); }, {}},
        {"away_write", [&] { return bench.gbs([&] { return write_file(away, there); }); }, {}},
        {"away_read", [&] { return bench.gbs([&] { return read_file(away, there, "away"); }); },
         {}},
        {"tmpfs_hard_write", [&] { return bench.gbs([&] {
             for (std::size_t i = 0; i < hard_count; ++i) {
                 bench.mark(hard_place(i, bench.rank), buffer.first(hard_bytes));
                 (void)!::pwrite(plain_hard.fd, buffer.data(), hard_bytes,
                                 static_cast<off_t>(hard_place(i, bench.rank)));
             }
             return hard_count * hard_bytes;
         }); }, {}},
        {"hard_write", [&] {
             bench.session.barrier();
             if (bench.rank == 0)
                 take(bench.pages->erase(shared, wide, hard_count * hard_bytes * bench.size));
             return bench.gbs([&] {
             fs::Stream stream;
             for (std::size_t i = 0; i < hard_count; ++i) {
                 bench.mark(hard_place(i, bench.rank), buffer.first(hard_bytes));
                 take(bench.pages->write(shared, wide, hard_place(i, bench.rank),
                                         buffer.first(hard_bytes), &stream));
             }
             return hard_count * hard_bytes;
             }); }, {}},
        {"tmpfs_hard_read", [&] { return bench.gbs([&] {
             for (std::size_t i = 0; i < hard_count; ++i) {
                 (void)!::pread(plain_hard.fd, buffer.data(), hard_bytes,
                                static_cast<off_t>(hard_place(i, other)));
                 bench.expect(hard_place(i, other), buffer.first(hard_bytes), "hard tmpfs");
             }
             return hard_count * hard_bytes;
         }); }, {}},
        {"hard_read", [&] { return bench.gbs([&] {
             fs::Stream stream{.end = hard_count * hard_bytes * bench.size};
             for (std::size_t i = 0; i < hard_count; ++i) {
                 take(bench.pages->read(shared, wide, hard_place(i, other),
                                        buffer.first(hard_bytes), &stream));
                 bench.expect(hard_place(i, other), buffer.first(hard_bytes), "hard");
             }
             return hard_count * hard_bytes;
         }); }, {}},
        {"disk_write", [&] {
             auto disk = take(io::make_libaio_disk(bench.directory));
             auto file = take(disk->open("floor", io::OpenMode::create));
             take(file->allocate(0, bench.file_bytes));
             std::byte* memory = static_cast<std::byte*>(std::aligned_alloc(4096, 32 * mib));
             std::memset(memory, 1, 32 * mib);
             const double value = bench.gbs([&] {
                 std::vector<io::DiskRequest> requests(32);
                 for (std::size_t i = 0; i < transfers + 32; ++i) {
                     io::DiskRequest& one = requests[i % 32];
                     if (i >= 32 && i - 32 < transfers) disk->wait(one);
                     if (i >= transfers) continue;
                     one.finished = false;
                     one.kind = io::DiskRequest::Kind::write;
                     one.file = file.get();
                     one.place = i * mib;
                     one.memory = memory + i % 32 * mib;
                     one.length = mib;
                     io::DiskRequest* list[] = {&one};
                     disk->submit(list);
                 }
                 take(io::sync(*disk, *file));
                 return bench.file_bytes;
             });
             std::free(memory);
             return value; }, {}},
        {"easy_write_sync", [&] { return bench.gbs([&] {
             write_file(mine, here);
             take(bench.pages->sync(mine, here));
             return bench.file_bytes;
         }); }, {}},
        {"sync_only", [&] {
             write_file(mine, here);
             return bench.gbs([&] {
                 take(bench.pages->sync(mine, here));
                 return bench.file_bytes;
             }); }, {}},
        {"disk_read", [&] {
             auto disk = take(io::make_libaio_disk(bench.directory));
             auto file = take(disk->open("floor", io::OpenMode::write));
             std::byte* memory = static_cast<std::byte*>(std::aligned_alloc(4096, 32 * mib));
             std::memset(memory, 1, 32 * mib);
             const double value = bench.gbs([&] {
                 std::vector<io::DiskRequest> requests(32);
                 for (std::size_t i = 0; i < transfers + 32; ++i) {
                     io::DiskRequest& one = requests[i % 32];
                     if (i >= 32 && i - 32 < transfers) disk->wait(one);
                     if (i >= transfers) continue;
                     one.finished = false;
                     one.kind = io::DiskRequest::Kind::read;
                     one.file = file.get();
                     one.place = i * mib;
                     one.memory = memory + i % 32 * mib;
                     one.length = mib;
                     io::DiskRequest* list[] = {&one};
                     disk->submit(list);
                 }
                 return bench.file_bytes;
             });
             std::free(memory);
             return value; }, {}},
        {"cold_read", [&] {
             if (!std::exchange(is_written, true)) write_file(mine, here);
             take(bench.pages->drop_caches());
             return bench.gbs([&] { return read_file(mine, here, "cold"); }); }, {}},
    };
    for (int round = 0; round <= rounds; ++round)
        for (Row& row : rows) {
            if (!only.empty() && ("," + only + ",").find(std::string(",") + row.name + ",") ==
                                     std::string::npos)
                continue;
            const double value = row.measure();
            if (round > 0) row.values.push_back(value);
            if (round == 0 && bench.rank == 0) std::printf("first %-30s %6.2f GB/s\n", row.name, value);
        }
    if (bench.rank != 0) return;
    for (Row& row : rows)
        if (!row.values.empty())
            std::printf("%-30s %6.2f GB/s  (%.2f .. %.2f)\n", row.name, median(row.values),
                        *std::ranges::min_element(row.values),
                        *std::ranges::max_element(row.values));
}

}  // namespace
}  // namespace ssi::bench

int main(int argc, char** argv) {
    using namespace ssi;
    using namespace ssi::bench;
    Session session(argc, argv);
    const std::string directory = argc > 1 ? argv[1] : "/tmp";
    const std::size_t file_bytes = (argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 256) * mib;
    const int rounds = argc > 3 ? std::atoi(argv[3]) : 3;
    const std::string only = argc > 4 ? argv[4] : "";
    const std::uint64_t cache = (argc > 5 ? std::strtoul(argv[5], nullptr, 10) : 0) * mib;
    Bench bench{session, file_bytes, directory + "/" + std::to_string(session.rank()),
                session.rank(), session.size(), nullptr, nullptr, {}};
    bench.buffer.resize(mib, std::byte{7});
    std::filesystem::create_directories(bench.directory);
    {
        auto volumes = take(io::Volumes::mount(
            session, {.directories = {bench.directory + "/v"},
                      .segment_bytes = (std::getenv("SEG") ? std::strtoul(std::getenv("SEG"), nullptr, 10) : 4) * mib,
                      .open_disk = {}}));
        io::Calls calls(session.internal_node(), node::ChannelId::file_system, 2);
        fs::Pages pages(session.internal_node(), session.internal_engine(), *volumes, calls,
                        {.cache_bytes = cache, .write_back_ms = 600000});
        take(calls.start());
        take(pages.open());
        bench.pages = &pages;
        bench.volumes = volumes.get();
        session.barrier();
        run(bench, rounds, only);
        session.barrier();
        pages.stop();
        calls.stop();
        session.barrier();
        take(volumes->close());
    }
    std::filesystem::remove_all(bench.directory);
    session.close();
}
