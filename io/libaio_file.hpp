// SPDX-License-Identifier: BSD-3-Clause
// A file of a LibaioDisk: its descriptor and the calls that are not queued.
#pragma once

#include <string>

#include "ssi/io/disk.hpp"

namespace ssi::io {

class LibaioFile final : public DiskFile {
public:
    // Takes the descriptor. `disk`: its name, for messages.
    LibaioFile(int fd, std::string name, const std::string& disk, bool read_only)
        : fd(fd), read_only(read_only), name_(std::move(name)), disk_(disk) {}
    ~LibaioFile() override;
    LibaioFile(const LibaioFile&) = delete;
    LibaioFile& operator=(const LibaioFile&) = delete;

    Result<std::uint64_t> size() const override;
    Result<void> truncate(std::uint64_t bytes) override;
    Result<void> allocate(std::uint64_t place, std::uint64_t bytes) override;
    Result<void> punch(std::uint64_t place, std::uint64_t bytes) override;
    const std::string& name() const override { return name_; }

    const int fd;
    const bool read_only;

private:
    bool has_room_for(std::uint64_t bytes) const;
    template <class Call>
    Result<void> change(const char* verb, Call call);

    const std::string name_;
    const std::string& disk_;
};

}  // namespace ssi::io
