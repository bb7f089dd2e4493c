// SPDX-License-Identifier: BSD-3-Clause
// The control socket: real sockets, real clients, good and bad ones.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <atomic>
#include <cstring>
#include <vector>

#include "control_fixture.hpp"
#include "ssi/node/contact.hpp"

namespace ssi::node {
namespace {

using namespace std::chrono_literals;
using test::eventually;
using test::Served;

// A client without manners.
class Raw {
public:
    explicit Raw(const std::string& path) {
        fd_ = value_or_throw(connect_unix(value_or_throw(SocketAddress::of(path))));
        const timeval limit{5, 0};
        setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        fcntl(fd_.get(), F_SETFL, 0);
    }
    void send(std::string_view text) const {
        ASSERT_EQ(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(text.size()));
    }
    void end() const { ::shutdown(fd_.get(), SHUT_WR); }
    // Until the server closes, or for one line.
    std::string read(bool all = false) const {
        std::string text;
        for (char c; ::recv(fd_.get(), &c, 1, 0) == 1;) {
            text += c;
            if (c == '\n' && !all) break;
        }
        return text;
    }
    // A reply has begun to arrive.
    bool answered() const {
        pollfd wait{fd_.get(), POLLIN, 0};
        return ::poll(&wait, 1, 5000) == 1;
    }
    // The server has closed, whatever is still to be read.
    bool hung_up() const {
        pollfd state{fd_.get(), POLLRDHUP, 0};
        return ::poll(&state, 1, 0) == 1 && state.revents & (POLLHUP | POLLRDHUP);
    }
    bool closed() const {
        char c;
        return ::recv(fd_.get(), &c, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
    }
    int fd() const { return fd_.get(); }

private:
    OwnedFd fd_;
};

int open_descriptors() {
    int count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
        ++count;
    return count;
}

TEST(ControlSocket, answers_verbs_in_order) {
    Served served;
    auto client = served.connect();
    for (int i = 0; i < 3; ++i) {
        const auto reply = client.request(R"({"verb":"ping"})");
        ASSERT_TRUE(reply) << reply.error().text;
        EXPECT_EQ(reply->value.text(), "pong");
    }
    const Raw raw(served.server->path());
    raw.send("{\"verb\":\"ping\"}\n{\"verb\":\"big\",\"bytes\":1}\n{\"verb\":\"nope\"}\n");
    EXPECT_EQ(raw.read(), "{\"v\":1,\"ok\":true,\"value\":\"pong\"}\n");
    EXPECT_EQ(raw.read(), "{\"v\":1,\"ok\":true,\"value\":\"x\"}\n");
    EXPECT_NE(raw.read().find("no verb 'nope'; there are: fd, big, ping"), std::string::npos);
}

TEST(ControlSocket, only_its_user_may_open_it) {
    Served served;
    struct stat status{};
    ASSERT_EQ(::stat(served.server->path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    ASSERT_EQ(::stat(served.folder.path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700u);
}

TEST(ControlSocket, refuses_another_user) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can be another user";
    Served served;
    // Past the first two fences, as a mistaken administrator would have it.
    ASSERT_EQ(::chmod(served.folder.path().c_str(), 0755), 0);
    ASSERT_EQ(::chmod(served.server->path().c_str(), 0666), 0);
    int result[2];
    ASSERT_EQ(::pipe(result), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        std::string text = "cannot change its user";
        if (::setresuid(65534, 65534, 65534) == 0) {
            const Raw raw(served.server->path());
            text = raw.read(true);
        }
        ::_exit(::write(result[1], text.data(), text.size()) < 0);
    }
    ::close(result[1]);
    char text[1024] = {};
    ASSERT_GE(::read(result[0], text, sizeof text - 1), 0);
    ::close(result[0]);
    ::waitpid(child, nullptr, 0);
    EXPECT_NE(std::string(text).find("this socket serves user 0, not user 65534"),
              std::string::npos) << text;
}

TEST(ControlSocket, root_may_come_to_anybody) {
    if (::geteuid() != 0) GTEST_SKIP() << "only root is root";
    Served served({.user = 65534});
    EXPECT_TRUE(served.connect().request(R"({"verb":"ping"})"));
}

TEST(ControlSocket, malformed_requests_get_one_clear_error_and_go_on) {
    Served served;
    const Raw raw(served.server->path());
    const std::pair<const char*, const char*> cases[] = {
        {"nonsense\n", "\"code\":\"parse\""},
        {"\n", "\"code\":\"parse\""},
        {"[1]\n", "one JSON object on a line"},
        {"{}\n", "needs a \\\"verb\\\""},
        {"{\"verb\":7}\n", "needs a \\\"verb\\\""},
        {"{\"v\":2,\"verb\":\"ping\"}\n", "version 2 of the control protocol; this node speaks 1"},
        {"{\"v\":\"1\",\"verb\":\"ping\"}\n", "\"code\":\"unsupported\""},
        {"{\"verb\":\"ping\",\"verb\":\"ping\"}\n", "occurs twice"},
    };
    for (const auto& [request, expected] : cases) {
        raw.send(request);
        const std::string reply = raw.read();
        EXPECT_NE(reply.find(expected), std::string::npos) << request << reply;
        EXPECT_TRUE(reply.starts_with("{\"v\":1,\"ok\":false")) << reply;
    }
    raw.send("{\"verb\":\"ping\"}\n");
    EXPECT_NE(raw.read().find("pong"), std::string::npos);
}

TEST(ControlSocket, an_oversized_request_is_refused_and_its_client_dropped) {
    Served served;
    const Raw raw(served.server->path());
    std::thread sender([&] {
        const std::string much(1 << 20, 'x');
        (void)::send(raw.fd(), much.data(), much.size(), MSG_NOSIGNAL);
    });
    const std::string reply = raw.read(true);
    sender.join();
    EXPECT_NE(reply.find("\"code\":\"too_large\""), std::string::npos) << reply;
    EXPECT_NE(reply.find("at most 65536 bytes"), std::string::npos) << reply;
    std::string longest = R"({"verb":"ping","x":")";
    longest += std::string(max_control_request_bytes - longest.size() - 3, 'x') + "\"}\n";
    ASSERT_EQ(longest.size(), max_control_request_bytes);
    const Raw other(served.server->path());
    other.send(longest);
    EXPECT_NE(other.read().find("pong"), std::string::npos);
}

TEST(ControlSocket, an_oversized_reply_becomes_an_error) {
    Served served;
    auto client = served.connect();
    const auto fits = client.request(R"({"verb":"big","bytes":4000000})");
    ASSERT_TRUE(fits) << fits.error().text;
    EXPECT_EQ(fits->value.text().size(), 4'000'000u);
    const auto refused = client.request(R"({"verb":"big","bytes":5000000})");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::too_large);
}

TEST(ControlSocket, a_request_without_its_newline_is_answered_and_closed) {
    Served served;
    const Raw raw(served.server->path());
    raw.send("{\"verb\":\"ping\"}");
    raw.end();
    EXPECT_NE(raw.read(true).find("does not end in a newline"), std::string::npos);
}

TEST(ControlSocket, who_closes_its_sending_side_still_gets_the_reply) {
    Served served;
    const Raw raw(served.server->path());
    raw.send("{\"verb\":\"ping\"}\n{\"verb\":\"ping\"}\n");
    raw.end();
    const std::string text = raw.read(true);
    EXPECT_EQ(text, "{\"v\":1,\"ok\":true,\"value\":\"pong\"}\n"
                    "{\"v\":1,\"ok\":true,\"value\":\"pong\"}\n");
}

TEST(ControlSocket, a_client_that_stops_reading_delays_nobody) {
    Served served({.patience_ns = 3600'000'000'000});
    const Raw stuck(served.server->path());
    stuck.send("{\"verb\":\"big\",\"bytes\":4000000}\n{\"verb\":\"ping\"}\n");
    ASSERT_TRUE(stuck.answered());
    auto client = served.connect();
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(client.request(R"({"verb":"ping"})"));
    EXPECT_FALSE(stuck.hung_up());
    EXPECT_GT(stuck.read().size(), 4'000'000u);
}

TEST(ControlSocket, a_client_that_stops_reading_is_dropped) {
    Served served({.patience_ns = 100'000'000});
    const Raw stuck(served.server->path());
    stuck.send("{\"verb\":\"big\",\"bytes\":4000000}\n");
    EXPECT_TRUE(eventually([&] { return stuck.hung_up(); }));
    EXPECT_LT(stuck.read(true).size(), 4'000'000u);
}

TEST(ControlSocket, a_client_that_does_not_finish_its_request_is_dropped) {
    Served served({.patience_ns = 100'000'000});
    const Raw half(served.server->path());
    half.send("{\"verb\":");
    EXPECT_TRUE(eventually([&] { return half.closed(); }));
    const Raw idle(served.server->path());
    std::this_thread::sleep_for(300ms);
    EXPECT_FALSE(idle.closed()) << "who asks nothing owes nothing";
}

TEST(ControlSocket, serves_more_clients_than_it_keeps) {
    Served served({.max_clients = 4});
    std::vector<std::unique_ptr<Raw>> clients;
    for (int i = 0; i < 20; ++i) {
        clients.push_back(std::make_unique<Raw>(served.server->path()));
        clients.back()->send("{\"verb\":\"ping\"}\n");
        EXPECT_NE(clients.back()->read().find("pong"), std::string::npos) << i;
    }
    EXPECT_TRUE(clients.front()->closed()) << "the one that was idle for longest";
    EXPECT_FALSE(clients.back()->closed());
}

TEST(ControlSocket, says_so_when_all_places_are_taken) {
    Served served({.max_clients = 2});
    const Raw a(served.server->path()), b(served.server->path());
    for (const Raw* stuck : {&a, &b}) stuck->send("{\"verb\":\"big\",\"bytes\":4000000}\n");
    // Who has begun to get a reply that does not fit into the socket cannot be sent away.
    ASSERT_TRUE(a.answered() && b.answered());
    const Raw late(served.server->path());
    EXPECT_NE(late.read(true).find("2 clients are being served: come later"), std::string::npos);
}

TEST(ControlSocket, many_clients_at_once_each_get_their_own_replies) {
    Served served;
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (unsigned i = 1; i <= 8; ++i)
        threads.emplace_back([&, i] {
            auto client = served.connect();
            for (unsigned round = 1; round <= 100; ++round) {
                const auto reply = client.request(R"({"verb":"big","bytes":)" +
                                                  std::to_string(i * 1000 + round) + "}");
                if (!reply || reply->value.text().size() != i * 1000 + round) ++wrong;
            }
        });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
}

TEST(ControlSocket, an_idle_server_uses_no_processor_time) {
    Served served;
    auto client = served.connect();
    ASSERT_TRUE(client.request(R"({"verb":"ping"})"));
    rusage before{}, after{};
    getrusage(RUSAGE_SELF, &before);
    std::this_thread::sleep_for(400ms);
    getrusage(RUSAGE_SELF, &after);
    EXPECT_LE(after.ru_nvcsw - before.ru_nvcsw, 5) << "it wakes up";
}

TEST(ControlSocket, a_handler_that_throws_is_an_error_of_the_request) {
    Served served;
    served.verbs.add("bad", [](const JsonValue&) -> Result<std::string> {
        throw std::runtime_error("broken");
    });
    auto client = served.connect();
    const auto reply = client.request(R"({"verb":"bad"})");
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().text, "verb 'bad': broken");
    EXPECT_TRUE(client.request(R"({"verb":"ping"})"));
}

TEST(ControlSocket, removing_a_verb_waits_for_a_call_that_runs) {
    Served served;
    std::atomic<bool> running{false}, left{false};
    served.verbs.add("slow", [&](const JsonValue&) -> Result<std::string> {
        running = true;
        std::this_thread::sleep_for(100ms);
        left = true;
        return "1";
    });
    std::thread asker([&] { (void)served.connect().request(R"({"verb":"slow"})"); });
    ASSERT_TRUE(eventually([&] { return running.load(); }));
    served.verbs.remove("slow");
    EXPECT_TRUE(left);
    asker.join();
    EXPECT_EQ(served.connect().request(R"({"verb":"slow"})").error().code, Errc::not_found);
}

TEST(ControlSocket, a_client_gives_up_on_a_process_that_does_not_serve) {
    Served served({}, false);
    auto client = served.connect(100'000'000);
    const auto reply = client.request(R"({"verb":"ping"})");
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().code, Errc::timed_out);
    EXPECT_NE(reply.error().text.find("stopped or very busy"), std::string::npos);
}

TEST(ControlSocket, stopping_removes_the_file_and_ends_clients) {
    Served served;
    auto client = served.connect();
    ASSERT_TRUE(client.request(R"({"verb":"ping"})"));
    EXPECT_EQ(served.folder.files(), 1u);
    served.server->stop();
    EXPECT_EQ(served.folder.files(), 0u);
    EXPECT_EQ(client.request(R"({"verb":"ping"})").error().code, Errc::io);
}

TEST(ControlFd, hands_out_a_descriptor_to_who_knows_the_key) {
    Served served;
    const OwnedFd memory(::memfd_create("test", MFD_CLOEXEC));
    ASSERT_EQ(::write(memory.get(), "shared", 6), 6);
    served.verbs.add_fd("arena.home", [&](const JsonValue&) -> Result<ControlFd> {
        return ControlFd{memory.get(), R"({"bytes":6})"};
    });
    auto client = served.connect();
    auto got = client.request_fd("arena.home", test::key);
    ASSERT_TRUE(got) << got.error().text;
    EXPECT_EQ(got->value.u64_of("bytes"), 6u);
    char text[7] = {};
    EXPECT_EQ(::pread(got->fd.get(), text, 6, 0), 6);
    EXPECT_STREQ(text, "shared");
    EXPECT_NE(fcntl(got->fd.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(ControlFd, refuses_a_wrong_key_an_unknown_name_and_a_removed_one) {
    Served served;
    served.verbs.add_fd("null", [](const JsonValue&) -> Result<ControlFd> {
        return ControlFd{STDIN_FILENO, "{}"};
    });
    auto client = served.connect();
    std::string wrong = test::key;
    wrong.back() = '0';
    for (const std::string& bad : {std::string(), std::string("0"), wrong}) {
        const auto reply = client.request_fd("null", bad);
        ASSERT_FALSE(reply) << bad;
        EXPECT_EQ(reply.error().text, "this verb needs the session's key");
    }
    EXPECT_EQ(client.request_fd("other", test::key).error().code, Errc::not_found);
    EXPECT_TRUE(client.request_fd("null", test::key));
    served.verbs.remove_fd("null");
    EXPECT_EQ(client.request_fd("null", test::key).error().code, Errc::not_found);
    served.verbs.add_fd("closed",
                        [](const JsonValue&) -> Result<ControlFd> { return ControlFd{-1, "{}"}; });
    EXPECT_EQ(client.request_fd("closed", test::key).error().code, Errc::io);
}

TEST(ControlFd, without_a_key_nothing_that_needs_one_is_given) {
    Served served;
    served.verbs.set_key("");
    EXPECT_FALSE(served.connect().request_fd("x", ""));
}

TEST(ControlFd, a_verb_may_need_the_key_too) {
    Served served;
    served.verbs.add("secret", [](const JsonValue&) -> Result<std::string> { return "1"; },
                     ControlNeeds::key);
    auto client = served.connect();
    EXPECT_FALSE(client.request(R"({"verb":"secret"})"));
    EXPECT_TRUE(client.request(std::string(R"({"verb":"secret","key":")") + test::key + "\"}"));
}

TEST(ControlFd, no_descriptor_is_left_behind_on_either_side) {
    Served served;
    served.verbs.add_fd("null", [](const JsonValue&) -> Result<ControlFd> {
        return ControlFd{STDIN_FILENO, "{}"};
    });
    auto client = served.connect();
    ASSERT_TRUE(client.request_fd("null", test::key));
    const int before = open_descriptors();
    for (int i = 0; i < 50; ++i) {
        ASSERT_TRUE(client.request_fd("null", test::key));
        ASSERT_FALSE(client.request_fd("null", "wrong"));
        // A client that does not look: what comes with the reply is lost in its socket.
        const Raw raw(served.server->path());
        raw.send(std::string(R"({"verb":"fd","name":"null","key":")") + test::key + "\"}\n");
    }
    EXPECT_TRUE(eventually([&] { return open_descriptors() <= before; }))
        << before << " then " << open_descriptors();
}

}  // namespace
}  // namespace ssi::node
