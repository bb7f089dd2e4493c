// SPDX-License-Identifier: BSD-3-Clause
// Two ucx transports in one process, over shared memory: token, queue, large payloads, addresses.
#include "ssi/net/ucx.hpp"

#include <gtest/gtest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

namespace ssi::net {
namespace {

using namespace std::chrono_literals;

constexpr NodeId a{0}, b{1};

struct Counting : Receiver {
    std::byte* on_large(NodeId, std::span<const std::byte>, std::size_t length) override {
        if (refuse) return nullptr;
        large.emplace_back(length);
        ++incoming;
        return large.back().data();
    }
    void on_message(NodeId from, std::span<const std::byte> header, std::span<std::byte> payload,
                    bool owned) override {
        EXPECT_FALSE(inside.exchange(true)) << "two handlers of one node at once";
        if (owned) --incoming;
        for (std::byte one : payload) good = good && one == header[0];
        bytes += payload.size();
        if (answer) {
            EXPECT_TRUE(answer->send(from, header, {}));
        }
        inside = false;
        ++messages;
    }
    void on_large_failed(NodeId, std::byte*) override {
        --incoming;
        ++failures;
    }
    void on_peer_suspect(NodeId, const Failure&) override { ++suspicions; }

    std::vector<std::vector<std::byte>> large;
    std::atomic<std::uint64_t> messages{0}, bytes{0};
    std::atomic<int> failures{0}, suspicions{0}, incoming{0};
    std::atomic<bool> inside{false}, good{true};
    Transport* answer = nullptr;
    bool refuse = false;
};

struct Lender {
    std::vector<std::byte> bytes;
    std::atomic<int> releases{0};
    explicit Lender(std::size_t length, std::byte value = std::byte{1}) : bytes(length, value) {}
    Payload payload() {
        return {bytes.data(), bytes.size(),
                [](void* self) { ++static_cast<Lender*>(self)->releases; }, this};
    }
};

class Ucx : public testing::Test {
protected:
    void SetUp() override { make(true); }
    // `readable`: the two may copy from each other's memory through the kernel.
    void make(bool readable) {
        for (int i : {0, 1}) {
            UcxOptions options;
            options.self = NodeId{static_cast<std::uint32_t>(i)};
            options.keepalive = false;
            options.host_id = readable ? 1 : 0;
            options.gets = gets;
            options.want_address = [this, i](NodeId target) {
                EXPECT_EQ(target, NodeId{static_cast<std::uint32_t>(1 - i)});
                ++wanted[i];
            };
            auto made = make_ucx_transport(std::move(options), config, log);
            ASSERT_TRUE(made) << made.error().text;
            transport[i] = std::move(*made);
            transport[i]->set_receiver(&receiver[i]);
        }
    }
    void introduce() {
        transport[0]->learn_address(b, transport[1]->address());
        transport[1]->learn_address(a, transport[0]->address());
    }
    void TearDown() override {
        EXPECT_EQ(recorder.errors(), "");
        EXPECT_TRUE(receiver[0].good && receiver[1].good);
    }
    template <class F>
    bool poll_until(F&& condition, std::chrono::milliseconds limit = 10'000ms) {
        const auto end = std::chrono::steady_clock::now() + limit;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > end) return false;
            for (auto& one : transport) one->poll();
        }
        return true;
    }
    static std::span<const std::byte> header(const std::byte& value) { return {&value, 1}; }

    bool gets = false;
    Config config;
    LogRecorder recorder;
    Log log{LogLevel::debug, recorder.sink()};
    Counting receiver[2];
    std::unique_ptr<UcxTransport> transport[2];
    std::atomic<int> wanted[2] = {0, 0};
};

constexpr std::byte one{1};

TEST_F(Ucx, carries_every_size_and_releases_what_was_lent_once) {
    introduce();
    std::uint64_t total = 0, sent = 0;
    for (bool readable : {true, false}) {
        if (!readable) {
            for (auto& t : transport) t.reset();
            make(false);
            introduce();
        }
        for (std::size_t length : {0u, 1u, 64u, 211u, 212u, 300u, 8192u, 8193u, 262144u, 262145u,
                                   3'000'000u}) {
            Lender lender(length);
            ASSERT_TRUE(transport[0]->send(b, header(one), lender.payload()));
            ASSERT_TRUE(transport[0]->send(b, header(one),
                                           {lender.bytes.data(), length, nullptr, nullptr}));
            total += 2 * length;
            sent += 2;
            EXPECT_TRUE(poll_until(
                [&] { return receiver[1].messages == sent && lender.releases == 1; }));
            EXPECT_EQ(receiver[1].bytes, total);
        }
    }
    EXPECT_EQ(receiver[1].incoming, 0);
}

