// SPDX-License-Identifier: BSD-3-Clause
// What the kDFS rows share: a session, kDFS mounted on a fresh volume of each rank, and a directory
// in memory (tmpfs) as the floor; both as Stores, so that the same pattern runs on either.
#pragma once

#include <mpi.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "disk_floor.hpp"
#include "patterns/patterns.hpp"
#include "slices.hpp"
#include "ssi/io/file_system.hpp"
#include "ssi/ssi.hpp"

namespace ssi::bench {

inline Session open_session() {
    char name[] = "bench";
    char* arguments[] = {name, nullptr};
    int count = 1;
    return Session(count, arguments);
}

// Collective, its end too.
class Kdfs {
public:
    explicit Kdfs(std::uint64_t cache_bytes = 0)
        : session_(open_session()), system_(mount(cache_bytes)),
          store_(iobench::make_kdfs_store(*system_)) {}
    // Not by the destructor: when a rank fails, nothing collective would end.
    void close() {
        store_.reset();
        value_or_throw(system_->close());
        system_.reset();
        value_or_throw(session_.close());
    }
    Session& session() { return session_; }
    fs::FileSystem& system() { return *system_; }
    iobench::Store& store() { return *store_; }
    const Directory& directory() const { return directory_; }

private:
    std::unique_ptr<fs::FileSystem> mount(std::uint64_t cache_bytes) {
        fs::Options options;
        options.volumes.directories = {directory_.path() + "/volume"};
        options.cache_bytes = cache_bytes;
        return value_or_throw(fs::FileSystem::mount(session_, std::move(options)));
    }
    Directory directory_;
    Session session_;
    std::unique_ptr<fs::FileSystem> system_;
    std::unique_ptr<iobench::Store> store_;
};

// The same directory in memory on every rank; rank 0 makes it and removes it.
class Tmpfs {
public:
    Tmpfs() {
        char path[64] = {};
        if (rank() == 0) {
            directory_ = std::make_unique<Directory>("/dev/shm");
            directory_->path().copy(path, sizeof path - 1);
        }
        MPI_Bcast(path, sizeof path, MPI_CHAR, 0, MPI_COMM_WORLD);
        store_ = iobench::make_posix_store(path);
    }
    iobench::Store& store() { return *store_; }

private:
    static int rank() {
        int rank = 0;
        MPI_Comm_rank(MPI_COMM_WORLD, &rank);
        return rank;
    }
    std::unique_ptr<Directory> directory_;
    std::unique_ptr<iobench::Store> store_;
};

// A side that does operation i on every rank at once; its time is that of the slowest.
// `after`: what a rank does, unmeasured, when its own are done: others may need it to serve them.
inline Side together(std::function<void(std::uint64_t i)> operation,
                     std::function<void()> after = [] {}) {
    Side side;
    side.run = [operation = std::move(operation), after = std::move(after)](
                   std::uint64_t count, std::vector<double>* samples) {
        MPI_Barrier(MPI_COMM_WORLD);
        const double start = now_ns();
        for (std::uint64_t i = 0; i < count; ++i) {
            const std::uint64_t before = samples ? ticks() : 0;
            operation(i);
            if (samples) samples->push_back(static_cast<double>(ticks() - before));
        }
        const double took = now_ns() - start;
        after();
        return max_over_ranks(took / static_cast<double>(count));
    };
    return side;
}

}  // namespace ssi::bench
