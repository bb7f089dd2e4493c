// SPDX-License-Identifier: BSD-3-Clause
#include "mpi_table.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <stdexcept>

#include "table/expected.hpp"

namespace peers {

using gups::Stream;
using gups::Update;

namespace {

int world_size() {
    int size = 1;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    return size;
}

class AccumulateTable final : public Table {
public:
    AccumulateTable(std::uint64_t words, std::uint64_t batch) : Table(words, batch) {
        // What a user may promise, and components make use of.
        MPI_Info info;
        MPI_Info_create(&info);
        MPI_Info_set(info, "accumulate_ordering", "none");
        MPI_Info_set(info, "accumulate_ops", "same_op");
        MPI_Info_set(info, "same_disp_unit", "true");
        MPI_Win_allocate(static_cast<MPI_Aint>(shape_.per_rank * 8), 8, info, MPI_COMM_WORLD,
                         &base_, &window_);
        MPI_Info_free(&info);
        std::fill_n(base_, shape_.per_rank, 0);
        MPI_Barrier(MPI_COMM_WORLD);
        MPI_Win_lock_all(MPI_MODE_NOCHECK, window_);
    }
    ~AccumulateTable() override {
        MPI_Win_unlock_all(window_);
        MPI_Win_free(&window_);
    }
    std::string method() const override {
        const char* component = std::getenv("OMPI_MCA_osc");
        return std::string("MPI_Accumulate, osc=") + (component ? component : "default");
    }
    void update(Stream& stream, std::uint64_t count) override {
        std::vector<Update> held(batch_);   // the operands must stay until the flush
        while (count > 0) {
            const std::uint64_t now = std::min(count, batch_);
            for (std::uint64_t i = 0; i < now; ++i) {
                Update& update = held[i];
                update = stream.next();
                const int owner = shape_.owner(update.word);
                MPI_Accumulate(&update.delta, 1, MPI_UINT64_T, owner,
                               static_cast<MPI_Aint>(update.word - shape_.first(owner)), 1,
                               MPI_UINT64_T, MPI_SUM, window_);
            }
            MPI_Win_flush_all(window_);
            count -= now;
        }
        MPI_Barrier(MPI_COMM_WORLD);
    }

private:
    const std::uint64_t* words() override {
        MPI_Win_sync(window_);
        return base_;
    }
    MPI_Win window_ = MPI_WIN_NULL;
    std::uint64_t* base_ = nullptr;
};

class SharedTable final : public Table {
public:
    explicit SharedTable(std::uint64_t words) : Table(words, 1) {
        MPI_Comm host;
        MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &host);
        int here = 0;
        MPI_Comm_size(host, &here);
        MPI_Comm_free(&host);
        if (here != shape_.ranks)
            throw std::runtime_error("mode shm needs all ranks on one host");
        std::uint64_t* mine = nullptr;
        MPI_Win_allocate_shared(static_cast<MPI_Aint>(shape_.per_rank * 8), 8, MPI_INFO_NULL,
                                MPI_COMM_WORLD, &mine, &window_);
        std::fill_n(mine, shape_.per_rank, 0);
        bases_.resize(static_cast<std::size_t>(shape_.ranks));
        for (int rank = 0; rank < shape_.ranks; ++rank) {
            MPI_Aint bytes = 0;
            int unit = 0;
            MPI_Win_shared_query(window_, rank, &bytes, &unit,
                                 &bases_[static_cast<std::size_t>(rank)]);
        }
        MPI_Barrier(MPI_COMM_WORLD);
    }
    ~SharedTable() override { MPI_Win_free(&window_); }
    std::string method() const override { return "atomic additions on an MPI shared window"; }
    void update(Stream& stream, std::uint64_t count) override {
        for (; count > 0; --count) {
            const Update update = stream.next();
            const int owner = shape_.owner(update.word);
            std::uint64_t& word =
                bases_[static_cast<std::size_t>(owner)][update.word - shape_.first(owner)];
            std::atomic_ref(word).fetch_add(update.delta, std::memory_order_relaxed);
        }
        MPI_Barrier(MPI_COMM_WORLD);
    }

private:
    const std::uint64_t* words() override { return bases_[static_cast<std::size_t>(rank_)]; }
    MPI_Win window_ = MPI_WIN_NULL;
    std::vector<std::uint64_t*> bases_;
};

class ExchangeTable final : public Table {
public:
    ExchangeTable(std::uint64_t words, std::uint64_t batch)
        : Table(words, batch), words_(mine()), held_(batch), sorted_(batch) {
        const auto ranks = static_cast<std::size_t>(shape_.ranks);
        for (auto* numbers : {&sent_, &from_, &received_, &to_}) numbers->resize(ranks);
    }
    std::string method() const override {
        return "MPI_Alltoallv of " + std::to_string(batch_) + " updates a rank";
    }
    void update(Stream& stream, std::uint64_t count) override {
        for (; count > 0; count -= std::min(count, batch_))
            round(stream, std::min(count, batch_));
    }

private:
    const std::uint64_t* words() override { return words_.data(); }

