// SPDX-License-Identifier: BSD-3-Clause
// ControlServer: a node's control socket. One task of its own serves it, which sleeps until a
// client, a signal or another node wants something: it answers while the application computes,
// and whatever a client does, or a verb takes, delays no message of the session. Clients are
// checked by SO_PEERCRED, their number, requests and patience are bounded, and nothing here waits
// for one.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control_connection.hpp"
#include "ssi/base/ids.hpp"
#include "ssi/base/log.hpp"
#include "ssi/node/control_verbs.hpp"
#include "ssi/node/runtime_directory.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::node {

class ControlServer {
public:
    struct Options {
        std::size_t max_clients = 32;
        // A client that does not finish its request, or does not take its reply, is dropped.
        Nanoseconds patience_ns = 10'000'000'000;
        // How long a request to another node may take.
        Nanoseconds forward_ns = 2'000'000'000;
        std::uint32_t user = ::geteuid();  // who may come, besides root
    };
    struct Doors {
        const Clock& clock;
        sys::Tasks& tasks;
        Log& log;
        ControlVerbs& verbs;
    };
    // Sends a request, as its line, to another node; the answer comes by deliver(ticket, line).
    using Forward =
        std::function<Result<void>(NodeId to, std::uint32_t ticket, std::string_view line)>;

    // Listens; who connects before start() waits. The directory outlives it.
    static Result<std::unique_ptr<ControlServer>> listen(const RuntimeDirectory& directory,
                                                         Options options);
    ~ControlServer();
    ControlServer(const ControlServer&) = delete;
    ControlServer& operator=(const ControlServer&) = delete;
    std::string path() const { return directory_.path_of(name_); }

    // Requests with a "node" other than `self` are forwarded. Before start().
    void set_forward(NodeId self, Forward forward);
    // Calls back on the control task for each write to dump_fd(), an eventfd. Before start().
    void set_dump(std::function<void()> dump) { dump_ = std::move(dump); }
    int dump_fd() const { return dump_fd_.get(); }

    Result<void> start(Doors doors);
    void stop();  // idempotent; also removes the file. Not from a verb.

    // Thread-safe, any time between start() and stop(); do not wait. A job runs on the control
    // task.
    void post(std::function<void()> job);
    void deliver(std::uint32_t ticket, std::string line);
    // What a local client would get, as a line. On the control task.
    std::string answer(std::string_view line);

private:
    ControlServer(const RuntimeDirectory& directory, Options options);
    using Connections = std::map<std::uint64_t, ControlConnection>;

    Result<void> open();
    void run();
    void run_jobs();
    void accept_clients();
    void admit(OwnedFd client);
    void make_room();
    void on_event(std::uint64_t key, std::uint32_t events);
    void serve(ControlConnection& client);
    bool serve_line(ControlConnection& client, std::string_view line);
    bool forward(ControlConnection& client, NodeId to, std::string_view line);
    void update(Connections::iterator client, bool alive);
    void drop_the_impatient(Nanoseconds now);
    int next_timeout_ms(Nanoseconds now) const;
    void wake();

    const RuntimeDirectory& directory_;
    const Options options_;
    std::string name_;               // empty: nothing to remove
    OwnedFd listener_, epoll_, wake_fd_, dump_fd_;
    std::unique_ptr<Doors> doors_;
    std::unique_ptr<sys::Tasks::Handle> task_;
    std::function<void()> dump_;
    NodeId self_ = no_node;
    Forward forward_;
    std::atomic<bool> stopping_{false};

    // the control task's own
    Connections clients_;
    std::uint64_t last_key_ = 0;
    std::uint32_t last_ticket_ = 0;
    Nanoseconds deaf_until_ = 0;     // out of descriptors: accepts nobody until then

    sys::Mutex mutex_;               // of jobs_
    std::vector<std::function<void()>> jobs_;
};

}  // namespace ssi::node
