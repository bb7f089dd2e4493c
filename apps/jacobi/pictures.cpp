// SPDX-License-Identifier: BSD-3-Clause
#include "pictures.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

#include "grid/png.hpp"

namespace jacobi {

using ssi::value_or_throw;

namespace {

ssi::kddm::SetOptions pixels_options() {
    ssi::kddm::SetOptions options;
    options.kind = ssi::kddm::ObjectKind::variable;
    options.placement = KddmPlate::at_owners;
    return options;
}

ssi::ObjectId id_of(std::uint32_t block) { return {0, block}; }

}  // namespace

Pictures::Pictures(KddmPlate& plate, std::int64_t most_pixels)
    : plate_(plate),
      canvas_(plate.layout().plate(), most_pixels),
      pixels_(value_or_throw(plate.session().raw_set("jacobi.pixels", pixels_options()))) {}

void Pictures::paint(std::uint32_t block) {
    const Range pixel_rows = canvas_.pixel_rows(plate_.layout().rows_of(block));
    const Range pixel_cols = canvas_.pixel_cols(plate_.layout().cols_of(block));
    std::vector<std::uint8_t> levels;
    levels.reserve(static_cast<std::size_t>(pixel_rows.size() * pixel_cols.size()));
    std::int64_t y = pixel_rows.begin;
    plate_.read(block, [&](std::int64_t row, std::int64_t col, std::span<const double> cells) {
        if (y == pixel_rows.end || row != canvas_.row_of(y)) return;
        ++y;
        for (std::int64_t x = pixel_cols.begin; x < pixel_cols.end; ++x)
            levels.push_back(level_of(cells[static_cast<std::size_t>(canvas_.col_of(x) - col)]));
    });
    auto guard = value_or_throw(pixels_.grab_new(id_of(block)));
    value_or_throw(guard.resize(levels.size()));
    std::copy(levels.begin(), levels.end(),
              reinterpret_cast<std::uint8_t*>(guard.writable().data()));
    value_or_throw(guard.put());
}

std::string Pictures::collect(const std::string& path) {
    const Layout& layout = plate_.layout();
    std::vector<std::uint8_t> picture(
        static_cast<std::size_t>(canvas_.height() * canvas_.width()));
    for (std::uint32_t block = 0; block < layout.blocks(); ++block)
        value_or_throw(pixels_.prefetch(id_of(block)));
    for (std::uint32_t block = 0; block < layout.blocks(); ++block) {
        const Range rows = canvas_.pixel_rows(layout.rows_of(block));
        const Range cols = canvas_.pixel_cols(layout.cols_of(block));
        const auto guard = value_or_throw(pixels_.get(id_of(block)));
        const auto* levels = reinterpret_cast<const std::uint8_t*>(guard.bytes().data());
        for (std::int64_t y = rows.begin; y < rows.end; ++y, levels += cols.size())
            std::copy_n(levels, cols.size(),
                        picture.begin() + (y * canvas_.width() + cols.begin));
    }
    const std::string problem = write_png(path, canvas_.width(), canvas_.height(), picture);
    return problem.empty() ? problem : fmt::format("cannot write {}: {}", path, problem);
}

std::string Pictures::write(const std::string& path) {
    for (const std::uint32_t block : plate_.owned()) paint(block);
    plate_.session().barrier();
    std::string problem;
    if (plate_.session().rank() == 0) problem = collect(path);
    // The pixels are read before anybody paints the next picture.
    plate_.session().barrier();
    return problem;
}

}  // namespace jacobi
