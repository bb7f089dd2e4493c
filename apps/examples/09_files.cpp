// SPDX-License-Identifier: BSD-3-Clause
// `mpirun -n 4 09_files DIR`: one file system over a directory of each node. All nodes write one
// file, in the background, and keep a table beside it in order by locks.
#include <ssi/io/file_system.hpp>
#include <ssi/ssi.hpp>

#include <cstdio>
#include <span>
#include <string>
#include <vector>

constexpr int rows = 64;
constexpr std::size_t row_bytes = 8192 * sizeof(double);

struct Total {
    double sum;
    long rows;
};

int main(int argc, char** argv) try {
    ssi::Session session(argc, argv);
    if (argc != 2) {
        std::fprintf(stderr, "usage: 09_files DIR\n");
        return 2;
    }
    // Each node brings a volume; here they lie side by side.
    ssi::fs::Options options;
    options.volumes.directories = {argv[1] + ("/volume-" + std::to_string(session.rank()))};
    auto fs = ssi::value_or_throw(ssi::fs::FileSystem::mount(session, options));
    if (session.rank() == 0) ssi::value_or_throw(fs->make_directory("/run"));
    session.barrier();

    auto grid = ssi::value_or_throw(fs->open("/run/grid", O_CREAT | O_RDWR));
    auto total = ssi::value_or_throw(fs->open("/run/total", O_CREAT | O_RDWR));
    std::vector<std::vector<double>> mine;
    std::vector<ssi::Future<std::size_t>> writes;
    Total found{0, 0};
    for (int row = session.rank(); row < rows; row += session.size()) {
        mine.emplace_back(row_bytes / sizeof(double), row);
        // Returns at once. The row must stay where it is until the future has its result.
        writes.push_back(grid.write_async(std::as_bytes(std::span(mine.back())),
                                          static_cast<std::uint64_t>(row) * row_bytes));
        found.sum += row * static_cast<double>(mine.back().size());
        found.rows += 1;
    }
    for (auto& write : writes) write.get();   // throws what went wrong
    ssi::value_or_throw(grid.sync());         // durable, and so is the name

    // A lock of some bytes, as fcntl has it: nobody else changes them meanwhile.
    ssi::value_or_throw(total.lock({.offset = 0, .length = sizeof(Total)}));
    Total all{0, 0};
    ssi::value_or_throw(total.pread(std::as_writable_bytes(std::span(&all, 1)), 0));
    all = {all.sum + found.sum, all.rows + found.rows};
    ssi::value_or_throw(total.pwrite(std::as_bytes(std::span(&all, 1)), 0));
    ssi::value_or_throw(total.unlock({.offset = 0, .length = sizeof(Total)}));
    session.barrier();

    if (session.rank() == 0) {
        ssi::value_or_throw(total.pread(std::as_writable_bytes(std::span(&all, 1)), 0));
        std::printf("%ld rows, sum %.0f\n", all.rows, all.sum);
        for (const auto& entry : ssi::value_or_throw(fs->list("/run", 0, 100, true)))
            std::printf("%s has %llu bytes\n", entry.name.c_str(),
                        static_cast<unsigned long long>(entry.attributes.size));
    }
    ssi::value_or_throw(grid.close());
    ssi::value_or_throw(total.close());
    ssi::value_or_throw(fs->close());
    return 0;
} catch (const ssi::Error& error) {
    std::fprintf(stderr, "09_files: %s\n", error.what());
    ssi::Session::exit(ssi::error_info(error.code()).exit_code);
}
