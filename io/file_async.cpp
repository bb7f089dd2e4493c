// SPDX-License-Identifier: BSD-3-Clause
// Operations of an open file in the background: each is inside the file until it has ended.
#include <cerrno>

#include "file_open.hpp"

namespace ssi::fs {
namespace {

template <class T>
Future<T> failed(Failure failure) {
    return {AsyncIo::failed(std::move(failure)), [](kddm::Pending& p) -> Result<T> {
                return tl::unexpected<Failure>(p.take_number().error());
            }};
}

// `check` says whether the file is open for it.
template <class Check, class Run>
Future<std::size_t> begin(File::Open* file, std::uint64_t offset, Check&& check, Run&& run) {
    if (offset > INT64_MAX) return failed<std::size_t>(refuse(EINVAL, "a negative offset").value());
    auto open = std::make_shared<const Inside>(file);
    if (Result<void> checked = check(*open); !checked)
        return failed<std::size_t>(std::move(checked).error());
    AsyncIo& async = (*open)->core->async();
    const std::uint64_t number = (*open)->number;
    return {async.begin(number, false,
                        [open = std::move(open), run = std::forward<Run>(run)] {
                            return run(*open);
                        }),
            [](kddm::Pending& p) -> Result<std::size_t> { return p.take_number(); }};
}

}  // namespace

// Without the stream of the file: its guesses are about who reads or writes in order.
Future<std::size_t> File::read_async(std::span<std::byte> out, std::uint64_t offset) {
    return begin(open_.get(), offset, check_reading,
                 [out, offset](const Inside& open) -> Result<std::uint64_t> {
                     return open->core->read(open->inode, offset, out, nullptr);
                 });
}

Future<std::size_t> File::write_async(std::span<const std::byte> bytes, std::uint64_t offset) {
    const auto who = open_ ? open_->who() : nullptr;   // of now
    return begin(open_.get(), offset, check_writing,
                 [bytes, offset, who](const Inside& open) -> Result<std::uint64_t> {
                     auto done = open->core->write(open->inode, offset, {&bytes, 1},
                                                   open->flags & O_APPEND, *who, nullptr);
                     if (done && open->flags & (O_SYNC | O_DSYNC))
                         SSI_TRY(open->core->sync(open->inode, open->volumes));
                     return done;
                 });
}

Future<void> File::sync_async() {
    auto open = std::make_shared<const Inside>(open_.get());
    if (!*open) return failed<void>(not_open().value());
    AsyncIo& async = (*open)->core->async();
    const std::uint64_t number = (*open)->number;
    auto body = [open = std::move(open)]() -> Result<std::uint64_t> {
        SSI_TRY((*open)->core->sync((*open)->inode, (*open)->volumes));
        return 0;
    };
    return {async.begin(number, true, std::move(body)), [](kddm::Pending& p) -> Result<void> {
                auto done = p.take_number();
                if (!done) return tl::unexpected<Failure>(std::move(done).error());
                return {};
            }};
}

}  // namespace ssi::fs
