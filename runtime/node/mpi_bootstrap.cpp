// SPDX-License-Identifier: BSD-3-Clause
#include "mpi_bootstrap.hpp"

#include <fmt/format.h>
#include <mpi.h>

#include <bit>
#include <cstring>
#include <limits>
#include <utility>

#include "bytes.hpp"

namespace ssi::node {
namespace {

// A parent waits this much longer than its children for each level below it, so that the rank
// nearest to the missing one names it.
constexpr Nanoseconds level_slack_ns = 300'000'000;

std::string mpi_text(int code) {
    std::string text(MPI_MAX_ERROR_STRING, '\0');
    int length = 0;
    MPI_Error_string(code, text.data(), &length);
    text.resize(static_cast<std::size_t>(length));
    return text;
}

// `healthy`: as far as the sender knows, no rank is missing.
Blob encode(const Result<Blob>& result, bool healthy) {
    ByteWriter out;
    out.put(static_cast<std::uint8_t>(healthy ? 1 : 0));
    out.put(static_cast<std::uint8_t>(result ? 1 : 0));
    if (result) {
        out.put_blob(*result);
    } else {
        out.put(static_cast<std::uint16_t>(result.error().code));
        out.put(result.error().node.value);
        out.put_text(result.error().text);
    }
    return std::move(out).take();
}

std::shared_ptr<const Blob> shared(Blob blob) {
    return std::make_shared<const Blob>(std::move(blob));
}

Result<Blob> decode(const Blob& bytes, int from, bool& healthy) {
    ByteReader in(bytes);
    healthy = in.get<std::uint8_t>() == 1 && healthy;
    const bool good = in.get<std::uint8_t>() == 1;
    if (good) {
        Blob blob = in.get_blob();
        if (in.ok()) return blob;
    } else {
        Failure failure;
        failure.code = static_cast<Errc>(in.get<std::uint16_t>());
        failure.node = NodeId{in.get<std::uint32_t>()};
        failure.text = in.get_text();
        if (in.ok()) return tl::unexpected(std::move(failure));
    }
    return fail(Errc::bad_message, fmt::format("rank {} started with a malformed message", from));
}

}  // namespace

struct MpiBootstrap::Comm {
    MPI_Comm comm = MPI_COMM_NULL;
    bool we_initialized = false;
};

MpiBootstrap::MpiBootstrap(std::unique_ptr<Comm> comm, const Clock& clock, sys::Tasks& tasks)
    : comm_(std::move(comm)), clock_(clock), tasks_(tasks) {}

MpiBootstrap::~MpiBootstrap() = default;

Result<std::unique_ptr<MpiBootstrap>> MpiBootstrap::begin(const void* mpi_comm, const Clock& clock,
                                                          sys::Tasks& tasks, Nanoseconds timeout) {
    auto comm = std::make_unique<Comm>();
    int done = 0;
    MPI_Finalized(&done);
    if (done) return fail(Errc::invalid_argument, "MPI was finalized before the session started");
    MPI_Initialized(&done);
    if (!done) {
        if (mpi_comm)
            return fail(Errc::invalid_argument, "a communicator was given, but MPI is not up");
        int level = 0;
        // Only the application's own thread calls MPI for us, at the start and at the end.
        if (const int error = MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &level))
            return fail(Errc::transport, "MPI cannot start: " + mpi_text(error));
        comm->we_initialized = true;
    }
    const MPI_Comm given = mpi_comm ? *static_cast<const MPI_Comm*>(mpi_comm) : MPI_COMM_WORLD;
    if (given == MPI_COMM_NULL)
        return fail(Errc::invalid_argument, "the communicator is MPI_COMM_NULL on this rank");
    auto made = std::unique_ptr<MpiBootstrap>(new MpiBootstrap(std::move(comm), clock, tasks));
    made->timeout_ns_ = timeout;
    made->deadline_ = clock.now() + timeout;
    MPI_Comm_rank(given, &made->rank_);
    MPI_Comm_size(given, &made->size_);
    // Our own messages must not meet the application's.
    MPI_Request request;
    int error = MPI_Comm_idup(given, &made->comm_->comm, &request);
    for (int finished = 0; error == MPI_SUCCESS && !finished;) {
        error = MPI_Test(&request, &finished, MPI_STATUS_IGNORE);
        if (finished) break;
        if (clock.now() > made->deadline_)
            return fail(Errc::timed_out,
                        fmt::format("not all {} ranks came to start the session within {} ms: one "
                                    "of them died or does not call libssi",
                                    made->size_, timeout / 1'000'000));
        tasks.yield();
    }
    if (error != MPI_SUCCESS)
        return fail(Errc::transport, "MPI cannot duplicate the communicator: " + mpi_text(error));
    MPI_Comm_set_errhandler(made->comm_->comm, MPI_ERRORS_RETURN);
    return made;
}

