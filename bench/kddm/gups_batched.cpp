// SPDX-License-Identifier: BSD-3-Clause
// Random updates of 8-byte numbers in a table on all ranks: batched by kddm's update buffers,
// beside the same batched by MPI_Alltoallv. 2 ranks. An operation is one update, by any rank.
#include <mpi.h>

#include <numeric>

#include "slices.hpp"
#include "ssi/base/random.hpp"
#include "ssi/ssi.hpp"
#include "table.hpp"

namespace ssi::bench {
namespace {

constexpr std::uint64_t words_per_rank = 1u << 22;   // 32 MiB, more than L2
constexpr std::uint64_t words_per_object = 1u << 17; // 1 MiB: updates are shipped, never objects
constexpr std::uint64_t mpi_batch = 8192;

// The stream of one rank: where to, and, in the same number, what.
struct Stream {
    explicit Stream(int rank) : state(mix64(static_cast<std::uint64_t>(rank) + 1)) {}
    std::uint64_t state;
    std::uint64_t next() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        return state;
    }
};

// A table that all updates of all ranks have been applied to, one rank's part of it.
class Check {
public:
    explicit Check(const Settings& settings)
        : settings_(settings),
          mask_(words_per_rank * static_cast<std::uint64_t>(settings.size) - 1),
          words_(words_per_rank) {
        for (int rank = 0; rank < settings.size; ++rank) streams_.emplace_back(rank);
    }
    // Every rank has added `each` numbers more.
    void advance(std::uint64_t each) {
        const auto mine = static_cast<std::uint64_t>(settings_.rank);
        for (Stream& stream : streams_)
            for (std::uint64_t i = 0; i < each; ++i) {
                const std::uint64_t value = stream.next(), at = value & mask_;
                if (at / words_per_rank == mine) words_[at % words_per_rank] += value;
            }
    }
    const std::vector<std::uint64_t>& words() const { return words_; }

private:
    const Settings& settings_;
    std::uint64_t mask_;
    std::vector<std::uint64_t> words_;
    std::vector<Stream> streams_;
};

// The peer: bucket a batch by rank, exchange counts, exchange numbers, apply.
class Alltoallv {
public:
    explicit Alltoallv(const Settings& settings)
        : size_(settings.size), words_(words_per_rank), stream_(settings.rank),
          mask_(words_per_rank * static_cast<std::uint64_t>(settings.size) - 1) {
        buckets_.resize(static_cast<std::size_t>(size_));
        for (auto& bucket : buckets_) bucket.resize(mpi_batch);
        send_.resize(mpi_batch);
    }
    void run(std::uint64_t each) {
        for (std::uint64_t left = each; left > 0;) {
            const std::uint64_t some = std::min(left, mpi_batch);
            exchange(some);
            left -= some;
        }
    }
    const std::vector<std::uint64_t>& words() const { return words_; }

private:
    void exchange(std::uint64_t count) {
        const auto ranks = static_cast<std::size_t>(size_);
        std::vector<int> out(ranks), in(ranks), out_at(ranks), in_at(ranks);
        for (std::uint64_t i = 0; i < count; ++i) {
            const std::uint64_t value = stream_.next();
            const std::size_t to = (value & mask_) / words_per_rank;
            buckets_[to][static_cast<std::size_t>(out[to]++)] = value;
        }
        MPI_Alltoall(out.data(), 1, MPI_INT, in.data(), 1, MPI_INT, MPI_COMM_WORLD);
        std::exclusive_scan(out.begin(), out.end(), out_at.begin(), 0);
        std::exclusive_scan(in.begin(), in.end(), in_at.begin(), 0);
        for (std::size_t r = 0; r < ranks; ++r)
            std::copy_n(buckets_[r].begin(), out[r], send_.begin() + out_at[r]);
        receive_.resize(static_cast<std::size_t>(std::accumulate(in.begin(), in.end(), 0)));
        MPI_Alltoallv(send_.data(), out.data(), out_at.data(), MPI_UINT64_T, receive_.data(),
                      in.data(), in_at.data(), MPI_UINT64_T, MPI_COMM_WORLD);
        for (const std::uint64_t value : receive_)
            words_[(value & mask_) % words_per_rank] += value;
    }

