// SPDX-License-Identifier: BSD-3-Clause
// A backend whose state is a process of each rank: a shell that adds up what it is told.
#include <fmt/format.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "checkpoint_ranks.hpp"

namespace ssi::test {
namespace {

// A shell with its input and output.
class Adder {
public:
    explicit Adder(const std::string& sum) {
        int in[2], out[2];
        if (::pipe(in) != 0 || ::pipe(out) != 0) std::abort();
        const std::string program = "n=" + sum +
                                    "; while read -r x; do n=$((n + x)); echo $n; done";
        const std::array<const char*, 4> words{"sh", "-c", program.c_str(), nullptr};
        pid_ = ::vfork();
        if (pid_ == 0) {
            ::dup2(in[0], 0);
            ::dup2(out[1], 1);
            for (const int fd : {in[0], in[1], out[0], out[1]}) ::close(fd);
            ::execv("/bin/sh", const_cast<char* const*>(words.data()));
            ::_exit(127);
        }
        ::close(in[0]);
        ::close(out[1]);
        to_ = ::fdopen(in[1], "w");
        from_ = ::fdopen(out[0], "r");
    }
    ~Adder() { end(); }
    Adder(const Adder&) = delete;
    Adder& operator=(const Adder&) = delete;

    long add(long what) {
        fmt::print(to_, "{}\n", what);
        ::fflush(to_);
        long sum = -1;
        EXPECT_EQ(::fscanf(from_, "%ld", &sum), 1);
        return sum;
    }
    // Until it has come.
    void stop() const {
        EXPECT_EQ(::kill(pid_, SIGSTOP), 0);
        EXPECT_EQ(::waitpid(pid_, nullptr, WUNTRACED), pid_);
    }
    void go_on() const {
        EXPECT_EQ(::kill(pid_, SIGCONT), 0);
        EXPECT_EQ(::waitpid(pid_, nullptr, WCONTINUED), pid_);
    }
    void end() {
        if (pid_ < 0) return;
        EXPECT_EQ(::kill(pid_, SIGKILL), 0);
        EXPECT_EQ(::waitpid(pid_, nullptr, 0), pid_);
        ::fclose(to_);
        ::fclose(from_);
        pid_ = -1;
    }
    bool stopped() const {
        std::FILE* const file = ::fopen(fmt::format("/proc/{}/stat", pid_).c_str(), "r");
        char state = '?';
        EXPECT_EQ(::fscanf(file, "%*d %*s %c", &state), 1);
        ::fclose(file);
        return state == 'T';
    }

private:
    pid_t pid_ = -1;
    std::FILE* to_ = nullptr;
    std::FILE* from_ = nullptr;
};

class AdderBackend : public CheckpointBackend {
public:
    std::string kind() const override { return kind_; }
    std::string describe() const override { return "an adder"; }
    Result<void> probe() override { return note("probe"); }
    Result<std::uint64_t> freeze() override {
        SSI_TRY(note("freeze"));
        sum_ = std::to_string(adder->add(0));
        sum_.resize(at_least, ' ');
        adder->stop();
        return sum_.size() + wrong_by;
    }
    Result<void> save(const Put& put) override {
        EXPECT_TRUE(adder->stopped());
        SSI_TRY(note("save"));
        const auto bytes = std::as_bytes(std::span(sum_));
        const std::size_t half = bytes.size() / 2;
        SSI_TRY(put(bytes.first(half)));
        return put(bytes.subspan(half));
    }
    void thaw() override {
        (void)note("thaw");
        adder->go_on();
    }
    Result<void> kill() override {
        SSI_TRY(note("kill"));
        adder.reset();
        return {};
    }
    Result<void> restore(std::span<const std::byte> bytes) override {
        SSI_TRY(note("restore"));
        const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        EXPECT_EQ(text.size(), at_least);
        adder = std::make_unique<Adder>(text.substr(0, text.find(' ')));
        return {};
    }
    std::string taken_verbs() { return std::exchange(verbs, {}); }

