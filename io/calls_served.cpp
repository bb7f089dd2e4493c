// SPDX-License-Identifier: BSD-3-Clause
// Calls, as who is asked: messages come in, tasks execute requests.
#include <algorithm>
#include <exception>
#include <new>
#include <utility>

#include "calls_door.hpp"

namespace ssi::io {
namespace calls {

// The transport reads lent bytes until it releases them.
static void release_shared(void* context) { delete static_cast<SharedBytes*>(context); }

Result<void> send(node::Node& node, node::ChannelId channel, NodeId to, Header header,
                  const SharedBytes& bytes) {
    header.message.channel = static_cast<std::uint8_t>(channel);
    header.length = static_cast<std::uint32_t>(bytes->size());
    net::Payload payload{bytes->data(), bytes->size(), nullptr, nullptr};
    if (payload.length > net::max_copied_payload)
        payload = {bytes->data(), bytes->size(), &release_shared, new SharedBytes(bytes)};
    return node.send(to, std::as_writable_bytes(std::span(&header, 1)), payload);
}

// What `to` is told of its request. Of a dead node nobody waits.
void answer(node::Node& node, node::ChannelId channel, NodeId to, const Header& request,
            Result<Bytes> result) {
    Header header;
    header.generation = request.generation;
    header.number = request.number;
    header.message.flags = request.message.flags;
    header.message.kind = static_cast<std::uint8_t>(result ? What::answer : What::failure);
    auto bytes = std::make_shared<Bytes>();
    if (result) {
        *bytes = std::move(*result);
    } else {
        const Failure& failure = result.error();
        header.code = static_cast<std::uint32_t>(failure.code);
        header.sys_errno = failure.sys_errno;
        header.node = failure.node.value;
        const std::size_t shown = std::min(failure.text.size(), Calls::most_bytes);
        const auto text = std::as_bytes(std::span(failure.text)).first(shown);
        bytes->assign(text.begin(), text.end());
    }
    const auto sent = send(node, channel, to, header, bytes);
    if (!sent && sent.error().code != Errc::peer_lost)
        SSI_LOG(node.doors().log, error, "calls", "answer to node {} not sent: {}", to.value,
                sent.error().to_string());
}

}  // namespace calls

using namespace calls;

constexpr unsigned looks_for_a_request = 32;

// Once, as who sends such a thing sends many.
void Calls::Impl::malformed(NodeId from, std::string_view why) {
    if (complained.exchange(true)) return;
    SSI_LOG(node.doors().log, error, "calls", "malformed message of node {} dropped: {}",
            from.value, why);
}

void Calls::Impl::no_room(NodeId from, const Header& header, std::size_t length) {
    Failure failure{Errc::out_of_memory, 0, node.id(),
                    fmt::format("node {} has no memory for {} bytes of a call", node.id().value,
                                length)};
    if (length > most_bytes) {
        failure.code = Errc::bad_message;
        failure.text = fmt::format("{} bytes of a call; the limit is {}", length, most_bytes);
        malformed(from, failure.text);
    }
    if (header.what() == What::request)
        answer(node, channel, from, header, tl::unexpected(std::move(failure)));
    else if (header.generation == generation.load())
        complete(from, header.number, tl::unexpected(std::move(failure)));
}

void Calls::Impl::arrived_torn(NodeId from, const Header& header, std::size_t length) {
    Failure bad{Errc::bad_message, 0, from,
                fmt::format("{} bytes follow a header that speaks of {}", length, header.length)};
    malformed(from, bad.text);
    if (header.what() == What::request)
        answer(node, channel, from, header, tl::unexpected(std::move(bad)));
    else if (header.generation == generation.load())
        complete(from, header.number, tl::unexpected(std::move(bad)));
}

void Calls::Impl::arrived(NodeId from, const Header& header, Arrived bytes) {
    if (header.length != bytes.length || header.message.flags >= handlers.size())
        return arrived_torn(from, header, bytes.length);
    if (header.what() != What::request) {
        if (header.generation != generation.load()) return;   // of a Calls that ended
        const auto span = bytes.span();
        if (header.what() == What::answer)
            return complete(from, header.number, Bytes(span.begin(), span.end()));
        return complete(from, header.number,
                        tl::unexpected(Failure{
                            static_cast<Errc>(header.code), header.sys_errno, NodeId(header.node),
                            std::string(reinterpret_cast<const char*>(span.data()), span.size())}));
    }
    Request request{from, header, std::move(bytes)};
    if (handlers[header.message.flags].pace == Pace::quick)
        looks.store(looks_for_a_request, std::memory_order_relaxed);
    if (hand_over(request)) return;
    Pool& pool = pools[static_cast<std::size_t>(handlers[header.message.flags].sort)];
    {
        std::lock_guard lock(pool.mutex);
        if (!pool.stopping) {
            pool.requests.push_back(std::move(request));
            pool.queued.store(pool.requests.size(), std::memory_order_relaxed);
            return pool.changed.notify_one();
        }
    }
    answer(node, channel, from, header, tl::unexpected(cancelled_here()));
}

Result<Bytes> Calls::Impl::run(NodeId from, std::uint8_t kind,
                               std::span<const std::byte> arguments) {
    const Handler& handler = handlers[kind].handler;
    if (!handler)
        return fail(Errc::unsupported,
                    fmt::format("node {} knows no call of kind {}", node.id().value, kind),
                    node.id());
    try {
        auto result = handler(from, arguments);
        if (!result) return result;
        SSI_TRY(check_size(kind, result->size(), "answer"));
        return result;
    } catch (const std::exception& e) {
        return fail(Errc::function_failed, fmt::format("call of kind {}: {}", kind, e.what()),
                    node.id());
    } catch (...) {
        return fail(Errc::function_failed,
                    fmt::format("call of kind {} threw something that is no std::exception", kind),
                    node.id());
    }
}

// Some may have come before this node knew its generation, or be of one that ended.
void Calls::Impl::serve(const Request& request) {
    const auto kind = static_cast<std::uint8_t>(request.header.message.flags);
    answer(node, channel, request.from, request.header,
           request.header.generation == generation.load()
               ? run(request.from, kind, request.arguments.span())
               : Result<Bytes>(tl::unexpected(cancelled_here())));
}

void Calls::serve_others() {
    Impl& impl = *impl_;
    const unsigned looks = impl.looks.load(std::memory_order_relaxed);
    if (looks == 0 || !impl.enter()) return;
    impl.looks.store(looks - 1, std::memory_order_relaxed);
    // As if it waited for an answer: what arrives meanwhile is handed to it.
    Pending visit;
    visit.waits = true;
    visit.owner = &sys::current_task();
    visit.sort = Sort::operation;
    {
        std::lock_guard lock(impl.mutex);
        impl.waiting.push_back(&visit);
    }
    impl.node.doors().transport.poll();
    std::unique_lock lock(impl.mutex);
    std::erase(impl.waiting, &visit);
    lock.unlock();
    impl.serve_all(visit.meanwhile);
    impl.leave();
}

bool Calls::Impl::serve_queued(Sort sort) {
    for (const Sort one : {Sort::leaf, Sort::operation}) {
        Pool& pool = pools[static_cast<std::size_t>(one)];
        if ((one == Sort::operation && sort == Sort::leaf) ||
            pool.queued.load(std::memory_order_relaxed) == 0)
            continue;
        std::unique_lock lock(pool.mutex);
        const auto found = std::ranges::find_if(pool.requests, [&](const Request& request) {
            return handlers[request.header.message.flags].pace == Pace::quick;
        });
        if (found == pool.requests.end() || pool.stopping) continue;
        const Request request = std::move(*found);
        pool.requests.erase(found);
        pool.queued.store(pool.requests.size(), std::memory_order_relaxed);
        lock.unlock();
        serve(request);
        return true;
    }
    return false;
}

void Calls::Impl::work(Pool& pool) {
    std::unique_lock lock(pool.mutex);
    for (;;) {
        while (pool.requests.empty() && !pool.stopping) pool.changed.wait(pool.mutex);
        if (pool.requests.empty()) return;
        const Request request = std::move(pool.requests.front());
        pool.requests.pop_front();
        pool.queued.store(pool.requests.size(), std::memory_order_relaxed);
        const bool stopping = pool.stopping;
        lock.unlock();
        if (stopping)
            answer(node, channel, request.from, request.header, tl::unexpected(cancelled_here()));
        else
            serve(request);
        lock.lock();
    }
}

}  // namespace ssi::io
