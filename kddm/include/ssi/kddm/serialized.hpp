// SPDX-License-Identifier: BSD-3-Clause
// Serialized<T>: objects of any type with a Boost.Serialization serialize() function. The bytes of
// the object are a binary archive without header; they are decoded when a guard is made and encoded
// when an exclusive guard is let go. Include this before using Set<T> with such a T.
#pragma once

#include <boost/archive/binary_iarchive.hpp>
#include <boost/archive/binary_oarchive.hpp>
#include <boost/iostreams/device/array.hpp>
#include <boost/iostreams/device/back_inserter.hpp>
#include <boost/iostreams/stream.hpp>

#include <string>
#include <vector>

#include "ssi/kddm/raw_set.hpp"

namespace ssi::kddm {

template <class T>
struct Serialized {
    // A new-born (empty) object is T{}.
    static Result<T> decode(std::span<const std::byte> bytes) {
        T value{};
        if (bytes.empty()) return value;
        try {
            namespace io = boost::iostreams;
            io::stream<io::array_source> in(reinterpret_cast<const char*>(bytes.data()),
                                            bytes.size());
            boost::archive::binary_iarchive archive(in, boost::archive::no_header);
            archive >> value;
        } catch (const std::exception& e) {
            return fail(Errc::serialization, std::string("object cannot be decoded: ") + e.what());
        }
        return value;
    }

    static Result<std::vector<char>> archive(const T& value) {
        std::vector<char> buffer;
        try {
            namespace io = boost::iostreams;
            io::stream<io::back_insert_device<std::vector<char>>> out(buffer);
            boost::archive::binary_oarchive archive(out, boost::archive::no_header);
            archive << value;
            out.flush();
        } catch (const std::exception& e) {
            return fail(Errc::serialization, std::string("object cannot be encoded: ") + e.what());
        }
        return buffer;
    }

    static Result<void> encode(const T& value, RawGuard& guard) {
        const auto buffer = archive(value);
        if (!buffer) return tl::unexpected<Failure>(buffer.error());
        if (auto resized = guard.resize(buffer->size()); !resized) return resized;
        const auto to = guard.writable();
        std::copy(buffer->begin(), buffer->end(), reinterpret_cast<char*>(to.data()));
        return {};
    }
};

}  // namespace ssi::kddm