int MpiBootstrap::parent() const { return rank_ == 0 ? -1 : rank_ & (rank_ - 1); }

std::vector<int> MpiBootstrap::children() const {
    std::vector<int> result;
    for (int bit = 1; bit < size_ && !(rank_ & bit); bit <<= 1)
        if (rank_ + bit < size_) result.push_back(rank_ + bit);
    return result;
}

Result<void> MpiBootstrap::send(int to, int tag, std::shared_ptr<const Blob> blob,
                                Nanoseconds deadline) {
    if (blob->size() > static_cast<std::size_t>(std::numeric_limits<int>::max()))
        return fail(Errc::too_large, "more ranks than MPI can bring together at once");
    MPI_Request request;
    int error = MPI_Isend(blob->data(), static_cast<int>(blob->size()), MPI_BYTE, to, tag,
                          comm_->comm, &request);
    for (int finished = 0; error == MPI_SUCCESS;) {
        error = MPI_Test(&request, &finished, MPI_STATUS_IGNORE);
        if (finished) return {};
        if (clock_.now() > deadline) {
            healthy_ = false;
            unfinished_.push_back(std::move(blob));
            return fail(Errc::timed_out, fmt::format("rank {} takes no message", to));
        }
        tasks_.yield();
    }
    healthy_ = false;
    return fail(Errc::transport, fmt::format("MPI: {}", mpi_text(error)));
}

Result<Blob> MpiBootstrap::receive(int from, int tag, Nanoseconds deadline) {
    MPI_Message message;
    MPI_Status status;
    Blob blob;
    int error = MPI_SUCCESS;
    for (int found = 0; error == MPI_SUCCESS && !found;) {
        error = MPI_Improbe(from, tag, comm_->comm, &found, &message, &status);
        if (found) break;
        if (clock_.now() > deadline) {
            healthy_ = false;
            return fail(Errc::timed_out,
                        fmt::format("rank {} did not answer within {} ms while the session "
                                    "started: it died or is stuck",
                                    from, timeout_ns_ / 1'000'000),
                        NodeId{static_cast<std::uint32_t>(from)});
        }
        tasks_.yield();
    }
    if (error == MPI_SUCCESS) {
        int length = 0;
        MPI_Get_count(&status, MPI_BYTE, &length);
        blob.resize(static_cast<std::size_t>(length));
        MPI_Request request;
        error = MPI_Imrecv(blob.data(), length, MPI_BYTE, &message, &request);
        for (int finished = 0; error == MPI_SUCCESS && !finished;) {
            error = MPI_Test(&request, &finished, MPI_STATUS_IGNORE);
            if (finished) return blob;
            if (clock_.now() > deadline) break;
            tasks_.yield();
        }
    }
    healthy_ = false;
    return fail(Errc::transport, fmt::format("half a message from rank {}: {}", from,
                                             error ? mpi_text(error) : "it died"));
}

