// SPDX-License-Identifier: BSD-3-Clause
// ControlVerbs: what a node answers on its control socket. Each layer adds its verbs, and the file
// descriptors it hands out, where it is made, and removes them where it ends. A table and no more:
// ControlServer (private) is the socket, and under the simulator there is none. The protocol:
// docs/formats/control.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ssi/base/json.hpp"
#include "ssi/base/result.hpp"
#include "ssi/node/owned_fd.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::node {

// Limits of the protocol, newlines included.
inline constexpr std::size_t max_control_request_bytes = 64u << 10;
inline constexpr std::size_t max_control_reply_bytes = 4u << 20;

// Gets the whole request object, returns one JSON value as text. Runs on the control task: it may
// take locks that are held for short, but not wait for other nodes or tasks.
using ControlHandler = std::function<Result<std::string>(const JsonValue& request)>;

// `fd` stays the provider's: it is duplicated before the provider's next call or removal.
struct ControlFd {
    int fd = -1;
    std::string value = "{}";  // JSON that goes with it, such as its size
};
using FdProvider = std::function<Result<ControlFd>(const JsonValue& request)>;

enum class ControlNeeds : std::uint8_t {
    user,  // any process of the node's user, or of root
    key,   // also the session's key: for the other nodes of the session
};

struct ControlAnswer {
    Result<std::string> value;  // JSON
    OwnedFd fd;
};

// Thread-safe. A verb runs in one call at a time; remove() waits for a call that is under way, so
// it must not be called by the handler itself.
class ControlVerbs {
public:
    // A name that is taken asserts.
    void add(std::string_view verb, ControlHandler handler,
             ControlNeeds needs = ControlNeeds::user);
    void remove(std::string_view verb);
    // Answers {"verb":"fd","name":...}, which needs the session's key.
    void add_fd(std::string_view name, FdProvider provider);
    void remove_fd(std::string_view name);
    // Called before statistics are read: copies what a layer counts by itself into the Stats.
    void add_publisher(std::string_view name, std::function<void()> publish);
    void remove_publisher(std::string_view name);
    void publish();

    // Hexadecimal; empty (until it is set): whatever needs a key is refused.
    void set_key(std::string key);
    std::string key() const;   // to ask other nodes of the session; never for the log

    // Never throws; an exception of a handler becomes Errc::internal.
    ControlAnswer call(const JsonValue& request);
    std::vector<std::string> names() const;

private:
    using Handler = std::function<Result<ControlAnswer>(const JsonValue&)>;
    struct Entry {
        ControlNeeds needs;
        sys::Mutex running;  // of handler: a removed one is empty
        Handler handler;
    };
    using Table = std::map<std::string, std::shared_ptr<Entry>, std::less<>>;
    void insert(Table& table, std::string_view name, ControlNeeds needs, Handler handler);
    void erase(Table& table, std::string_view name);
    std::shared_ptr<Entry> find(const Table& table, std::string_view name) const;
    bool knows_key(const JsonValue& request) const;

    mutable sys::Mutex mutex_;  // of all below
    Table verbs_;
    Table fds_;
    Table publishers_;
    std::string key_;
};

// Equal, compared in a time that does not tell where they differ.
bool same_secret(std::string_view a, std::string_view b);

}  // namespace ssi::node
