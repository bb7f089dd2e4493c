// SPDX-License-Identifier: BSD-3-Clause
#include "control_server.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>

#include "control_protocol.hpp"

namespace ssi::node {
namespace {

// What epoll hands back; clients count up from there.
constexpr std::uint64_t wake_key = 0;
constexpr std::uint64_t dump_key = 1;
constexpr std::uint64_t listener_key = 2;
constexpr std::uint64_t first_client_key = 3;
constexpr int backlog = 64;
constexpr Nanoseconds deaf_ns = 500'000'000;

void drain(int fd) {
    std::uint64_t count;
    [[maybe_unused]] const auto n = ::read(fd, &count, sizeof count);
}

bool add(int epoll, int fd, std::uint64_t key) {
    epoll_event event{EPOLLIN, {.u64 = key}};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace

ControlServer::ControlServer(const RuntimeDirectory& directory, Options options)
    : directory_(directory), options_(options), last_key_(first_client_key) {}

Result<std::unique_ptr<ControlServer>> ControlServer::listen(const RuntimeDirectory& directory,
                                                             Options options) {
    std::unique_ptr<ControlServer> made(new ControlServer(directory, options));
    SSI_TRY(made->open());
    return made;
}

// The name appears only when somebody listens, so a socket that refuses is a dead one's.
Result<void> ControlServer::open() {
    const std::string name = RuntimeDirectory::fresh_name();
    const std::string early = name + ".new", final = name + ".sock";
    const auto fail_at = [&](const char* what) {
        const int error = errno;
        directory_.remove(early);
        return fail_errno(Errc::io, error,
                          fmt::format("control socket {}: {}", directory_.path_of(final), what));
    };
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
    wake_fd_.reset(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    dump_fd_.reset(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!listener_ || !epoll_ || !wake_fd_ || !dump_fd_) return fail_at("no file descriptor");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto path = SocketAddress::in(directory_, early);
    std::memcpy(address.sun_path, path.text().c_str(),
                std::min(path.text().size(), sizeof address.sun_path - 1));
    if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return fail_at("bind");
    if (::fchmodat(directory_.fd(), early.c_str(), 0600, 0) != 0) return fail_at("chmod");
    if (::listen(listener_.get(), backlog) != 0) return fail_at("listen");
    if (::renameat(directory_.fd(), early.c_str(), directory_.fd(), final.c_str()) != 0)
        return fail_at("rename");
    name_ = final;
    if (!add(epoll_.get(), listener_.get(), listener_key) ||
        !add(epoll_.get(), wake_fd_.get(), wake_key) ||
        !add(epoll_.get(), dump_fd_.get(), dump_key))
        return fail_at("epoll");
    return {};
}

ControlServer::~ControlServer() { stop(); }

void ControlServer::set_forward(NodeId self, Forward forward) {
    self_ = self;
    forward_ = std::move(forward);
}

Result<void> ControlServer::start(Doors doors) {
    doors_ = std::make_unique<Doors>(doors);
    task_ = doors.tasks.spawn("ssi-control", [this] { run(); });
    return {};
}

void ControlServer::stop() {
    if (!name_.empty()) directory_.remove(std::exchange(name_, {}));
    if (!task_) return;
    stopping_.store(true, std::memory_order_release);
    wake();
    task_->join();
    task_.reset();
    clients_.clear();
    listener_.reset();
}

void ControlServer::wake() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto n = ::write(wake_fd_.get(), &one, sizeof one);
}

void ControlServer::post(std::function<void()> job) {
    {
        std::lock_guard lock(mutex_);
        jobs_.push_back(std::move(job));
    }
    wake();
}

void ControlServer::deliver(std::uint32_t ticket, std::string line) {
    post([this, ticket, line = std::move(line)]() mutable {
        for (auto at = clients_.begin(); at != clients_.end(); ++at) {
            if (at->second.ticket != ticket) continue;
            const bool alive = at->second.reply(std::move(line), {}, doors_->clock.now());
            if (alive) serve(at->second);
            return update(at, alive);
        }
    });
}

void ControlServer::run() {
    std::array<epoll_event, 16> events;
    while (!stopping_.load(std::memory_order_acquire)) {
        const int n = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                 next_timeout_ms(doors_->clock.now()));
        for (int i = 0; i < n; ++i) {
            const epoll_event& event = events[static_cast<std::size_t>(i)];
            on_event(event.data.u64, event.events);
        }
        drop_the_impatient(doors_->clock.now());
    }
}

void ControlServer::on_event(std::uint64_t key, std::uint32_t events) {
    if (key == wake_key) {
        drain(wake_fd_.get());
        return run_jobs();
    }
    if (key == dump_key) {
        drain(dump_fd_.get());
        if (dump_) dump_();
        return;
    }
    if (key == listener_key) return accept_clients();
    const auto at = clients_.find(key);
    if (at == clients_.end()) return;
    ControlConnection& client = at->second;
    bool alive = !(events & (EPOLLERR | EPOLLHUP)) || (events & EPOLLIN);
    const Nanoseconds now = doors_->clock.now();
    if (alive && client.wants_output()) alive = client.write_some(now);
    if (alive && client.wants_input()) alive = client.read_some(now);
    if (alive) serve(client);
    // Both directions closed, and nobody is there to take a reply.
    if ((events & EPOLLHUP) && client.owes_reply()) alive = false;
    update(at, alive);
}

void ControlServer::run_jobs() {
    std::vector<std::function<void()>> jobs;
    {
        std::lock_guard lock(mutex_);
        jobs.swap(jobs_);
    }
    for (const auto& job : jobs) job();
}

void ControlServer::accept_clients() {
    for (;;) {
        OwnedFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
        if (client) {
            admit(std::move(client));
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            // It would stay readable: looking away for a while is all there is to do.
            deaf_until_ = doors_->clock.now() + deaf_ns;
            epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listener_.get(), nullptr);
        }
        if (errno != EINTR && errno != ECONNABORTED) return;
    }
}

void ControlServer::admit(OwnedFd fd) {
    ucred peer{};
    socklen_t length = sizeof peer;
    const bool known = ::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0;
    if (clients_.size() >= options_.max_clients) make_room();
    const std::uint64_t key = last_key_++;
    const auto at =
        clients_.emplace(key, ControlConnection(std::move(fd), doors_->clock.now())).first;
    ControlConnection& client = at->second;
    epoll_event event{0, {.u64 = key}};
    bool alive = epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, client.fd(), &event) == 0;
    Result<std::string> refusal;
    if (!known || (peer.uid != options_.user && peer.uid != 0))
        refusal = fail(Errc::invalid_argument,
                       fmt::format("this socket serves user {}, not user {}", options_.user,
                                   known ? fmt::format("{}", peer.uid) : "unknown"));
    else if (clients_.size() > options_.max_clients)
        refusal = fail(Errc::would_block, fmt::format("{} clients are being served: come later",
                                                      options_.max_clients));
    if (alive && !refusal) {
        client.close_when_done = true;
        alive = client.reply(reply_line(refusal), {}, doors_->clock.now());
    }
    update(at, alive);
}

