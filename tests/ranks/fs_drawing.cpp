// SPDX-License-Identifier: BSD-3-Clause
#include "fs_drawing.hpp"

#include <algorithm>

namespace ssi::test {
namespace {

constexpr std::uint64_t kib = 1024, page = 64 * kib;
// Where data moves out of the inode, where pages, units of stripes and what 32 bits count end.
constexpr std::uint64_t borders[] = {0,        512,      3900,       3994,     4000,
                                     4096,     8192,     page,       2 * page, 3 * page,
                                     4 * page, 8 * page, 1024 * kib, 6 * page};
constexpr std::uint64_t outside_ways = 4;   // of odd paths, the first lead out of the top
constexpr std::uint64_t far_places[] = {std::uint64_t{1} << 31, std::uint64_t{1} << 32,
                                        (std::uint64_t{1} << 33) + 12345, std::uint64_t{1} << 40};

}  // namespace

// Directories have other names than files, mostly, so that paths lead somewhere.
std::string Drawing::component(unsigned directories) {
    if (chance(3)) return "file with a long name, blanks and a tail of digits 0123456789";
    return std::string(1, chance(directories) ? static_cast<char>('a' + random_.below(3))
                                              : static_cast<char>('d' + random_.below(5)));
}

std::string Drawing::plain_path(unsigned directories) {
    if (chance(8)) return shape_.top + "/big/n" + std::to_string(random_.below(1500));
    if (chance(2)) return shape_.top + "/big";
    std::string path = shape_.top;
    const std::uint64_t depth = one_of<std::uint64_t>({0, 0, 1, 1, 1, 2, 2, 3});
    for (std::uint64_t i = 0; i < depth; ++i) path += "/" + component(92);
    return path + "/" + component(directories);
}

std::string Drawing::directory_path() { return chance(20) ? path() : plain_path(90); }

std::string Drawing::odd_path() {
    const std::string path = plain_path(), top = shape_.top;
    const std::uint64_t drawn = random_.below(22);
    if (shape_.apart && drawn < outside_ways) return path + "/.";
    switch (drawn) {
        case 0: return "/";
        case 1: return ".";
        case 2: return "..";
        case 3: return "/../../" + path.substr(1) + "/";
        case 4: return top;
        case 5: return path + "/";
        case 6: return path + "///";
        case 7: return "//" + path.substr(1);
        case 8: return path + "/.";
        case 9: return path + "/..";
        case 10: return top + "/./" + component() + "//" + component();
        case 11: return top + "/" + component() + "/../" + component();
        case 12: return path.substr(1);
        case 13: return top + "/" + std::string(255, 'L');
        case 14: return top + "/" + std::string(256, 'L');
        case 15: return top + "/\xff\xfe\x80" + component();
        case 16: return path + "/" + std::string(256, 'L');
        case 17: return top + "/../" + path.substr(1);
        case 18: {
            // As long as a path may be, and one or more beyond.
            std::string longest = top;
            const std::uint64_t bytes = one_of<std::uint64_t>({4090, 4095, 4096, 4097, 6000});
            while (longest.size() + 4 < bytes) longest += "/.";
            while (longest.size() + 1 < bytes) longest += "/";
            return longest + component();
        }
        case 19: return "";
        case 20: return top + "/new\nline \\\"" + component();
        default: return top + "/nowhere/" + component();
    }
}

std::string Drawing::path() { return chance(10) ? odd_path() : plain_path(); }

std::string Drawing::safe_path() {
    const std::string drawn = path();
    // Whatever names the top and would take it away with all that the others work on.
    std::string bare = drawn;
    while (!bare.empty() && bare.back() == '/') bare.pop_back();
    const std::string name = shape_.top.substr(1);
    const bool is_top = bare.size() >= name.size() &&
                        bare.compare(bare.size() - name.size(), name.size(), name) == 0;
    return is_top ? shape_.top + "/." : drawn;
}

std::string Drawing::target() {
    switch (random_.below(12)) {
        case 0: return plain_path();
        case 1: return "../" + component();
        case 2: return ".";
        case 3: return "..";
        case 4: return "../" + component() + "/" + component();
        case 5: return component() + "/";
        case 6: return chance(20) ? "" : component();
        case 7: return std::string(one_of<std::size_t>({100, 3993, 4000, 4094, 4095, 4096}), 't');
        case 8: return "nowhere";
        default: return component() + (chance(40) ? "/" + component() : "");
    }
}

std::string Drawing::xattr_name() {
    if (chance(4)) return "user." + std::string(one_of<std::size_t>({0, 250, 251}), 'x');
    if (chance(2)) return "nonsense";
    return "user." + std::string(1, static_cast<char>('a' + random_.below(4)));
}

std::uint64_t Drawing::place() {
    if (chance(2)) return one_of(far_places) + random_.below(3);
    if (chance(1)) return UINT64_MAX - random_.below(10);
    if (chance(20)) return random_.below(200'000);
    const std::uint64_t around = one_of(borders), off = random_.below(chance(50) ? 3 : 100);
    return chance(50) || off > around ? around + off : around - off;
}

std::uint64_t Drawing::length() {
    if (chance(2)) return 0;
    if (chance(50)) return 1 + random_.below(100);
    if (chance(60)) return 1 + random_.below(6000);
    if (chance(60)) return 1 + random_.below(70'000);
    return 1 + random_.below(300'000);
}

std::uint32_t Drawing::mode() {
    if (shape_.users) return one_of<std::uint32_t>({0777, 0755, 0775, 0700, 0750, 0070, 0007, 0,
                                                    0666, 0644, 0444, 02775, 02755, 01755});
    return one_of<std::uint32_t>({0777, 0755, 0700, 0644, 0, 0666, 01777, 02775, 04711, 07777});
}

int Drawing::open_flags() {
    int flags = one_of({O_RDONLY, O_WRONLY, O_RDWR, O_RDWR});
    if (chance(60)) flags |= O_CREAT;
    if (chance(15)) flags |= O_EXCL;
    if (chance(20)) flags |= O_TRUNC;
    if (chance(20)) flags |= O_APPEND;
    if (chance(8)) flags |= O_DIRECTORY;
    if (chance(10)) flags |= O_NOFOLLOW;
    if (chance(1)) flags |= chance(50) ? O_SYNC : O_DSYNC;
    // Undefined by POSIX: to truncate what is opened for reading, O_EXCL that creates nothing.
    if ((flags & O_ACCMODE) == O_RDONLY) flags &= ~O_TRUNC;
    if (!(flags & O_CREAT)) flags &= ~O_EXCL;
    return flags;
}

fs::Striping Drawing::striping() {
    if (chance(60)) return {};
    return {one_of<std::uint64_t>({0, page, 2 * page, 1024 * kib}),
            one_of<std::uint32_t>({0, 1, 2, 3, 255}),
            one_of({fs::Placement::inherit, fs::Placement::spread, fs::Placement::local_first})};
}

fs::Credentials Drawing::credentials() {
    fs::Credentials who;
    who.umask = one_of<std::uint32_t>({0, 0, 022, 077, 027});
    if (!shape_.users) return who;
    who.uid = one_of<std::uint32_t>({0, 1000, 1000, 1001, 1002});
    who.gid = who.uid ? one_of<std::uint32_t>({1000, 1001, 2000}) : 0;
    if (who.uid && chance(50)) who.groups = {2000, 2001};
    return who;
}

}  // namespace ssi::test
