// SPDX-License-Identifier: BSD-3-Clause
// The directory of sockets and contact files: who may use it, what is cleaned away, who is found.
#include "ssi/node/runtime_directory.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <fstream>

#include "control_fixture.hpp"
#include "identity.hpp"
#include "ssi/node/contact.hpp"

namespace ssi::node {
namespace {

using test::Folder;
using test::Served;

Result<RuntimeDirectory> open_at(const std::string& path) {
    Config config;
    value_or_throw(config.set("control.directory", path, "test"));
    return RuntimeDirectory::open(config);
}

// A process that makes a control socket in the folder and is killed.
pid_t die_with_a_socket(const Folder& folder) {
    const pid_t child = ::fork();
    if (child == 0) {
        auto directory = RuntimeDirectory::open(folder.config());
        auto server = ControlServer::listen(*directory, {});
        ::raise(SIGKILL);
    }
    ::waitpid(child, nullptr, 0);
    return child;
}

Contact contact_of(const std::string& socket, const char* session) {
    return {session, test::key, "app", 1, {{NodeId{0}, host_name(), 1, socket}}};
}

TEST(RuntimeDirectory, is_made_for_its_user_alone) {
    const Folder folder;
    const auto made = open_at(folder.path() + "/new");
    ASSERT_TRUE(made) << made.error().text;
    struct stat status{};
    ASSERT_EQ(::stat(made->path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700u);
}

TEST(RuntimeDirectory, what_others_could_enter_is_refused_by_name) {
    const Folder folder;
    const std::string open = folder.path() + "/open", file = folder.path() + "/file",
                      link = folder.path() + "/link";
    std::filesystem::create_directory(open);
    ::chmod(open.c_str(), 0750);
    std::ofstream(file) << "x";
    std::filesystem::create_symlink(folder.path(), link);
    for (const auto& [path, why] : {std::pair{open, "is open to other users: chmod 700"},
                                    std::pair{file, "cannot open the directory"},
                                    std::pair{link, "cannot open the directory"},
                                    std::pair{folder.path() + "/a/b", "cannot make"}}) {
        const auto refused = open_at(path);
        ASSERT_FALSE(refused) << path;
        EXPECT_NE(refused.error().text.find(why), std::string::npos) << refused.error().text;
        EXPECT_NE(refused.error().text.find(path), std::string::npos) << refused.error().text;
    }
    if (::geteuid() == 0) {
        ASSERT_EQ(::chown(open.c_str(), 65534, 65534), 0);
        EXPECT_NE(open_at(open).error().text.find("belongs to user 65534"), std::string::npos);
    }
}

TEST(RuntimeDirectory, sockets_work_under_paths_of_any_length) {
    const Folder folder;
    const std::string deep = folder.path() + "/" + std::string(200, 'd');
    const auto directory = open_at(deep);
    ASSERT_TRUE(directory) << directory.error().text;
    const auto server = ControlServer::listen(*directory, {});
    ASSERT_TRUE(server) << server.error().text;
    EXPECT_GT((*server)->path().size(), 200u);
    EXPECT_TRUE(is_listened_to((*server)->path()));
}

TEST(RuntimeDirectory, cleaning_takes_what_the_dead_left_and_nothing_else) {
    Served served;
    ASSERT_TRUE(served.directory.write(RuntimeDirectory::fresh_name() + ".session",
                                       contact_of(served.server->path(), "0000000000000001")
                                           .to_json()));
    std::ofstream(served.folder.path() + "/mine.sock") << "not ours";
    const std::size_t before = served.folder.files();
    die_with_a_socket(served.folder);
    ASSERT_EQ(served.folder.files(), before + 1) << "the dead one left nothing";
    ASSERT_TRUE(served.directory.write(RuntimeDirectory::fresh_name() + ".session",
                                       contact_of("/nowhere", "0000000000000002").to_json()));
    EXPECT_EQ(served.directory.clean(), 2);
    EXPECT_EQ(served.folder.files(), before);
    EXPECT_EQ(served.directory.clean(), 0);
    EXPECT_TRUE(served.connect().request(R"({"verb":"ping"})"));
}

TEST(RuntimeDirectory, halves_of_a_dead_maker_are_cleaned_and_a_living_one_s_kept) {
    const Folder folder;
    const auto directory = open_at(folder.path());
    const std::string name = RuntimeDirectory::fresh_name();
    std::ofstream(folder.path() + "/" + name + ".session.part") << "{";
    EXPECT_EQ(directory->clean(), 0);
    const pid_t dead = die_with_a_socket(folder);
    std::string other = name;
    other.replace(name.find('-') + 1, std::to_string(::getpid()).size(), std::to_string(dead));
    std::ofstream(folder.path() + "/" + other + ".new") << "";
    EXPECT_EQ(directory->clean(), 2);
}

TEST(RuntimeDirectory, files_that_others_may_read_are_not_read) {
    const Folder folder;
    const auto directory = open_at(folder.path());
    ASSERT_TRUE(directory->write("a", "text"));
    EXPECT_EQ(directory->read("a", 100).value_or(""), "text");
    EXPECT_EQ(directory->read("a", 3).error().code, Errc::too_large);
    EXPECT_FALSE(directory->read("b", 100));
    ::chmod((folder.path() + "/a").c_str(), 0644);
    EXPECT_NE(directory->read("a", 100).error().text.find("of this user alone"),
              std::string::npos);
}

TEST(Sessions, the_running_ones_are_found_oldest_first) {
    Served served;
    const auto add = [&](const std::string& socket, const char* id, std::uint64_t started) {
        Contact contact = contact_of(socket, id);
        contact.started_ms = started;
        ASSERT_TRUE(served.directory.write(RuntimeDirectory::fresh_name() + ".session",
                                           contact.to_json()));
    };
    add(served.server->path(), "000000000000000b", 20);
    add(served.server->path(), "000000000000000a", 10);
    add("/nowhere.sock", "000000000000000c", 5);
    ASSERT_TRUE(served.directory.write(RuntimeDirectory::fresh_name() + ".session", "garbage"));
    const auto found = find_sessions(served.folder.config());
    ASSERT_EQ(found.size(), 2u);
    EXPECT_EQ(found[0].session, "000000000000000a");
    EXPECT_EQ(found[1].session, "000000000000000b");
    EXPECT_EQ(found[0].key, test::key);
}

TEST(Sessions, a_directory_with_two_names_tells_of_each_session_once) {
    const Folder folder;
    for (const auto& [name, value] : {std::pair{"XDG_RUNTIME_DIR", folder.path() + "/run"},
                                      std::pair{"TMPDIR", folder.path()}})
        ASSERT_EQ(::setenv(name, value.c_str(), 1), 0);
    std::filesystem::create_directory(folder.path() + "/run");
    const Config config;
    const auto directory = RuntimeDirectory::open(config);
    ASSERT_TRUE(directory) << directory.error().text;
    EXPECT_EQ(directory->path(), folder.path() + "/run/ssi");
    // A second entry of the same session, as a second name of the directory would show it.
    const auto server = ControlServer::listen(*directory, {});
    ASSERT_TRUE(server);
    for (int i = 0; i < 2; ++i)
        ASSERT_TRUE(directory->write(RuntimeDirectory::fresh_name() + ".session",
                                     contact_of((*server)->path(), "000000000000000a").to_json()));
    // Sessions of this user that run beside the test are found as well.
    EXPECT_EQ(std::ranges::count(find_sessions(config), "000000000000000a", &Contact::session), 1);
    ::unsetenv("XDG_RUNTIME_DIR");
    ::unsetenv("TMPDIR");
}

}  // namespace
}  // namespace ssi::node
