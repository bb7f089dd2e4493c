// SPDX-License-Identifier: BSD-3-Clause
// Pictures: PNG files of the plate. Each rank makes the pixels of its own blocks, as objects; rank
// 0 reads them and writes the file, so that the plate itself does not move. Collective.
#pragma once

#include <string>

#include "grid/canvas.hpp"
#include "kddm_plate.hpp"

namespace jacobi {

class Pictures {
public:
    Pictures(KddmPlate& plate, std::int64_t most_pixels);

    // Empty on every rank but 0; there what went wrong, or empty.
    std::string write(const std::string& path);

private:
    void paint(std::uint32_t block);
    std::string collect(const std::string& path);

    KddmPlate& plate_;
    Canvas canvas_;
    ssi::kddm::RawSet pixels_;
};

}  // namespace jacobi
