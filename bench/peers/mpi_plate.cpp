// SPDX-License-Identifier: BSD-3-Clause
#include "mpi_plate.hpp"

#include <algorithm>

#include "grid/digest.hpp"

namespace peers {

using jacobi::Range;

namespace {

int world_rank() {
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    return rank;
}

int world_size() {
    int size = 1;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    return size;
}

}  // namespace

MpiPlate::MpiPlate(jacobi::Plate plate, double speed)
    : plate_(plate),
      speed_(speed),
      rank_(world_rank()),
      size_(world_size()),
      rows_(jacobi::part_of(plate.rows, rank_, size_)),
      memory_(jacobi::Tile::doubles(rows_.size(), plate.cols)),
      tile_(memory_, rows_, {0, plate.cols}) {
    tile_.start(plate);
    // Ranks without rows have no neighbours, and are nobody's: the bands of the others touch.
    const auto owner = [&](std::int64_t row) {
        for (int rank = 0; rank < size_; ++rank) {
            const Range rows = jacobi::part_of(plate_.rows, rank, size_);
            if (row >= rows.begin && row < rows.end) return rank;
        }
        return MPI_PROC_NULL;
    };
    if (rows_.size() > 0) {
        north_ = owner(rows_.begin - 1);
        south_ = owner(rows_.end);
    }
}

void MpiPlate::exchange(MPI_Request* requests) {
    const auto count = static_cast<int>(plate_.cols);
    const std::int64_t last = tile_.height() - 1;
    MPI_Irecv(tile_.row(plane_, -1), count, MPI_DOUBLE, north_, 0, MPI_COMM_WORLD, &requests[0]);
    MPI_Irecv(tile_.row(plane_, last + 1), count, MPI_DOUBLE, south_, 1, MPI_COMM_WORLD,
              &requests[1]);
    MPI_Isend(tile_.row(plane_, 0), count, MPI_DOUBLE, north_, 1, MPI_COMM_WORLD, &requests[2]);
    MPI_Isend(tile_.row(plane_, last), count, MPI_DOUBLE, south_, 0, MPI_COMM_WORLD, &requests[3]);
}

void MpiPlate::step() {
    MPI_Request requests[4];
    exchange(requests);
    const std::int64_t height = tile_.height();
    tile_.step(plane_, 1, height - 1, speed_);
    MPI_Waitall(4, requests, MPI_STATUSES_IGNORE);
    if (height > 0) tile_.step(plane_, 0, 1, speed_);
    if (height > 1) tile_.step(plane_, height - 1, height, speed_);
    plane_ = 1 - plane_;
}

std::uint64_t MpiPlate::digest() const {
    std::uint64_t sum = 0;
    for (std::int64_t r = 0; r < tile_.height(); ++r)
        sum += jacobi::digest_of(plate_, rows_.begin + r, 0, tile_.cells(plane_, r));
    MPI_Allreduce(MPI_IN_PLACE, &sum, 1, MPI_UINT64_T, MPI_SUM, MPI_COMM_WORLD);
    return sum;
}

double MpiPlate::change() const {
    double largest = 0;
    for (std::int64_t r = 0; r < tile_.height(); ++r)
        largest = std::max(largest, jacobi::change_of(tile_.cells(0, r), tile_.cells(1, r)));
    MPI_Allreduce(MPI_IN_PLACE, &largest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return largest;
}

}  // namespace peers
