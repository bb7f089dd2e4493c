// SPDX-License-Identifier: BSD-3-Clause
// Shipped functions in C.
#include <span>
#include <string>

#include "call_inside.hpp"

using namespace ssi;
using namespace ssi::capi;

namespace {

constexpr std::size_t max_reply_bytes = 64u << 10;

Result<Running*> running(ssi_call* c) {
    SSI_TRY(need(c, "call"));
    SSI_TRY(need(c->opaque[0], "call->opaque (calls are made by libssi)"));
    return static_cast<Running*>(c->opaque[0]);
}

Result<void> run(ssi_function function, void* context, kddm::ObjectView& view,
                 std::span<const std::byte> arguments, std::vector<std::byte>& reply) {
    Running state{&view, &reply};
    const int number = run_function(function, context, view.id(), state, arguments);
    if (number == 0) return {};
    return failed(Errc::function_failed, number, state);
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
        kddm::ObjectView* view = (*state)->view;
        if (!view) return fail(Errc::invalid_argument, "this call has no object to resize");
        SSI_TRY(view->resize(size));
        show(*c, *view);
        return {};
    });
}

int ssi_call_reply(ssi_call* c, const void* bytes, size_t length) {
    return call([&]() -> Result<void> {
        const auto state = running(c);
        if (!state) return tl::unexpected<Failure>(state.error());
        if (length != 0) SSI_TRY(need(bytes, "bytes"));
        if (!(*state)->reply)
            return fail(Errc::invalid_argument, "nobody waits for a reply: linkers have none");
        std::vector<std::byte>& reply = *(*state)->reply;
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
