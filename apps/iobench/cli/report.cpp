// SPDX-License-Identifier: BSD-3-Clause
#include "cli/report.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "support/text.hpp"

namespace iobench {
namespace {

double per_second(double amount, double seconds) { return amount / std::max(seconds, 1e-9); }

}  // namespace

std::string Report::text() const {
    std::string out = fmt::format("iobench: {}, {} rank{}\n", system, ranks, ranks == 1 ? "" : "s");
    for (const Phase& phase : phases) {
        const std::string rate =
            phase.bytes > 0
                ? fmt::format("{:9.2f} GB/s", per_second(phase.bytes, phase.seconds) / 1e9)
                : fmt::format("{:9.1f} k/s ", per_second(phase.operations, phase.seconds) / 1e3);
        const std::string amount =
            phase.bytes > 0 ? support::bytes_text(phase.bytes)
                            : support::thousands(static_cast<std::uint64_t>(phase.operations));
        out += fmt::format("{:<9} {:<8} {}  {} in {:.3f} s\n", phase.pattern, phase.name, rate,
                           amount, phase.seconds);
    }
    double files = 0;
    for (const Share& share : shares) files += static_cast<double>(share.files);
    for (std::size_t rank = 0; rank < shares.size(); ++rank)
        out += fmt::format("crowd     rank {:<3} {} files are kept there ({:.1f} %); resident {}, "
                           "before {}\n",
                           rank, support::thousands(shares[rank].files),
                           100 * static_cast<double>(shares[rank].files) / std::max(files, 1.0),
                           support::bytes_text(shares[rank].after_bytes),
                           support::bytes_text(shares[rank].before_bytes));
    return out;
}

std::string Report::json() const {
    std::string out = fmt::format("{{\n  \"program\": \"iobench\",\n  \"system\": {},\n"
                                  "  \"ranks\": {},\n  \"phases\": [",
                                  support::json_string(system), ranks);
    for (const Phase& phase : phases)
        out += fmt::format(
            "{}\n    {{\"pattern\": {}, \"phase\": {}, \"seconds\": {}, \"bytes\": {:.0f}, "
            "\"operations\": {:.0f}, \"bytes_per_second\": {}, \"operations_per_second\": {}}}",
            &phase == phases.data() ? "" : ",", support::json_string(phase.pattern),
            support::json_string(phase.name), support::json_number(phase.seconds), phase.bytes,
            phase.operations, support::json_number(per_second(phase.bytes, phase.seconds)),
            support::json_number(per_second(phase.operations, phase.seconds)));
    out += "\n  ],\n  \"shares\": [";
    for (const Share& share : shares)
        out += fmt::format("{}\n    {{\"files\": {}, \"before_bytes\": {:.0f}, \"after_bytes\": "
                           "{:.0f}}}", &share == shares.data() ? "" : ",", share.files,
                           share.before_bytes, share.after_bytes);
    return out + "\n  ]\n}\n";
}

}  // namespace iobench
