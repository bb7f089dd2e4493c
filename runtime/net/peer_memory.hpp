// SPDX-License-Identifier: BSD-3-Clause
// PeerMemory: shared memory of other processes of this host, mapped for reading on first use. A
// peer names a descriptor of its memory, the inode of its file and a place in it; the kernel lets
// us open it by /proc where it would also let us read its memory by process_vm_readv. Private to
// runtime/net; used under the poller token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ssi::net {

class PeerMemory {
public:
    // A file as another process names it.
    struct File {
        std::int32_t process_id;
        std::int32_t descriptor;
        std::uint64_t inode;
        bool operator==(const File&) const = default;
    };

    PeerMemory() = default;
    ~PeerMemory();
    PeerMemory(const PeerMemory&) = delete;
    PeerMemory& operator=(const PeerMemory&) = delete;

    // The bytes, which the peer keeps in place and unchanged until it is told that they were
    // copied; or null: they are not to be had this way.
    const std::byte* find(const File& file, std::uint64_t offset, std::uint64_t length);

private:
    struct Mapped {
        File file;
        int fd = -1;                      // -1: refused, not asked again
        const std::byte* base = nullptr;
        std::uint64_t length = 0;         // may be longer than the file is yet
        std::uint64_t file_length = 0;
    };
    static bool cover(Mapped& mapped, std::uint64_t end);
    std::vector<Mapped> all_;             // few: one a peer on this host
};

// Copies past the caches where the processor can: for more than they hold.
void copy_streaming(std::byte* to, const std::byte* from, std::size_t length);

}  // namespace ssi::net
