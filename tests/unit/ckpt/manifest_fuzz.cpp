// SPDX-License-Identifier: BSD-3-Clause
// The decoders of a dataset's small files under libFuzzer: meson builds it where clang is the
// compiler. The input is laid over a good manifest at a place that its first bytes choose:
//     fuzz_manifest -max_total_time=60
#include <cstdlib>

#include "manifest_mutations.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace ssi::ckpt;
    static const auto good = encode_manifest(test::example_manifest());
    if (size < 3) return 0;
    auto bytes = good;
    std::uint16_t place = 0;
    std::memcpy(&place, data, sizeof place);
    const bool hash = data[2] & 1;
    for (std::size_t i = 3; i < size; ++i)
        bytes[(place + i - 3u) % bytes.size()] = static_cast<std::byte>(data[i]);
    if (hash) test::renew_hash(bytes);
    if (!test::decode_all(bytes).empty()) std::abort();
    return 0;
}
