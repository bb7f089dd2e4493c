// SPDX-License-Identifier: BSD-3-Clause
#include "cli/report.hpp"

#include <fmt/core.h>

#include "support/text.hpp"

namespace gups {

std::string Report::text() const {
    std::string out = fmt::format("{}: {} words ({}) on {} rank{}, by {}\n", program,
                                  support::thousands(words),
                                  support::bytes_text(8.0 * static_cast<double>(words)), ranks,
                                  ranks == 1 ? "" : "s", method);
    out += fmt::format("time        {:.3f} s for {} updates\n", seconds,
                       support::thousands(updates));
    out += fmt::format("rate        {:.3f} M updates/s ({:.6f} GUPS)\n", updates_per_second() / 1e6,
                       updates_per_second() / 1e9);
    if (wrong_words && *wrong_words == 0)
        out += "verify      every word holds the sum of its updates\n";
    else if (wrong_words)
        out += fmt::format("verify      {} words are WRONG\n", support::thousands(*wrong_words));
    return out + support::counters_text(kddm);
}

std::string Report::json() const {
    std::string out = fmt::format(
        "{{\n  \"program\": {},\n  \"method\": {},\n  \"words\": {},\n  \"ranks\": {},\n",
        support::json_string(program), support::json_string(method), words, ranks);
    out += fmt::format("  \"updates\": {},\n  \"object_bytes\": {},\n  \"seconds\": {},\n", updates,
                       object_bytes, seconds);
    out += fmt::format("  \"updates_per_second\": {},\n", updates_per_second());
    if (wrong_words)
        out += fmt::format("  \"verify\": {{\"passed\": {}, \"wrong_words\": {}}},\n",
                           *wrong_words == 0, *wrong_words);
    return out + fmt::format("  \"kddm\": {}\n}}\n", support::counters_json(kddm, "  "));
}

}  // namespace gups
