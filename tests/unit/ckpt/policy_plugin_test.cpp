// SPDX-License-Identifier: BSD-3-Clause
// Strategies out of shared objects, good ones and bad ones.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "ssi/ckpt/policies.hpp"

namespace ssi::ckpt::test {
namespace {

namespace stdfs = std::filesystem;

class PolicyPlugins : public testing::Test {
protected:
    void SetUp() override {
        directory_ = (stdfs::temp_directory_path() / "ssi-policy-XXXXXX").string();
        ASSERT_NE(::mkdtemp(directory_.data()), nullptr);
        for (const char* name : {"odd", "odd_abi", "odd_half", "odd_nameless"}) {
            stdfs::copy_file(std::string(SSI_TEST_PLUGINS) + "/" + name + ".so", path(name));
            ASSERT_EQ(::chmod(path(name).c_str(), 0644), 0);
        }
    }
    void TearDown() override { stdfs::remove_all(directory_); }

    std::string path(const std::string& name) const { return directory_ + "/" + name + ".so"; }
    Result<Policies> make(const std::string& text, const Clock* clock = nullptr) const {
        return Policies::make(text, directory_, clock);
    }
    void refused(const std::string& text, Errc code, const std::string& says) const {
        const auto bad = make(text);
        ASSERT_FALSE(bad) << text;
        EXPECT_EQ(bad.error().code, code) << bad.error().text;
        EXPECT_NE(bad.error().text.find(says), std::string::npos) << bad.error().text;
    }

