// SPDX-License-Identifier: BSD-3-Clause
#include <cstring>
#include <mutex>
#include <span>
#include <string>

#include "handles.hpp"

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

template <class T>
int reduce(ssi_session* session, ssi_reduction op, T* values, std::size_t count) noexcept {
    return collective(session, [&]() -> Result<void> {
        if (count != 0) SSI_TRY(need(values, "values"));
        if (op != SSI_SUM && op != SSI_MIN && op != SSI_MAX)
            return fail(Errc::invalid_argument, "the reduction is none of SSI_SUM, SSI_MIN and "
                                                "SSI_MAX");
        session->session.all_reduce(std::span(values, count), static_cast<Reduce>(op));
        return {};
    });
}

}  // namespace

int ssi_init(int* argc, char*** argv, ssi_session** session) {
    if (session) *session = nullptr;
    return call([&]() -> Result<void> {
        SSI_TRY(need(session, "session"));
        if (!argc != !argv || (argv && !*argv))
            return fail(Errc::invalid_argument, "argc and argv: give both, or NULL for both");
        int none = 0;
        char* no_arguments[] = {nullptr};
        *session = new ssi_session{argc ? Session(*argc, *argv) : Session(none, no_arguments)};
        return {};
    });
}

int ssi_init_comm(const void* mpi_comm, ssi_session** session) {
    if (session) *session = nullptr;
    return call([&]() -> Result<void> {
        SSI_TRY(need(session, "session"));
        SSI_TRY(need(mpi_comm, "mpi_comm (the address of an MPI_Comm)"));
        *session = new ssi_session{Session::from_mpi(mpi_comm)};
        return {};
    });
}

int ssi_finalize(ssi_session* session) {
    if (!session) return SSI_OK;
    const std::unique_ptr<ssi_session> owned(session);
    return call([&] { return owned->session.close(); });
}

void ssi_exit(int code) { Session::exit(code); }

int ssi_rank(const ssi_session* session) { return session ? session->session.rank() : -1; }
int ssi_size(const ssi_session* session) { return session ? session->session.size() : -1; }
uint32_t ssi_node(const ssi_session* session) {
    return session ? session->session.node().value : SSI_NO_NODE;
}

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

int ssi_gather(ssi_session* session, int root, const void* mine, size_t length, void* all) {
    return collective(session, [&]() -> Result<void> {
        if (root != SSI_EVERYBODY) SSI_TRY(check_root(*session, root));
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
    return reduce(session, op, values, count);
}
int ssi_reduce_u64(ssi_session* session, ssi_reduction op, uint64_t* values, size_t count) {
    return reduce(session, op, values, count);
}
int ssi_reduce_f64(ssi_session* session, ssi_reduction op, double* values, size_t count) {
    return reduce(session, op, values, count);
}
