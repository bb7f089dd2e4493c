// SPDX-License-Identifier: BSD-3-Clause
// Writing and reading the start-up messages: little endian integers, and blobs and texts with their
// length in front. A reader that runs out of bytes says so at the end, once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace ssi::node {

class ByteWriter {
public:
    template <class T>
        requires std::is_trivially_copyable_v<T>
    void put(T value) {
        append(&value, sizeof value);
    }
    void put_blob(std::span<const std::byte> blob) {
        put(static_cast<std::uint32_t>(blob.size()));
        append(blob.data(), blob.size());
    }
    void put_text(std::string_view text) { put_blob(std::as_bytes(std::span(text))); }
    std::vector<std::byte> take() && { return std::move(bytes_); }

private:
    void append(const void* data, std::size_t length) {
        const auto* from = static_cast<const std::byte*>(data);
        bytes_.insert(bytes_.end(), from, from + length);
    }
    std::vector<std::byte> bytes_;
};

class ByteReader {
public:
    explicit ByteReader(std::span<const std::byte> bytes) : left_(bytes) {}
    template <class T>
        requires std::is_trivially_copyable_v<T>
    T get() {
        T value{};
        if (take(sizeof value)) std::memcpy(&value, last_.data(), sizeof value);
        return value;
    }
    std::vector<std::byte> get_blob() {
        const auto length = get<std::uint32_t>();
        if (!take(length)) return {};
        return {last_.begin(), last_.end()};
    }
    std::string get_text() {
        const auto blob = get_blob();
        return {reinterpret_cast<const char*>(blob.data()), blob.size()};
    }
    bool ok() const { return ok_; }
    bool at_end() const { return left_.empty(); }

private:
    bool take(std::size_t length) {
        ok_ = ok_ && length <= left_.size();
        if (!ok_) return false;
        last_ = left_.first(length);
        left_ = left_.subspan(length);
        return true;
    }
    std::span<const std::byte> left_;
    std::span<const std::byte> last_;
    bool ok_ = true;
};

}  // namespace ssi::node
