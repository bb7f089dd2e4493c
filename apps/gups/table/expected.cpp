// SPDX-License-Identifier: BSD-3-Clause
#include "table/expected.hpp"

namespace gups {

std::vector<std::uint64_t> expected_words(const Shape& shape, int rank, std::uint64_t seed,
                                          std::uint64_t updates) {
    const std::uint64_t first = shape.first(rank), count = shape.count(rank);
    std::vector<std::uint64_t> words(count);
    for (int from = 0; from < shape.ranks; ++from) {
        Stream stream(seed, from, shape.words);
        for (std::uint64_t i = 0; i < updates; ++i) {
            const Update update = stream.next();
            if (update.word - first < count) words[update.word - first] += update.delta;
        }
    }
    return words;
}

}  // namespace gups
