// SPDX-License-Identifier: BSD-3-Clause
#include "cli/report.hpp"

#include <fmt/core.h>

#include <iterator>

#include "support/text.hpp"

namespace cli {
namespace {

using Out = std::back_insert_iterator<std::string>;

using support::json_number;
using support::json_string;
using support::thousands;

template <class Items, class Print>
void json_list(Out out, const char* name, const Items& items, Print print) {
    fmt::format_to(out, "  \"{}\": [", name);
    const char* separator = "\n    ";
    for (const auto& item : items) {
        fmt::format_to(out, "{}{}", separator, print(item));
        separator = ",\n    ";
    }
    fmt::format_to(out, "{}]", items.empty() ? "" : "\n  ");
}

}  // namespace

void Report::set_time(double all_seconds, std::uint32_t runs) {
    repeats = runs;
    seconds = all_seconds / runs;
    edges_per_second = seconds > 0 ? static_cast<double>(edges) * iterations / seconds : 0;
}

std::string Report::text() const {
    std::string result;
    Out out(result);
    fmt::format_to(out, "{}: {}: {} vertices, {} edges, {} rank{}\n", program, input,
                   thousands(vertices), thousands(edges), ranks, ranks == 1 ? "" : "s");
    for (const std::string& note : notes) fmt::format_to(out, "note: {}\n", note);
    if (!top.empty()) fmt::format_to(out, "\n{:>4}  {:<14} {}\n", "", "rank", "name");
    for (std::size_t i = 0; i < top.size(); ++i)
        fmt::format_to(out, "{:>4}  {:<14.8g} {}\n", i + 1, top[i].rank, top[i].name);
    fmt::format_to(out, "\niterations  {} (residual {:.3g}, {})\n", iterations, residual,
                   converged ? "converged" : "not converged");
    fmt::format_to(out, "build       {:.3f} s\n", build_seconds);
    fmt::format_to(out, "time        {:.4f} s, {:.1f} M edges/s", seconds, edges_per_second / 1e6);
    if (repeats > 1) fmt::format_to(out, ", mean of {} runs", repeats);
    fmt::format_to(out, "\ndigest      {:016x}\n", digest);
    if (serial)
        fmt::format_to(out,
                       "serial      {:.4f} s, {:.1f} M edges/s: {} rank{} {:.2f} times as fast\n",
                       serial->seconds, serial->edges_per_second / 1e6, ranks,
                       ranks == 1 ? " is" : "s are", seconds > 0 ? serial->seconds / seconds : 0);
    if (components)
        fmt::format_to(out, "components  {}, the largest of {} vertices (rounds {}, {:.4f} s)\n",
                       thousands(components->count), thousands(components->largest),
                       components->rounds, components->seconds);
    if (verification) {
        fmt::format_to(out, "verify      maximum relative difference {:.3g}, limit {:.3g}: {}\n",
                       verification->difference, verification->limit,
                       verification->difference <= verification->limit ? "agrees" : "DIFFERS");
        if (!verification->components_agree)
            fmt::format_to(out, "verify      components: DIFFER\n");
    }
    return result + checkpoints.text() + support::counters_text(kddm);
}

std::string Report::json() const {
    std::string result;
    Out out(result);
    fmt::format_to(out, "{{\n  \"program\": {},\n  \"input\": {},\n  \"ranks\": {},\n",
                   json_string(program), json_string(input), ranks);
    fmt::format_to(out, "  \"vertices\": {},\n  \"edges\": {},\n  \"block_vertices\": {},\n",
                   vertices, edges, block_vertices);
    fmt::format_to(out, "  \"iterations\": {},\n  \"residual\": {},\n  \"converged\": {},\n",
                   iterations, json_number(residual), converged);
    fmt::format_to(out, "  \"repeats\": {},\n  \"build_seconds\": {},\n  \"seconds\": {},\n",
                   repeats, build_seconds, seconds);
    fmt::format_to(out, "  \"edges_per_second\": {},\n  \"digest\": \"{:016x}\",\n",
                   edges_per_second, digest);
    if (serial)
        fmt::format_to(out, "  \"serial\": {{\"seconds\": {}, \"edges_per_second\": {}}},\n",
                       serial->seconds, serial->edges_per_second);
    if (verification)
        fmt::format_to(out,
                       "  \"verify\": {{\"max_relative_difference\": {}, \"limit\": {}, "
                       "\"components_agree\": {}, \"reference_seconds\": {}, \"passed\": {}}},\n",
                       json_number(verification->difference), verification->limit,
                       verification->components_agree, verification->seconds,
                       verification->passed());
    if (components)
        fmt::format_to(out,
                       "  \"components\": {{\"count\": {}, \"largest\": {}, \"rounds\": {}, "
                       "\"seconds\": {}}},\n",
                       components->count, components->largest, components->rounds,
                       components->seconds);
    result += checkpoints.json();
    json_list(out, "notes", notes, [](const std::string& note) { return json_string(note); });
    fmt::format_to(out, ",\n");
    json_list(out, "top", top, [](const Top& entry) {
        return fmt::format("{{\"name\": {}, \"rank\": {}}}", json_string(entry.name),
                           json_number(entry.rank));
    });
    fmt::format_to(out, ",\n");
    fmt::format_to(out, "  \"kddm\": {}\n}}\n", support::counters_json(kddm, "  "));
    return result;
}

}  // namespace cli