// The client that has been idle for longest goes.
void ControlServer::make_room() {
    auto oldest = clients_.end();
    for (auto at = clients_.begin(); at != clients_.end(); ++at)
        if (at->second.is_idle() &&
            (oldest == clients_.end() || at->second.moved_at() < oldest->second.moved_at()))
            oldest = at;
    if (oldest != clients_.end()) clients_.erase(oldest);
}

void ControlServer::serve(ControlConnection& client) {
    while (const auto line = client.next_line()) {
        const bool alive = serve_line(client, *line);
        client.done_with_line();
        if (!alive) client.close_when_done = true;
    }
    if (client.owes_reply() || client.close_when_done) return;
    Result<std::string> refusal;
    if (client.is_overlong())
        refusal = fail(Errc::too_large, fmt::format("a request has at most {} bytes",
                                                    max_control_request_bytes));
    else if (client.is_cut_off())
        refusal = fail(Errc::parse, "the request does not end in a newline");
    if (refusal) return;
    client.drop_input();
    client.close_when_done = true;
    (void)client.reply(reply_line(refusal), {}, doors_->clock.now());
}

bool ControlServer::serve_line(ControlConnection& client, std::string_view line) {
    const auto request = parse_request(line);
    if (!request)
        return client.reply(reply_line(tl::unexpected(request.error())), {}, doors_->clock.now());
    if (const JsonValue* node = request->find("node"); node && forward_) {
        const NodeId to{static_cast<std::uint32_t>(node->u64().value_or(no_node.value))};
        if (to != self_) return forward(client, to, line);
    }
    ControlAnswer answer = doors_->verbs.call(*request);
    return client.reply(reply_line(answer.value), std::move(answer.fd), doors_->clock.now());
}

