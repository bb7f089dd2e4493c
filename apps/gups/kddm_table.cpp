// SPDX-License-Identifier: BSD-3-Clause
#include "kddm_table.hpp"

#include <bit>

#include "table/expected.hpp"

namespace gups {

using ssi::value_or_throw;

KddmTable::KddmTable(ssi::Session& session, const std::string& name, std::uint64_t words,
                     std::uint32_t object_bytes)
    : session_(session),
      object_shift_(static_cast<unsigned>(std::countr_zero(object_bytes / 8))),
      shape_(words, session.size(), std::uint64_t{1} << object_shift_) {
    ssi::kddm::SetOptions options;
    options.kind = ssi::kddm::ObjectKind::fixed;
    options.object_bytes = object_bytes;
    options.placement = "high_bits";
    set_ = value_or_throw(session.raw_set(name, options));
    updates_.emplace(set_, ssi::kddm::AtomicOp::add);
    // Each owner makes its own objects, so that no update is the first touch.
    const std::uint64_t first = shape_.first(session.rank());
    for (std::uint64_t at = 0; at < shape_.count(session.rank());
         at += std::uint64_t{1} << object_shift_)
        value_or_throw(value_or_throw(set_.grab(place_of(first + at).id)).put());
    session_.barrier();
}

std::uint64_t KddmTable::wrong_words(std::uint64_t seed, std::uint64_t updates) {
    const auto expected = expected_words(shape_, session_.rank(), seed, updates);
    const std::uint64_t in_object = std::uint64_t{1} << object_shift_;
    std::uint64_t wrong = 0;
    for (std::uint64_t at = 0; at < expected.size(); at += in_object) {
        const auto guard =
            value_or_throw(set_.get(place_of(shape_.first(session_.rank()) + at).id));
        const auto* words = reinterpret_cast<const std::uint64_t*>(guard.bytes().data());
        for (std::uint64_t i = 0; i < in_object && at + i < expected.size(); ++i)
            wrong += words[i] != expected[at + i];
    }
    return wrong;
}

}  // namespace gups
