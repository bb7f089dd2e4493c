// SPDX-License-Identifier: BSD-3-Clause
// The log's decoders under libFuzzer: meson builds it where clang is the compiler. The input is
// laid over a good segment at a place that its first bytes choose, so that little inputs reach far:
//     fuzz_log -max_total_time=60
#include <cstdlib>
#include <cstring>

#include "log_mutations.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace ssi::io;
    static const std::vector<std::byte> good = test::example_segment();
    if (size < 4) return 0;
    std::vector<std::byte> bytes = good;
    std::uint16_t place = 0, length = 0;
    std::memcpy(&place, data, sizeof place);
    std::memcpy(&length, data + 2, sizeof length);
    data += 4;
    size -= 4;
    if (length != 0) bytes.resize(1 + length % bytes.size());   // cut off
    for (std::size_t i = 0; i < size; ++i)
        bytes[(place + i) % bytes.size()] = static_cast<std::byte>(data[i]);
    bytes.shrink_to_fit();
    if (!test::decode_all(bytes, good).empty()) std::abort();
    return 0;
}
