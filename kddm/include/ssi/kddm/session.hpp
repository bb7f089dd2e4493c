// SPDX-License-Identifier: BSD-3-Clause
// Session: what an application holds. Start here.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "ssi/kddm/linker.hpp"
#include "ssi/kddm/set.hpp"

namespace ssi {

class Config;
class Stats;

namespace node {
class Node;
}

enum class Reduce : std::uint8_t { sum, min, max };

// One membership of this process in a session. Construction and close() are collective. Functions
// throw ssi::Error unless they return Result; all but construction and close are thread-safe.
class Session {
public:
    // Starts MPI when the application has not; takes --ssi-* arguments out of argv.
    Session(int& argc, char** argv);
    // Over a communicator of the application: pass the address of an MPI_Comm (as const void* so
    // that <mpi.h> stays out of this header). MPI may have been initialised at any thread level.
    static Session from_mpi(const void* mpi_comm);
    Session(Session&&) noexcept;
    Session& operator=(Session&&) noexcept;   // closes the one it replaces
    // Closes; a failure is logged. When an exception is what ends it, it waits 2 s for the others
    // to end theirs and then leaves without them: they hear that this node is lost.
    ~Session();

    // Opens the set of that name, creating it when it is new. Not collective: each node opens it
    // when it needs it. mismatch when it exists with other options.
    template <class T>
    kddm::Set<T> set(std::string_view name, kddm::SetOptions options = {}) {
        if constexpr (kddm::is_raw_object<T>) {
            options.kind = kddm::ObjectKind::fixed;
            options.object_bytes = sizeof(T);
        } else {
            options.kind = kddm::ObjectKind::typed;
            options.object_bytes = 0;
        }
        return kddm::Set<T>(value_or_throw(raw_set(name, options)));
    }
    Result<kddm::RawSet> raw_set(std::string_view name, const kddm::SetOptions& options);
    Result<kddm::RawSet> open(std::string_view name);   // not_found when nobody created it
    Result<void> destroy(std::string_view name);        // its objects are gone everywhere

    // Before the first use, on every node, under the same name.
    void register_function(std::string_view name, kddm::Run run, kddm::ShippedFunction function);
    void register_placement(std::string_view name, kddm::PlacementFunction function);
    void register_linker(std::string_view name, std::shared_ptr<kddm::Linker> linker);

    NodeId node() const;
    int rank() const;   // 0 .. size()-1, this release: the MPI rank
    int size() const;

    // Collective: every node calls the same ones in the same order, from one task. Let go of
    // guards first: who waits for your object does not come. peer_lost when a node is dead,
    // mismatch when one calls another.
    void barrier();
    void broadcast(int root, std::vector<std::byte>& bytes);
    double reduce(double value, Reduce op);                      // the same result on every node
    std::uint64_t reduce(std::uint64_t value, Reduce op);
    std::int64_t reduce(std::int64_t value, Reduce op);
    template <std::integral T>
    T reduce(T value, Reduce op) {   // narrower integers; a sum that does not fit wraps
        using Wide = std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>;
        return static_cast<T>(reduce(Wide{value}, op));
    }

    const Config& config() const;
    Stats& stats();
    node::Node& internal_node();

    // Collective; must be last. Objects not saved elsewhere are gone.
    Result<void> close();

    // The exit code of the program: `code`, or peer_lost's (50) after a loss. After a loss, and
    // when an exception ended this node's session but not the others', it leaves by _exit, because
    // MPI_Finalize would hang or kill the survivors.
    [[noreturn]] static void exit(int code);

private:
    struct Impl;
    void end() noexcept;
    explicit Session(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace ssi
