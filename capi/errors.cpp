// SPDX-License-Identifier: BSD-3-Clause
// What is kept of a task, as its last error; the error table for C, and what else all verbs share.
#include <algorithm>
#include <cstring>
#include <string>

#include "handles.hpp"

namespace ssi::capi {
namespace {

struct LastError {
    std::string text;
    const char* shown = "";   // text, or a literal when there was no memory for a copy
    NodeId node = no_node;
    int sys_errno = 0;
};

// What this layer keeps of a task.
struct OfTask {
    LastError last;
    std::vector<Entered> entered;
};

sys::Task::Local& slot() { return sys::current_task().slot(sys::TaskLocalSlot::c_api); }

OfTask& of_task() {
    sys::Task::Local& local = slot();
    if (!local.value) {
        local.value = new OfTask;
        local.destroy = [](void* value) { delete static_cast<OfTask*>(value); };
    }
    return *static_cast<OfTask*>(local.value);
}

// NULL: this task has had none.
const LastError* last_error() {
    const auto* mine = static_cast<const OfTask*>(slot().value);
    return mine ? &mine->last : nullptr;
}

// Numbers that are no error read as `internal`, as in error_info.
const ErrorInfo& info(int error) {
    return error_info(error < 0 || error > 0xffff ? Errc::internal : static_cast<Errc>(error));
}

}  // namespace

int remember(const Failure& failure) noexcept {
    try {
        LastError& last = of_task().last;
        last.node = failure.node;
        last.sys_errno = failure.sys_errno;
        last.shown = error_info(failure.code).text;
        last.text = failure.to_string();
        last.shown = last.text.c_str();
    } catch (...) {   // the number still tells
    }
    return static_cast<int>(failure.code);
}

int remember(Errc code, const char* text) noexcept {
    try {
        return remember(Failure{code, 0, no_node, text});
    } catch (...) {
        return static_cast<int>(code);
    }
}

std::vector<Entered>& entered() { return of_task().entered; }

Result<void> copy_out(std::span<const std::byte> bytes, void* to, std::size_t capacity,
                      const char* what) {
    const std::size_t fits = std::min(bytes.size(), capacity);
    if (fits != 0) std::memcpy(to, bytes.data(), fits);
    if (fits == bytes.size()) return {};
    return fail(Errc::too_large, std::string(what) + " has " + std::to_string(bytes.size()) +
                                     " bytes, but there is room for " + std::to_string(capacity));
}

}  // namespace ssi::capi

using namespace ssi::capi;

const char* ssi_last_error(void) {
    const LastError* last = last_error();
    return last ? last->shown : "";
}

uint32_t ssi_last_error_node(void) {
    const LastError* last = last_error();
    return last ? last->node.value : SSI_NO_NODE;
}

int ssi_last_error_errno(void) {
    const LastError* last = last_error();
    return last ? last->sys_errno : 0;
}

const char* ssi_strerror(int error) { return info(error).text; }
const char* ssi_error_name(int error) { return info(error).name; }
int ssi_exit_code(int error) { return info(error).exit_code; }
const char* ssi_version(void) { return SSI_VERSION; }