// Grows with the height of this rank's subtree.
Nanoseconds MpiBootstrap::gather_deadline() const {
    return deadline_ + level_slack_ns * static_cast<Nanoseconds>(children().size());
}

Result<std::map<int, Blob>> MpiBootstrap::gather(Result<Blob> own) {
    const int tag = ++round_;
    std::map<int, Blob> subtree;
    Result<void> good;
    if (own)
        subtree.emplace(rank_, std::move(*own));
    else
        good = tl::unexpected(std::move(own).error());
    for (int child : children()) {
        auto bytes = receive(child, tag, gather_deadline());
        Result<Blob> blob = bytes ? decode(*bytes, child, healthy_) : std::move(bytes);
        if (!blob) {
            if (good) good = tl::unexpected(std::move(blob).error());
            continue;
        }
        ByteReader in(*blob);
        while (in.ok() && !in.at_end()) {
            const auto rank = in.get<std::int32_t>();
            subtree.emplace(rank, in.get_blob());
        }
    }
    if (parent() >= 0) {
        ByteWriter out;
        for (const auto& [rank, blob] : subtree) {
            out.put(static_cast<std::int32_t>(rank));
            out.put_blob(blob);
        }
        Result<Blob> message = std::move(out).take();
        if (!good) message = tl::unexpected(good.error());
        SSI_TRY(send(parent(), tag, shared(encode(message, healthy_)),
                     gather_deadline() + level_slack_ns));
        // The failure comes back from the root, the same for everybody.
        return subtree;
    }
    if (!good) return tl::unexpected(std::move(good).error());
    return subtree;
}

Result<MpiBootstrap::FromParent> MpiBootstrap::scatter(Result<Blob> all,
                                                       const Blob& for_children) {
    const int tag = ++round_;
    FromParent result;
    if (parent() >= 0) {
        const int levels = 2 * (32 - std::countl_zero(static_cast<unsigned>(size_)));
        auto bytes = receive(parent(), tag, deadline_ + level_slack_ns * levels);
        Result<Blob> blob = bytes ? decode(*bytes, parent(), healthy_) : std::move(bytes);
        if (blob) {
            ByteReader in(*blob);
            result.all = in.get_blob();
            result.for_children = in.get_blob();
            all = result.all;
        } else {
            all = tl::unexpected(std::move(blob).error());
        }
    } else if (all) {
        result.all = *all;
    }
    Result<Blob> message = Blob{};
    if (all) {
        ByteWriter out;
        out.put_blob(*all);
        out.put_blob(for_children);
        message = std::move(out).take();
    } else {
        message = tl::unexpected(all.error());
    }
    const auto encoded = shared(encode(message, healthy_));
    for (int child : children()) {
        // A child that is dead or late must not keep the news from the others.
        const auto sent = send(child, tag, encoded, clock_.now() + level_slack_ns);
        if (!sent && all) all = tl::unexpected(sent.error());
    }
    if (!all) return tl::unexpected(std::move(all).error());
    return result;
}

Result<std::map<int, Blob>> MpiBootstrap::ring(const Blob& own) {
    const int tag = ++round_;
    std::map<int, Blob> neighbours;
    const int before = (rank_ + size_ - 1) % size_, after = (rank_ + 1) % size_;
    if (after == rank_) return neighbours;
    SSI_TRY(send(after, tag, shared(own), deadline_));
    if (before != after) SSI_TRY(send(before, tag, shared(own), deadline_));
    for (int from : {before, after}) {
        if (neighbours.contains(from)) continue;
        auto blob = receive(from, tag, deadline_);
        if (!blob) return tl::unexpected(std::move(blob).error());
        neighbours.emplace(from, std::move(*blob));
    }
    return neighbours;
}

void MpiBootstrap::finalize() {
    if (comm_->comm != MPI_COMM_NULL) MPI_Comm_free(&comm_->comm);
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (comm_->we_initialized && !finalized) MPI_Finalize();
}

}  // namespace ssi::node