bool ControlServer::forward(ControlConnection& client, NodeId to, std::string_view line) {
    if (++last_ticket_ == 0) ++last_ticket_;
    client.ticket = last_ticket_;
    const auto sent = forward_(to, client.ticket, line);
    if (sent) return true;
    return client.reply(reply_line(tl::unexpected(sent.error())), {}, doors_->clock.now());
}

std::string ControlServer::answer(std::string_view line) {
    const auto request = parse_request(line);
    if (!request) return reply_line(tl::unexpected(request.error()));
    ControlAnswer answer = doors_->verbs.call(*request);
    if (answer.fd)
        return reply_line(fail(Errc::unsupported, "a file descriptor does not cross hosts: ask "
                                                  "the node's own socket"));
    return reply_line(answer.value);
}

void ControlServer::update(Connections::iterator at, bool alive) {
    ControlConnection& client = at->second;
    if (!alive || client.is_finished()) {
        clients_.erase(at);  // closing takes it out of the epoll set
        return;
    }
    const std::uint32_t wanted = (client.wants_input() ? EPOLLIN : 0u) |
                                 (client.wants_output() ? EPOLLOUT : 0u);
    if (wanted == client.epoll_events) return;
    epoll_event event{wanted, {.u64 = at->first}};
    epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, client.fd(), &event);
    client.epoll_events = wanted;
}

void ControlServer::drop_the_impatient(Nanoseconds now) {
    for (auto at = clients_.begin(); at != clients_.end();) {
        ControlConnection& client = at->second;
        const auto here = at++;
        if (client.is_idle()) continue;
        if (client.ticket != 0) {
            if (now - client.moved_at() < options_.forward_ns) continue;
            const bool alive = client.reply(
                reply_line(fail(Errc::timed_out, fmt::format("that node did not answer within {} "
                                                             "ms",
                                                             options_.forward_ns / 1'000'000))),
                {}, now);
            if (alive) serve(client);
            update(here, alive);
        } else if (now - client.moved_at() >= options_.patience_ns) {
            clients_.erase(here);
        }
    }
    if (deaf_until_ == 0 || now < deaf_until_) return;
    deaf_until_ = 0;
    add(epoll_.get(), listener_.get(), listener_key);
}

// -1, for ever, unless somebody is in the middle of something.
int ControlServer::next_timeout_ms(Nanoseconds now) const {
    Nanoseconds next = INT64_MAX;
    for (const auto& [key, client] : clients_)
        if (!client.is_idle())
            next = std::min(next, client.moved_at() + (client.ticket != 0 ? options_.forward_ns
                                                                          : options_.patience_ns));
    if (deaf_until_ != 0) next = std::min(next, deaf_until_);
    if (next == INT64_MAX) return -1;
    return static_cast<int>(std::clamp<Nanoseconds>((next - now) / 1'000'000 + 1, 0, 60'000));
}

}  // namespace ssi::node
