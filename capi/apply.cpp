// SPDX-License-Identifier: BSD-3-Clause
// Shipped functions in C.
#include <span>
#include <string>

#include "handles.hpp"

using namespace ssi;
using namespace ssi::capi;

namespace {

constexpr std::size_t max_reply_bytes = 64u << 10;

// What ssi_call::opaque[0] points to while the function runs.
struct Running {
    kddm::ObjectView& view;
    std::vector<std::byte>& reply;
    std::string text;
};

Result<Running*> running(ssi_call* c) {
    SSI_TRY(need(c, "call"));
    SSI_TRY(need(c->opaque[0], "call->opaque (calls are made by libssi)"));
    return static_cast<Running*>(c->opaque[0]);
}

void show(ssi_call& c, kddm::ObjectView& view) {
    const std::span<std::byte> bytes = view.bytes();
    c.data = bytes.data();
    c.size = bytes.size();
}

// The engine puts the function's name and its node in front of the text, and catches exceptions.
Result<void> run(ssi_function function, void* context, kddm::ObjectView& view,
                 std::span<const std::byte> arguments, std::vector<std::byte>& reply) {
    Running state{view, reply, {}};
    ssi_call c{c_id(view.id()), nullptr, 0, arguments.data(), arguments.size(), {&state, nullptr}};
    show(c, view);
    const int result = function(&c, context);
    if (result == 0) return {};
    if (state.text.empty()) state.text = "it returned " + std::to_string(result);
    return fail(Errc::function_failed, std::move(state.text));
}

}  // namespace

int ssi_register_function(ssi_session* session, const char* name, ssi_run run_where,
                          ssi_function function, void* context) {
    return call([&]() -> Result<void> {
        SSI_TRY(need(session, "session"));
        SSI_TRY(need(name, "name"));
        SSI_TRY(need(reinterpret_cast<const void*>(function), "function"));
        if (run_where != SSI_INLINE && run_where != SSI_EXECUTOR)
            return fail(Errc::invalid_argument, "run is neither SSI_INLINE nor SSI_EXECUTOR");
        session->session.register_function(
            name,
            run_where == SSI_INLINE ? kddm::Run::inline_in_handler : kddm::Run::on_executor,
            [function, context](kddm::ObjectView& view, std::span<const std::byte> arguments,
                                std::vector<std::byte>& reply) {
                return run(function, context, view, arguments, reply);
            });
        return {};
    });
}

int ssi_call_resize(ssi_call* c, size_t size) {
    return call([&]() -> Result<void> {
        const auto state = running(c);
        if (!state) return tl::unexpected<Failure>(state.error());
        SSI_TRY((*state)->view.resize(size));
        show(*c, (*state)->view);
        return {};
    });
}

int ssi_call_reply(ssi_call* c, const void* bytes, size_t length) {
    return call([&]() -> Result<void> {
        const auto state = running(c);
        if (!state) return tl::unexpected<Failure>(state.error());
        if (length != 0) SSI_TRY(need(bytes, "bytes"));
        std::vector<std::byte>& reply = (*state)->reply;
        if (length > max_reply_bytes - reply.size())
            return fail(Errc::too_large, "a reply has at most 64 KiB");
        const auto* first = static_cast<const std::byte*>(bytes);
        reply.insert(reply.end(), first, first + length);
        return {};
    });
}

void ssi_call_text(ssi_call* c, const char* text) {
    (void)call([&]() -> Result<void> {
        const auto state = running(c);
        if (state && text) (*state)->text = text;
        return {};
    });
}

int ssi_apply(ssi_set* set, ssi_object_id id, const char* function, const void* arguments,
              size_t arguments_size, void* reply, size_t capacity, size_t* length) {
    return call([&]() -> Result<void> {
        SSI_TRY(need(set, "set"));
        SSI_TRY(need(function, "function"));
        if (arguments_size != 0) SSI_TRY(need(arguments, "arguments"));
        if (capacity != 0) SSI_TRY(need(reply, "reply"));
        const std::span given(static_cast<const std::byte*>(arguments), arguments_size);
        const auto answer = set->raw.apply(object(id), function, given);
        if (!answer) return tl::unexpected<Failure>(answer.error());
        if (length) *length = answer->size();
        return copy_out(*answer, reply, capacity, "the reply");
    });
}
