// SPDX-License-Identifier: BSD-3-Clause
// Settings and statistics.
#include <algorithm>
#include <string_view>

#include "handles.hpp"
#include "ssi/base/config.hpp"
#include "ssi/base/stats.hpp"
#include "ssi/node/control_verbs.hpp"
#include "ssi/node/node.hpp"

using namespace ssi;
using namespace ssi::capi;

namespace {

constexpr std::string_view histogram_suffix = "_seconds";

// Runs `use(config, setting)` for the setting of that key.
template <class Use>
int with_setting(const ssi_session* session, const char* key, const void* place,
                 Use&& use) noexcept {
    return call([&]() -> Result<void> {
        SSI_TRY(need(session, "session"));
        SSI_TRY(need(key, "key"));
        SSI_TRY(need(place, "the place for the value"));
        for (const Setting& setting : settings_table())
            if (std::string_view(key) == setting.key)
                return use(session->session.config(), setting);
        return fail(Errc::not_found, std::string("there is no setting '") + key +
                                         "': `ssi config` lists them");
    });
}

bool is_number(const Setting& setting) {
    return setting.type == SettingType::integer || setting.type == SettingType::boolean;
}

// What the Stats would end the process for.
Result<void> check_name(const char* name, bool histogram) {
    SSI_TRY(need(name, "name"));
    const std::string_view text(name);
    const auto fits = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    };
    if (text.empty() || text[0] < 'a' || text[0] > 'z' ||
        !std::all_of(text.begin(), text.end(), fits))
        return fail(Errc::invalid_argument, "the name '" + std::string(text) +
                                                "' is not of a-z, 0-9 and _, with a letter first");
    if (text.ends_with(histogram_suffix) != histogram)
        return fail(Errc::invalid_argument, "the name '" + std::string(text) +
                                                "': those of histograms end in _seconds, and only "
                                                "those");
    return {};
}

// Opens by `open(stats, labels)`, which returns a reference to a metric.
template <class Handle, class Open>
int open_metric(ssi_session* session, const char* name, const char* labels, bool histogram,
                Handle** handle, Open&& open) noexcept {
    if (handle) *handle = nullptr;
    return call([&]() -> Result<void> {
        SSI_TRY(need(session, "session"));
        SSI_TRY(check_name(name, histogram));
        SSI_TRY(need(handle, "the place for the handle"));
        *handle = reinterpret_cast<Handle*>(&open(session->session.stats(), labels ? labels : ""));
        return {};
    });
}

// A handle is the metric itself, as it lives as long as the session.
template <class Metric, class Handle, class Body>
int on(Handle* handle, const char* name, Body&& body) noexcept {
    return call([&]() -> Result<void> {
        SSI_TRY(need(handle, name));
        return body(*reinterpret_cast<Metric*>(handle));
    });
}

}  // namespace

int ssi_setting_i64(const ssi_session* session, const char* key, int64_t* value) {
    return with_setting(session, key, value,
                        [&](const Config& config, const Setting& setting) -> Result<void> {
                            if (!is_number(setting))
                                return fail(Errc::mismatch, std::string(key) + " is a text");
                            *value = setting.type == SettingType::boolean ? config.boolean(key)
                                                                          : config.integer(key);
                            return {};
                        });
}

int ssi_setting_text(const ssi_session* session, const char* key, const char** value) {
    return with_setting(session, key, value,
                        [&](const Config& config, const Setting& setting) -> Result<void> {
                            if (is_number(setting))
                                return fail(Errc::mismatch, std::string(key) + " is a number");
                            *value = config.text(key).c_str();
                            return {};
                        });
}

int ssi_setting_source(const ssi_session* session, const char* key, const char** source) {
    return with_setting(session, key, source,
                        [&](const Config& config, const Setting&) -> Result<void> {
                            *source = config.source(key).c_str();
                            return {};
                        });
}

int ssi_metrics(ssi_session* session, ssi_metrics_format format, char* text, size_t capacity,
                size_t* length) {
    return call([&]() -> Result<void> {
        SSI_TRY(need(session, "session"));
        if (capacity != 0) SSI_TRY(need(text, "text"));
        if (format != SSI_OPEN_METRICS && format != SSI_JSON)
            return fail(Errc::invalid_argument, "format is neither SSI_OPEN_METRICS nor SSI_JSON");
        session->session.internal_node().control().publish();
        const Stats& stats = session->session.stats();
        const std::string all = format == SSI_JSON ? stats.json() : stats.open_metrics();
        if (length) *length = all.size();
        auto copied = copy_out(std::as_bytes(std::span(all.c_str(), all.size() + 1)), text,
                               capacity, "the text with its zero byte");
        if (!copied && capacity != 0) text[capacity - 1] = '\0';
        return copied;
    });
}

int ssi_counter_open(ssi_session* session, const char* name, const char* labels,
                     ssi_counter** counter) {
    return open_metric(session, name, labels, false, counter,
                       [&](Stats& stats, const char* with) -> Counter& {
                           return stats.counter(name, with);
                       });
}
int ssi_counter_add(ssi_counter* counter, uint64_t n) {
    return on<Counter>(counter, "counter", [&](Counter& c) -> Result<void> {
        c.add(n);
        return {};
    });
}
int ssi_counter_set(ssi_counter* counter, uint64_t n) {
    return on<Counter>(counter, "counter", [&](Counter& c) -> Result<void> {
        c.set(n);
        return {};
    });
}
int ssi_counter_value(const ssi_counter* counter, uint64_t* value) {
    return on<const Counter>(counter, "counter", [&](const Counter& c) -> Result<void> {
        SSI_TRY(need(value, "value"));
        *value = c.value();
        return {};
    });
}

int ssi_histogram_open(ssi_session* session, const char* name, const char* labels,
                       ssi_histogram** histogram) {
    return open_metric(session, name, labels, true, histogram,
                       [&](Stats& stats, const char* with) -> Histogram& {
                           return stats.histogram(name, with);
                       });
}
int ssi_histogram_record(ssi_histogram* histogram, int64_t ns) {
    return on<Histogram>(histogram, "histogram", [&](Histogram& h) -> Result<void> {
        h.record(ns);
        return {};
    });
}
int ssi_histogram_count(const ssi_histogram* histogram, uint64_t* count) {
    return on<const Histogram>(histogram, "histogram", [&](const Histogram& h) -> Result<void> {
        SSI_TRY(need(count, "count"));
        *count = h.count();
        return {};
    });
}
int ssi_histogram_quantile(const ssi_histogram* histogram, double share, int64_t* ns) {
    return on<const Histogram>(histogram, "histogram", [&](const Histogram& h) -> Result<void> {
        SSI_TRY(need(ns, "ns"));
        if (!(share >= 0 && share <= 1))
            return fail(Errc::invalid_argument, "share is not between 0 and 1");
        *ns = h.quantile(share);
        return {};
    });
}
