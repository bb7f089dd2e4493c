// SPDX-License-Identifier: BSD-3-Clause
// Checkpoints of a whole session beside memory and disk: 512 MiB a rank. Started with 3 ranks it
// saves on two of them and goes on on all three. What comes back is checked.
#include "rss.hpp"
#include "slices.hpp"
#include "state.hpp"

namespace ssi::bench {
namespace {

constexpr std::size_t small_objects = 100'000;   // of all ranks
constexpr int most_warming = 8;                  // passes

class Bench {
public:
    Bench(const Settings& settings, Report& report)
        : settings_(settings), report_(report),
          floor_(floor_directory_.path() + "/floor", memory_) {
        run_disk(true, file_bytes);
    }

    void pair() {
        Session session = Session::from_mpi(nullptr);
        {
            blocking_spans(session);
            Sets sets(session, 2 * state_bytes / mib, mib);
            blocking_full(session, sets);
            first_touch(session, sets);
            durable(session, sets, "ckpt/durable_full");
            incremental(session, sets, "ckpt/incr_1pct_random", 1);
            incremental(session, sets, "ckpt/incr_10pct_contiguous", 10);
            partner(session, sets);
            parity(session, sets);
            drain(session, sets);
            restart_same(session, sets);
            sets.destroy();
        }
        if (settings_.wants("ckpt/objects_100k_4KiB")) {
            Sets sets(session, small_objects, small);
            durable(session, sets, "ckpt/objects_100k_4KiB");
            sets.destroy();
        }
        value_or_throw(session.close());
    }

    void other_count() {
        if (!settings_.wants("ckpt/restart_other_count")) return;
        Row row{.name = "ckpt/restart_other_count", .floor = "floor/disk_read"};
        MPI_Comm some = MPI_COMM_NULL;
        MPI_Comm_split(MPI_COMM_WORLD, settings_.rank < 2 ? 0 : MPI_UNDEFINED, settings_.rank,
                       &some);
        if (some != MPI_COMM_NULL) {
            Session session = Session::from_mpi(&some);
            Sets sets(session, 2 * state_bytes / mib, mib);
            Checkpoint checkpoint(session, options());
            checkpoint.protect(sets.set());
            sets.write(1);
            session.barrier();
            value_or_throw(checkpoint.take(""));
            session.barrier();
        }
        sleeping_barrier();
        Session session = Session::from_mpi(nullptr);
        Sets sets(session, 2 * state_bytes / mib, mib);
        for (int i = 0; i <= rounds(); ++i) {
            const double below = settings_.rank < 2 ? run_disk(false, state_bytes) : 0;
            sleeping_barrier();
            const double ours = restart(session, sets, 1);
            add(row, i, ours, below);
        }
        finish(row);
        value_or_throw(session.close());
    }

private:
    // Of incremental ones, too, none of which may be whole: at most 7.
    int rounds() const { return settings_.quick ? 3 : 6; }
    CheckpointOptions options() const {
        return {.directory = directory_.path() + "/%n", .application = "bench", .keep = 1,
                .signals = false};
    }
    // The first round is not counted: it warms memory.
    static void add(Row& row, int round, double ours, double below) {
        ours = max_over_ranks(ours);
        below = max_over_ranks(below);
        if (round == 0) return;
        row.slices.push_back(ours);
        if (!row.floor.empty()) row.floor_slices.push_back(below);
    }
    void finish(Row& row) {
        row.bytes_per_operation = 2.0 * state_bytes;
        row.iterations = row.slices.size();
        report_.add(std::move(row));
    }

    double run_disk(bool write, std::size_t bytes) {
        const Pattern pattern{.write = write};
        Places places(pattern);
        const double start = now_ns();
        floor_.run(pattern, places, bytes / mib);
        return since(start);
    }
    double disk(bool write, std::size_t bytes) {
        MPI_Barrier(MPI_COMM_WORLD);
        return run_disk(write, bytes);
    }
    // What a shadow costs at least: 512 MiB into memory that is there.
    double memcpy_shadow() {
        if (from_.empty()) {
            from_.assign(state_bytes, std::byte{1});
            to_.assign(state_bytes, std::byte{2});
        }
        MPI_Barrier(MPI_COMM_WORLD);
        const double start = now_ns();
        std::memcpy(to_.data(), from_.data(), state_bytes);
        return since(start);
    }
    static double take(Checkpoint& checkpoint, TakeOptions how, CheckpointTicket& ticket) {
        MPI_Barrier(MPI_COMM_WORLD);
        const double start = now_ns();
        ticket = value_or_throw(checkpoint.take("", how));
        return since(start);
    }

