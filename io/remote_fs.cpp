// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/io/remote_fs.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "remote_wire.hpp"
#include "ssi/base/error.hpp"
#include "ssi/node/control_client.hpp"

namespace ssi::fs {

using remote::Call;

class RemoteConnection {
public:
    RemoteConnection(node::OwnedFd socket, std::string name)
        : socket_(std::move(socket)), name_(std::move(name)) {}

    Result<std::vector<std::byte>> call(Call call, std::span<const std::byte> body) {
        const remote::RequestHeader request{static_cast<std::uint32_t>(body.size()), call};
        remote::ReplyHeader reply;
        if (!remote::send_all(socket_.get(), std::as_bytes(std::span(&request, 1))) ||
            !remote::send_all(socket_.get(), body) ||
            !remote::receive_all(socket_.get(), std::as_writable_bytes(std::span(&reply, 1))))
            return gone();
        std::vector<std::byte> out(reply.body_bytes);
        if (!remote::receive_all(socket_.get(), out)) return gone();
        if (reply.code == 0) return out;
        return tl::unexpected(Failure{static_cast<Errc>(reply.code), reply.sys_errno,
                                      NodeId(reply.node),
                                      {reinterpret_cast<const char*>(out.data()), out.size()}});
    }
    Result<void> change(Call call, const Writer& body) {
        auto done = this->call(call, body.bytes());
        if (!done) return tl::unexpected<Failure>(std::move(done).error());
        return {};
    }
    // What `read` makes of the reply; bad_message when that is not whole.
    template <class Read>
    auto ask(Call call, const Writer& body, Read&& read)
        -> Result<decltype(read(std::declval<Reader&>()))> {
        auto done = this->call(call, body.bytes());
        if (!done) return tl::unexpected<Failure>(std::move(done).error());
        Reader in(*done);
        auto value = read(in);
        if (!in.ok()) return fail(Errc::bad_message, name_ + ": a malformed reply");
        return value;
    }
    template <class T, class Read>
    Result<std::vector<T>> ask_list(Call call, const Writer& body, Read&& read) {
        return ask(call, body, [&](Reader& in) {
            std::vector<T> all;
            for (auto left = in.get<std::uint32_t>(); left > 0 && in.ok(); --left)
                all.push_back(read(in));
            return all;
        });
    }

private:
    tl::unexpected<Failure> gone() const {
        return fail(Errc::io, name_ + ": the session has closed its file system, or has ended");
    }
    node::OwnedFd socket_;
    const std::string name_;
};

// -- RemoteFile

RemoteFile::~RemoteFile() {
    (void)connection_->call(Call::close, Writer().put(handle_).bytes());
}

Result<std::size_t> RemoteFile::pread(std::span<std::byte> out, std::uint64_t offset) {
    std::size_t done = 0;
    while (done < out.size()) {
        const auto length = static_cast<std::uint32_t>(
            std::min<std::size_t>(out.size() - done, remote::most_data));
        auto got = connection_->call(
            Call::read, Writer().put(handle_).put(offset + done).put(length).bytes());
        if (!got) return tl::unexpected<Failure>(std::move(got).error());
        if (got->size() > length) return fail(Errc::bad_message, "a reply longer than was asked");
        std::ranges::copy(*got, out.begin() + static_cast<std::ptrdiff_t>(done));
        done += got->size();
        if (got->size() < length) break;
    }
    return done;
}

Result<void> RemoteFile::pwrite(std::span<const std::byte> bytes, std::uint64_t offset) {
    while (!bytes.empty()) {
        const auto now = bytes.first(std::min(bytes.size(), remote::most_data));
        auto done = connection_->ask(Call::write, Writer().put(handle_).put(offset).block(now),
                                     [](Reader& in) { return in.get<std::uint64_t>(); });
        if (!done) return tl::unexpected<Failure>(std::move(done).error());
        if (*done != now.size()) return fail(Errc::io, "a write was cut short");
        bytes = bytes.subspan(now.size());
        offset += now.size();
    }
    return {};
}

Result<void> RemoteFile::truncate(std::uint64_t size) {
    return connection_->change(Call::truncate, Writer().put(handle_).put(size));
}
Result<Attributes> RemoteFile::stat() {
    return connection_->ask(Call::file_stat, Writer().put(handle_), remote::get_attributes);
}
Result<std::vector<Extent>> RemoteFile::extents() {
    return connection_->ask_list<Extent>(Call::extents, Writer().put(handle_),
                                         remote::get_extent);
}

// -- RemoteFileSystem

Result<std::unique_ptr<RemoteFileSystem>> RemoteFileSystem::open(const std::string& socket,
                                                                 std::string_view key) {
    auto client = node::ControlClient::connect(socket);
    if (!client) return tl::unexpected<Failure>(std::move(client).error());
    auto reply = client->request_fd(remote::socket_name, key);
    if (!reply) return tl::unexpected<Failure>(std::move(reply).error());
    if (const auto version = reply->value.u64_of("version"); version != remote::version)
        return fail(Errc::unsupported,
                    fmt::format("{}: its program speaks version {} of remote file systems, this "
                                "one version {}", socket, version, remote::version));
    return over(std::move(reply->fd), socket);
}

std::unique_ptr<RemoteFileSystem> RemoteFileSystem::over(node::OwnedFd connection,
                                                         std::string name) {
    return std::unique_ptr<RemoteFileSystem>(new RemoteFileSystem(
        std::make_shared<RemoteConnection>(std::move(connection), std::move(name))));
}

Result<std::unique_ptr<RemoteFile>> RemoteFileSystem::open_file(std::string_view path, int flags,
                                                                std::uint32_t mode,
                                                                const Striping& striping) {
    Writer out;
    out.text(path).put(std::int32_t{flags}).put(mode);
    remote::put(out, striping);
    auto handle = connection_->ask(Call::open, out,
                                   [](Reader& in) { return in.get<std::uint64_t>(); });
    if (!handle) return tl::unexpected<Failure>(std::move(handle).error());
    return std::make_unique<RemoteFile>(connection_, *handle);
}

Result<Attributes> RemoteFileSystem::stat(std::string_view path, bool follow) {
    return connection_->ask(Call::stat, Writer().text(path).put(std::uint8_t{follow}),
                            remote::get_attributes);
}
Result<std::vector<DirectoryEntry>> RemoteFileSystem::list(std::string_view path,
                                                           std::uint64_t cookie, std::size_t most,
                                                           bool attributes) {
    Writer out;
    out.text(path).put(cookie).put(static_cast<std::uint32_t>(most));
    out.put(std::uint8_t{attributes});
    return connection_->ask_list<DirectoryEntry>(Call::list, out, remote::get_entry);
}
Result<void> RemoteFileSystem::set_attributes(std::string_view path, const AttributeChange& change,
                                              bool follow) {
    Writer out;
    out.text(path).put(std::uint8_t{follow});
    remote::put(out, change);
    return connection_->change(Call::set_attributes, out);
}
Result<void> RemoteFileSystem::make_directory(std::string_view path, std::uint32_t mode) {
    return connection_->change(Call::make_directory, Writer().text(path).put(mode));
}
Result<void> RemoteFileSystem::remove_directory(std::string_view path) {
    return connection_->change(Call::remove_directory, Writer().text(path));
}
Result<void> RemoteFileSystem::unlink(std::string_view path) {
    return connection_->change(Call::unlink, Writer().text(path));
}
Result<void> RemoteFileSystem::rename(std::string_view from, std::string_view to) {
    return connection_->change(Call::rename, Writer().text(from).text(to));
}
Result<void> RemoteFileSystem::link(std::string_view from, std::string_view to) {
    return connection_->change(Call::link, Writer().text(from).text(to));
}
Result<void> RemoteFileSystem::symlink(std::string_view target, std::string_view path) {
    return connection_->change(Call::symlink, Writer().text(target).text(path));
}
Result<std::string> RemoteFileSystem::read_link(std::string_view path) {
    return connection_->ask(Call::read_link, Writer().text(path),
                            [](Reader& in) { return std::string(in.text()); });
}
Result<std::vector<std::string>> RemoteFileSystem::list_xattrs(std::string_view path,
                                                               bool follow) {
    return connection_->ask_list<std::string>(
        Call::list_xattrs, Writer().text(path).put(std::uint8_t{follow}),
        [](Reader& in) { return std::string(in.text()); });
}
Result<std::vector<std::byte>> RemoteFileSystem::get_xattr(std::string_view path,
                                                           std::string_view name, bool follow) {
    return connection_->call(Call::get_xattr,
                             Writer().text(path).put(std::uint8_t{follow}).text(name).bytes());
}
Result<void> RemoteFileSystem::set_xattr(std::string_view path, std::string_view name,
                                         std::span<const std::byte> value, bool follow) {
    return connection_->change(Call::set_xattr, Writer().text(path).put(std::uint8_t{follow})
                                                    .text(name).block(value));
}
Result<Space> RemoteFileSystem::space() {
    return connection_->ask(Call::space, Writer(), [](Reader& in) {
        Space space;
        space.total_bytes = in.get<std::uint64_t>();
        space.free_bytes = in.get<std::uint64_t>();
        space.inodes = in.get<std::uint64_t>();
        return space;
    });
}
Result<void> RemoteFileSystem::sync() { return connection_->change(Call::sync, Writer()); }
Result<void> RemoteFileSystem::drop_caches() {
    return connection_->change(Call::drop_caches, Writer());
}
Result<CheckReport> RemoteFileSystem::check() {
    return connection_->ask(Call::check, Writer(), remote::get_report);
}
Result<std::vector<io::VolumeInfo>> RemoteFileSystem::volumes() {
    return connection_->ask_list<io::VolumeInfo>(Call::volumes, Writer(), [](Reader& in) {
        io::VolumeInfo volume;
        volume.id = in.get<io::VolumeId>();
        volume.node = NodeId(in.get<std::uint32_t>());
        volume.label = in.text();
        volume.slots = in.get<std::uint32_t>();
        return volume;
    });
}

}  // namespace ssi::fs
