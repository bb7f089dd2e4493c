// SPDX-License-Identifier: BSD-3-Clause
#include "wake_floor.hpp"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <new>
#include <stdexcept>
#include <string>

#include "slices.hpp"

namespace ssi::bench {
namespace {

// The value that tells the answering thread to end; eventfd counters never reach it by wakes.
constexpr std::uint64_t end_of_thread = 1ull << 60;

sockaddr_un abstract_address(int process_id, socklen_t& length) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string name = "ssi-bench-" + std::to_string(process_id);
    std::memcpy(address.sun_path + 1, name.data(), name.size());
    length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    return address;
}

void require(bool good, const char* what) {
    if (!good) throw std::runtime_error(std::string("eventfd floor: ") + what);
}

// One byte with a descriptor as ancillary data (unix(7), SCM_RIGHTS).
struct DescriptorMessage {
    char byte = 0;
    iovec part{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
    msghdr header{};
    DescriptorMessage() {
        header.msg_iov = &part;
        header.msg_iovlen = 1;
        header.msg_control = control;
        header.msg_controllen = sizeof control;
    }
};

// Rank 0 listens and receives.
int receive_descriptor() {
    socklen_t length = 0;
    const sockaddr_un address = abstract_address(::getpid(), length);
    const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(::bind(listener, reinterpret_cast<const sockaddr*>(&address), length) == 0, "bind");
    require(::listen(listener, 1) == 0, "listen");
    int self = ::getpid();
    MPI_Send(&self, 1, MPI_INT, 1, 0, MPI_COMM_WORLD);
    const int connection = ::accept(listener, nullptr, nullptr);
    DescriptorMessage message;
    require(::recvmsg(connection, &message.header, MSG_CMSG_CLOEXEC) == 1, "recvmsg");
    const cmsghdr* control = CMSG_FIRSTHDR(&message.header);
    require(control != nullptr && control->cmsg_type == SCM_RIGHTS, "no descriptor came");
    int descriptor = -1;
    std::memcpy(&descriptor, CMSG_DATA(control), sizeof descriptor);
    ::close(connection);
    ::close(listener);
    return descriptor;
}

void send_descriptor(int descriptor) {
    int process_id = 0;
    MPI_Recv(&process_id, 1, MPI_INT, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
    socklen_t length = 0;
    const sockaddr_un address = abstract_address(process_id, length);
    const int connection = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(::connect(connection, reinterpret_cast<const sockaddr*>(&address), length) == 0,
            "connect");
    DescriptorMessage message;
    cmsghdr* control = CMSG_FIRSTHDR(&message.header);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(sizeof descriptor);
    std::memcpy(CMSG_DATA(control), &descriptor, sizeof descriptor);
    require(::sendmsg(connection, &message.header, 0) == 1, "sendmsg");
    ::close(connection);
}

int world_rank() {
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    return rank;
}

}  // namespace

WakeFloor::WakeFloor() {
    void* base = nullptr;
    const bool lead = world_rank() == 0;
    MPI_Win_allocate_shared(lead ? 4096 : 0, 1, MPI_INFO_NULL, MPI_COMM_WORLD, &base, &window_);
    MPI_Aint bytes = 0;
    int unit = 0;
    MPI_Win_shared_query(window_, 0, &bytes, &unit, &base);
    if (lead) new (base) SharedFlags{};
    flags_ = static_cast<SharedFlags*>(base);
    MPI_Barrier(MPI_COMM_WORLD);
    if (lead) {
        event_fd_ = receive_descriptor();
    } else {
        event_fd_ = ::eventfd(0, EFD_CLOEXEC);
        require(event_fd_ >= 0, "eventfd");
        send_descriptor(event_fd_);
        answerer_ = std::thread([this] { answer_wakes(); });
    }
}

WakeFloor::~WakeFloor() {
    if (answerer_.joinable()) {
        const std::uint64_t end = end_of_thread;
        if (::write(event_fd_, &end, sizeof end) == sizeof end) answerer_.join();
    }
    ::close(event_fd_);
    MPI_Win_free(&window_);
}

void WakeFloor::answer_wakes() {
    for (;;) {
        std::uint64_t value = 0;
        if (::read(event_fd_, &value, sizeof value) != sizeof value) continue;
        if (value >= end_of_thread) return;
        flags_->answered.fetch_add(1, std::memory_order_release);
    }
}

double WakeFloor::wake(std::uint64_t count, std::vector<double>* samples) {
    const double start = now_ns();
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::uint64_t before = samples ? ticks() : 0;
        const std::uint64_t one = 1;
        require(::write(event_fd_, &one, sizeof one) == sizeof one, "write");
        ++wakes_;
        while (flags_->answered.load(std::memory_order_acquire) != wakes_) {
        }
        if (samples) samples->push_back(static_cast<double>(ticks() - before));
    }
    return (now_ns() - start) / static_cast<double>(count);
}

void WakeFloor::compute() {
    volatile double sum = 1;
    while (flags_->round.load(std::memory_order_acquire) == rounds_)
        for (int i = 0; i < 1000; ++i) sum = sum * 1.0000001 + 1e-9;
    ++rounds_;
}

void WakeFloor::finish() { flags_->round.fetch_add(1, std::memory_order_release); }

}  // namespace ssi::bench
