// SPDX-License-Identifier: BSD-3-Clause
// kDFS's metadata path: files made, looked at and removed, each rank in a directory of its own, in
// one of all, and in another rank's, beside tmpfs; and files that are durable when they are made.
#include <algorithm>
#include <memory>
#include <thread>

#include "fs_bench.hpp"
#include "ucx_floor.hpp"

namespace ssi::bench {
namespace {

using iobench::SmallFiles;
using iobench::Store;

class Metadata {
public:
    Metadata(const Settings& settings, Report& report, Kdfs& kdfs)
        : settings_(settings), report_(report), kdfs_(kdfs), files_(settings.quick ? 500 : 2000) {}

    void own_directories() {
        for (Store* store : {&kdfs_.store(), &tmpfs_.store()})
            store->make_directory(own("/md."));
        SmallFiles ours(kdfs_.store(), own("/md."), 0), floor(tmpfs_.store(), own("/md."), 0);
        if (wants("io/create")) {
            Side mine = creates(ours), theirs = creates(floor);
            Row row = measure("io/create", mine, "floor/tmpfs_create", theirs);
            const double start = now_ns();
            kdfs_.store().sync_all();
            row.counters["sync_seconds"] = max_over_ranks(now_ns() - start) * 1e-9;
            report_.add(std::move(row));
        }
        if (wants("io/stat")) {
            make(ours);
            make(floor);
            Side mine = stats(ours), theirs = stats(floor);
            report_.add(measure("io/stat", mine, "floor/tmpfs_stat", theirs));
            remove(ours);
            remove(floor);
        }
        if (wants("io/unlink")) {
            Side mine = unlinks(ours), theirs = unlinks(floor);
            report_.add(measure("io/unlink", mine, "floor/tmpfs_unlink", theirs));
        }
        if (wants("io/small_3901")) {
            SmallFiles small_ours(kdfs_.store(), own("/md."), iobench::small_file_bytes);
            SmallFiles small_floor(tmpfs_.store(), own("/md."), iobench::small_file_bytes);
            Side mine = creates(small_ours), theirs = creates(small_floor);
            mine.check = [&] {
                for (std::uint64_t i = 0; i < files_; ++i) small_ours.read(i);
                remove(small_ours);
            };
            Row row = measure("io/small_3901", mine, "floor/tmpfs_small_3901", theirs);
            row.note = "verified";
            report_.add(std::move(row));
        }
    }

    // All ranks make files in one directory, beside each in its own.
    void shared_directory() {
        if (!wants("io/create_shared")) return;
        if (settings_.rank == 0) kdfs_.store().make_directory("/shared");
        kdfs_.store().make_directory(own("/beside."));
        MPI_Barrier(MPI_COMM_WORLD);
        SmallFiles ours(kdfs_.store(), "/shared", 0, "f" + std::to_string(settings_.rank) + ".");
        SmallFiles floor(kdfs_.store(), own("/beside."), 0);
        Side mine = creates(ours), theirs = creates(floor);
        report_.add(measure("io/create_shared", mine, "io/create", theirs, false));
    }

    // Rank 1 looks at what rank 0 has made, each file once; then again.
    void remote_stats() {
        if (settings_.size != 2) return;
        if (!settings_.wants("io/stat_remote") && !settings_.wants("io/stat_remote_again")) return;
        constexpr std::uint64_t chunk = 200;
        const auto slices = static_cast<std::uint64_t>(settings_.repetitions()) + 1;
        SmallFiles theirs(kdfs_.store(), "/remote", 0), mine(kdfs_.store(), "/local", 0);
        if (settings_.rank == 0) {
            kdfs_.store().make_directory("/remote");
            for (std::uint64_t i = 0; i < chunk * slices; ++i) theirs.create(i);
        } else {
            kdfs_.store().make_directory("/local");
            for (std::uint64_t i = 0; i < chunk; ++i) mine.create(i);
        }
        std::uint64_t next = 0;
        Side first = by_rank_1([&](std::uint64_t) { theirs.stat(next++); }, chunk);
        UcxFloor ucx(fastest(am_choices(false), 1 - settings_.rank, {}), 1 - settings_.rank);
        Side round_trip;
        round_trip.operations = 2000;
        round_trip.run = [&](std::uint64_t rounds, std::vector<double>* samples) {
            return ucx.ping_pong({}, rounds, samples);
        };
        add_as_set("io/stat_remote", first, "floor/am_roundtrip_8B", round_trip, true);
        next = 0;
        Side again = by_rank_1([&](std::uint64_t) { theirs.stat(next++); }, chunk);
        Side local = by_rank_1([&](std::uint64_t i) { mine.stat(i); }, chunk);
        add_as_set("io/stat_remote_again", again, "io/stat", local, false);
    }

