// SPDX-License-Identifier: BSD-3-Clause
#include "wire.hpp"

#include <cstring>

namespace ssi::kddm {

bool decode(std::span<const std::byte> bytes, Message& message) {
    if (bytes.size() < sizeof(node::MessageHeader)) return false;
    std::memcpy(&message.header, bytes.data(), sizeof(message.header));
    const auto kind = message.kind();
    if (kind < Kind::get_request || kind > Kind::last) return false;
    const std::size_t size = wire_bytes(kind);
    if (bytes.size() != size) return false;
    std::memcpy(static_cast<void*>(&message), bytes.data(), size);
    return true;
}

}  // namespace ssi::kddm