    void blocking_spans(Session& session) {
        if (!settings_.wants("ckpt/blocking_spans")) return;
        Row row{.name = "ckpt/blocking_spans", .floor = "floor/memcpy_shadow"};
        std::vector<std::byte> state(state_bytes);
        Checkpoint checkpoint(session, options());
        checkpoint.protect_span("state", std::span(state));
        CheckpointTicket ticket(nullptr);
        for (int i = 0; i <= rounds(); ++i) {
            fill(state, static_cast<std::uint64_t>(session.rank()), static_cast<std::uint64_t>(i));
            const double below = memcpy_shadow();
            const double ours = take(checkpoint, {.asynchronous = true}, ticket);
            value_or_throw(ticket.wait());
            add(row, i, ours, below);
        }
        finish(row);
    }

    void blocking_full(Session& session, Sets& sets) {
        if (!settings_.wants("ckpt/blocking_full")) return;
        Row row{.name = "ckpt/blocking_full", .floor = "floor/memcpy_shadow"};
        Checkpoint checkpoint(session, options());
        checkpoint.protect(sets.set());
        CheckpointTicket ticket(nullptr);
        for (int i = 0; i <= rounds(); ++i) {
            sets.write(static_cast<std::uint64_t>(i));
            const double below = memcpy_shadow();
            const double ours = take(checkpoint, {.asynchronous = true}, ticket);
            value_or_throw(ticket.wait());
            add(row, i, ours, below);
        }
        finish(row);
    }

    void first_touch(Session& session, Sets& sets) {
        if (!settings_.wants("ckpt/first_touch_after")) return;
        Row row{.name = "ckpt/first_touch_after", .floor = "floor/memcpy_shadow"};
        Checkpoint checkpoint(session, options());
        checkpoint.protect(sets.set());
        CheckpointTicket ticket(nullptr);
        double peak = 0, grown = 0;
        // How many objects are copied differs: until the shadow has all the memory that it takes.
        int warming = 0;
        for (int i = 0; i <= rounds(); ++i) {
            sets.write(static_cast<std::uint64_t>(i));
            const double below = memcpy_shadow();
            MPI_Barrier(MPI_COMM_WORLD);
            const double before = sets.touch();
            double ours = take(checkpoint, {.asynchronous = true}, ticket);
            ours += std::max(0.0, sets.touch() - before);
            grown = max_over_ranks(resident_bytes() - peak);
            peak = std::max(peak, resident_bytes());
            value_or_throw(ticket.wait());
            add(row, i, ours, below);
            if (i == 0 && grown > 16.0 * mib && ++warming < most_warming) --i;
        }
        row.counters["peak_bytes"] = max_over_ranks(peak);
        finish(row);
    }

    void durable(Session& session, Sets& sets, const char* name) {
        if (!settings_.wants(name)) return;
        Row row{.name = name, .floor = "floor/disk_write"};
        Checkpoint checkpoint(session, options());
        checkpoint.protect(sets.set());
        CheckpointTicket ticket(nullptr);
        for (int i = 0; i <= rounds(); ++i) {
            sets.write(static_cast<std::uint64_t>(i));
            const double below = disk(true, sets.bytes_here());
            const double ours = take(checkpoint, {}, ticket);
            row.counters["stopped_seconds"] = max_over_ranks(ticket.progress().stopped_seconds);
            add(row, i, ours, below);
        }
        row.note = "committed; the device's cache is not controlled";
        finish(row);
    }

    // Beside all of the state written to the disk.
    void incremental(Session& session, Sets& sets, const char* name, unsigned percent) {
        if (!settings_.wants(name)) return;
        Row row{.name = name, .floor = "floor/disk_write"};
        Checkpoint checkpoint(session, options());
        checkpoint.protect(sets.set());
        CheckpointTicket ticket(nullptr);
        sets.write(1);
        take(checkpoint, {.incremental = true}, ticket);
        for (int i = 0; i <= rounds(); ++i) {
            sets.change(percent, percent == 1, static_cast<std::uint64_t>(i) + 2);
            const double below = disk(true, sets.bytes_here());
            const double ours = take(checkpoint, {.incremental = true}, ticket);
            add(row, i, ours, below);
        }
        finish(row);
    }

