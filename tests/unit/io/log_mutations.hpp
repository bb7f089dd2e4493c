// SPDX-License-Identifier: BSD-3-Clause
// A good segment, and what all decoders make of bytes that may be any: for the mutation test and
// for the fuzzer.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "log_format.hpp"

namespace ssi::io::test {

inline const HashKey example_key{{{5, 6}, 7}, 9, {}};

inline std::vector<std::byte> example_segment() {
    std::vector<std::byte> file(4 * 4096);
    const std::span<std::byte> all(file);
    encode_header({example_key.identity, 9, 20, file.size(), 4096, {{3, 8192}, {8, 16384}}},
                  all.first(4096));
    const std::string value(100, 'x');
    SegmentFooter footer{20, 22, 0, true, {}};
    std::uint64_t at = 4096;
    for (Sequence id = 20; id <= 22; ++id) {
        std::vector<LogRecord> records;
        for (std::uint64_t i = 0; i < 4; ++i)
            records.push_back({.kind = static_cast<RecordKind>(i == 3 ? 6 : 1), .set = SetId{1},
                               .id = i, .value_bytes = static_cast<std::uint32_t>(i * 30),
                               .payload = std::as_bytes(std::span(value)).first(i * 30)});
        const std::uint64_t length = batch_bytes(records);
        encode_batch(records, example_key, id, id == 22 ? 21 : 19, all.subspan(at, length));
        for (const FoundRecord& found : found_in(*decode_batch(all.subspan(at), example_key), at))
            footer.index.push_back(found);
        footer.end = at + length;
        at = id == 21 ? whole_blocks(footer.end) : footer.end;
    }
    encode_footer(footer, example_key, all.last(4096));
    return file;
}

// "" unless a decoder took something that `good` has not.
inline std::string decode_all(std::span<const std::byte> bytes, std::span<const std::byte> good) {
    const auto same = [&](std::uint64_t place, std::uint64_t length) {
        return place + length <= bytes.size() && place + length <= good.size() &&
               std::equal(bytes.begin() + static_cast<std::ptrdiff_t>(place),
                          bytes.begin() + static_cast<std::ptrdiff_t>(place + length),
                          good.begin() + static_cast<std::ptrdiff_t>(place));
    };
    const auto header = decode_header(bytes);
    if (header && !same(0, header->header_bytes)) return "a header that was changed";
    SegmentHeader assumed;
    assumed.first_batch = 20;
    assumed.header_bytes = 4096;
    std::string wrong;
    for (const std::optional<std::uint64_t> end :
         {std::optional<std::uint64_t>(), std::optional<std::uint64_t>(bytes.size() / 8 * 8)})
        scan_content(bytes, assumed, end, example_key,
                     [&](const BatchView& batch, std::uint64_t place) {
                         if (!same(place, batch.head.bytes)) wrong = "a batch that was changed";
                     });
    const auto footer = decode_footer(bytes, example_key);
    if (footer && bytes.size() >= 4096 &&
        !std::equal(bytes.end() - 4096, bytes.end(), good.end() - 4096))
        wrong = "a footer that was changed";
    holds_batches(bytes, example_key);
    if (bytes.size() > 4096 + batch_head_bytes)
        (void)decode_record(bytes.subspan(4096 + batch_head_bytes), example_key);
    return wrong;
}

}  // namespace ssi::io::test
