// SPDX-License-Identifier: BSD-3-Clause
#include "child.hpp"

#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "ssi/base/clock.hpp"

namespace ssi::cli {
namespace {

struct Pipe {
    int ends[2] = {-1, -1};
    Pipe() {
        if (pipe(ends) != 0) ends[0] = ends[1] = -1;
    }
    ~Pipe() {
        close_end(0);
        close_end(1);
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;
    void close_end(int which) {
        if (ends[which] >= 0) close(ends[which]);
        ends[which] = -1;
    }
};

[[noreturn]] void be_child(const std::function<std::string()>& body, Pipe& output, Pipe& answer) {
    dup2(output.ends[1], STDOUT_FILENO);
    dup2(output.ends[1], STDERR_FILENO);
    const std::string text = body();
    std::fflush(nullptr);
    for (std::size_t done = 0; done < text.size();) {
        const auto n = write(answer.ends[1], text.data() + done, text.size() - done);
        if (n <= 0) break;
        done += static_cast<std::size_t>(n);
    }
    _exit(0);
}

// Reads both pipes until both are at their end; false when the time passed first.
bool collect(Pipe& output, Pipe& answer, std::string& output_text, std::string& answer_text,
             int timeout_ms) {
    const RealClock clock;
    const Nanoseconds deadline = clock.now() + Nanoseconds{timeout_ms} * 1'000'000;
    std::array<pollfd, 2> fds{pollfd{output.ends[0], POLLIN, 0}, pollfd{answer.ends[0], POLLIN, 0}};
    const std::array<std::string*, 2> texts{&output_text, &answer_text};
    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        const Nanoseconds left = deadline - clock.now();
        if (left <= 0) return false;
        if (poll(fds.data(), fds.size(), static_cast<int>(left / 1'000'000) + 1) < 0 &&
            errno != EINTR)
            return false;
        for (std::size_t i = 0; i < fds.size(); ++i) {
            if (fds[i].fd < 0 || fds[i].revents == 0) continue;
            std::array<char, 4096> buffer;
            const auto n = read(fds[i].fd, buffer.data(), buffer.size());
            if (n > 0)
                texts[i]->append(buffer.data(), static_cast<std::size_t>(n));
            else if (n == 0 || errno != EINTR)
                fds[i].fd = -1;
        }
    }
    return true;
}

}  // namespace

ChildReport run_in_child(const std::function<std::string()>& body, int timeout_ms) {
    ChildReport report;
    Pipe output, answer;
    std::fflush(nullptr);
    const pid_t child = output.ends[0] < 0 || answer.ends[0] < 0 ? -1 : fork();
    if (child < 0) {
        report.end = fmt::format("cannot start a process: {}", std::strerror(errno));
        return report;
    }
    if (child == 0) {
        setpgid(0, 0);  // so that its own children end with it
        be_child(body, output, answer);
    }
    output.close_end(1);
    answer.close_end(1);
    std::string text;
    const bool in_time = collect(output, answer, report.output, text, timeout_ms);
    kill(-child, SIGKILL);
    if (!in_time) kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    if (!in_time)
        report.end = fmt::format("no answer in {} s", timeout_ms / 1000);
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        report.answer = text;
    else if (WIFSIGNALED(status))
        report.end = fmt::format("killed by signal {} ({})", WTERMSIG(status),
                                 strsignal(WTERMSIG(status)));
    else
        report.end = fmt::format("ended with exit code {}", WEXITSTATUS(status));
    return report;
}

}  // namespace ssi::cli
