// SPDX-License-Identifier: BSD-3-Clause
// The small files of a dataset (docs/formats/dataset.md) as pure functions on bytes. Encoders trust
// what they are given; decoders trust nothing. Failures of decoders are io, or unsupported for a
// newer version of the format.
#pragma once

#include <cstring>
#include <string_view>
#include <type_traits>

#include "ssi/ckpt/dataset.hpp"

namespace ssi::ckpt {

inline constexpr std::uint32_t dataset_format_version = 1;
// What a decoder takes at most, so that damaged lengths ask for no memory.
inline constexpr std::size_t longest_text = 64 << 10;
inline constexpr std::size_t longest_bytes = 16 << 20;
inline constexpr std::uint64_t longest_file = std::uint64_t{1} << 30;

// ---- the frame of all of them: magic, version, length, body, hash, zeroes to a whole block

enum class FrameKind : std::uint8_t { manifest, member, newest, parity };

std::vector<std::byte> frame(FrameKind kind, std::span<const std::byte> body);
// The body of a file's bytes, which are all used and verified.
Result<std::span<const std::byte>> unframe(FrameKind kind, std::span<const std::byte> bytes);

class Writer {
public:
    template <class T>
    void put(const T& value) {
        static_assert(std::is_integral_v<T>);
        raw(std::as_bytes(std::span(&value, 1)));
    }
    void block(std::span<const std::byte> value) {
        put(static_cast<std::uint32_t>(value.size()));
        raw(value);
    }
    void text(std::string_view value) { block(std::as_bytes(std::span(value))); }
    std::span<const std::byte> bytes() const { return bytes_; }

private:
    void raw(std::span<const std::byte> value) {
        bytes_.insert(bytes_.end(), value.begin(), value.end());
    }
    std::vector<std::byte> bytes_;
};

// After a read beyond the end everything is zero, and ok() is false.
class Reader {
public:
    explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}
    template <class T>
    T get() {
        static_assert(std::is_integral_v<T>);
        T value{};
        const auto part = take(sizeof value);
        if (!part.empty()) std::memcpy(&value, part.data(), sizeof value);
        return value;
    }
    std::vector<std::byte> block(std::size_t most = longest_bytes) {
        const auto part = sized(most);
        return {part.begin(), part.end()};
    }
    std::string text() {
        const auto part = sized(longest_text);
        return {reinterpret_cast<const char*>(part.data()), part.size()};
    }
    // How many entries follow, each of at least `least` bytes.
    std::uint32_t count(std::size_t least) {
        const auto entries = get<std::uint32_t>();
        if (entries <= bytes_.size() / least) return entries;
        ok_ = false;
        return 0;
    }
    // What was not read yet.
    std::span<const std::byte> rest() const { return bytes_; }
    void expect_zero(std::uint64_t value) { ok_ = ok_ && value == 0; }
    bool ok() const { return ok_; }
    bool at_end() const { return bytes_.empty(); }

private:
    std::span<const std::byte> take(std::size_t length) {
        if (!ok_ || length > bytes_.size()) {
            ok_ = false;
            return {};
        }
        const auto part = bytes_.first(length);
        bytes_ = bytes_.subspan(length);
        return part;
    }
    std::span<const std::byte> sized(std::size_t most) {
        const auto length = get<std::uint32_t>();
        if (length > most) ok_ = false;
        return take(length);
    }
    std::span<const std::byte> bytes_;
    bool ok_ = true;
};

// ---- what is in them

std::vector<std::byte> encode_manifest(const Manifest& manifest);
Result<Manifest> decode_manifest(std::span<const std::byte> bytes);
std::vector<std::byte> encode_member(const MemberInfo& member);
Result<MemberInfo> decode_member(std::span<const std::byte> bytes);
// The newest version that was ever begun.
std::vector<std::byte> encode_newest(VersionNumber version);
Result<VersionNumber> decode_newest(std::span<const std::byte> bytes);

// invalid_argument when a manifest is none that could be read again.
Result<void> check_manifest(const Manifest& manifest);

}  // namespace ssi::ckpt