    std::string directory_;
};

TEST_F(PolicyPlugins, one_is_found_by_its_path_or_its_name_and_goes_when_it_is_replaced) {
    for (const std::string& name : {path("odd"), std::string("odd")}) {
        auto policies = make(name + " do=well; on_request");
        ASSERT_TRUE(policies) << policies.error().text;
        const auto decision = policies->decide(empty_view());
        EXPECT_TRUE(decision.take);
        EXPECT_EQ(decision.level, 1u);
        EXPECT_NE(decision.why.find("1 alive, sizes 1"), std::string::npos) << decision.why;
        EXPECT_EQ(policies->keep()[1], 3u);
        EXPECT_EQ(policies->shown()[0].origin, stdfs::canonical(path("odd")).string());
        EXPECT_EQ(policies->text(), name + " do=well; on_request");
        // One more of it: the first is destroyed with what held it.
        auto second = make(name + " do=well");
        ASSERT_TRUE(second);
        EXPECT_NE(second->decide(empty_view()).why.find("2 alive"), std::string::npos);
        *policies = std::move(*second);
        EXPECT_NE(policies->decide(empty_view()).why.find("1 alive"), std::string::npos);
    }
    const auto known = known_policies(directory_);
    ASSERT_EQ(known.size(), 9u);
    EXPECT_EQ(known[5].name, "odd");
    EXPECT_EQ(known[5].error, "");
    EXPECT_NE(known[6].error.find("version 2 of the interface"), std::string::npos);
}

TEST_F(PolicyPlugins, the_example_is_one) {
    const std::string file = path("share");
    stdfs::copy_file(SSI_TEST_EXAMPLE, file);
    auto policies = make("share percent=10");
    ASSERT_TRUE(policies) << policies.error().text;
    auto view = empty_view();
    view.levels[0].full.blocked_s = 3;
    view.levels[0].since_s = 29;
    EXPECT_FALSE(policies->decide(view).take);
    EXPECT_DOUBLE_EQ(policies->decide(view).next_s, 1);
    view.levels[0].since_s = 30;
    EXPECT_TRUE(policies->decide(view).take);
    refused("share percent=200", Errc::invalid_argument, "is not percent=P");
    refused("share share=2", Errc::invalid_argument, "is not percent=P");
}

TEST_F(PolicyPlugins, what_is_none_is_refused_with_the_file_and_the_way_out) {
    const std::string real = stdfs::canonical(directory_).string();
    refused("odd_abi", Errc::unsupported,
            real + "/odd_abi.so has version 2 of the interface of policies, this libssi has 1: "
                   "build it anew");
    refused("odd_half", Errc::unsupported, real + "/odd_half.so: its ssi_checkpoint_policy_entry "
                                                  "lacks");
    refused("odd_nameless", Errc::unsupported,
            real + "/odd_nameless.so is no policy plugin: it exports no "
                   "ssi_checkpoint_policy_entry");
    refused("odd do=refuse", Errc::invalid_argument, "odd: it has been told to refuse");
    refused("odd do=silence", Errc::invalid_argument, "odd: it refuses its parameters");
    refused("odd do=keep", Errc::unsupported, "names level 0");
    refused("missing", Errc::not_found, "no missing.so in checkpoint.policy_path, " + directory_);
    refused(directory_ + "/missing.so", Errc::not_found, directory_ + "/missing.so");
    { std::unique_ptr<FILE, int (*)(FILE*)> file(::fopen(path("text").c_str(), "w"), ::fclose); }
    ASSERT_EQ(::chmod(path("text").c_str(), 0644), 0);
    refused("text", Errc::io, real + "/text.so cannot be loaded");
}

TEST_F(PolicyPlugins, what_others_can_write_is_not_loaded) {
    for (const unsigned mode : {0664u, 0646u}) {
        ASSERT_EQ(::chmod(path("odd").c_str(), mode), 0);
        refused("odd do=well", Errc::io, "others may write to");
        refused("odd do=well", Errc::io, "chmod go-w");
    }
    ASSERT_EQ(::chmod(path("odd").c_str(), 0644), 0);
    for (const unsigned mode : {0775u, 0757u, 01777u}) {
        ASSERT_EQ(::chmod(directory_.c_str(), mode), 0);
        refused("odd do=well", Errc::io, directory_ + ": chmod go-w");
    }
    ASSERT_EQ(::chmod(directory_.c_str(), 0755), 0);
    EXPECT_TRUE(make("odd do=well"));
    // A directory further up, and a link from a good place to a bad one.
    ASSERT_TRUE(stdfs::create_directories(directory_ + "/open/own"));
    stdfs::copy_file(path("odd"), directory_ + "/open/own/odd.so");
    ASSERT_EQ(::chmod((directory_ + "/open").c_str(), 0777), 0);
    refused(directory_ + "/open/own/odd.so do=well", Errc::io, "/open: chmod go-w");
    stdfs::create_symlink(directory_ + "/open/own/odd.so", path("link"));
    refused("link do=well", Errc::io, "/open: chmod go-w");
    if (::geteuid() != 0) return;   // only root can give files away
    ASSERT_EQ(::chown(path("odd").c_str(), 12345, 12345), 0);
    refused("odd do=well", Errc::io, "belongs to another user");
}

TEST_F(PolicyPlugins, one_whose_plan_is_none_is_replaced_once_and_others_go_on) {
    const std::pair<const char*, const char*> bad[] = {
        {"level", "level 2, which its keep has not named"}, {"far", "level 8"},
        {"kind", "kind 3"}, {"take", "take=2"}, {"leave", "take=0 leave=1"},
        {"next", "not a number"}, {"why", "has no end"}};
    for (const auto& [what, says] : bad) {
        auto policies = make(std::string("interval every_s=50; odd do=") + what);
        ASSERT_TRUE(policies) << policies.error().text;
        auto view = empty_view();
        view.levels[0].since_s = 49;
        const auto first = policies->decide(view);
        EXPECT_FALSE(first.take) << what;
        ASSERT_EQ(first.ejected.size(), 1u) << what;
        EXPECT_NE(first.ejected[0].find(says), std::string::npos) << first.ejected[0];
        EXPECT_EQ(policies->keep()[1], 0u);
        view.levels[0].since_s = 50;
        const auto second = policies->decide(view);
        EXPECT_TRUE(second.take) << "the interval is there";
        EXPECT_TRUE(second.ejected.empty()) << "once";
        EXPECT_EQ(policies->shown()[0].ejected, "");
        EXPECT_NE(policies->shown()[1].ejected.find(says), std::string::npos);
    }
}

TEST_F(PolicyPlugins, one_that_is_slow_twice_in_a_row_is_replaced) {
    const RealClock clock;
    auto slow = make("odd do=slow", &clock);
    ASSERT_TRUE(slow);
    EXPECT_TRUE(slow->decide(empty_view()).take) << "once may be the machine's fault";
    const auto second = slow->decide(empty_view());
    EXPECT_FALSE(second.take);
    ASSERT_EQ(second.ejected.size(), 1u);
    EXPECT_NE(second.ejected[0].find("more than 100 ms twice in a row"), std::string::npos);
    auto once = make("odd do=once", &clock);
    auto view = empty_view();
    for (int i = 0; i < 4; ++i) {
        view.now_s = i % 2;
        EXPECT_TRUE(once->decide(view).take) << i;
    }
}

}  // namespace
}  // namespace ssi::ckpt::test