TEST_F(Ucx, a_copied_payload_may_change_after_send) {
    introduce();
    std::vector<std::byte> bytes(1'000'000, one);
    ASSERT_TRUE(transport[0]->send(b, header(one), {bytes.data(), bytes.size(), nullptr, nullptr}));
    bytes.assign(bytes.size(), std::byte{2});
    EXPECT_TRUE(poll_until([&] { return receiver[1].messages == 1; }));
}

TEST_F(Ucx, asks_for_an_unknown_address_once_and_keeps_messages_until_it_comes) {
    Lender lender(20'000);
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(transport[0]->send(b, header(one), {}));
    ASSERT_TRUE(transport[0]->send(b, header(one), lender.payload()));
    EXPECT_EQ(wanted[0], 1);
    EXPECT_FALSE(poll_until([&] { return receiver[1].messages > 0; }, 50ms));
    transport[0]->learn_address(b, transport[1]->address());
    EXPECT_TRUE(poll_until([&] { return receiver[1].messages == 4 && lender.releases == 1; }));
    // The first message brought the sender's address: the answer needs no question.
    ASSERT_TRUE(transport[1]->send(a, header(one), {}));
    EXPECT_TRUE(poll_until([&] { return receiver[0].messages == 1; }));
    EXPECT_EQ(wanted[1], 0);
}

TEST_F(Ucx, handlers_answer) {
    introduce();
    receiver[1].answer = transport[1].get();
    for (std::uint64_t i = 1; i <= 1000; ++i) {
        ASSERT_TRUE(transport[0]->send(b, header(one), {}));
        ASSERT_TRUE(poll_until([&] { return receiver[0].messages == i; }));
    }
}

TEST_F(Ucx, a_flood_nobody_polls_for_arrives_whole) {
    introduce();
    constexpr std::uint64_t count = 5000;
    const std::vector<std::byte> bytes(500, one);
    for (std::uint64_t i = 0; i < count; ++i)
        ASSERT_TRUE(transport[0]->send(b, header(one),
                                       {bytes.data(), i % 500, nullptr, nullptr}));
    EXPECT_GT(transport[0]->counts().deferred, 0u) << "the flood should overrun the FIFO";
    EXPECT_TRUE(poll_until([&] { return receiver[1].messages == count; }));
}

TEST_F(Ucx, threads_that_find_the_token_taken_lose_nothing) {
    introduce();
    constexpr std::uint64_t per_thread = 2000;
    std::atomic<bool> stop{false};
    std::vector<std::thread> pollers, senders;
    for (int t = 0; t < 2; ++t)
        pollers.emplace_back([&] {
            while (!stop) {
                for (auto& one_of_two : transport) one_of_two->poll();
                std::this_thread::yield();
            }
        });
    for (int t = 0; t < 3; ++t)
        senders.emplace_back([&] {
            const std::vector<std::byte> bytes(10'000, one);
            for (std::uint64_t i = 0; i < per_thread; ++i)
                ASSERT_TRUE(transport[0]->send(
                    b, header(one), {bytes.data(), i % 100 ? 30u : 10'000u, nullptr, nullptr}));
        });
    for (auto& thread : senders) thread.join();
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (receiver[1].messages < 3 * per_thread && std::chrono::steady_clock::now() < end)
        std::this_thread::sleep_for(1ms);
    stop = true;
    for (auto& thread : pollers) thread.join();
    EXPECT_EQ(receiver[1].messages, 3 * per_thread);
    EXPECT_GT(transport[0]->counts().queued, 0u) << "nobody ever found the token taken";
}

// What is queued while somebody holds the token must leave without another poll of this node.
TEST_F(Ucx, the_holder_of_the_token_sends_what_others_queued) {
    introduce();
    ASSERT_TRUE(transport[0]->send(b, header(one), {}));
    ASSERT_TRUE(poll_until([&] { return receiver[1].messages == 1; }));
    struct Slow : Receiver {
        std::byte* on_large(NodeId, std::span<const std::byte>, std::size_t) override {
            return nullptr;
        }
        void on_message(NodeId, std::span<const std::byte>, std::span<std::byte>, bool) override {
            holding = true;
            while (!released) std::this_thread::yield();
        }
        void on_large_failed(NodeId, std::byte*) override {}
        void on_peer_suspect(NodeId, const Failure&) override {}
        std::atomic<bool> holding{false}, released{false};
    } slow;
    transport[0]->set_receiver(&slow);
    ASSERT_TRUE(transport[1]->send(a, header(one), {}));
    std::thread holder([&] {
        while (!slow.holding) transport[0]->poll();
    });
    while (!slow.holding) std::this_thread::yield();
    ASSERT_TRUE(transport[0]->send(b, header(one), {}));
    EXPECT_GT(transport[0]->counts().queued, 0u);
    slow.released = true;
    holder.join();  // its poll is over; nobody polls transport 0 any more
    const auto end = std::chrono::steady_clock::now() + 5s;
    while (receiver[1].messages < 2 && std::chrono::steady_clock::now() < end)
        transport[1]->poll();
    EXPECT_EQ(receiver[1].messages, 2u);
}

TEST_F(Ucx, forget_gives_back_what_was_lent_and_gives_up_what_was_coming) {
    introduce();
    Lender to_the_dead(4'000'000), from_the_dead(4'000'000);
    ASSERT_TRUE(transport[0]->send(b, header(one), {}));
    ASSERT_TRUE(poll_until([&] { return receiver[1].messages == 1; }));
    ASSERT_TRUE(transport[0]->send(b, header(one), to_the_dead.payload()));
    ASSERT_TRUE(transport[1]->send(a, header(one), from_the_dead.payload()));
    while (receiver[0].incoming == 0) transport[0]->poll();
    // b is dead from here on: it does not poll again.
    transport[0]->forget(b);
    for (int i = 0; i < 100; ++i) transport[0]->poll();
    EXPECT_EQ(to_the_dead.releases, 1);
    EXPECT_EQ(receiver[0].failures, 1);
    EXPECT_EQ(receiver[0].messages, 0u);
    Lender late(10);
    const auto sent = transport[0]->send(b, header(one), late.payload());
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code, Errc::peer_lost);
    EXPECT_EQ(late.releases, 1);
    transport[1].reset();   // gives back what it lent, while that is still there
    EXPECT_EQ(from_the_dead.releases, 1);
}

// Memory that the offer of a large payload names beside the lent bytes. Its bytes differ from
// those, so that it is seen which were taken.
class Offered {
public:
    explicit Offered(std::size_t length, std::byte value, bool sealed = true)
        : fd_(::memfd_create("offered", MFD_CLOEXEC | MFD_ALLOW_SEALING)) {
        const std::vector<std::byte> bytes(length, value);
        EXPECT_EQ(::write(fd_, bytes.data(), length), static_cast<ssize_t>(length));
        if (sealed) {
            EXPECT_EQ(::fcntl(fd_, F_ADD_SEALS, F_SEAL_SHRINK), 0);
        }
    }
    ~Offered() { ::close(fd_); }
    Payload::Shared at(std::uint64_t offset) const {
        struct stat status {};
        EXPECT_EQ(::fstat(fd_, &status), 0);
        return {fd_, static_cast<std::uint64_t>(status.st_ino), offset};
    }

private:
    const int fd_;
};

TEST_F(Ucx, takes_a_large_payload_out_of_shared_memory_that_it_maps) {
    introduce();
    for (const std::size_t length : {100'001u, 5'000'000u}) {
        SCOPED_TRACE(length);
        const Offered memory(length + 10, std::byte{7});
        Lender lender(length);
        Payload payload = lender.payload();
        payload.shared = memory.at(10);
        const std::byte seven{7};
        ASSERT_TRUE(transport[0]->send(b, header(seven), payload));
        EXPECT_TRUE(poll_until([&] { return lender.releases == 1; }));
        EXPECT_EQ(receiver[1].large.back(), std::vector<std::byte>(length, seven));
    }
}

// Of many at once each piece is copied past the caches, from and to any alignment.
TEST_F(Ucx, takes_many_large_payloads_out_of_shared_memory) {
    introduce();
    constexpr std::size_t length = 300'003, count = 20;
    const Offered memory(length + count, std::byte{1});
    Lender lender(length);
    for (std::size_t i = 0; i < count; ++i) {
        Payload payload = lender.payload();
        payload.shared = memory.at(i);
        ASSERT_TRUE(transport[0]->send(b, header(one), payload));
    }
    EXPECT_TRUE(poll_until([&] { return lender.releases == static_cast<int>(count); }));
    EXPECT_EQ(receiver[1].bytes, length * count);
}

TEST_F(Ucx, takes_the_lent_bytes_where_the_shared_memory_is_not_what_was_offered) {
    introduce();
    constexpr std::size_t length = 100'000;
    const Offered memory(length, std::byte{7}), may_shrink(length, std::byte{7}, false);
    auto other_inode = memory.at(0);
    ++other_inode.inode;
    for (const Payload::Shared& shared : {other_inode, may_shrink.at(0), memory.at(1),
                                          memory.at(~std::uint64_t{0} - 5)}) {
        Lender lender(length);
        Payload payload = lender.payload();
        payload.shared = shared;
        ASSERT_TRUE(transport[0]->send(b, header(one), payload));
        EXPECT_TRUE(poll_until([&] { return lender.releases == 1; }));
        EXPECT_EQ(receiver[1].large.back(), lender.bytes);
    }
}

TEST_F(Ucx, a_refused_large_payload_is_released) {
    introduce();
    receiver[1].refuse = true;
    Lender lender(100'000);
    ASSERT_TRUE(transport[0]->send(b, header(one), lender.payload()));
    EXPECT_TRUE(poll_until([&] { return lender.releases == 1; }));
    EXPECT_EQ(receiver[1].messages, 0u);
}

TEST_F(Ucx, the_armed_fd_wakes_for_an_arrival) {
    introduce();
    ASSERT_GE(transport[1]->event_fd(), 0);
    ASSERT_TRUE(transport[0]->send(b, header(one), {}));
    ASSERT_TRUE(poll_until([&] { return receiver[1].messages == 1; }));
    for (int round = 0; round < 3; ++round) {
        ASSERT_TRUE(poll_until([&] { return transport[1]->arm(); }));
        pollfd fd{transport[1]->event_fd(), POLLIN, 0};
        EXPECT_EQ(::poll(&fd, 1, 20), 0) << "nothing has arrived";
        ASSERT_TRUE(transport[0]->send(b, header(one), {}));
        EXPECT_EQ(::poll(&fd, 1, 5000), 1);
        EXPECT_TRUE(poll_until([&] { return receiver[1].messages == 2u + round; }));
    }
}

// A send that UCX cannot finish at once needs polls, and the progress thread may be asleep.
TEST_F(Ucx, a_deferred_send_wakes_who_sleeps_on_the_armed_fd) {
    introduce();
    ASSERT_TRUE(transport[0]->send(b, header(one), {}));
    ASSERT_TRUE(poll_until([&] { return receiver[1].messages == 1; }));
    ASSERT_TRUE(poll_until([&] { return transport[0]->arm(); }));
    const auto before = transport[0]->counts().deferred;
    std::uint64_t sent = 1;
    for (; transport[0]->counts().deferred == before; ++sent)
        ASSERT_TRUE(transport[0]->send(b, header(one), {}));
    pollfd fd{transport[0]->event_fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&fd, 1, 5000), 1);
    EXPECT_FALSE(transport[0]->arm()) << "a send is unfinished";
    EXPECT_TRUE(poll_until([&] { return receiver[1].messages == sent; }));
}

TEST_F(Ucx, what_was_released_is_not_released_again_at_the_end) {
    introduce();
    Lender lender(100'000);
    ASSERT_TRUE(transport[0]->send(b, header(one), lender.payload()));
    ASSERT_TRUE(poll_until([&] { return lender.releases == 1; }));
    transport[0]->forget(b);
    transport[0]->abandon();
    EXPECT_EQ(lender.releases, 1);
}

TEST_F(Ucx, tells_whether_a_peer_may_still_be_reading) {
    introduce();
    Lender lender(100'000);
    EXPECT_FALSE(transport[0]->lending());
    ASSERT_TRUE(transport[0]->send(b, header(one), lender.payload()));
    for (int i = 0; i < 100; ++i) transport[0]->poll();
    EXPECT_TRUE(transport[0]->lending()) << "nobody has read it yet";
    ASSERT_TRUE(poll_until([&] { return lender.releases == 1; }));
    EXPECT_FALSE(transport[0]->lending());
}

TEST_F(Ucx, closes_in_order_and_refuses_to_send_afterwards) {
    introduce();
    Lender lender(300);
    ASSERT_TRUE(transport[0]->send(b, header(one), lender.payload()));
    ASSERT_TRUE(poll_until([&] { return receiver[1].messages == 1; }));
    for (auto& one_of_two : transport) one_of_two->close(false);
    EXPECT_TRUE(poll_until([&] { return transport[0]->closed() && transport[1]->closed(); }));
    const auto sent = transport[0]->send(b, header(one), lender.payload());
    ASSERT_FALSE(sent);
    EXPECT_EQ(sent.error().code, Errc::cancelled);
    EXPECT_EQ(lender.releases, 2);
}

TEST_F(Ucx, abandon_leaves_nothing_lent_and_nothing_coming) {
    introduce();
    ASSERT_TRUE(transport[0]->send(b, header(one), {}));
    ASSERT_TRUE(poll_until([&] { return receiver[1].messages == 1; }));
    Lender lender(1'000'000), coming(1'000'000);
    ASSERT_TRUE(transport[0]->send(b, header(one), lender.payload()));
    ASSERT_TRUE(transport[1]->send(a, header(one), coming.payload()));
    while (receiver[0].incoming == 0) transport[0]->poll();
    transport[0]->abandon();
    EXPECT_EQ(lender.releases, 1);
    EXPECT_EQ(receiver[0].failures, 1);
    transport[1].reset();   // gives back what it lent, while that is still there
    EXPECT_EQ(coming.releases, 1);
}

TEST_F(Ucx, refuses_itself_and_headers_that_are_too_long) {
    Lender lender(10);
    const auto self = transport[0]->send(a, header(one), lender.payload());
    ASSERT_FALSE(self);
    EXPECT_EQ(self.error().code, Errc::invalid_argument);
    const std::vector<std::byte> large(max_header_bytes + 1);
    const auto longer = transport[0]->send(b, large, lender.payload());
    ASSERT_FALSE(longer);
    EXPECT_EQ(longer.error().code, Errc::too_large);
    EXPECT_EQ(lender.releases, 2);
}

TEST_F(Ucx, the_address_of_a_process_that_is_gone_makes_the_peer_suspect) {
    const auto stale = transport[1]->address();
    const std::vector<std::byte> address(stale.begin(), stale.end());
    transport[1].reset();
    transport[0]->learn_address(b, address);
    ASSERT_TRUE(transport[0]->send(b, header(one), {}));
    for (int i = 0; i < 2000 && receiver[0].suspicions == 0; ++i) {
        transport[0]->poll();
        std::this_thread::sleep_for(1ms);
    }
    EXPECT_GT(receiver[0].suspicions, 0);
}

// Memory in pieces of 64 KiB, of which all but the last bytes are shown.
struct Shown : ShownMemory {
    std::vector<std::byte> memory = std::vector<std::byte>(1'000'000);
    std::size_t bytes = 999'000;
    std::uint64_t address() const { return reinterpret_cast<std::uintptr_t>(memory.data()); }
    std::span<const std::byte> piece_at(std::uint64_t place) const override {
        constexpr std::size_t piece = 64 << 10;
        const std::uint64_t into = place - address();
        if (into >= bytes) return {};
        const std::size_t begin = into / piece * piece;
        return {memory.data() + begin, std::min(piece, bytes - begin)};
    }
};

struct Asked : Get {
    std::vector<std::byte> room;
    std::atomic<int> ended{0};
    Errc outcome = Errc::internal;
    Asked(std::uint64_t at, std::size_t length) : room(length) {
        from = b;
        address = at;
        into = room;
        done = [](Get& get, Errc result) {
            auto& self = static_cast<Asked&>(get);
            self.outcome = result;
            ++self.ended;
        };
    }
};

class UcxGets : public Ucx, public testing::WithParamInterface<const char*> {
protected:
    void SetUp() override {
        gets = true;
        value_or_throw(config.set("net.ucx_tls", GetParam(), "test"));
        make(false);
        introduce();
        for (std::size_t i = 0; i < shown.memory.size(); ++i)
            shown.memory[i] = static_cast<std::byte>(i % 251);
        transport[1]->show(&shown);
    }
    void TearDown() override {
        transport[1]->show(nullptr);
        Ucx::TearDown();
    }
    bool correct(const Asked& asked) const {
        const auto* from = shown.memory.data() + (asked.address - shown.address());
        return std::equal(asked.room.begin(), asked.room.end(), from);
    }
    Shown shown;
};
INSTANTIATE_TEST_SUITE_P(Transports, UcxGets, testing::Values("", "tcp"),
                         [](const auto& info) {
                             return *info.param ? std::string(info.param) : std::string("any");
                         });

TEST_P(UcxGets, bring_every_length_across_pieces) {
    for (const std::size_t offset : {0u, 5u, 65'530u, 300'000u})
        for (const std::size_t length : {0u, 8u, 64u, 5000u, 70'000u, 600'000u}) {
            Asked asked(shown.address() + offset, length);
            transport[0]->get(asked);
            ASSERT_TRUE(poll_until([&] { return asked.ended == 1; })) << offset << " " << length;
            ASSERT_EQ(asked.outcome, Errc::ok);
            EXPECT_TRUE(correct(asked)) << offset << " " << length;
        }
}

TEST_P(UcxGets, many_at_once) {
    std::vector<std::unique_ptr<Asked>> all;
    for (std::size_t i = 0; i < 500; ++i) {
        all.push_back(std::make_unique<Asked>(shown.address() + i * 1900, 64 + i * 3));
        transport[0]->get(*all.back());
    }
    for (auto& asked : all) {
        ASSERT_TRUE(poll_until([&] { return asked->ended == 1; }));
        EXPECT_TRUE(asked->outcome == Errc::ok && correct(*asked));
    }
}

TEST_P(UcxGets, find_nothing_that_is_not_shown_and_what_has_grown) {
    for (const std::uint64_t at : {shown.address() + 999'000, shown.address() + 998'996,
                                   std::uint64_t{8}}) {
        Asked asked(at, 8);
        transport[0]->get(asked);
        ASSERT_TRUE(poll_until([&] { return asked.ended == 1; }));
        EXPECT_EQ(asked.outcome, Errc::not_found);
    }
    shown.bytes = shown.memory.size();
    Asked asked(shown.address() + 998'000, 2000);
    transport[0]->get(asked);
    ASSERT_TRUE(poll_until([&] { return asked.ended == 1; }));
    EXPECT_TRUE(asked.outcome == Errc::ok && correct(asked));
}

TEST_P(UcxGets, are_known_to_need_the_other_nodes_help) {
    Asked asked(shown.address(), 8);
    transport[0]->get(asked);
    ASSERT_TRUE(poll_until([&] { return asked.ended == 1; }));
    EXPECT_TRUE(poll_until(
        [&] { return transport[0]->get_support(b) != GetSupport::unknown; }));
    EXPECT_EQ(transport[0]->get_support(b), GetSupport::emulated);
}

TEST_P(UcxGets, end_when_the_node_is_forgotten) {
    Asked first(shown.address(), 8);
    transport[0]->get(first);
    ASSERT_TRUE(poll_until([&] { return first.ended == 1; }));
    Asked known(shown.address(), 8), unknown(shown.address() + 500'000, 8);
    transport[0]->get(known);
    transport[0]->get(unknown);
    for (int i = 0; i < 100; ++i) transport[0]->poll();   // b does not answer
    EXPECT_EQ(known.ended + unknown.ended, 0);
    transport[0]->forget(b);
    EXPECT_EQ(known.outcome, Errc::peer_lost);
    EXPECT_EQ(unknown.outcome, Errc::peer_lost);
    Asked later(shown.address(), 8);
    transport[0]->get(later);
    EXPECT_EQ(later.outcome, Errc::peer_lost);
    for (int i = 0; i < 1000; ++i)
        for (auto& each : transport) each->poll();
    EXPECT_EQ(known.ended, 1);
}

TEST_F(Ucx, without_gets_says_so) {
    introduce();
    EXPECT_EQ(transport[0]->get_support(b), GetSupport::none);
}

}  // namespace
}  // namespace ssi::net
