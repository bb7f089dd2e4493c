// SPDX-License-Identifier: BSD-3-Clause
// Protection: what an application has protected, as a dataset names it.
//
//   item      objects                                       bytes
//   set       the set's own ids                             the object
//   span      {rank that saved, 0}                          all of it
//   array     {rank that saved, its first byte's place}       its piece
//   file      {rank that saved, 0}                          FileState, and its bytes
//   state     {rank that saved, 0}                          as a CheckpointBackend gave them
//   channel   what the channel's name hashes to             ChannelState::encode
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <typeinfo>
#include <vector>

#include "ssi/ckpt/checkpoint.hpp"
#include "ssi/kddm/raw_set.hpp"

namespace ssi::ckpt {

struct Protected {
    Item item;
    kddm::RawSet set;                    // of a set
    std::span<std::byte> memory;         // of a span, or an array's piece
    std::uint64_t offset = 0;            // of the piece in the array, in bytes
    fs::FileSystem* system = nullptr;    // of a file
    CheckpointFile file;
    bool content = false;                // its bytes, too
    CheckpointBackend* backend = nullptr;   // of a state
};

class Protection {
public:
    // invalid_argument (an empty name), exists.
    Result<void> add(Protected one);
    std::span<const Protected> all() const { return all_; }
    const Protected* find(SetId item) const;
    // Of a set of the session; null when it is not protected.
    const Protected* of_set(SetId set) const;
    std::vector<kddm::RawSet> sets() const;
    // With one for the channels, ascending by id; without counts.
    std::vector<Item> items() const;
    // Whether what a manifest has can be put back here, on `ranks` ranks: mismatch, unsupported.
    // `other_types`: as long as sizes and kinds are the same.
    Result<void> accepts(const Manifest& manifest, int ranks, bool other_types = false) const;

private:
    std::vector<Protected> all_;         // ids 2, 3, ...
};

inline constexpr SetId channels_item{1};

// What a restart compares. `type`: of objects or elements; empty where it is not known.
std::vector<std::byte> set_options(const kddm::SetOptions& options, std::string_view type = {});
std::vector<std::byte> array_options(std::uint32_t element_bytes, std::uint64_t length,
                                     std::string_view type = {});
std::vector<std::byte> state_options(std::string_view kind);
// As the source has it; null: empty.
std::string type_name(const std::type_info* type);
// Of the processors that objects are written by: byte order and size of pointers.
std::string_view machine_name();

}  // namespace ssi::ckpt
