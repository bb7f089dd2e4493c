// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cstring>
#include <mutex>
#include <span>
#include <string>

#include "handles.hpp"
#include "ssi/node/node.hpp"

using namespace ssi;
using namespace ssi::capi;

namespace {

// Collectives are matched by their order, so a second task of this node must not be in one too.
template <class Body>
int collective(ssi_session* session, Body&& body) noexcept {
    return call([&]() -> Result<void> {
        SSI_TRY(need(session, "session"));
        std::unique_lock lock(session->collective, std::try_to_lock);
        if (!lock.owns_lock())
            return fail(Errc::invalid_argument,
                        "another thread of this node is in a collective: call them from one");
        return body();
    });
}

Result<void> check_root(const ssi_session& session, int root) {
    if (root >= 0 && root < session.session.size()) return {};
    return fail(Errc::invalid_argument, "the root " + std::to_string(root) +
                                            " is no rank of this session");
}

Result<void> check_receivers(const ssi_session& session, int root) {
    return root == SSI_EVERYBODY ? Result<void>{} : check_root(session, root);
}

template <class T>
void reduce_as(Session& session, int root, ssi_reduction op, void* values, std::size_t count) {
    session.reduce(root, std::span(static_cast<T*>(values), count), static_cast<Reduce>(op));
}

int reduce(ssi_session* session, int root, ssi_reduction op, ssi_number kind, void* values,
           std::size_t count) noexcept {
    return collective(session, [&]() -> Result<void> {
        SSI_TRY(check_receivers(*session, root));
        if (count != 0) SSI_TRY(need(values, "values"));
        if (op != SSI_SUM && op != SSI_MIN && op != SSI_MAX)
            return fail(Errc::invalid_argument, "the reduction is none of SSI_SUM, SSI_MIN and "
                                                "SSI_MAX");
        SSI_TRY(check_kind(kind));
        if (kind == SSI_I64) reduce_as<std::int64_t>(session->session, root, op, values, count);
        if (kind == SSI_U64) reduce_as<std::uint64_t>(session->session, root, op, values, count);
        if (kind == SSI_F64) reduce_as<double>(session->session, root, op, values, count);
        return {};
    });
}

// A function of the program, which wants aligned elements: parts of messages are not, and the
// caller's array need not be. So it works on copies, some at a time.
class Combining {
public:
    Combining(ssi_combine function, void* context, std::size_t element_bytes)
        : function_(function),
          context_(context),
          element_bytes_(element_bytes),
          most_(std::max<std::size_t>(1, copied_bytes / element_bytes)),
          into_(most_ * element_bytes / sizeof(Block) + 1),
          from_(into_.size()) {}

    static void combine(std::byte* into, const std::byte* from, std::size_t count, void* self) {
        auto& me = *static_cast<Combining*>(self);
        for (std::size_t done = 0; done < count; done += me.most_) {
            const std::size_t n = std::min(me.most_, count - done);
            const std::size_t at = done * me.element_bytes_, bytes = n * me.element_bytes_;
            std::memcpy(me.into_.data(), into + at, bytes);
            std::memcpy(me.from_.data(), from + at, bytes);
            me.function_(me.into_.data(), me.from_.data(), n, me.context_);
            std::memcpy(into + at, me.into_.data(), bytes);
        }
    }

private:
    struct alignas(16) Block {
        std::byte bytes[16];
    };
    static constexpr std::size_t copied_bytes = 4096;

    ssi_combine function_;
    void* context_;
    std::size_t element_bytes_;
    std::size_t most_;   // elements at a time
    std::vector<Block> into_;
    std::vector<Block> from_;
};

}  // namespace

int ssi_barrier(ssi_session* session) {
    return collective(session, [&]() -> Result<void> {
        session->session.barrier();
        return {};
    });
}

int ssi_broadcast(ssi_session* session, int root, void* bytes, size_t length) {
    return collective(session, [&]() -> Result<void> {
        SSI_TRY(check_root(*session, root));
        if (length != 0) SSI_TRY(need(bytes, "bytes"));
        session->session.broadcast(root, std::span(static_cast<std::byte*>(bytes), length));
        return {};
    });
}

int ssi_broadcast_sized(ssi_session* session, int root, void* bytes, size_t capacity,
                        size_t* length) {
    return collective(session, [&]() -> Result<void> {
        SSI_TRY(check_root(*session, root));
        SSI_TRY(need(length, "length"));
        const bool here = root == session->session.rank();
        const std::size_t own = here ? *length : capacity;
        if (own != 0) SSI_TRY(need(bytes, "bytes"));
        auto* place = static_cast<std::byte*>(bytes);
        std::vector<std::byte> sent;
        if (here) sent.assign(place, place + *length);
        session->session.broadcast(root, sent);
        if (here) return {};
        *length = sent.size();
        return copy_out(sent, bytes, capacity, "what was sent");
    });
}

int ssi_gather(ssi_session* session, int root, const void* mine, size_t length, void* all) {
    return collective(session, [&]() -> Result<void> {
        SSI_TRY(check_receivers(*session, root));
        if (length != 0) SSI_TRY(need(mine, "mine"));
        const bool here = root == SSI_EVERYBODY || root == session->session.rank();
        if (here && length != 0) SSI_TRY(need(all, "all"));
        const std::span given(static_cast<const std::byte*>(mine), length);
        const auto gathered = root == SSI_EVERYBODY ? session->session.all_gather(given)
                                                    : session->session.gather(root, given);
        if (!gathered.empty()) std::memcpy(all, gathered.data(), gathered.size());
        return {};
    });
}

int ssi_reduce_i64(ssi_session* session, ssi_reduction op, int64_t* values, size_t count) {
    return reduce(session, SSI_EVERYBODY, op, SSI_I64, values, count);
}
int ssi_reduce_u64(ssi_session* session, ssi_reduction op, uint64_t* values, size_t count) {
    return reduce(session, SSI_EVERYBODY, op, SSI_U64, values, count);
}
int ssi_reduce_f64(ssi_session* session, ssi_reduction op, double* values, size_t count) {
    return reduce(session, SSI_EVERYBODY, op, SSI_F64, values, count);
}
int ssi_reduce(ssi_session* session, int root, ssi_reduction op, ssi_number kind, void* values,
               size_t count) {
    return reduce(session, root, op, kind, values, count);
}

int ssi_reduce_with(ssi_session* session, int root, void* values, size_t count,
                    size_t element_bytes, ssi_combine combine, void* context) {
    return collective(session, [&]() -> Result<void> {
        SSI_TRY(check_receivers(*session, root));
        if (count != 0) SSI_TRY(need(values, "values"));
        SSI_TRY(need(reinterpret_cast<const void*>(combine), "combine"));
        if (element_bytes == 0 || count > PTRDIFF_MAX / element_bytes)
            return fail(Errc::invalid_argument,
                        std::to_string(count) + " elements of " + std::to_string(element_bytes) +
                            " bytes: an element has at least 1, and all fit into memory");
        node::Node& node = session->session.internal_node();
        const auto members = node.membership();
        const NodeId receiver =
            root == SSI_EVERYBODY ? no_node : members->members[static_cast<std::size_t>(root)].node;
        Combining combining(combine, context, element_bytes);
        return node.reduce(std::span(static_cast<std::byte*>(values), count * element_bytes),
                           {element_bytes, &Combining::combine, &combining}, receiver);
    });
}
