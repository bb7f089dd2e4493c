// SPDX-License-Identifier: BSD-3-Clause
// Beside: the figures of another run, read from the JSON that it printed.
#pragma once

#include <tl/expected.hpp>

#include <cstdint>
#include <string>
#include <string_view>

#include "grid/types.hpp"

namespace jacobi {

struct Beside {
    std::string program;
    Plate plate;
    std::uint64_t iterations = 0;
    std::uint64_t digest = 0;
    double updates_per_second = 0;
};

// Of the report of jacobi or mpi_jacobi; the error is one sentence that names `path`.
tl::expected<Beside, std::string> read_beside(const std::string& path);
tl::expected<Beside, std::string> parse_beside(std::string_view json, const std::string& path);

}  // namespace jacobi