    void durable() {
        if (!wants("io/create_durable") && !wants("io/create_durable/writers:8")) return;
        Memory memory;
        const Directory directory;
        Floor disk(directory.path() + "/floor", memory);
        const Pattern pattern{.write = true, .durable = true, .bytes = small};
        Places places(pattern);
        if (settings_.rank == 0) kdfs_.store().make_directory("/durable");
        MPI_Barrier(MPI_COMM_WORLD);
        std::uint64_t next = 0;
        Side one = writers(1, next), again = writers(1, next), eight = writers(8, next);
        Side floor;
        floor.run = [&](std::uint64_t count, std::vector<double>*) {
            const double start = now_ns();
            if (settings_.rank == 0) disk.run(pattern, places, count);
            return from_rank0((now_ns() - start) / static_cast<double>(count));
        };
        one.operations = again.operations = floor.operations = settings_.quick ? 16 : 40;
        eight.operations = 4 * one.operations;
        add_as_set("io/create_durable", one, "floor/fdatasync", floor, true);
        add_as_set("io/create_durable/writers:8", eight, "io/create_durable", again, false);
    }

    // Cold: the lister has not seen the directory, made by the other rank.
    void large_directory() {
        if (settings_.size != 2 || !settings_.wants("io/readdir_100k")) return;
        constexpr std::uint64_t entries = 100'000;
        Row row{.name = "io/readdir_100k"};
        for (int i = 0; i < (settings_.quick ? 1 : 3); ++i) {
            const std::string path = "/large." + std::to_string(i);
            SmallFiles files(kdfs_.store(), path, 0);
            if (settings_.rank == 0) {
                kdfs_.store().make_directory(path);
                for (std::uint64_t n = 0; n < entries; ++n) files.create(n);
                kdfs_.store().sync_all();   // what the disks have to do is not listing
            }
            kdfs_.session().barrier();
            const double start = now_ns();
            if (settings_.rank == 1) files.list(entries);
            kdfs_.session().barrier();
            row.slices.push_back(max_over_ranks(now_ns() - start) / entries);
            row.iterations += entries;
        }
        std::vector<double> sorted = row.slices;
        std::ranges::sort(sorted);
        row.counters["ns_per_entry"] = sorted[sorted.size() / 2];
        row.items_per_operation = 1;
        row.note = "names and attributes checked";
        report_.add(std::move(row));
    }

private:
    std::string own(const char* prefix) const { return prefix + std::to_string(settings_.rank); }
    bool wants(const std::string& row) const { return settings_.wants(row + settings_.suffix); }
    void make(SmallFiles& files) const {
        for (std::uint64_t i = 0; i < files_; ++i) files.create(i);
    }
    void remove(SmallFiles& files) const {
        for (std::uint64_t i = 0; i < files_; ++i) files.unlink(i);
    }

    Side of_files(std::function<void(std::uint64_t)> operation) const {
        // MPI would spin on the core that the others' calls need.
        Side side = together(std::move(operation), [this] { kdfs_.session().barrier(); });
        side.operations = files_;
        return side;
    }
    Side creates(SmallFiles& files) const {
        Side side = of_files([&](std::uint64_t i) { files.create(i); });
        side.check = [&] { remove(files); };
        return side;
    }
    Side stats(SmallFiles& files) const {
        return of_files([&](std::uint64_t i) { files.stat(i); });
    }
    Side unlinks(SmallFiles& files) const {
        Side side = of_files([&](std::uint64_t i) { files.unlink(i); });
        side.prepare = [&] { make(files); };
        return side;
    }

