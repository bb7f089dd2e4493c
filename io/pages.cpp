// SPDX-License-Identifier: BSD-3-Clause
#include "fs_pages.hpp"

#include <algorithm>
#include <cerrno>

#include "page_wire.hpp"
#include "pages_state.hpp"

namespace ssi::fs {

Result<void> write_shipped(kddm::ObjectView& page, std::span<const std::byte> arguments);

tl::unexpected<Failure> page_failure(Failure failure) {
    const bool of_disk = failure.code == Errc::linker_failed || failure.code == Errc::io ||
                         failure.code == Errc::lost || failure.code == Errc::peer_lost;
    if (failure.sys_errno == 0 && of_disk) failure.sys_errno = EIO;
    if (failure.sys_errno == 0 && failure.code == Errc::out_of_memory) failure.sys_errno = ENOMEM;
    if (failure.code == Errc::linker_failed) failure.code = Errc::io;
    return tl::unexpected<Failure>(std::move(failure));
}

void Pages::Impl::register_calls() {
    using Sort = io::Calls::Sort;
    using Bytes = std::span<const std::byte>;
    using Answer = Result<std::vector<std::byte>>;
    calls.handle(call_store, Sort::operation, [this](NodeId, Bytes arguments) -> Answer {
        SSI_TRY(answer_store(arguments));
        return std::vector<std::byte>();
    });
    calls.handle(call_commit, Sort::operation, [this](NodeId, Bytes) -> Answer {
        SSI_TRY(answer_commit());
        return std::vector<std::byte>();
    });
    calls.handle(call_write_back, Sort::operation, [this](NodeId, Bytes arguments) -> Answer {
        SSI_TRY(answer_store(arguments));
        SSI_TRY(answer_commit());
        return std::vector<std::byte>();
    });
    calls.handle(call_map, Sort::leaf,
                 [this](NodeId, Bytes arguments) { return answer_map(arguments); });
    calls.handle(call_copies, Sort::leaf,
                 [this](NodeId, Bytes arguments) { return answer_copies(arguments); });
    calls.handle(call_remove, Sort::operation,
                 [this](NodeId, Bytes arguments) { return answer_remove(arguments); });
    calls.handle(call_room, Sort::leaf, [this](NodeId from, Bytes arguments) {
        return answer_room(from, arguments);
    });
    engine.register_function(page_write_function, kddm::Run::inline_in_handler,
                             [](kddm::ObjectView& page, Bytes arguments, std::vector<std::byte>&) {
                                 return write_shipped(page, arguments);
                             });
}

Result<void> Pages::Impl::open() {
    kddm::SetOptions wanted;
    wanted.kind = kddm::ObjectKind::variable;
    wanted.memory_bytes = options.cache_bytes;
    auto keeping = volumes.keep(pages_set, wanted, io::KeptIn::data, slot_of_page);
    if (!keeping) return tl::unexpected<Failure>(std::move(keeping).error());
    auto opened = engine.create_or_open(pages_set, *keeping);
    if (!opened) return tl::unexpected<Failure>(std::move(opened).error());
    set = *opened;
    kept = io::Volumes::number_of(pages_set);
    task = node.doors().tasks.spawn("page write-back", [this] { run_background(); });
    behind_task = node.doors().tasks.spawn("page write-behind", [this] { run_behind(); });
    return {};
}

Result<Pages::Impl::Logs> Pages::Impl::logs() const {
    auto hold = volumes.hold();
    if (!hold) return tl::unexpected<Failure>(std::move(hold).error());
    Logs out{std::move(*hold), {}};
    for (std::uint32_t volume = 0; volume < volumes.volumes().size(); ++volume)
        out.of.push_back(volumes.log(volume, io::KeptIn::data));
    return out;
}

std::vector<NodeId> Pages::Impl::homes_of(Layout layout) const {
    std::vector<NodeId> homes;
    for (std::uint64_t turn = 0; turn < std::max<std::uint64_t>(layout.count, 1); ++turn)
        homes.push_back(home_of(page_id(no_inode, layout, turn << layout.unit_shift)));
    std::ranges::sort(homes);
    homes.erase(std::unique(homes.begin(), homes.end()), homes.end());
    return homes;
}

Pages::Pages(node::Node& node, kddm::Engine& engine, io::Volumes& volumes, io::Calls& calls,
             PagesOptions options)
    : impl_(std::make_unique<Impl>(node, engine, volumes, calls, options)) {
    impl_->register_calls();
}
Pages::~Pages() { stop(); }

Result<void> Pages::open() { return impl_->open(); }
void Pages::stop() { impl_->stop(); }
kddm::RawSet& Pages::set() { return impl_->set; }

Result<void> Pages::read(InodeId inode, Layout layout, std::uint64_t offset,
                         std::span<std::byte> out, Stream* stream) {
    return impl_->read({inode, layout}, offset, out, stream);
}
Result<void> Pages::write(InodeId inode, Layout layout, std::uint64_t offset,
                          std::span<const std::byte> bytes, Stream* stream) {
    return impl_->write({inode, layout}, offset, bytes, stream);
}
Result<void> Pages::zero(InodeId inode, Layout layout, std::uint64_t offset,
                         std::uint64_t length) {
    return impl_->zero({inode, layout}, offset, length);
}
Result<void> Pages::sync(InodeId inode, Layout layout) { return impl_->sync({inode, layout}); }
Result<void> Pages::sync_all() { return impl_->sync_all(); }

Result<void> Pages::drop_caches() {
    SSI_TRY(impl_->sync_all());
    if (auto dropped = impl_->set.drop_unused(); !dropped)
        return page_failure(std::move(dropped).error());
    return {};
}

}  // namespace ssi::fs
