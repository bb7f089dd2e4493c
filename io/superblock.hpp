// SPDX-License-Identifier: BSD-3-Clause
// Superblock: the file of that name in a volume's directory: who the volume is, and the map of all
// volumes that belong together. docs/formats/volume.md.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ssi/base/result.hpp"
#include "ssi/io/disk.hpp"
#include "ssi/io/log_record.hpp"

namespace ssi::io {

inline constexpr std::uint32_t superblock_format = 1;
inline constexpr std::uint32_t most_slots = 65536;
inline constexpr std::uint32_t most_volumes = 65535;
inline constexpr std::size_t label_bytes = 112;

struct Superblock {
    enum class State : std::uint32_t {
        forming = 1,   // the volumes are being made; nothing has been stored
        formed = 2,
    };
    struct Entry {
        VolumeId id;
        std::string label;      // where it was when the map was made; cut to 111 bytes
        friend bool operator==(const Entry&, const Entry&) = default;
    };
    State state = State::forming;
    VolumeId whole;                           // of all volumes together
    std::uint64_t map_version = 1;
    std::uint32_t index = 0;                  // which of `volumes` this is
    bool has_data = false;                    // its log of data was made
    std::vector<Entry> volumes;
    std::vector<std::uint16_t> slots;         // slot -> index of its volume; a power of two

    VolumeId id() const { return volumes[index].id; }
    friend bool operator==(const Superblock&, const Superblock&) = default;
};

// Whole blocks.
std::vector<std::byte> encode(const Superblock& superblock);
// parse (names what is wrong), unsupported (a newer format). Whatever the bytes are.
Result<Superblock> decode_superblock(std::span<const std::byte> bytes);

// Nothing when the directory has none.
Result<std::optional<Superblock>> read_superblock(Disk& disk);
// The old one or the new one, whole, whatever happens.
Result<void> write_superblock(Disk& disk, const Superblock& superblock);

}  // namespace ssi::io
