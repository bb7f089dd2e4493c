// SPDX-License-Identifier: BSD-3-Clause
#include "words.hpp"

#include <fmt/chrono.h>

namespace ssi::cli {

std::string readable(std::string_view name) {
    std::string out;
    for (std::size_t i = 0; i < name.size();) {
        const auto byte = static_cast<unsigned char>(name[i]);
        const std::size_t length = byte < 0x80 ? 1 : byte >= 0xc2 && byte < 0xe0 ? 2
                                   : byte >= 0xe0 && byte < 0xf0 ? 3
                                   : byte >= 0xf0 && byte < 0xf5 ? 4 : 0;
        bool good = length > 0 && i + length <= name.size() && byte >= 0x20 && byte != 0x7f;
        for (std::size_t k = 1; good && k < length; ++k)
            good = (static_cast<unsigned char>(name[i + k]) & 0xc0) == 0x80;
        if (good)
            out += name.substr(i, length);
        else
            out += fmt::format("\\x{:02x}", byte);
        i += good ? length : 1;
    }
    return out;
}

std::string counted(std::uint64_t count, std::string_view what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

std::string time_text(std::int64_t ns) {
    const std::int64_t second = 1'000'000'000;
    const std::int64_t rest = (ns % second + second) % second;
    return fmt::format("{:%Y-%m-%d %H:%M:%S}", fmt::gmtime((ns - rest) / second));
}

std::string bar(std::uint64_t done, std::uint64_t all) {
    constexpr std::size_t length = 24;
    const std::size_t full = all == 0 ? length
                                      : static_cast<std::size_t>(static_cast<double>(done) /
                                                                 static_cast<double>(all) * length);
    return fmt::format("[{}{}]", std::string(full, '#'), std::string(length - full, '.'));
}

}  // namespace ssi::cli
