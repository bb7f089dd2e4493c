// SPDX-License-Identifier: BSD-3-Clause
#include <memory>

#include "handles.hpp"

using namespace ssi;
using namespace ssi::capi;

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
    return call([&]() -> Result<void> {
        owned->checkpoint.reset();
        Result<void> unmounted = unmount_all(*owned);
        Result<void> closed = owned->session.close();
        return unmounted ? closed : unmounted;
    });
}

void ssi_exit(int code) { Session::exit(code); }

int ssi_rank(const ssi_session* session) { return session ? session->session.rank() : -1; }
int ssi_size(const ssi_session* session) { return session ? session->session.size() : -1; }
uint32_t ssi_node(const ssi_session* session) {
    return session ? session->session.node().value : SSI_NO_NODE;
}