    std::unique_ptr<Adder> adder = std::make_unique<Adder>("0");
    std::string kind_ = "adder", verbs, fails_at, throws_at;
    std::size_t at_least = 3'000'000;   // more than a piece of a dataset, or of an inbox
    std::uint64_t wrong_by = 0;

private:
    Result<void> note(const std::string& verb) {
        verbs += (verbs.empty() ? "" : " ") + verb;
        if (verb == throws_at) throw std::runtime_error("no mood to " + verb);
        if (verb == fails_at) return fail(Errc::not_found, "nothing to " + verb);
        return {};
    }
    std::string sum_;
};

class BackendRanks : public CheckpointRanks {
protected:
    template <class Body>
    void with_backend(int ranks, Body&& body) {
        session_of(ranks, [&](Session& s) {
            AdderBackend backend;
            auto set = s.set<std::uint64_t>("numbers");
            std::vector<double> memory(1000, 1.0 + s.rank());
            Checkpoint checkpoint(s, options());
            checkpoint.protect(set);
            if (backend_kind_) backend.kind_ = backend_kind_;
            checkpoint.protect_state("sum", backend);
            checkpoint.protect_span("memory", std::span(memory));
            body(s, checkpoint, backend);
        });
    }
    const char* backend_kind_ = nullptr;
};

TEST_F(BackendRanks, a_process_of_each_rank_comes_back_as_it_was_at_the_cut) {
    for (const bool incremental : {false, true}) {
        with_backend(world_size(), [&](Session& s, Checkpoint& checkpoint, AdderBackend& backend) {
            const long mine = 100 * (s.rank() + 1);
            EXPECT_EQ(backend.adder->add(mine), mine);
            if (incremental) good(checkpoint.take("", {.incremental = true}));
            const auto ticket = good(
                checkpoint.take("", {.asynchronous = true, .incremental = incremental}));
            good(ticket.wait());
            EXPECT_FALSE(backend.adder->stopped());
            EXPECT_EQ(backend.adder->add(7), mine + 7);   // is in no checkpoint
            const std::string once = "probe freeze save thaw";
            EXPECT_EQ(backend.taken_verbs(), incremental ? once + " " + once : once);
        });
        with_backend(world_size(), [&](Session& s, Checkpoint& checkpoint, AdderBackend& backend) {
            backend.adder->add(-5);
            ASSERT_TRUE(good(checkpoint.restart()));
            EXPECT_EQ(backend.adder->add(0), 100 * (s.rank() + 1));
            EXPECT_EQ(backend.taken_verbs(), "probe kill restore");
            s.barrier();
        });
    }
}

// On one rank; and the program and its process go on.
TEST_F(BackendRanks, a_verb_that_fails_or_throws_fails_the_take_or_restart_of_all) {
    with_backend(world_size(), [&](Session& s, Checkpoint& checkpoint, AdderBackend& backend) {
        const bool last = s.rank() == s.size() - 1;
        backend.adder->add(1);
        const auto expect = [&](auto&& done, const std::string& verb, bool throws) {
            ASSERT_FALSE(done);
            EXPECT_EQ(done.error().code, throws ? Errc::function_failed : Errc::not_found);
            EXPECT_NE(done.error().text.find("state 'sum' (an adder): "), std::string::npos);
            EXPECT_NE(done.error().text.find(" to " + verb), std::string::npos)
                << done.error().text;
            backend.fails_at = backend.throws_at = "";
        };
        const auto set_up = [&](const std::string& verb, bool throws) {
            if (last) (throws ? backend.throws_at : backend.fails_at) = verb;
            backend.verbs.clear();
        };
        for (const bool throws : {false, true})
            for (const std::string verb : {"probe", "freeze", "save"}) {
                set_up(verb, throws);
                expect(checkpoint.take(""), verb, throws);
                EXPECT_FALSE(backend.adder->stopped()) << verb;
                if (last) {
                    EXPECT_EQ(backend.verbs, verb == "probe"    ? "probe"
                                             : verb == "freeze" ? "probe freeze"
                                                                : "probe freeze save thaw");
                }
                s.barrier();
            }
        if (last) backend.wrong_by = 1;
        auto failed = checkpoint.take("");
        ASSERT_FALSE(failed);
        EXPECT_NE(failed.error().text.find("it gave 3000000 of the 3000001 bytes"),
                  std::string::npos) << failed.error().text;
        if (last) backend.wrong_by = ~std::uint64_t{0};
        failed = checkpoint.take("");
        ASSERT_FALSE(failed);
        EXPECT_NE(failed.error().text.find("more than the 2999999 bytes"), std::string::npos)
            << failed.error().text;
        backend.wrong_by = 0;
        EXPECT_EQ(good(checkpoint.take("")).version(), 1u);
        for (const bool throws : {false, true})
            for (const std::string verb : {"probe", "kill", "restore"}) {
                set_up(verb, throws);
                expect(checkpoint.restart(), verb, throws);
                if (!backend.adder) backend.adder = std::make_unique<Adder>("0");
                s.barrier();
            }
        ASSERT_TRUE(good(checkpoint.restart()));
        EXPECT_EQ(backend.adder->add(0), 1);
        s.barrier();
    });
}

TEST_F(BackendRanks, other_numbers_of_ranks_and_other_kinds_are_refused) {
    with_backend(world_size(), [](Session&, Checkpoint& checkpoint, AdderBackend&) {
        good(checkpoint.take(""));
    });
    if (world_size() > 1)
        with_backend(1, [](Session&, Checkpoint& checkpoint, AdderBackend&) {
            const auto refused = checkpoint.restart();
            ASSERT_FALSE(refused);
            EXPECT_EQ(refused.error().code, Errc::unsupported);
            EXPECT_NE(refused.error().text.find("state 'sum' belongs to each of the"),
                      std::string::npos) << refused.error().text;
        });
    backend_kind_ = "multiplier";
    with_backend(world_size(), [](Session&, Checkpoint& checkpoint, AdderBackend&) {
        const auto refused = checkpoint.restart();
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Errc::mismatch);
        EXPECT_NE(refused.error().text.find("state 'sum' has what \"adder\" saves in version 1, "
                                            "and what \"multiplier\" saves here"),
                  std::string::npos) << refused.error().text;
    });
}

}  // namespace
}  // namespace ssi::test
