// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/node/control_verbs.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <exception>
#include <mutex>

#include "ssi/base/assert.hpp"

namespace ssi::node {

bool same_secret(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    unsigned difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i)
        difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
    return difference == 0;
}

void ControlVerbs::insert(Table& table, std::string_view name, ControlNeeds needs,
                          Handler handler) {
    auto entry = std::make_shared<Entry>();
    entry->needs = needs;
    entry->handler = std::move(handler);
    std::lock_guard lock(mutex_);
    const bool fresh = table.emplace(std::string(name), std::move(entry)).second;
    SSI_ASSERT(fresh, "this name is registered already: remove it first, or choose another");
}

void ControlVerbs::erase(Table& table, std::string_view name) {
    std::shared_ptr<Entry> entry;
    {
        std::lock_guard lock(mutex_);
        const auto at = table.find(name);
        if (at == table.end()) return;
        entry = std::move(at->second);
        table.erase(at);
    }
    std::lock_guard running(entry->running);
    entry->handler = nullptr;
}

std::shared_ptr<ControlVerbs::Entry> ControlVerbs::find(const Table& table,
                                                        std::string_view name) const {
    std::lock_guard lock(mutex_);
    const auto at = table.find(name);
    return at == table.end() ? nullptr : at->second;
}

void ControlVerbs::add(std::string_view verb, ControlHandler handler, ControlNeeds needs) {
    SSI_ASSERT(verb != "fd", "the verb fd is add_fd's");
    insert(verbs_, verb, needs,
           [handler = std::move(handler)](const JsonValue& request) -> Result<ControlAnswer> {
               return ControlAnswer{handler(request), {}};
           });
}

void ControlVerbs::remove(std::string_view verb) { erase(verbs_, verb); }

void ControlVerbs::add_fd(std::string_view name, FdProvider provider) {
    insert(fds_, name, ControlNeeds::key,
           [provider = std::move(provider)](const JsonValue& request) -> Result<ControlAnswer> {
               auto given = provider(request);
               if (!given) return tl::unexpected(std::move(given).error());
               OwnedFd copy(fcntl(given->fd, F_DUPFD_CLOEXEC, 0));
               if (!copy) return fail_errno(Errc::io, errno, "the descriptor cannot be copied");
               return ControlAnswer{std::move(given->value), std::move(copy)};
           });
}

void ControlVerbs::remove_fd(std::string_view name) { erase(fds_, name); }

void ControlVerbs::add_publisher(std::string_view name, std::function<void()> publish) {
    insert(publishers_, name, ControlNeeds::user,
           [publish = std::move(publish)](const JsonValue&) -> Result<ControlAnswer> {
               publish();
               return ControlAnswer{std::string(), {}};
           });
}

void ControlVerbs::remove_publisher(std::string_view name) { erase(publishers_, name); }

void ControlVerbs::publish() {
    std::vector<std::shared_ptr<Entry>> all;
    {
        std::lock_guard lock(mutex_);
        for (const auto& [name, entry] : publishers_) all.push_back(entry);
    }
    for (const auto& entry : all) {
        std::lock_guard running(entry->running);
        if (entry->handler) (void)entry->handler(JsonValue());
    }
}

void ControlVerbs::set_key(std::string key) {
    std::lock_guard lock(mutex_);
    key_ = std::move(key);
}

std::string ControlVerbs::key() const {
    std::lock_guard lock(mutex_);
    return key_;
}

bool ControlVerbs::knows_key(const JsonValue& request) const {
    std::lock_guard lock(mutex_);
    return !key_.empty() && same_secret(request.text_of("key"), key_);
}

std::vector<std::string> ControlVerbs::names() const {
    std::lock_guard lock(mutex_);
    std::vector<std::string> names{"fd"};
    for (const auto& [name, entry] : verbs_) names.push_back(name);
    return names;
}

ControlAnswer ControlVerbs::call(const JsonValue& request) {
    const std::string verb(request.text_of("verb"));
    const std::string name(request.text_of("name"));
    const bool wants_fd = verb == "fd";
    if (wants_fd && !knows_key(request))
        return {fail(Errc::invalid_argument, "this verb needs the session's key"), {}};
    const auto entry = wants_fd ? find(fds_, name) : find(verbs_, verb);
    const auto unknown = [&]() -> ControlAnswer {
        if (wants_fd)
            return {fail(Errc::not_found,
                         fmt::format("this node hands out no file descriptor '{}'", name)),
                    {}};
        return {fail(Errc::not_found,
                     fmt::format("no verb '{}'; there are: {}", verb, fmt::join(names(), ", "))),
                {}};
    };
    if (!entry) return unknown();
    if (entry->needs == ControlNeeds::key && !knows_key(request))
        return {fail(Errc::invalid_argument, "this verb needs the session's key"), {}};
    std::lock_guard running(entry->running);
    if (!entry->handler) return unknown();  // removed meanwhile
    try {
        auto answer = entry->handler(request);
        if (answer) return std::move(*answer);
        return {tl::unexpected(std::move(answer).error()), {}};
    } catch (const std::exception& error) {
        return {fail(Errc::internal, fmt::format("verb '{}': {}", verb, error.what())), {}};
    } catch (...) {
        return {fail(Errc::internal, fmt::format("verb '{}' threw", verb)), {}};
    }
}

}  // namespace ssi::node
