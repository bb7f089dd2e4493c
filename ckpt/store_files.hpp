// SPDX-License-Identifier: BSD-3-Clause
// Names in a store, and small files written and read whole. No state; blocking.
#pragma once

#include <optional>
#include <string_view>

#include "ssi/ckpt/dataset.hpp"
#include "ssi/io/disk.hpp"

namespace ssi::ckpt {

inline constexpr const char* manifest_name = "manifest";
inline constexpr const char* member_name = "member";
inline constexpr const char* newest_name = "newest";
inline constexpr const char* parity_name = "parity";
inline constexpr const char* parity_rows_name = "rows";
inline constexpr std::string_view claim_suffix = ".dataset";

std::string version_folder(VersionNumber version);                      // "v7"
std::string member_folder(VersionNumber version, MemberIndex member);   // "v7/m2"
std::string parity_folder(VersionNumber version, MemberIndex member);   // "v7/p2"
// Where a member is rebuilt before it takes its place.
std::string rebuild_folder(VersionNumber version, MemberIndex member);  // "v7/r2"
std::optional<VersionNumber> version_of(std::string_view folder);
std::optional<MemberIndex> member_of(std::string_view folder);
bool is_rebuild(std::string_view folder);
std::string claim_name(const DatasetId& dataset);

// Made anew, and synced; its directory is not.
Result<void> write_file(io::Disk& disk, const std::string& path, std::span<const std::byte> bytes);
// Under another name first, then in one step in place of what was there; durable.
Result<void> replace_file(io::Disk& disk, const std::string& folder, const std::string& name,
                          std::span<const std::byte> bytes);
// not_found, io.
Result<std::vector<std::byte>> read_file(io::Disk& disk, const std::string& path);
// Everything in the folder, and itself; fine when it is not there.
Result<void> remove_folder(io::Disk& disk, const std::string& folder);

// The failure, with the file in front.
Failure in_file(Failure failure, const io::Disk& disk, const std::string& path);

}  // namespace ssi::ckpt
