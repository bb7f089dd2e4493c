// SPDX-License-Identifier: BSD-3-Clause
// MpiPlate: the plate of apps/jacobi in plain MPI: a band of rows on each rank, one array, edges by
// Isend and Irecv while the rows between them are stepped. Collective over MPI_COMM_WORLD.
#pragma once

#include <mpi.h>

#include "grid/tile.hpp"
#include "support/large_vector.hpp"

namespace peers {

class MpiPlate {
public:
    MpiPlate(jacobi::Plate plate, double speed);

    void step();

    int ranks() const { return size_; }
    std::uint64_t digest() const;
    double change() const;
    // The rows of the plate one after the other, on rank 0; `reader` is called there only.
    template <class Reader>
    void read(Reader&& reader) const;

private:
    void exchange(MPI_Request* requests);
    const double* row(std::int64_t r) const { return tile_.row(plane_, r); }

    jacobi::Plate plate_;
    double speed_;
    int rank_ = 0, size_ = 1;
    jacobi::Range rows_;
    int north_ = MPI_PROC_NULL, south_ = MPI_PROC_NULL;
    support::LargeVector<double> memory_;
    jacobi::Tile tile_;
    jacobi::Plane plane_ = 0;
};

template <class Reader>
void MpiPlate::read(Reader&& reader) const {
    const auto cols = static_cast<std::size_t>(plate_.cols);
    std::vector<double> taken(cols);
    for (int rank = 0; rank < size_; ++rank) {
        const jacobi::Range rows = jacobi::part_of(plate_.rows, rank, size_);
        for (std::int64_t r = rows.begin; r < rows.end; ++r) {
            if (rank_ == 0 && rank == 0) {
                reader(r, std::span(row(r), cols));
            } else if (rank_ == rank) {
                MPI_Send(row(r - rows.begin), static_cast<int>(cols), MPI_DOUBLE, 0, 2,
                         MPI_COMM_WORLD);
            } else if (rank_ == 0) {
                MPI_Recv(taken.data(), static_cast<int>(cols), MPI_DOUBLE, rank, 2, MPI_COMM_WORLD,
                         MPI_STATUS_IGNORE);
                reader(r, std::span<const double>(taken));
            }
        }
    }
}

}  // namespace peers
