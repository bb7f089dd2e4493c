// SPDX-License-Identifier: BSD-3-Clause
#include <cstring>
#include <mutex>
#include <span>

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

template <class T>
int reduce(ssi_session* session, ssi_reduction op, T* value) noexcept {
    return collective(session, [&]() -> Result<void> {
        SSI_TRY(need(value, "value"));
        if (op != SSI_SUM && op != SSI_MIN && op != SSI_MAX)
            return fail(Errc::invalid_argument, "the reduction is none of SSI_SUM, SSI_MIN and "
                                                "SSI_MAX");
        *value = session->session.reduce(*value, static_cast<Reduce>(op));
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
        if (length != 0) SSI_TRY(need(bytes, "bytes"));
        const auto* first = static_cast<const std::byte*>(bytes);
        std::vector<std::byte> copy(first, first + length);
        session->session.broadcast(root, copy);
        if (copy.size() != length)
            return fail(Errc::mismatch, "broadcast of " + std::to_string(copy.size()) +
                                            " bytes, but this node gave room for " +
                                            std::to_string(length));
        if (length != 0) std::memcpy(bytes, copy.data(), length);
        return {};
    });
}

int ssi_reduce_i64(ssi_session* session, ssi_reduction op, int64_t* value) {
    return reduce(session, op, value);
}
int ssi_reduce_u64(ssi_session* session, ssi_reduction op, uint64_t* value) {
    return reduce(session, op, value);
}
int ssi_reduce_f64(ssi_session* session, ssi_reduction op, double* value) {
    return reduce(session, op, value);
}
