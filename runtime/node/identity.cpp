// SPDX-License-Identifier: BSD-3-Clause
#include "identity.hpp"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <link.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "ssi/base/ids.hpp"

namespace ssi::node {
namespace {

std::uint64_t hash_bytes(std::string_view bytes, std::uint64_t seed = 0) {
    std::uint64_t hash = mix64(seed + bytes.size());
    for (std::size_t i = 0; i < bytes.size(); i += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, bytes.data() + i, std::min<std::size_t>(8, bytes.size() - i));
        hash = mix64(hash ^ word);
    }
    return hash;
}

std::uint64_t hash_file(const char* path) {
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    std::uint64_t hash = 1;
    std::array<char, 65536> buffer;
    for (ssize_t n; (n = ::read(fd, buffer.data(), buffer.size())) > 0;)
        hash = hash_bytes({buffer.data(), static_cast<std::size_t>(n)}, hash);
    ::close(fd);
    return hash;
}

// The linker's build id of one loaded object, as hex; empty when it was linked without.
std::string note_of(const dl_phdr_info& object) {
    for (int i = 0; i < object.dlpi_phnum; ++i) {
        const auto& header = object.dlpi_phdr[i];
        if (header.p_type != PT_NOTE) continue;
        const auto* at = reinterpret_cast<const char*>(object.dlpi_addr + header.p_vaddr);
        const char* end = at + header.p_memsz;
        while (at + sizeof(ElfW(Nhdr)) <= end) {
            ElfW(Nhdr) note;
            std::memcpy(&note, at, sizeof note);
            const char* name = at + sizeof note;
            const char* text = name + (note.n_namesz + 3) / 4 * 4;
            if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
                std::memcmp(name, "GNU", 4) == 0) {
                std::string hex;
                for (unsigned k = 0; k < note.n_descsz && k < 8; ++k)
                    hex += fmt::format("{:02x}", static_cast<unsigned char>(text[k]));
                return hex;
            }
            at = text + (note.n_descsz + 3) / 4 * 4;
        }
    }
    return {};
}

struct Ids {
    std::string program, library;
};

int look_at(dl_phdr_info* object, std::size_t, void* context) {
    auto& ids = *static_cast<Ids*>(context);
    const std::string_view name = object->dlpi_name ? object->dlpi_name : "";
    if (name.empty() && ids.program.empty()) ids.program = note_of(*object);
    const auto here = reinterpret_cast<ElfW(Addr)>(&look_at);
    for (int i = 0; i < object->dlpi_phnum; ++i) {
        const auto& header = object->dlpi_phdr[i];
        const ElfW(Addr) start = object->dlpi_addr + header.p_vaddr;
        if (header.p_type == PT_LOAD && here >= start && here < start + header.p_memsz &&
            !name.empty())
            ids.library = note_of(*object);
    }
    return 0;
}

std::string link_target(const char* path) {
    std::array<char, 128> buffer;
    const ssize_t n = ::readlink(path, buffer.data(), buffer.size());
    return n > 0 ? std::string(buffer.data(), static_cast<std::size_t>(n)) : std::string();
}

std::string first_line(const char* path) {
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return {};
    std::array<char, 128> buffer;
    const ssize_t n = ::read(fd, buffer.data(), buffer.size());
    ::close(fd);
    return n > 0 ? std::string(buffer.data(), static_cast<std::size_t>(n)) : std::string();
}

}  // namespace

std::string build_id() {
    if (const char* test = std::getenv("SSI_TEST_BUILD_ID")) return test;
    Ids ids;
    dl_iterate_phdr(&look_at, &ids);
    if (ids.program.empty()) ids.program = fmt::format("{:016x}", hash_file("/proc/self/exe"));
    return ids.library.empty() ? ids.program : ids.program + "+" + ids.library;
}

std::string host_name() {
    std::array<char, 256> name{};
    ::gethostname(name.data(), name.size() - 1);
    return name.data();
}

std::uint64_t host_id() {
    if (const char* test = std::getenv("SSI_TEST_HOST_ID")) return hash_bytes(test);
    return hash_bytes(first_line("/proc/sys/kernel/random/boot_id") + host_name() +
                      link_target("/proc/self/ns/pid"));
}

std::uint64_t affinity_id() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 0;
    return hash_bytes({reinterpret_cast<const char*>(&set), sizeof set});
}

}  // namespace ssi::node
