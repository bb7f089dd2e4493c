// SPDX-License-Identifier: BSD-3-Clause
#include "cli/report.hpp"

#include <fmt/core.h>

#include <iterator>

#include "support/text.hpp"

namespace jacobi {
namespace {

using Out = std::back_insert_iterator<std::string>;

void print_verification(Out out, const Report::Verification& verification) {
    const Difference& difference = verification.difference;
    if (verification.passed())
        fmt::format_to(out, "verify      every bit agrees with a serial run, which took {:.2f} s\n",
                       verification.seconds);
    else
        fmt::format_to(out,
                       "verify      {} cells DIFFER from a serial run; the first is row {}, column "
                       "{}: {:.17g} instead of {:.17g}\n",
                       support::thousands(difference.cells), difference.row, difference.col,
                       difference.found, difference.expected);
}

void print_beside(Out out, const Report& report, const Beside& other) {
    fmt::format_to(out, "beside      {:.1f} M cell updates/s by {}", other.updates_per_second / 1e6,
                   other.program);
    if (other.updates_per_second > 0)
        fmt::format_to(out, ": ratio {:.2f}",
                       report.updates_per_second() / other.updates_per_second);
    const bool comparable = other.plate == report.plate && other.iterations == report.iterations;
    fmt::format_to(out, "; {}\n",
                   !comparable                      ? "another plate or other steps"
                   : other.digest == report.digest ? "the same result, every bit"
                                                    : "ANOTHER RESULT");
}

}  // namespace

std::string Report::text() const {
    std::string result;
    Out out(result);
    fmt::format_to(out, "{}: {} x {} cells, {} of state, {} rank{} as {} x {}", program, plate.rows,
                   plate.cols, support::bytes_text(state_bytes), ranks, ranks == 1 ? "" : "s",
                   rank_rows, rank_cols);
    fmt::format_to(out, ", {} block{} of at most {} x {}\n", blocks, blocks == 1 ? "" : "s",
                   block_rows, block_cols);
    fmt::format_to(out, "build       {:.2f} s\n", build_seconds);
    fmt::format_to(out, "time        {:.3f} s for {} steps\n", seconds, iterations);
    fmt::format_to(out, "rate        {:.1f} M cell updates/s\n", updates_per_second() / 1e6);
    fmt::format_to(out, "change      {:.3g} at most in the last step\n", change);
    fmt::format_to(out, "digest      {:016x}\n", digest);
    if (beside) print_beside(out, *this, *beside);
    if (verification) print_verification(out, *verification);
    if (!picture.empty()) fmt::format_to(out, "picture     {}\n", picture);
    if (frames != 0) fmt::format_to(out, "frames      {}\n", frames);
    return result + checkpoints.text() + support::counters_text(kddm);
}

std::string Report::json() const {
    std::string result;
    Out out(result);
    fmt::format_to(out, "{{\n  \"program\": {},\n  \"rows\": {},\n  \"cols\": {},\n",
                   support::json_string(program), plate.rows, plate.cols);
    fmt::format_to(out, "  \"state_bytes\": {:.0f},\n  \"speed\": {},\n", state_bytes, speed);
    fmt::format_to(out, "  \"ranks\": {},\n  \"rank_rows\": {},\n  \"rank_cols\": {},\n", ranks,
                   rank_rows, rank_cols);
    fmt::format_to(out, "  \"blocks\": {},\n  \"block_rows\": {},\n  \"block_cols\": {},\n", blocks,
                   block_rows, block_cols);
    fmt::format_to(out, "  \"iterations\": {},\n  \"build_seconds\": {},\n  \"seconds\": {},\n",
                   iterations, build_seconds, seconds);
    fmt::format_to(out, "  \"updates_per_second\": {},\n  \"change\": {},\n", updates_per_second(),
                   support::json_number(change));
    fmt::format_to(out, "  \"digest\": \"{:016x}\",\n", digest);
    if (beside)
        fmt::format_to(out,
                       "  \"beside\": {{\"by\": {}, \"rate\": {}, \"ratio\": {}, "
                       "\"same_result\": {}}},\n",
                       support::json_string(beside->program), beside->updates_per_second,
                       support::json_number(updates_per_second() / beside->updates_per_second),
                       beside->plate == plate && beside->iterations == iterations &&
                           beside->digest == digest);
    if (verification)
        fmt::format_to(out,
                       "  \"verify\": {{\"passed\": {}, \"different_cells\": {}, "
                       "\"serial_seconds\": {}}},\n",
                       verification->passed(), verification->difference.cells,
                       verification->seconds);
    if (!picture.empty())
        fmt::format_to(out, "  \"picture\": {},\n", support::json_string(picture));
    fmt::format_to(out, "{}  \"frames\": {},\n  \"kddm\": {}\n}}\n", checkpoints.json(), frames,
                   support::counters_json(kddm, "  "));
    return result;
}

}  // namespace jacobi
