// SPDX-License-Identifier: BSD-3-Clause
// The plate: kernel, start, layout, serial run, digest, pictures.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "grid/canvas.hpp"
#include "grid/digest.hpp"
#include "grid/kernel.hpp"
#include "grid/layout.hpp"
#include "grid/palette.hpp"
#include "grid/saved.hpp"
#include "grid/serial.hpp"

namespace jacobi {
namespace {

TEST(Kernel, moves_each_cell_towards_the_mean_of_its_neighbours) {
    for (std::size_t count = 0; count < 40; ++count) {
        std::vector<double> north(count), here(count + 2), south(count), out(count + 1, -1.0);
        for (std::size_t i = 0; i < count; ++i) {
            north[i] = 0.1 + static_cast<double>(i) / 7;
            south[i] = 0.3 / (1 + static_cast<double>(i));
        }
        for (std::size_t i = 0; i < here.size(); ++i) here[i] = static_cast<double>(i * i % 13) / 3;
        step_row(north.data(), here.data() + 1, south.data(), out.data(), count, 0.2);
        for (std::size_t i = 0; i < count; ++i) {
            const double around = (north[i] + south[i]) + (here[i] + here[i + 2]);
            EXPECT_EQ(out[i], here[i + 1] + 0.2 * (around - 4.0 * here[i + 1])) << i;
        }
        EXPECT_EQ(out[count], -1.0) << "wrote behind the row";
    }
}

TEST(Field, is_the_same_however_it_is_cut) {
    const Plate plate{61, 83};
    for (std::int64_t row = -1; row <= plate.rows; ++row) {
        std::vector<double> whole(static_cast<std::size_t>(plate.cols) + 2);
        start_row(plate, row, -1, whole);
        for (std::int64_t first = -1; first <= plate.cols; first += 9) {
            std::vector<double> part(
                static_cast<std::size_t>(std::min<std::int64_t>(9, plate.cols + 1 - first)));
            start_row(plate, row, first, part);
            for (std::size_t i = 0; i < part.size(); ++i)
                EXPECT_EQ(part[i], whole[static_cast<std::size_t>(first + 1) + i]);
        }
    }
}

TEST(Field, has_a_hot_north_a_cold_south_and_temperatures_between_0_and_1) {
    const Plate plate{40, 40};
    std::set<double> found;
    for (std::int64_t row = -1; row <= plate.rows; ++row) {
        std::vector<double> cells(42);
        start_row(plate, row, -1, cells);
        for (const double cell : cells) {
            EXPECT_GE(cell, 0.0);
            EXPECT_LE(cell, 1.0);
            found.insert(cell);
        }
        if (row == -1) {
            EXPECT_EQ(cells[20], 1.0);
        } else if (row == plate.rows) {
            EXPECT_EQ(cells[20], 0.0);
        }
    }
    EXPECT_GT(found.size(), 60u) << "a plate with nothing on it";
}

// Every cell is in one block, blocks are no larger than asked, neighbours touch and look back.
void check_layout(const Layout& layout, std::int64_t side, int ranks) {
    const Plate plate = layout.plate();
    SCOPED_TRACE(testing::Message() << plate.rows << " x " << plate.cols << ", blocks of " << side
                                    << ", " << ranks << " ranks");
    ASSERT_EQ(layout.rank_rows() * layout.rank_cols(), ranks);
    std::vector<int> covered(plate.cells());
    for (std::uint32_t block = 0; block < layout.blocks(); ++block) {
        const Range rows = layout.rows_of(block), cols = layout.cols_of(block);
        ASSERT_GT(rows.size(), 0);
        ASSERT_GT(cols.size(), 0);
        ASSERT_LE(rows.size(), std::min(side, layout.height()));
        ASSERT_LE(cols.size(), std::min(side, layout.width()));
        ASSERT_GE(layout.owner(block), 0);
        ASSERT_LT(layout.owner(block), ranks);
        for (std::int64_t r = rows.begin; r < rows.end; ++r)
            for (std::int64_t c = cols.begin; c < cols.end; ++c)
                ++covered[static_cast<std::size_t>(r * plate.cols + c)];
        for (const Side direction : all_sides) {
            const auto neighbour = layout.neighbour(block, direction);
            const bool at_edge = direction == Side::north   ? rows.begin == 0
                                 : direction == Side::south ? rows.end == plate.rows
                                 : direction == Side::west  ? cols.begin == 0
                                                            : cols.end == plate.cols;
            ASSERT_EQ(neighbour.has_value(), !at_edge);
            if (!neighbour) continue;
            ASSERT_EQ(layout.neighbour(*neighbour, opposite(direction)), block);
            const bool vertical = direction == Side::north || direction == Side::south;
            ASSERT_EQ(vertical ? layout.cols_of(*neighbour).begin
                               : layout.rows_of(*neighbour).begin,
                      vertical ? cols.begin : rows.begin);
        }
    }
    for (const int times : covered) ASSERT_EQ(times, 1);
}

TEST(Layout, covers_every_plate_once) {
    for (const std::int64_t rows : {1, 2, 3, 7, 40})
        for (const std::int64_t cols : {1, 2, 5, 33})
            for (const std::int64_t side : {1, 3, 8, 64})
                for (int ranks = 1; ranks <= 7; ++ranks)
                    check_layout(Layout({rows, cols}, side, ranks), side, ranks);
}

TEST(Layout, keeps_the_blocks_of_a_run_on_other_ranks) {
    for (int before = 1; before <= 5; ++before)
        for (int now = 1; now <= 7; ++now) {
            const Layout saved({97, 61}, 9, before);
            const Layout layout(saved.plate(), saved.grid(), now);
            check_layout(layout, 9, now);
            ASSERT_EQ(layout.blocks(), saved.blocks());
            for (std::uint32_t block = 0; block < saved.blocks(); ++block) {
                EXPECT_EQ(layout.rows_of(block).begin, saved.rows_of(block).begin);
                EXPECT_EQ(layout.cols_of(block).begin, saved.cols_of(block).begin);
                if (now == before) {
                    EXPECT_EQ(layout.owner(block), saved.owner(block));
                }
            }
            std::size_t fewest = saved.blocks(), most = 0;
            for (int rank = 0; rank < now; ++rank) {
                fewest = std::min(fewest, layout.owned(rank).size());
                most = std::max(most, layout.owned(rank).size());
            }
            EXPECT_LE(most, fewest + 1) << before << " ranks, then " << now;
        }
}

TEST(Layout, gives_every_rank_as_many_blocks) {
    for (int ranks = 1; ranks <= 8; ++ranks) {
        const Layout layout({1000, 900}, 100, ranks);
        for (int rank = 0; rank < ranks; ++rank)
            EXPECT_EQ(layout.owned(rank).size(), layout.blocks() / static_cast<unsigned>(ranks));
    }
}

TEST(Layout, cuts_where_the_fewest_cells_touch) {
    EXPECT_EQ(Layout({100, 100}, 10, 4).rank_rows(), 2);
    EXPECT_EQ(Layout({1000, 10}, 10, 4).rank_rows(), 4);
    EXPECT_EQ(Layout({10, 1000}, 10, 4).rank_cols(), 4);
    EXPECT_EQ(Layout({100, 100}, 10, 2).rank_rows(), 2);
    // One row cannot be shared by rows.
    EXPECT_EQ(Layout({1, 100}, 10, 3).rank_cols(), 3);
}

TEST(Saved, is_read_back_and_refused_when_it_is_of_something_else) {
    const Saved saved{.plate = {30, 20}, .grid = {3, 2}, .speed = 0.2, .steps = 7, .seconds = 1.5};
    const auto bytes = std::as_bytes(std::span(&saved, 1));
    Saved found;
    EXPECT_EQ(read_saved(bytes, found), "");
    EXPECT_EQ(found, saved);
    EXPECT_EQ(fault_of(found, {30, 20}, 0.2, 7), "");
    EXPECT_EQ(fault_of(found, {30, 21}, 0.2, 7), "is of a plate of 30 x 20 cells, not 30 x 21");
    EXPECT_EQ(fault_of(found, {30, 20}, 0.1, 7), "is of a run with --speed 0.2, not 0.1");
    EXPECT_EQ(fault_of(found, {30, 20}, 0.2, 6), "is of step 7, beyond --iterations 6");
    for (std::size_t length = 0; length < bytes.size(); ++length)
        EXPECT_EQ(read_saved(bytes.first(length), found), "has no state of a plate") << length;
    Saved newer = saved;
    newer.format = 2;
    EXPECT_EQ(read_saved(std::as_bytes(std::span(&newer, 1)).first(9), found),
              "was saved in format 2, of which this program knows up to 1");
    for (const BlockGrid grid : {BlockGrid{0, 2}, BlockGrid{31, 2}, BlockGrid{3, 21}}) {
        Saved odd = saved;
        odd.grid = grid;
        EXPECT_EQ(read_saved(std::as_bytes(std::span(&odd, 1)), found),
                  "has a state that no plate can have");
    }
}

TEST(Serial, keeps_a_plate_that_is_even_as_it_is_and_mixes_any_other) {
    SerialPlate plate({30, 20});
    const std::uint64_t before = plate.digest();
    for (int step = 0; step < 3000; ++step) plate.step(0.25);
    EXPECT_NE(plate.digest(), before);
    // The steady state of this edge is linear from north to south.
    for (std::int64_t r = 0; r < 30; ++r)
        for (const double cell : plate.row(r))
            EXPECT_NEAR(cell, 1.0 - static_cast<double>(r + 1) / 31, 1e-6);
}

TEST(Digest, sees_one_bit_and_does_not_mind_the_order) {
    const Plate plate{2, 6};
    std::vector<double> cells{0.1, 0.2, 0.3, 0.4, 0.5, 0.6};
    const std::uint64_t whole = digest_of(plate, 1, 0, cells);
    const std::uint64_t parts = digest_of(plate, 1, 3, std::span(cells).subspan(3)) +
                                digest_of(plate, 1, 0, std::span(cells).first(3));
    EXPECT_EQ(whole, parts);
    std::swap(cells[0], cells[1]);
    EXPECT_NE(digest_of(plate, 1, 0, cells), whole);
    std::swap(cells[0], cells[1]);
    cells[2] = std::nextafter(cells[2], 1.0);
    EXPECT_NE(digest_of(plate, 1, 0, cells), whole);
}

TEST(Difference, names_the_first_cell_and_counts_all) {
    const SerialPlate serial({4, 5});
    Difference difference;
    std::vector<double> row(serial.row(2).begin(), serial.row(2).end());
    difference.look(serial, 2, 0, row);
    EXPECT_EQ(difference.cells, 0u);
    row[3] = 7;
    row[4] = 8;
    difference.look(serial, 2, 0, row);
    EXPECT_EQ(difference.cells, 2u);
    EXPECT_EQ(difference.row, 2);
    EXPECT_EQ(difference.col, 3);
    EXPECT_EQ(difference.found, 7);
}

TEST(Canvas, gives_every_pixel_to_one_block) {
    for (const std::int64_t side : {1, 2, 7, 40, 61})
        for (const std::int64_t pixels : {1, 3, 16, 64})
            for (const std::int64_t block : {1, 5, 16}) {
                const Plate plate{side, side + 3};
                const Canvas canvas(plate, pixels);
                ASSERT_LE(std::max(canvas.height(), canvas.width()), pixels);
                ASSERT_GE(canvas.height(), 1);
                const Layout layout(plate, block, 3);
                std::map<std::pair<std::int64_t, std::int64_t>, int> painted;
                for (std::uint32_t b = 0; b < layout.blocks(); ++b) {
                    const Range rows = canvas.pixel_rows(layout.rows_of(b));
                    const Range cols = canvas.pixel_cols(layout.cols_of(b));
                    for (std::int64_t y = rows.begin; y < rows.end; ++y)
                        for (std::int64_t x = cols.begin; x < cols.end; ++x) {
                            ++painted[{y, x}];
                            ASSERT_GE(canvas.row_of(y), layout.rows_of(b).begin);
                            ASSERT_LT(canvas.row_of(y), layout.rows_of(b).end);
                            ASSERT_GE(canvas.col_of(x), layout.cols_of(b).begin);
                            ASSERT_LT(canvas.col_of(x), layout.cols_of(b).end);
                        }
                }
                ASSERT_EQ(painted.size(),
                          static_cast<std::size_t>(canvas.height() * canvas.width()));
                for (const auto& [pixel, times] : painted) ASSERT_EQ(times, 1);
            }
}

TEST(Palette, grows_lighter_from_black_to_white) {
    const auto light = [](Colour colour) {
        return 299 * colour.red + 587 * colour.green + 114 * colour.blue;
    };
    for (std::size_t level = 1; level < palette().size(); ++level)
        EXPECT_GE(light(palette()[level]), light(palette()[level - 1])) << level;
    EXPECT_EQ(palette().front(), (Colour{2, 2, 12}));
    EXPECT_EQ(palette().back(), (Colour{255, 255, 236}));
    EXPECT_EQ(level_of(-3), 0);
    EXPECT_EQ(level_of(0.5), 128);
    EXPECT_EQ(level_of(7), 255);
}

}  // namespace
}  // namespace jacobi