    // Two copies of everything, beside one; and making good the loss of one rank's store.
    void partner(Session& session, Sets& sets) {
        redundant(session, sets, CheckpointLevel::partner,
                  {.name = "ckpt/partner",
                   .floor = "ckpt/durable_full",
                   .note = "two copies on one disk; at most 1.2 times as long for each"},
                  {.name = "ckpt/rebuild",
                   .note = "a restart of all, from one store, and its copies in the other"});
    }

    // The same by parity, which of two ranks is as much as a copy.
    void parity(Session& session, Sets& sets) {
        redundant(session, sets, CheckpointLevel::parity,
                  {.name = "ckpt/xor",
                   .floor = "ckpt/durable_full",
                   .note = "a group of two on one disk: as much parity as data"},
                  {.name = "ckpt/xor_rebuild",
                   .note = "a restart of all, with one rank's member found by parity and "
                           "verified"});
    }

    // From the stores of the ranks to one more on the same disk, beside taking it.
    void drain(Session& session, Sets& sets) {
        if (!settings_.wants("ckpt/drain")) return;
        Row row{.name = "ckpt/drain",
                .floor = "ckpt/durable_full",
                .note = "read, verified and written by threads of lowest priority"};
        CheckpointOptions both = options();
        both.global_directory = directory_.path() + "/global";
        Checkpoint checkpoint(session, both);
        checkpoint.protect(sets.set());
        CheckpointTicket ticket(nullptr);
        for (int i = 0; i <= rounds(); ++i) {
            sets.write(static_cast<std::uint64_t>(i));
            const double below = take(checkpoint, {}, ticket);
            take(checkpoint, {.asynchronous = true, .level = CheckpointLevel::global}, ticket);
            while (!ticket.progress().saved && !ticket.test()) sys::yield_task();
            const double start = now_ns();
            value_or_throw(ticket.wait());
            add(row, i, since(start), below);
        }
        finish(row);
    }

    void redundant(Session& session, Sets& sets, CheckpointLevel level, Row row, Row rebuilt) {
        if (!settings_.wants(row.name) && !settings_.wants(rebuilt.name)) return;
        for (int i = 0; i <= rounds(); ++i) {
            double below = 0, ours = 0;
            {
                Checkpoint checkpoint(session, options());
                checkpoint.protect(sets.set());
                CheckpointTicket ticket(nullptr);
                sets.write(static_cast<std::uint64_t>(i));
                below = take(checkpoint, {}, ticket);
                ours = take(checkpoint, {.level = level}, ticket);
            }
            add(row, i, ours, below);
            MPI_Barrier(MPI_COMM_WORLD);
            if (session.rank() == 0) std::filesystem::remove_all(directory_.path() + "/1");
            add(rebuilt, i, restart(session, sets, static_cast<std::uint64_t>(i)), 0);
        }
        finish(row);
        finish(rebuilt);
    }

    double restart(Session& session, Sets& sets, std::uint64_t pass) {
        sets.forget();
        Checkpoint checkpoint(session, options());
        checkpoint.protect(sets.set());
        MPI_Barrier(MPI_COMM_WORLD);
        const double start = now_ns();
        if (!value_or_throw(checkpoint.restart())) wrong_data("restart: no version");
        const double took = since(start);
        sets.check(pass);
        return took;
    }

    void restart_same(Session& session, Sets& sets) {
        if (!settings_.wants("ckpt/restart_same")) return;
        Row row{.name = "ckpt/restart_same", .floor = "floor/disk_read"};
        {
            Checkpoint checkpoint(session, options());
            checkpoint.protect(sets.set());
            sets.write(7);
            session.barrier();
            value_or_throw(checkpoint.take(""));
        }
        for (int i = 0; i <= rounds(); ++i) {
            const double below = disk(false, state_bytes);
            const double ours = restart(session, sets, 7);
            add(row, i, ours, below);
        }
        finish(row);
    }

    const Settings& settings_;
    Report& report_;
    Memory memory_;
    const Directory floor_directory_;
    Shared directory_;
    Floor floor_;
    std::vector<std::byte> from_, to_;
};

void run(const Settings& settings, Report& report) {
    Bench bench(settings, report);
    if (settings.size == 2)
        bench.pair();
    else
        bench.other_count();
}

}  // namespace
}  // namespace ssi::bench

int main(int argc, char** argv) { return ssi::bench::run_program(argc, argv, ssi::bench::run); }
