// SPDX-License-Identifier: BSD-3-Clause
#include "explained.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <string>

namespace ssi::ckpt {
namespace {

// A segment is allocated whole, and cut to its length in the end.
constexpr std::uint64_t segment_bytes = 16 << 20;
constexpr std::uint64_t few_files = 8;
constexpr const char* elsewhere = "or have checkpoints in another directory";

std::string about_space(const std::string& store, std::uint64_t needed) {
    struct statvfs of {};
    const std::uint64_t free = ::statvfs(store.c_str(), &of) == 0 ? of.f_bavail * of.f_frsize : 0;
    if (of.f_files != 0 && of.f_favail < few_files)
        return fmt::format("no space in {}: no more than {} files can be made there; remove some, "
                           "{}", store, of.f_favail, elsewhere);
    return fmt::format("no space in {}: {} bytes are free; this node's part takes at least {}, and "
                       "{} more while it is written. Remove versions (`ssi checkpoint prune`), "
                       "keep fewer (checkpoint.keep), {}", store, free, needed, segment_bytes,
                       elsewhere);
}

}  // namespace

Failure explained(Failure failure, const Store& store, std::uint64_t needed) {
    const std::string& name = store.name();
    struct stat of {};
    std::string why;
    if (failure.sys_errno == ENOSPC || failure.sys_errno == EDQUOT)
        why = about_space(name, needed);
    else if (failure.sys_errno == EROFS)
        why = fmt::format("{} is read only: mount it for writing, {}", name, elsewhere);
    else if (failure.sys_errno != 0 && ::stat(name.c_str(), &of) != 0 && errno == ENOENT)
        why = fmt::format("{} is gone: bring it back, {}", name, elsewhere);
    // One that another node told of says nothing of this store; nor is anything said twice.
    if (why.empty() || failure.text.find(name) == std::string::npos ||
        failure.text.find(elsewhere) != std::string::npos)
        return failure;
    failure.text += "; " + why;
    return failure;
}

}  // namespace ssi::ckpt
