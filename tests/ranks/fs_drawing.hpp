// SPDX-License-Identifier: BSD-3-Clause
// Draws the parts of operations: paths, places, flags, names. All from Random, none from the state
// of a file system; few names, so that operations meet.
#pragma once

#include <cstdint>
#include <string>

#include "fs_operations.hpp"
#include "ssi/base/random.hpp"

namespace ssi::test {

class Drawing {
public:
    Drawing(Random& random, const Shape& shape) : random_(random), shape_(shape) {}

    std::uint64_t below(std::uint64_t bound) { return random_.below(bound); }
    bool chance(std::uint64_t percent) { return random_.chance(percent, 100); }
    template <class T, std::size_t N>
    T one_of(const T (&values)[N]) {
        return values[random_.below(N)];
    }
    const Shape& shape() const { return shape_; }

    std::string path();            // a plain one, or one of the odd ways to write it
    // directories: per cent of last names that are one's.
    std::string plain_path(unsigned directories = 15);
    std::string directory_path();  // of one to be, mostly
    std::string safe_path();       // path(), but never the top itself: for rename and rmdir
    std::string target();          // of a symbolic link
    std::string xattr_name();
    std::uint64_t place();         // near a border where storage changes, mostly
    std::uint64_t length();
    std::uint32_t mode();          // permissions
    int open_flags();
    fs::Striping striping();
    fs::Credentials credentials();

private:
    std::string component(unsigned directories = 15);
    std::string odd_path();

    Random& random_;
    const Shape& shape_;
};

}  // namespace ssi::test
