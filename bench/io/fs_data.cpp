// SPDX-License-Identifier: BSD-3-Clause
// kDFS's data path beside tmpfs and beside the disk itself: a file of each rank in transfers of
// 1 MiB, and one file of all ranks in interleaved transfers of 47008 bytes. What is read is
// checked. With BENCH_CACHE_MIB kDFS has so much cache, and files of twice that are written.
#include <fcntl.h>

#include <cstdlib>

#include "fs_bench.hpp"

namespace ssi::bench {
namespace {

using iobench::Buffer;
using iobench::Store;
using iobench::StoreFile;
using iobench::Transfers;

constexpr std::uint64_t transfers_of_file = file_bytes / mib;
constexpr std::uint64_t transfers_to_disk = transfers_of_file / 2;   // of a slice

// A file and the transfers that are made of it, one after the other, round and round.
struct Stream {
    Stream(Store& store, const std::string& path, const Transfers& transfers, std::uint64_t count)
        : store(store), path(path), transfers(transfers), count(count), buffer(transfers.bytes),
          file(store.open(path, O_CREAT | O_RDWR)) {}
    void write_next() { buffer.write(*file, transfers, next++ % count, pass); }
    void read_next() { buffer.read(*file, transfers, next++ % count, pass); }
    void write_all(std::uint64_t with_pass) {
        pass = with_pass;
        for (next = 0; next < count;) write_next();
    }
    void make_anew() {
        file.reset();
        store.unlink(path);
        file = store.open(path, O_CREAT | O_RDWR);
        next = 0;
    }

    Store& store;
    std::string path;
    Transfers transfers;
    std::uint64_t count, next = 0, pass = 0;
    Buffer buffer;
    std::unique_ptr<StoreFile> file;
};

class Data {
public:
    Data(const Settings& settings, Report& report, Kdfs& kdfs)
        : settings_(settings), report_(report), kdfs_(kdfs) {}

    void easy() {
        Stream ours(kdfs_.store(), name("/easy."), Transfers::easy(mib), transfers_of_file);
        Stream floor(tmpfs_.store(), name("/easy."), Transfers::easy(mib), transfers_of_file);
        const auto writes = [](Stream& of) { return together([&](auto) { of.write_next(); }); };
        const auto reads = [](Stream& of) { return together([&](auto) { of.read_next(); }); };
        if (wants("io/easy_write")) {
            Side mine = writes(ours), theirs = writes(floor);
            Row& row = measure("io/easy_write", mine, "floor/tmpfs_write", &theirs, mib);
            const double start = now_ns();
            ours.file->sync();
            row.counters["sync_seconds"] = max_over_ranks(now_ns() - start) * 1e-9;
        }
        if (wants("io/easy_write_fresh")) {
            Side mine = writes(ours);
            mine.prepare = [&] { ours.make_anew(); };
            mine.most_operations = transfers_of_file;
            measure("io/easy_write_fresh", mine, "", nullptr, mib);
        }
        if (!wants("io/easy_read") && !wants("io/easy_read_remote")) return flush();
        ours.write_all(1);
        floor.write_all(1);
        if (wants("io/easy_read")) {
            Side mine = reads(ours), theirs = reads(floor);
            measure("io/easy_read", mine, "floor/tmpfs_read", &theirs, mib);
        }
        if (settings_.size == 2 && settings_.wants("io/easy_read_remote")) remote(ours, floor);
        flush();
    }

    // One writes a piece anew, the other reads it.
    void remote(Stream& mine, Stream& floor) {
        constexpr std::uint64_t piece = 64;
        Stream other(kdfs_.store(), "/easy." + std::to_string(1 - settings_.rank),
                     Transfers::easy(mib), piece);
        Side ours = shared([&] { other.read_next(); });
        ours.prepare = [&] {
            other.pass = ++mine.pass;
            mine.next = other.next = 0;
            for (std::uint64_t i = 0; i < piece; ++i) mine.write_next();
            MPI_Barrier(MPI_COMM_WORLD);
        };
        Side theirs = together([&](auto) { floor.read_next(); });
        ours.operations = theirs.operations = piece;
        measure_as_set("io/easy_read_remote", ours, "floor/tmpfs_read", &theirs, mib, true);
    }

    void disk() {
        if (!wants("io/easy_write_sync") && !wants("io/cold_read")) return;
        Memory memory;
        const Directory directory;
        Floor floor(directory.path() + "/floor", memory);
        Stream ours(kdfs_.store(), name("/synced."), Transfers::easy(mib), transfers_to_disk);
        const auto whole_floor = [&](const Pattern& pattern, Places& places) {
            Side side;
            side.operations = transfers_to_disk;
            side.run = [&floor, &places, pattern](std::uint64_t count, std::vector<double>*) {
                MPI_Barrier(MPI_COMM_WORLD);
                const double start = now_ns();
                floor.run(pattern, places, count);
                return max_over_ranks((now_ns() - start) / static_cast<double>(count));
            };
            return side;
        };
        const Pattern writing{.write = true};
        Places write_places(writing), read_places(Pattern{});
        floor.run(writing, write_places, transfers_of_file);
        ours.write_all(1);
        ours.file->sync();
        if (wants("io/easy_write_sync")) {
            Side theirs = whole_floor(writing, write_places);
            Side mine = together([&](std::uint64_t i) {
                ours.write_next();
                if (i + 1 == transfers_to_disk) ours.file->sync();
            });
            mine.operations = transfers_to_disk;
            measure_as_set("io/easy_write_sync", mine, "floor/disk_write", &theirs, mib);
        }
        if (wants("io/cold_read")) {
            Side theirs = whole_floor({}, read_places);
            Side mine = together([&](auto) { ours.read_next(); });
            mine.operations = transfers_to_disk;
            mine.prepare = [&] {
                kdfs_.store().drop_caches();
                ours.next = 0;
            };
            measure_as_set("io/cold_read", mine, "floor/disk_read", &theirs, mib);
        }
        flush();
    }

