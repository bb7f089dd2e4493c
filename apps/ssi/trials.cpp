// SPDX-License-Identifier: BSD-3-Clause
#include "trials.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "child.hpp"

namespace ssi::cli {
namespace {

constexpr int trial_timeout_ms = 5000;

std::string errno_text(const char* what) {
    return fmt::format("{} fails: {}", what, strerrordesc_np(errno));
}

// "" when a memfd can be made, grown, mapped twice and shows in one view what the other wrote.
std::string memfd_failure() {
    constexpr std::size_t bytes = 1u << 20;
    const int fd = memfd_create("ssi-doctor", MFD_CLOEXEC);
    if (fd < 0) return errno_text("memfd_create");
    std::string failure;
    if (ftruncate(fd, bytes) != 0) {
        failure = errno_text("growing a memfd by ftruncate");
    } else {
        void* writer = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        void* reader = mmap(nullptr, bytes, PROT_READ, MAP_SHARED, fd, 0);
        if (writer == MAP_FAILED || reader == MAP_FAILED) {
            failure = errno_text("mapping a memfd");
        } else {
            static_cast<volatile char*>(writer)[bytes - 1] = 42;
            if (static_cast<volatile const char*>(reader)[bytes - 1] != 42)
                failure = "two mappings of a memfd show different bytes";
        }
        if (writer != MAP_FAILED) munmap(writer, bytes);
        if (reader != MAP_FAILED) munmap(reader, bytes);
    }
    close(fd);
    return failure;
}

// "" when a file can be made there. The file never gets a name, so that nothing is left even by
// kill -9; where the file system knows no such files (old NFS), it has a name for an instant.
std::string cannot_write(const std::string& folder) {
    struct stat status{};
    if (stat(folder.c_str(), &status) != 0) return strerrordesc_np(errno);
    if (!S_ISDIR(status.st_mode)) return "it is no directory";
    int fd = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
        std::string name = folder + "/.ssi-doctor-XXXXXX";
        fd = mkstemp(name.data());
        if (fd >= 0) unlink(name.c_str());
    }
    if (fd < 0) return strerrordesc_np(errno);
    close(fd);
    return "";
}

// Type of the mount that holds the path: the longest mount point that is a prefix of it.
std::string file_system_of(const std::string& path) {
    char* resolved = realpath(path.c_str(), nullptr);
    const std::string real = resolved ? resolved : path;
    std::free(resolved);
    std::ifstream mounts("/proc/self/mounts");
    std::string best, type;
    for (std::string line; std::getline(mounts, line);) {
        std::istringstream words(line);
        std::string source, point, kind;
        words >> source >> point >> kind;
        const bool holds = point == "/" || real == point || real.starts_with(point + "/");
        if (!holds || point.size() < best.size()) continue;
        best = point;
        type = kind;
    }
    return type.empty() ? "unknown file system" : type;
}

bool is_networked(const std::string& type) {
    for (const char* kind : {"nfs", "nfs4", "lustre", "beegfs", "gpfs", "ceph", "cifs", "smb3",
                             "9p", "afs", "panfs", "orangefs", "fuse.sshfs", "fuse.glusterfs"})
        if (type == kind) return true;
    return false;
}

// Siblings, as ranks are: yama lets a parent read its children in any case.
std::string read_sibling() {
    std::array<int, 2> hold{};
    if (pipe(hold.data()) != 0) return errno_text("pipe");
    static const std::uint64_t secret = 0x551551551551;
    const pid_t target = fork();
    if (target < 0) return errno_text("fork");
    if (target == 0) {
        close(hold[1]);
        char byte = 0;
        _exit(read(hold[0], &byte, 1) == 0 ? 0 : 1);  // until the pipe is closed
    }
    const pid_t reader = fork();
    if (reader == 0) {
        std::uint64_t copy = 0;
        const iovec local{&copy, sizeof(copy)};
        const iovec remote{const_cast<std::uint64_t*>(&secret), sizeof(secret)};
        const auto got = process_vm_readv(target, &local, 1, &remote, 1, 0);
        _exit(got < 0 ? errno : copy == secret ? 0 : EIO);
    }
    int status = 0;
    if (reader > 0) waitpid(reader, &status, 0);
    close(hold[0]);
    close(hold[1]);
    waitpid(target, nullptr, 0);
    if (reader < 0 || !WIFEXITED(status)) return "its process ended early";
    return fmt::format("errno {}", WEXITSTATUS(status));
}

}  // namespace

SharedMemory try_shared_memory() {
    SharedMemory facts;
    // In a child: where RLIMIT_FSIZE is small, growing a memfd kills by SIGXFSZ.
    const auto report = run_in_child(memfd_failure, trial_timeout_ms);
    facts.memfd_failure =
        report.answer ? *report.answer : "using a memfd: the process was " + report.end;
    facts.shm_failure = cannot_write("/dev/shm");
    struct statvfs space{};
    if (statvfs("/dev/shm", &space) == 0) {
        facts.shm_bytes = std::uint64_t{space.f_blocks} * space.f_frsize;
        facts.shm_free_bytes = std::uint64_t{space.f_bavail} * space.f_frsize;
    }
    return facts;
}

CrossMemory try_cross_memory() {
    CrossMemory facts;
    facts.ptrace_scope = first_line("/proc/sys/kernel/yama/ptrace_scope");
    const auto report = run_in_child(read_sibling, trial_timeout_ms);
    constexpr std::string_view prefix = "errno ";
    if (report.answer && report.answer->starts_with(prefix))
        std::from_chars(report.answer->data() + prefix.size(),
                        report.answer->data() + report.answer->size(), facts.error);
    else
        facts.failure = report.answer.value_or(report.end);
    return facts;
}

Scratch try_scratch() {
    Scratch facts;
    facts.path = "/tmp";
    for (const char* name : {"TMPDIR", "SLURM_TMPDIR"}) {
        if (variable(name).empty()) continue;
        facts.variable = name;
        facts.path = variable(name);
        break;
    }
    facts.failure = cannot_write(facts.path);
    if (!facts.failure.empty()) return facts;
    struct statvfs space{};
    if (statvfs(facts.path.c_str(), &space) == 0)
        facts.free_bytes = std::uint64_t{space.f_bavail} * space.f_frsize;
    facts.file_system = file_system_of(facts.path);
    facts.networked = is_networked(facts.file_system);
    return facts;
}

int try_pidfd() {
    const auto fd = static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0));
    if (fd < 0) return errno;
    close(fd);
    return 0;
}

}  // namespace ssi::cli
