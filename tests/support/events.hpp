// SPDX-License-Identifier: BSD-3-Clause
// Events: what a rank that may be killed at any moment has to tell, in FOLDER/<rank>.events. Each
// line is one system call: what was told, the system has. Threads may share one.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <string>

namespace ssi::test {

class Events {
public:
    Events(const std::string& folder, int rank) {
        const std::string path = folder + "/" + std::to_string(rank) + ".events";
        fd_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (fd_ < 0) std::perror(path.c_str());
    }
    ~Events() { ::close(fd_); }
    Events(const Events&) = delete;
    Events& operator=(const Events&) = delete;

    void tell(std::string line) const {
        line += '\n';
        if (::write(fd_, line.data(), line.size()) == static_cast<ssize_t>(line.size())) return;
        std::perror("events");
        std::abort();   // a test whose events are lost could not fail
    }
    // A letter and numbers.
    void tell(char what, std::initializer_list<std::uint64_t> numbers) const {
        std::string line(1, what);
        for (const std::uint64_t number : numbers) line += ' ' + std::to_string(number);
        tell(std::move(line));
    }
    void wrong(const std::string& what) const { tell("X " + what); }

private:
    int fd_ = -1;
};

}  // namespace ssi::test
