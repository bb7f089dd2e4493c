// SPDX-License-Identifier: BSD-3-Clause
// Session: what an application holds. Start here.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "ssi/kddm/barrier.hpp"
#include "ssi/kddm/channel.hpp"
#include "ssi/kddm/condition.hpp"
#include "ssi/kddm/mutex.hpp"
#include "ssi/kddm/linker.hpp"
#include "ssi/kddm/set.hpp"
#include "ssi/kddm/shared_mutex.hpp"

namespace ssi {

class Config;
class Stats;

namespace node {
class Node;
}

enum class Reduce : std::uint8_t { sum, min, max };

template <class T>
concept RawValue = std::is_trivially_copyable_v<T> && !std::is_const_v<T>;

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
        return kddm::Set<T>(value_or_throw(raw_set(name, kddm::options_of<T>(options))));
    }
    Result<kddm::RawSet> raw_set(std::string_view name, const kddm::SetOptions& options);
    Result<kddm::RawSet> open(std::string_view name);   // not_found when nobody created it
    Result<void> destroy(std::string_view name);        // its objects are gone everywhere

    // Before the first use, on every node, under the same name.
    void register_function(std::string_view name, kddm::Run run, kddm::ShippedFunction function);
    void register_placement(std::string_view name, kddm::PlacementFunction function);
    // A placement by a table of homes, see kddm::Engine::register_homes.
    Result<void> register_homes(std::string_view name, std::vector<NodeId> homes,
                                kddm::PlacementFunction slot_of = nullptr);
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

    // Collective, on spans of trivially copyable values of any length, over trees; the same length
    // everywhere, else mismatch. `root` is a rank.
    template <RawValue T>
    void broadcast(int root, std::span<T> values) {
        raw_broadcast(root, std::as_writable_bytes(values));
    }
    template <RawValue T>
    void broadcast(int root, T& value) {
        broadcast(root, std::span(&value, 1));
    }
    // `op` is a Reduce, or a function (T, T) -> T, associative; it is applied in the order of the
    // tree, always the same. Only the root gets the result; others lose their values.
    template <RawValue T, class Op>
    void reduce(int root, std::span<T> values, Op op) {
        raw_reduce(root, std::as_writable_bytes(values), sizeof(T), &combine<T, Op>, &op);
    }
    template <RawValue T, class Op>
    void all_reduce(std::span<T> values, Op op) {
        reduce(everybody, values, std::move(op));
    }
    template <RawValue T, class Op>
    T all_reduce(T value, Op op) {
        all_reduce(std::span(&value, 1), std::move(op));
        return value;
    }
    // What all ranks gave, in the order of ranks; empty on ranks that are not the root.
    template <RawValue T>
    std::vector<T> gather(int root, std::span<const T> mine) {
        std::vector<T> all(rank() == root || root == everybody
                               ? mine.size() * static_cast<std::size_t>(size()) : 0);
        raw_gather(root, std::as_bytes(mine), std::as_writable_bytes(std::span(all)));
        return all;
    }
    template <RawValue T>
    std::vector<T> all_gather(std::span<const T> mine) {
        return gather(everybody, mine);
    }
    template <RawValue T>
    std::vector<T> all_gather(const T& mine) {
        return all_gather(std::span(&mine, 1));
    }

    // Synchronisation objects of the session, by name: the same name is the same object on every
    // node and in every thread. Handles are cheap to copy and valid until close().
    Mutex mutex(std::string_view name);
    SharedMutex shared_mutex(std::string_view name);
    Condition condition(std::string_view name);
    Barrier barrier(std::string_view name, std::uint32_t participants);   // tasks, anywhere
    // mismatch when it exists with another capacity, or for a type of another size.
    template <class T>
    Channel<T> channel(std::string_view name, ChannelOptions options = {}) {
        return Channel<T>(raw_channel(name, options, Channel<T>::type));
    }

    const Config& config() const;
    Stats& stats();
    node::Node& internal_node();
    kddm::Engine& internal_engine();
    kddm::sync::Hub& internal_hub();

    // Collective; must be last. Objects not saved elsewhere are gone.
    Result<void> close();

    // The exit code of the program: `code`, or peer_lost's (50) after a loss. After a loss, and
    // when an exception ended this node's session but not the others', it leaves by _exit, because
    // MPI_Finalize would hang or kill the survivors.
    [[noreturn]] static void exit(int code);

private:
    struct Impl;
    void end() noexcept;
    static constexpr int everybody = -1;
    void raw_broadcast(int root, std::span<std::byte> bytes);
    void raw_reduce(int root, std::span<std::byte> values, std::size_t element_bytes,
                    void (*combine)(std::byte*, const std::byte*, std::size_t, void*), void* op);
    void raw_gather(int root, std::span<const std::byte> mine, std::span<std::byte> all);
    template <class T, class Op>
    static T combined(const T& a, const T& b, Op& op) {
        if constexpr (!std::is_same_v<Op, Reduce>)
            return op(a, b);
        else if (op == Reduce::sum)
            return static_cast<T>(a + b);
        else
            return (op == Reduce::min) == (b < a) ? b : a;
    }
    template <class T, class Op>
    static void combine(std::byte* into, const std::byte* from, std::size_t count, void* op) {
        for (std::size_t i = 0; i < count; ++i) {
            std::array<std::byte, sizeof(T)> a, b;
            std::memcpy(a.data(), into + i * sizeof(T), sizeof(T));
            std::memcpy(b.data(), from + i * sizeof(T), sizeof(T));
            const T result = combined(std::bit_cast<T>(a), std::bit_cast<T>(b),
                                      *static_cast<Op*>(op));
            std::memcpy(into + i * sizeof(T), &result, sizeof(T));
        }
    }
    kddm::sync::Object& raw_channel(std::string_view name, ChannelOptions options,
                                    std::uint64_t type);
    explicit Session(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace ssi
