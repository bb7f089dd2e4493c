// SPDX-License-Identifier: BSD-3-Clause
#include "control_protocol.hpp"

#include <fmt/format.h>

namespace ssi::node {
namespace {

Errc code_named(std::string_view name) {
    for (const ErrorInfo& info : error_table())
        if (name == info.name) return info.code;
    return Errc::internal;
}

}  // namespace

Result<JsonValue> parse_request(std::string_view line) {
    auto request = JsonValue::parse(line);
    if (!request) return tl::unexpected(std::move(request).error());
    if (!request->is_object()) return fail(Errc::parse, "a request is one JSON object on a line");
    if (const JsonValue* version = request->find("v"); version && version->u64() != control_version)
        return fail(Errc::unsupported,
                    fmt::format("version {} of the control protocol; this node speaks {}",
                                version->to_text(), control_version));
    if (request->text_of("verb").empty())
        return fail(Errc::invalid_argument, "a request needs a \"verb\", such as \"ping\"");
    return request;
}

std::string reply_line(const Result<std::string>& value) {
    Json json;
    json.object().field("v", control_version).field("ok", value.has_value());
    if (value) {
        if (value->size() + 64 > max_control_reply_bytes)
            return reply_line(fail(Errc::too_large,
                                   fmt::format("a reply of {} bytes: the limit is {}",
                                               value->size(), max_control_reply_bytes)));
        json.raw_field("value", *value);
    } else {
        const Failure& failure = value.error();
        json.object("error")
            .field("code", error_info(failure.code).name)
            .field("errno", failure.sys_errno)
            .field("text", failure.text);
        if (failure.node != no_node) json.field("node", failure.node.value);
        json.end();
    }
    return json.end().text() + "\n";
}

Result<JsonValue> parse_reply(std::string_view line) {
    auto reply = JsonValue::parse(line);
    if (!reply || !reply->is_object() || reply->u64_of("v") != control_version)
        return fail(Errc::bad_message, "the node's reply is not of version 1 of the control "
                                       "protocol");
    if (reply->boolean_of("ok")) {
        const JsonValue* value = reply->find("value");
        if (!value) return fail(Errc::bad_message, "the node's reply has no value");
        return *value;
    }
    const JsonValue none;
    const JsonValue* error = reply->find("error");
    if (!error) error = &none;
    Failure failure;
    failure.code = code_named(error->text_of("code"));
    failure.sys_errno = static_cast<int>(error->u64_of("errno"));
    failure.node = NodeId{static_cast<std::uint32_t>(error->u64_of("node", no_node.value))};
    failure.text = error->text_of("text", "a failure without a text");
    return tl::unexpected(std::move(failure));
}

}  // namespace ssi::node
