// SPDX-License-Identifier: BSD-3-Clause
// KddmTable: the table as objects of a KDDM set, each at the rank whose words it holds.
// Construction is collective. One task only. Throws ssi::Error.
#pragma once

#include <optional>
#include <string>

#include "ssi/ssi.hpp"
#include "table/shape.hpp"
#include "table/stream.hpp"

namespace gups {

class KddmTable {
public:
    // All words are zero. `object_bytes`: a power of two, at least 8.
    KddmTable(ssi::Session& session, const std::string& name, std::uint64_t words,
              std::uint32_t object_bytes);

    // Adds, at the word's home, before flush() returns or earlier: what MPI_Accumulate does.
    void update(const Update& update) {
        const Place place = place_of(update.word);
        updates_->add(place.id, update.delta, place.offset);
    }
    void flush() { updates_->flush(); }
    // How many words of this rank are not what `updates` of each rank make of them. Not collective:
    // a barrier belongs before it.
    std::uint64_t wrong_words(std::uint64_t seed, std::uint64_t updates);

    const Shape& shape() const { return shape_; }
    ssi::kddm::RawSet& set() { return set_; }

private:
    struct Place {
        ssi::ObjectId id;
        std::uint32_t offset;
    };
    Place place_of(std::uint64_t word) const {
        const auto owner = static_cast<std::uint64_t>(shape_.owner(word));
        const std::uint64_t at = word - owner * shape_.per_rank;
        return {{owner, at >> object_shift_},
                static_cast<std::uint32_t>(at & ((std::uint64_t{1} << object_shift_) - 1)) * 8};
    }

    ssi::Session& session_;
    unsigned object_shift_;   // of the number of words in an object
    Shape shape_;
    ssi::kddm::RawSet set_;
    std::optional<ssi::kddm::Updates<std::uint64_t>> updates_;
};

// As many updates as HPC Challenge allows a rank to hold back.
inline constexpr std::uint64_t most_held_back = 1024;

}  // namespace gups