    void hard() {
        if (!wants("io/hard_write") && !wants("io/hard_read")) return;
        // Larger than four times the last cache, on all ranks together.
        const long l3 = ::sysconf(_SC_LEVEL3_CACHE_SIZE);
        const std::uint64_t bytes = std::max<std::uint64_t>(
            file_bytes, 4 * static_cast<std::uint64_t>(std::max(l3, 0L)) + mib);
        const auto ranks = static_cast<std::uint64_t>(settings_.size);
        const std::uint64_t count = bytes / iobench::hard_bytes / ranks;
        const auto part = [&](int rank) { return Transfers::hard(rank, settings_.size); };
        Stream ours(kdfs_.store(), "/hard", part(settings_.rank), count);
        Stream floor(tmpfs_.store(), "/hard", part(settings_.rank), count);
        constexpr double each = iobench::hard_bytes;
        // Slices are shorter than a pass: the first one is here.
        for (Stream* one : {&ours, &floor}) one->write_all(2);
        if (wants("io/hard_write")) {
            Side mine = shared([&] { ours.write_next(); });
            Side theirs = together([&](auto) { floor.write_next(); });
            measure("io/hard_write", mine, "floor/tmpfs_hard_write", &theirs, each);
        }
        if (wants("io/hard_read")) {
            ours.write_all(3);
            floor.write_all(3);
            MPI_Barrier(MPI_COMM_WORLD);
            // What the neighbour wrote, as benchmarks of file systems do it.
            ours.transfers = floor.transfers = part((settings_.rank + 1) % settings_.size);
            for (Stream* one : {&ours, &floor})
                for (one->next = 0; one->next < count;) one->read_next();
            Side mine = shared([&] { ours.read_next(); });
            Side theirs = together([&](auto) { floor.read_next(); });
            measure("io/hard_read", mine, "floor/tmpfs_hard_read", &theirs, each);
        }
        flush();
    }

    void twice_the_cache(std::uint64_t cache_bytes) {
        Stream ours(kdfs_.store(), name("/large."), Transfers::easy(mib), 2 * cache_bytes / mib);
        Side mine = together([&](auto) { ours.write_next(); });
        mine.operations = ours.count;
        measure_as_set("io/easy_write_2x_cache", mine, "", nullptr, mib);
        ours.write_all(5);
        for (ours.next = 0; ours.next < ours.count;) ours.read_next();
        flush();
    }

private:
    // Operations that need the other ranks: a rank that is ready waits in the session meanwhile.
    Side shared(std::function<void()> operation) {
        return together([operation = std::move(operation)](auto) { operation(); },
                        [this] { kdfs_.session().barrier(); });
    }
    std::string name(const char* prefix) const { return prefix + std::to_string(settings_.rank); }
    bool wants(const std::string& row) const { return settings_.wants(row + settings_.suffix); }

    Row& measure(const std::string& row_name, Side& ours, const std::string& floor_name,
                 Side* floor, double bytes) {
        for (Side* side : {&ours, floor})
            if (side) side->slice_seconds = settings_.long_slice_seconds();
        if (floor) calibrate(settings_, *floor);
        calibrate(settings_, ours);
        return measure_as_set(row_name, ours, floor_name, floor, bytes);
    }
    // `anywhere`: a row of one number of ranks alone, which its name does not tell.
    Row& measure_as_set(const std::string& row_name, Side& ours, const std::string& floor_name,
                        Side* floor, double bytes, bool anywhere = false) {
        Row row{.name = row_name + (anywhere ? "" : settings_.suffix)};
        Row floor_row{.name = floor_name + settings_.suffix};
        alternate_as_set(settings_, ours, row, floor, &floor_row);
        for (Row* one : {&row, &floor_row}) one->bytes_per_operation = bytes * settings_.size;
        row.note = "verified";
        if (floor) report_.add(std::move(floor_row));
        rows_.push_back(std::move(row));
        return rows_.back();
    }
    void flush() {
        for (Row& row : rows_) report_.add(std::move(row));
        rows_.clear();
    }

    const Settings& settings_;
    Report& report_;
    Kdfs& kdfs_;
    Tmpfs tmpfs_;
    std::vector<Row> rows_;
};

void run(const Settings& settings, Report& report) {
    const char* cache = std::getenv("BENCH_CACHE_MIB");
    const std::uint64_t cache_bytes = cache ? std::strtoull(cache, nullptr, 10) * mib : 0;
    Kdfs kdfs(cache_bytes);
    {
        Data data(settings, report, kdfs);
        if (cache_bytes) {
            data.twice_the_cache(cache_bytes);
        } else {
            data.easy();
            data.hard();
            data.disk();
        }
        MPI_Barrier(MPI_COMM_WORLD);
    }
    kdfs.close();
}

}  // namespace
}  // namespace ssi::bench

int main(int argc, char** argv) { return ssi::bench::run_program(argc, argv, ssi::bench::run); }