    // Rank 0 waits meanwhile, as a node that has nothing to do.
    Side by_rank_1(std::function<void(std::uint64_t)> operation, std::uint64_t count) const {
        Side side;
        side.operations = count;
        side.run = [this, operation = std::move(operation)](std::uint64_t operations,
                                                            std::vector<double>* samples) {
            kdfs_.session().barrier();
            double spent = 0;
            if (settings_.rank == 1) {
                const double start = now_ns();
                for (std::uint64_t i = 0; i < operations; ++i) {
                    const std::uint64_t before = samples ? ticks() : 0;
                    operation(i);
                    if (samples) samples->push_back(static_cast<double>(ticks() - before));
                }
                spent = now_ns() - start;
            }
            kdfs_.session().barrier();
            return max_over_ranks(spent / static_cast<double>(operations));
        };
        return side;
    }

    // So many threads in all, dealt out to the ranks, each with names of its own.
    Side writers(std::uint64_t threads, std::uint64_t& next) const {
        Side side;
        side.run = [this, threads, &next](std::uint64_t count, std::vector<double>*) {
            const auto ranks = static_cast<std::uint64_t>(settings_.size);
            const auto rank = static_cast<std::uint64_t>(settings_.rank);
            MPI_Barrier(MPI_COMM_WORLD);
            const double start = now_ns();
            std::vector<std::thread> running;
            for (std::uint64_t t = rank; t < threads; t += ranks)
                running.emplace_back([&, t] {
                    SmallFiles files(kdfs_.store(), "/durable", 0, "w" + std::to_string(t) + ".");
                    for (std::uint64_t i = t; i < count; i += threads)
                        files.create(next + i, true);
                });
            for (auto& thread : running) thread.join();
            next += count;
            const double took = now_ns() - start;
            // Who has nothing to do serves the others; MPI would spin on the core that this needs.
            kdfs_.session().barrier();
            return max_over_ranks(took / static_cast<double>(count));
        };
        return side;
    }

    Row measure(const std::string& name, Side& ours, const std::string& floor_name, Side& floor,
                bool report_floor = true) {
        Row row{.name = name + settings_.suffix};
        Row floor_row{.name = floor_name + settings_.suffix};
        ours.operations = floor.operations = files_;
        // The first pass over the same names is not measured.
        for (Side* side : {&floor, &ours}) {
            if (side->prepare) side->prepare();
            side->run(side->operations, nullptr);
            if (side->check) side->check();
        }
        alternate_as_set(settings_, ours, row, &floor, &floor_row);
        for (Row* one : {&row, &floor_row})
            one->items_per_operation = static_cast<double>(settings_.size);
        if (report_floor) report_.add(std::move(floor_row));
        return row;
    }
    void add_as_set(const std::string& name, Side& ours, const std::string& floor_name,
                    Side& floor, bool report_floor) {
        // Rows of two ranks alone have no suffix, their floors neither.
        const bool two_only = name.starts_with("io/stat_remote");
        const std::string suffix = two_only ? "" : settings_.suffix;
        Row row{.name = name + suffix}, floor_row{.name = floor_name + suffix};
        alternate_as_set(settings_, ours, row, &floor, &floor_row);
        row.items_per_operation = 1;
        if (report_floor) report_.add(std::move(floor_row));
        report_.add(std::move(row));
    }

    const Settings& settings_;
    Report& report_;
    Kdfs& kdfs_;
    Tmpfs tmpfs_;
    const std::uint64_t files_;
};

void run(const Settings& settings, Report& report) {
    Kdfs kdfs;
    {
        Metadata metadata(settings, report, kdfs);
        metadata.own_directories();
        metadata.shared_directory();
        metadata.remote_stats();
        metadata.durable();
        metadata.large_directory();
        MPI_Barrier(MPI_COMM_WORLD);
    }
    kdfs.close();
}

}  // namespace
}  // namespace ssi::bench

int main(int argc, char** argv) { return ssi::bench::run_program(argc, argv, ssi::bench::run); }
