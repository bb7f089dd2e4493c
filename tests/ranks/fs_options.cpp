// SPDX-License-Identifier: BSD-3-Clause
#include "fs_options.hpp"

#include <charconv>
#include <functional>
#include <map>

#include "rank_directories.hpp"

namespace ssi::test {
namespace {

Result<std::uint64_t> number_of(const std::string& text) {
    std::uint64_t number = 0;
    const char* end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc{} || at != end)
        return fail(Errc::invalid_argument, "not a number: '" + text + "'");
    return number;
}

}  // namespace

const char* compare_usage() {
    return "usage: mpirun -n N fs-compare --reference DIR (--volumes DIRS | --against DIR)\n"
           "  --seed S --seeds K --operations N   K sequences of N operations\n"
           "  --only 3,5-9        these of them alone\n"
           "  --threads T         that issue them on each rank\n"
           "  --users             not only user 0\n"
           "  --apart             all issuers at once, each with names and a sequence of its own\n"
           "  --cache BYTES       of file data on each node\n"
           "  --lie N, --lose N   deliberate faults of the reference at operation N\n"
           "  --shrink SECONDS    spent on a short sequence that still differs\n"
           "  --verify            only compares what an earlier run has left\n"
           "  --coverage          how often each kind of operation succeeds\n";
}

Result<CompareOptions> parse_compare(int argc, char** argv) {
    CompareOptions options;
    std::uint64_t threads = options.threads;
    const std::map<std::string, std::string*> texts = {{"--reference", &options.reference},
                                                       {"--volumes", &options.volumes},
                                                       {"--against", &options.against}};
    const std::map<std::string, std::uint64_t*> numbers = {
        {"--seed", &options.seed},           {"--seeds", &options.seeds},
        {"--operations", &options.operations}, {"--threads", &threads},
        {"--lie", &options.lie_at},          {"--lose", &options.lose_at},
        {"--cache", &options.cache_bytes},   {"--shrink", &options.shrink_seconds}};
    const std::map<std::string, bool*> switches = {{"--users", &options.users},
                                                   {"--apart", &options.apart},
                                                   {"--verify", &options.verify},
                                                   {"--coverage", &options.coverage}};
    for (int i = 1; i < argc; ++i) {
        const std::string name = argv[i];
        if (const auto at = switches.find(name); at != switches.end()) {
            *at->second = true;
            continue;
        }
        if (i + 1 == argc) return fail(Errc::invalid_argument, "what is " + name + "?");
        const std::string value = argv[++i];
        if (const auto at = texts.find(name); at != texts.end()) {
            *at->second = value;
        } else if (const auto at = numbers.find(name); at != numbers.end()) {
            const auto number = number_of(value);
            if (!number) return tl::unexpected<Failure>(number.error());
            *at->second = *number;
        } else if (name == "--only") {
            auto only = parse_numbers(value);
            if (!only) return tl::unexpected<Failure>(only.error());
            options.only = std::move(*only);
        } else {
            return fail(Errc::invalid_argument, "what is " + name + "?");
        }
    }
    options.threads = static_cast<std::uint32_t>(threads);
    if (options.reference.empty() || options.volumes.empty() == options.against.empty())
        return fail(Errc::invalid_argument, "a reference and one other file system are needed");
    if (threads == 0 || threads > 64) return fail(Errc::invalid_argument, "1 to 64 threads");
    return options;
}

Result<std::vector<std::uint64_t>> parse_numbers(const std::string& text) {
    std::vector<std::uint64_t> numbers;
    for (const std::string& part : split(text, ',')) {
        const auto ends = split(part, '-');
        const auto first = number_of(ends.front()), last = number_of(ends.back());
        if (!first || !last || ends.size() > 2 || (!numbers.empty() && *first <= numbers.back()))
            return fail(Errc::invalid_argument, "not ascending numbers: '" + text + "'");
        for (std::uint64_t number = *first; number <= *last; ++number) numbers.push_back(number);
    }
    return numbers;
}

std::string numbers_text(const std::vector<std::uint64_t>& numbers) {
    std::string text;
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        std::size_t last = i;
        while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
        text += (text.empty() ? "" : ",") + std::to_string(numbers[i]);
        if (last > i) text += "-" + std::to_string(numbers[last]);
        i = last;
    }
    return text;
}

}  // namespace ssi::test
