// SPDX-License-Identifier: BSD-3-Clause
// Linkers in C.
#include "ssi/kddm/linker.hpp"

#include <cstring>
#include <memory>
#include <span>
#include <string>

#include "call_inside.hpp"
#include "grown.hpp"
#include "ssi/kddm/record_file.hpp"

using namespace ssi;
using namespace ssi::capi;

namespace {

constexpr std::size_t max_name_bytes = 255;

// A Linker that asks the program's functions.
class FunctionsLinker final : public kddm::Linker {
public:
    explicit FunctionsLinker(const ssi_linker& functions) : functions_(functions) {}

    Result<std::size_t> fetch(kddm::ObjectView& object) override {
        Running state{&object, nullptr};
        const int number = run(functions_.fetch, object.id(), state);
        if (number == 0) return object.bytes().size();
        if (number == SSI_NO_OBJECT) return none;
        return failed(Errc::linker_failed, number, state);
    }
    Result<void> instantiate(kddm::ObjectView& object) override {
        Running state{&object, nullptr};
        return ask(functions_.instantiate, object.id(), state);
    }
    Result<void> write_back(ObjectId id, std::span<const std::byte> bytes) override {
        Running state{nullptr, nullptr};
        return ask(functions_.write_back, id, state, bytes);
    }
    Result<void> sync() override {
        Running state{nullptr, nullptr};
        return ask(functions_.sync, {}, state);
    }
    Result<void> remove(ObjectId id) override {
        Running state{nullptr, nullptr};
        return ask(functions_.remove, id, state);
    }
    Result<void> destroy() override {
        Running state{nullptr, nullptr};
        return ask(functions_.destroy, {}, state);
    }
    bool may_block() const override { return !functions_.never_blocks; }

private:
    int run(ssi_function function, ObjectId id, Running& state,
            std::span<const std::byte> arguments = {}) const {
        return run_function(function, functions_.context, id, state, arguments);
    }
    // NULL: there is nothing to do.
    Result<void> ask(ssi_function function, ObjectId id, Running& state,
                     std::span<const std::byte> arguments = {}) const {
        const int number = function ? run(function, id, state, arguments) : 0;
        if (number == 0) return {};
        return failed(Errc::linker_failed, number, state);
    }

    const ssi_linker functions_;
};

Result<void> check_registration(const ssi_session* session, const char* name) {
    SSI_TRY(need(session, "session"));
    SSI_TRY(need(name, "name"));
    const std::size_t length = std::strlen(name);
    if (length == 0 || length > max_name_bytes)
        return fail(Errc::invalid_argument, "the name of a linker has 1 to 255 bytes, not " +
                                                std::to_string(length));
    if (std::strcmp(name, "memory") == 0)
        return fail(Errc::invalid_argument, "the name 'memory' is that of no linker at all: take "
                                            "another one");
    return {};
}

Result<void> need_function(ssi_function function, const char* name) {
    return need(reinterpret_cast<const void*>(function), name);
}

}  // namespace

int ssi_register_linker(ssi_session* session, const char* name, const ssi_linker* linker) {
    return call([&]() -> Result<void> {
        SSI_TRY(check_registration(session, name));
        SSI_TRY(need(linker, "linker"));
        ssi_linker functions = SSI_LINKER_INIT;
        SSI_TRY(read_grown(linker, sizeof(ssi_linker), functions, "ssi_linker"));
        SSI_TRY(need_function(functions.fetch, "linker->fetch"));
        SSI_TRY(need_function(functions.write_back, "linker->write_back"));
        SSI_TRY(need_function(functions.remove, "linker->remove"));
        if (functions.reserved != 0)
            return fail(Errc::invalid_argument, "reserved is not 0: use SSI_LINKER_INIT");
        session->session.register_linker(name, std::make_shared<FunctionsLinker>(functions));
        return {};
    });
}

int ssi_register_record_file(ssi_session* session, const char* name, const char* path,
                             uint32_t record_bytes) {
    return call([&]() -> Result<void> {
        SSI_TRY(check_registration(session, name));
        SSI_TRY(need(path, "path"));
        return with(kddm::RecordFile::open(path, record_bytes),
                    [&](std::shared_ptr<kddm::RecordFile>& file) {
                        session->session.register_linker(name, std::move(file));
                    });
    });
}
