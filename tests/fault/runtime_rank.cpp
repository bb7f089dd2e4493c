// SPDX-License-Identifier: BSD-3-Clause
// One rank of the runtime's fault tests: starts a session, says `ready` on standard error and does
// what its scenario says until a node is lost; then it stops the session and leaves with
// peer_lost's exit code. A session that does not start ends with that error's exit code.
//     wait      waits in barriers
//     compute   calls nothing of libssi
//     large     sends large payloads to everybody, all the time
//     absent    rank 1 initialises MPI and ends without starting a session
//     hang      rank 1 hangs in the middle of the start
//     leave     rank 1 ends in the middle of the session, in its own good order
#include <mpi.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>

#include "ssi/node/process_node.hpp"

namespace {

using namespace std::chrono_literals;
using ssi::NodeId;
namespace node = ssi::node;

struct Sink : node::Channel {
    std::byte* on_large(NodeId, std::span<const std::byte>, std::size_t length) override {
        ++incoming;
        return new std::byte[length];
    }
    void on_message(NodeId, std::span<const std::byte>, std::span<std::byte> payload,
                    bool owned) override {
        if (owned) delete[] payload.data();
        if (owned) --incoming;
    }
    void on_large_failed(NodeId, std::byte* memory) override {
        delete[] memory;
        --incoming;
    }
    void on_node_lost(NodeId) override {}
    std::atomic<int> incoming{0};
};

[[noreturn]] void leave(const ssi::Failure& failure) {
    std::fprintf(stderr, "left: %s\n", failure.to_string().c_str());
    ::_exit(ssi::error_info(failure.code).exit_code);
}

// Until a node is lost.
void send_large(node::Node& self, Sink& sink) {
    static std::vector<std::byte> bytes(8 << 20);
    std::atomic<int> lent{0};
    while (!self.any_lost()) {
        for (int i = 1; i < self.size(); ++i) {
            if (lent >= 8) break;
            node::MessageHeader header;
            header.channel = static_cast<std::uint8_t>(node::ChannelId::kddm);
            const NodeId to{static_cast<std::uint32_t>((self.rank() + i) % self.size())};
            ++lent;
            // A failure has released the payload too; the loop ends when the loss is declared.
            (void)self.send(to, std::as_writable_bytes(std::span(&header, 1)),
                            {bytes.data(), bytes.size(),
                             [](void* count) { --*static_cast<std::atomic<int>*>(count); }, &lent});
        }
        self.doors().transport.poll();
    }
    // What was lent to the dead comes back, and what the dead were sending is given up.
    const auto end = std::chrono::steady_clock::now() + 5s;
    while ((lent > 0 || sink.incoming > 0) && std::chrono::steady_clock::now() < end)
        self.doors().transport.poll();
    std::fprintf(stderr, "after the loss: %d lent, %d incoming\n", lent.load(),
                 sink.incoming.load());
}

}  // namespace

int main(int argc, char** argv) {
    const std::string scenario = argc > 1 ? argv[1] : "wait";
    auto config = ssi::Config::load(&argc, argv);
    if (!config) leave(config.error());
    const char* rank_text = std::getenv("OMPI_COMM_WORLD_RANK");
    const int rank = rank_text ? std::atoi(rank_text) : 0;
    if (scenario == "absent" && rank == 1) {
        MPI_Init(nullptr, nullptr);
        std::fprintf(stderr, "absent\n");
        ::_exit(7);
    }
    if (scenario == "hang" && rank == 1) {
        MPI_Init(nullptr, nullptr);
        // The one step of the start that no rank can take without the others.
        MPI_Comm ours;
        MPI_Request request;
        MPI_Comm_idup(MPI_COMM_WORLD, &ours, &request);
        MPI_Wait(&request, MPI_STATUS_IGNORE);
        std::this_thread::sleep_for(15s);
        ::_exit(7);
    }
    auto started = node::ProcessNode::start(std::move(*config), nullptr);
    if (!started) leave(started.error());
    auto process = std::move(*started);
    node::Node& self = process->node();
    Sink sink;
    self.attach(node::ChannelId::kddm, &sink);
    if (auto all = self.barrier(); !all) leave(all.error());
    std::fprintf(stderr, "ready\n");

    if (scenario == "leave" && rank == 1) {
        std::this_thread::sleep_for(300ms);
        std::exit(0);
    }
    const auto end = std::chrono::steady_clock::now() + 20s;
    if (scenario == "compute") {
        while (!self.any_lost() && std::chrono::steady_clock::now() < end) {
        }
    } else if (scenario == "large") {
        send_large(self, sink);
    } else {
        while (self.barrier() && std::chrono::steady_clock::now() < end)
            std::this_thread::sleep_for(20ms);
    }
    const auto stopped = process->stop();
    if (!stopped && process->must_exit_hard()) leave(stopped.error());
    std::fprintf(stderr, "nothing happened\n");
    return stopped ? 3 : 4;
}