    void round(Stream& stream, std::uint64_t count) {
        std::fill(sent_.begin(), sent_.end(), 0);
        for (std::uint64_t i = 0; i < count; ++i) {
            held_[i] = stream.next();
            ++sent_[static_cast<std::size_t>(shape_.owner(held_[i].word))];
        }
        int at = 0;
        for (std::size_t rank = 0; rank < sent_.size(); ++rank) {
            to_[rank] = at;
            at += sent_[rank];
        }
        for (std::uint64_t i = 0; i < count; ++i)
            sorted_[static_cast<std::size_t>(
                to_[static_cast<std::size_t>(shape_.owner(held_[i].word))]++)] = held_[i];
        for (std::size_t rank = 0; rank < sent_.size(); ++rank) to_[rank] -= sent_[rank];
        exchange();
    }
    // Counts are of updates, two numbers each.
    void exchange() {
        MPI_Alltoall(sent_.data(), 1, MPI_INT, received_.data(), 1, MPI_INT, MPI_COMM_WORLD);
        int all = 0;
        for (std::size_t rank = 0; rank < sent_.size(); ++rank) {
            from_[rank] = 2 * all;
            all += received_[rank];
            sent_[rank] *= 2;
            received_[rank] *= 2;
            to_[rank] *= 2;
        }
        arrived_.resize(static_cast<std::size_t>(all));
        MPI_Alltoallv(sorted_.data(), sent_.data(), to_.data(), MPI_UINT64_T, arrived_.data(),
                      received_.data(), from_.data(), MPI_UINT64_T, MPI_COMM_WORLD);
        const std::uint64_t first = shape_.first(rank_);
        for (const Update& update : arrived_) words_[update.word - first] += update.delta;
    }

    std::vector<std::uint64_t> words_;
    std::vector<Update> held_, sorted_, arrived_;
    std::vector<int> sent_, to_, received_, from_;
};

}  // namespace

Table::Table(std::uint64_t words, std::uint64_t batch)
    : shape_(words, world_size()), batch_(batch) {
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
}

std::uint64_t Table::wrong_words(std::uint64_t seed, std::uint64_t updates) {
    const auto expected = gups::expected_words(shape_, rank_, seed, updates);
    const std::uint64_t* found = words();
    std::uint64_t wrong = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) wrong += found[i] != expected[i];
    MPI_Allreduce(MPI_IN_PLACE, &wrong, 1, MPI_UINT64_T, MPI_SUM, MPI_COMM_WORLD);
    return wrong;
}

std::unique_ptr<Table> accumulate_table(std::uint64_t words, std::uint64_t batch) {
    return std::make_unique<AccumulateTable>(words, batch);
}
std::unique_ptr<Table> shared_table(std::uint64_t words) {
    return std::make_unique<SharedTable>(words);
}
std::unique_ptr<Table> exchange_table(std::uint64_t words, std::uint64_t batch) {
    return std::make_unique<ExchangeTable>(words, batch);
}

}  // namespace peers
