// SPDX-License-Identifier: BSD-3-Clause
#include "remote_service.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <span>

#include "fs_core.hpp"
#include "remote_wire.hpp"
#include "ssi/base/json.hpp"

namespace ssi::fs {
namespace {

using remote::Call;
using remote::get_change;
using remote::get_striping;
using Body = Result<std::vector<std::byte>>;

tl::unexpected<Failure> malformed() {
    return fail(Errc::bad_message, "a malformed request to the file system");
}
Body nothing(Result<void> done) {
    if (!done) return tl::unexpected<Failure>(std::move(done).error());
    return std::vector<std::byte>();
}
template <class T, class Put>
Body encoded(const Result<T>& value, Put&& put) {
    if (!value) return tl::unexpected<Failure>(value.error());
    Writer out;
    put(out, *value);
    return out.take();
}
const auto put_attributes = [](Writer& out, const Attributes& of) { remote::put(out, of); };
template <class T>
Body encoded_list(const Result<std::vector<T>>& values) {
    return encoded(values, [](Writer& out, const std::vector<T>& all) {
        out.put(static_cast<std::uint32_t>(all.size()));
        for (const T& one : all) remote::put(out, one);
    });
}

// One client: its open files, which close when it goes.
class Conversation {
public:
    Conversation(FileSystem& system, int socket, const std::atomic<bool>& ending)
        : system_(system), socket_(socket), ending_(ending) {}

    // `begun`: with each request.
    template <class Begun>
    void run(Begun&& begun) {
        remote::RequestHeader header;
        std::vector<std::byte> body;
        while (remote::receive_all(socket_, std::as_writable_bytes(std::span(&header, 1)))) {
            begun();
            if (header.body_bytes > remote::most_body) return;
            body.resize(header.body_bytes);
            if (!remote::receive_all(socket_, body)) return;
            if (!reply(answer(header.call, body))) return;
        }
    }

private:
    bool reply(const Body& body) {
        remote::ReplyHeader header;
        std::span<const std::byte> bytes;
        if (body) {
            bytes = *body;
        } else {
            const Failure& failure = body.error();
            header.code = static_cast<std::uint32_t>(failure.code);
            header.sys_errno = failure.sys_errno;
            header.node = failure.node.value;
            bytes = std::as_bytes(std::span(failure.text));
        }
        header.body_bytes = static_cast<std::uint32_t>(bytes.size());
        return remote::send_all(socket_, std::as_bytes(std::span(&header, 1))) &&
               remote::send_all(socket_, bytes);
    }

    Body answer(Call call, std::span<const std::byte> body) {
        try {
            if (call <= Call::extents) return of_file(call, body);
            Reader in(body);
            Body done = call <= Call::set_attributes ? of_place(call, in)
                        : call <= Call::read_link    ? of_name(call, in)
                        : call <= Call::set_xattr    ? of_xattr(call, in)
                                                     : of_all(call);
            return done;
        } catch (const std::exception& error) {
            return fail(Errc::internal, error.what());
        }
    }

    Body open(Reader& in) {
        const std::string path(in.text());
        const int flags = in.get<std::int32_t>();
        const auto mode = in.get<std::uint32_t>();
        const Striping striping = get_striping(in);
        if (!in.ok()) return malformed();
        auto file = system_.open(path, flags, mode, striping);
        if (!file) return tl::unexpected<Failure>(std::move(file).error());
        files_.emplace(++last_, std::move(*file));
        return Writer().put(last_).take();
    }

    Body of_file(Call call, std::span<const std::byte> body) {
        Reader in(body);
        if (call == Call::open) return open(in);
        const auto at = files_.find(in.get<std::uint64_t>());
        if (!in.ok() || at == files_.end()) return malformed();
        File& file = at->second;
        switch (call) {
            case Call::close: {
                File closing = std::move(file);
                files_.erase(at);
                return nothing(closing.close());
            }
            case Call::read: return read(file, in);
            case Call::write: {
                const auto offset = in.get<std::uint64_t>();
                const auto bytes = in.block();
                if (!in.ok()) return malformed();
                auto done = file.pwrite(bytes, offset);
                if (!done) return tl::unexpected<Failure>(std::move(done).error());
                return Writer().put(std::uint64_t{*done}).take();
            }
            case Call::truncate: {
                const auto size = in.get<std::uint64_t>();
                if (!in.ok()) return malformed();
                return nothing(file.truncate(size));
            }
            case Call::file_stat: return encoded(file.stat(), put_attributes);
            default: return encoded_list(file.extents());
        }
    }

    static Body read(File& file, Reader& in) {
        const auto offset = in.get<std::uint64_t>();
        const auto length = in.get<std::uint32_t>();
        if (!in.ok() || length > remote::most_data) return malformed();
        std::vector<std::byte> bytes(length);
        auto got = file.pread(bytes, offset);
        if (!got) return tl::unexpected<Failure>(std::move(got).error());
        bytes.resize(*got);
        return bytes;
    }

    Body of_place(Call call, Reader& in) {
        const std::string path(in.text());
        if (call == Call::list) {
            const auto cookie = in.get<std::uint64_t>();
            const auto most = in.get<std::uint32_t>();
            const bool attributes = in.get<std::uint8_t>() != 0;
            if (!in.ok()) return malformed();
            return encoded_list(system_.list(path, cookie,
                                             std::min<std::size_t>(most, remote::most_entries),
                                             attributes));
        }
        const bool follow = in.get<std::uint8_t>() != 0;
        if (call == Call::stat) {
            if (!in.ok()) return malformed();
            return encoded(follow ? system_.stat(path) : system_.lstat(path), put_attributes);
        }
        const AttributeChange change = get_change(in);
        if (!in.ok()) return malformed();
        return nothing(system_.set_attributes(path, change, follow));
    }

