// SPDX-License-Identifier: BSD-3-Clause
// ssi-sim: see help_text() in options.cpp.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "options.hpp"
#include "run.hpp"

int main(int argc, char** argv) {
    using namespace ssi;
    std::vector<std::string> arguments(argv + 1, argv + argc);
    // A failed test prints its seed; SSI_SEED replays it without touching the command line.
    if (const char* seed = std::getenv("SSI_SEED"))
        arguments.insert(arguments.end(), {"--seed", seed});
    const auto options = model::parse_options(arguments);
    if (!options) {
        std::fprintf(stderr, "ssi-sim: %s\n", options.error().text.c_str());
        return 2;
    }
    if (options->help) {
        std::fputs(model::help_text().c_str(), stdout);
        return 0;
    }
    if (options->list_plants) {
        for (const std::string& name : model::plant_names()) std::puts(name.c_str());
        return 0;
    }
    for (std::uint64_t seed = options->first_seed;; ++seed) {
        if (const int code = model::run_seed(*options, seed); code != 0) return code;
        if (seed == options->last_seed) break;
    }
    std::fflush(stdout);
    // What a killed node held is never freed: no leak checker shall look for it.
    if (options->faults.kills()) std::_Exit(0);
    return 0;
}