    int size_;
    std::vector<std::uint64_t> words_;
    Stream stream_;
    std::uint64_t mask_;
    std::vector<std::vector<std::uint64_t>> buckets_;
    std::vector<std::uint64_t> send_, receive_;
};

// Ours: objects of 1 MiB, those of a rank at home there.
class Batched {
public:
    Batched(Session& session, const Settings& settings)
        : session_(session), stream_(settings.rank),
          mask_(words_per_rank * static_cast<std::uint64_t>(settings.size) - 1),
          objects_(words_per_rank * static_cast<std::uint64_t>(settings.size) / words_per_object),
          first_(static_cast<std::uint64_t>(settings.rank) * words_per_rank / words_per_object),
          set_(value_or_throw(session.raw_set(
              "gups", {.count = objects_,
                       .object_bytes = static_cast<std::uint32_t>(words_per_object * 8),
                       .placement = "blocked"}))) {
        for (std::uint64_t i = 0; i < words_per_rank / words_per_object; ++i)
            (void)value_or_throw(set_.grab(first_ + i));
    }
    void run(std::uint64_t each) {
        kddm::Updates<std::uint64_t> updates(set_, kddm::AtomicOp::add);
        for (std::uint64_t i = 0; i < each; ++i) {
            const std::uint64_t value = stream_.next(), at = value & mask_;
            updates.add(at / words_per_object, value,
                        static_cast<std::uint32_t>(at % words_per_object * 8));
        }
        updates.flush();
        session_.barrier();
    }
    void check(const std::vector<std::uint64_t>& words) {
        for (std::uint64_t i = 0; i < words_per_rank / words_per_object; ++i) {
            auto guard = value_or_throw(set_.get(first_ + i));
            if (std::memcmp(guard.bytes().data(), &words[i * words_per_object],
                            words_per_object * 8) != 0)
                wrong_data("kddm/gups_batched");
        }
        session_.barrier();
    }

private:
    Session& session_;
    Stream stream_;
    std::uint64_t mask_;
    std::uint64_t objects_;
    std::uint64_t first_;
    kddm::RawSet set_;
};

void run(const Settings& settings, Report& report, Session& session) {
    Row row{.name = "kddm/gups_batched"};
    if (!settings.wants(row.name)) return;
    const auto ranks = static_cast<std::uint64_t>(settings.size);
    std::uint64_t ours_done = 0, peer_done = 0;
    Alltoallv alltoallv(settings);
    Side peer;
    peer.multiple_of = ranks * mpi_batch;
    peer.run = [&](std::uint64_t operations, std::vector<double>*) {
        MPI_Barrier(MPI_COMM_WORLD);
        const double start = now_ns();
        alltoallv.run(operations / ranks);
        MPI_Barrier(MPI_COMM_WORLD);
        peer_done += operations / ranks;
        return (now_ns() - start) / static_cast<double>(operations);
    };
    Batched batched(session, settings);
    Side ours;
    ours.multiple_of = ranks * mpi_batch;
    ours.run = [&](std::uint64_t operations, std::vector<double>*) {
        session.barrier();
        const double start = now_ns();
        batched.run(operations / ranks);
        ours_done += operations / ranks;
        return (now_ns() - start) / static_cast<double>(operations);
    };
    Row peer_row{.name = "peer/mpi_gups_alltoallv"};
    alternate(settings, ours, row, &peer, &peer_row);
    Check check(settings);
    check.advance(std::min(ours_done, peer_done));
    const auto compare_peer = [&] {
        if (alltoallv.words() != check.words()) wrong_data("peer/mpi_gups_alltoallv");
    };
    if (peer_done <= ours_done) compare_peer();
    if (ours_done <= peer_done) batched.check(check.words());
    check.advance(std::max(ours_done, peer_done) - std::min(ours_done, peer_done));
    if (peer_done > ours_done) compare_peer();
    if (ours_done > peer_done) batched.check(check.words());
    row.items_per_operation = peer_row.items_per_operation = 1;
    peer_row.note = "batches of 8192 updates of 8 bytes, MPI_Alltoall of counts";
    report.add(std::move(row));
    report.add(std::move(peer_row));
}

}  // namespace
}  // namespace ssi::bench

int main(int argc, char** argv) {
    using namespace ssi::bench;
    return run_program(argc, argv, [](const Settings& settings, Report& report) {
        ssi::Session session = open_session();
        run(settings, report, session);
        ssi::value_or_throw(session.close());
    });
}