    Body of_name(Call call, Reader& in) {
        const std::string path(in.text());
        if (call == Call::make_directory) {
            const auto mode = in.get<std::uint32_t>();
            if (!in.ok()) return malformed();
            return nothing(system_.make_directory(path, mode));
        }
        const bool two = call == Call::rename || call == Call::link || call == Call::symlink;
        const std::string other(two ? in.text() : std::string_view());
        if (!in.ok()) return malformed();
        switch (call) {
            case Call::remove_directory: return nothing(system_.remove_directory(path));
            case Call::unlink: return nothing(system_.unlink(path));
            case Call::rename: return nothing(system_.rename(path, other));
            case Call::link: return nothing(system_.link(path, other));
            case Call::symlink: return nothing(system_.symlink(path, other));
            default:
                return encoded(system_.read_link(path), [](Writer& out, const std::string& target) {
                    out.text(target);
                });
        }
    }

    Body of_xattr(Call call, Reader& in) {
        const std::string path(in.text());
        const bool follow = in.get<std::uint8_t>() != 0;
        if (call == Call::list_xattrs) {
            if (!in.ok()) return malformed();
            return encoded(system_.list_xattrs(path, follow),
                           [](Writer& out, const std::vector<std::string>& names) {
                               out.put(static_cast<std::uint32_t>(names.size()));
                               for (const std::string& name : names) out.text(name);
                           });
        }
        const std::string name(in.text());
        if (call == Call::get_xattr) {
            if (!in.ok()) return malformed();
            return system_.get_xattr(path, name, follow);
        }
        const auto value = in.block();
        if (!in.ok()) return malformed();
        return nothing(system_.set_xattr(path, name, value, 0, follow));
    }

    Body of_all(Call call) {
        switch (call) {
            case Call::space:
                return encoded(system_.space(), [](Writer& out, const Space& space) {
                    out.put(space.total_bytes).put(space.free_bytes).put(space.inodes);
                });
            case Call::sync: return nothing(system_.sync());
            case Call::drop_caches: return nothing(system_.drop_caches());
            case Call::check:
                return encoded(system_.check_in_use(ending_),
                               [](Writer& out, const CheckReport& report) {
                                   remote::put(out, report);
                               });
            case Call::volumes: {
                Writer out;
                const auto& volumes = system_.volumes().volumes();
                out.put(static_cast<std::uint32_t>(volumes.size()));
                for (const auto& volume : volumes)
                    out.put(volume.id).put(volume.node.value).text(volume.label).put(volume.slots);
                return out.take();
            }
            default: return fail(Errc::unsupported, "a request that this version does not know");
        }
    }

    FileSystem& system_;
    const int socket_;
    const std::atomic<bool>& ending_;
    std::map<std::uint64_t, File> files_;
    std::uint64_t last_ = 0;
};

}  // namespace

RemoteService::RemoteService(node::Node& node, std::unique_ptr<FileSystem> system,
                             std::vector<std::string> directories)
    : node_(node), system_(std::move(system)), directories_(std::move(directories)) {
    node_.control().add(remote::verb_name, [this](const JsonValue&) -> Result<std::string> {
        return describe();
    });
    node_.control().add_fd(remote::socket_name, [this](const JsonValue&) { return connect(); });
}

RemoteService::~RemoteService() {
    node_.control().remove_fd(remote::socket_name);   // waits for a call that is under way
    node_.control().remove(remote::verb_name);
    ending_ = true;
    for (const auto& connection : connections_) ::shutdown(connection->socket.get(), SHUT_RDWR);
    for (const auto& connection : connections_) connection->task->join();
}

void RemoteService::Connection::close_handed_out() {
    node::OwnedFd(handed_out.exchange(-1));
}

void RemoteService::forget_ended() {
    std::erase_if(connections_, [](const std::unique_ptr<Connection>& connection) {
        if (!connection->ended.load(std::memory_order_acquire)) return false;
        connection->task->join();
        return true;
    });
}

Result<node::ControlFd> RemoteService::connect() {
    forget_ended();
    if (connections_.size() >= most_connections)
        return fail(Errc::would_block, fmt::format("{} processes use the file system by this node: "
                                                   "come later", connections_.size()));
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return fail_errno(Errc::io, errno, "no socket for a connection to the file system");
    for (const auto& before : connections_) before->close_handed_out();
    auto connection = std::make_unique<Connection>();
    connection->socket = node::OwnedFd(ends[0]);
    connection->handed_out.store(ends[1]);
    Connection& made = *connection;
    connections_.push_back(std::move(connection));
    made.task = node_.doors().tasks.spawn("ssi-fs-remote", [this, &made] {
        Conversation(*system_, made.socket.get(), ending_).run([&made] {
            made.close_handed_out();
        });
        ::shutdown(made.socket.get(), SHUT_RDWR);
        made.ended.store(true, std::memory_order_release);
    });
    return node::ControlFd{ends[1], fmt::format(R"({{"version":{}}})", remote::version)};
}

// Directories also by what they are: by another name they are the same.
std::string RemoteService::describe() const {
    Json json;
    json.object().field("version", remote::version);
    json.field("volumes", static_cast<std::uint64_t>(system_->volumes().volumes().size()));
    json.array("directories");
    for (const std::string& directory : directories_) {
        struct stat of {};
        if (::stat(directory.c_str(), &of) != 0) continue;
        json.object().field("path", directory).field("device", std::uint64_t{of.st_dev});
        json.field("inode", std::uint64_t{of.st_ino}).end();
    }
    return json.end().end().text();
}

}  // namespace ssi::fs
