// SPDX-License-Identifier: BSD-3-Clause
// A rank of a program that goes on from its newest checkpoint, checks every byte of it, and takes
// more until it is killed or has taken TAKES. All state follows from the step it was saved at.
//
//     checkpoint_rank DIRECTORY TAKES VOLUMES
//     checkpoint_rank --points
//
// Rank 0 tells on standard error, each line at once: "new" or "from VERSION STEP"; "take STEP"
// before and "taken VERSION STEP" after each; "done". A byte that is not as it was saved is
// "wrong ..." and exit code 1 on any rank. VOLUMES has the directories 0 to 3, volumes of kDFS,
// where each rank has a file open to which it adds a line with each step. With a global store
// ($SSI_CHECKPOINT_GLOBAL_DIRECTORY) all versions are of level global, and some are drained while
// the next one is taken.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "fault_point.hpp"
#include "ssi/ckpt/checkpoint.hpp"
#include "ssi/io/file_system.hpp"
#include "ssi/ssi.hpp"

namespace {

using namespace ssi;

constexpr std::uint64_t objects = 40;
constexpr std::uint64_t elements = 30'000;
constexpr int volumes = 4;

void say(const std::string& text) {
    const std::string line = text + "\n";
    if (::write(STDERR_FILENO, line.data(), line.size()) < 0) std::abort();
}

[[noreturn]] void wrong(const std::string& what) {
    say("wrong " + what);
    ::_exit(1);
}

// Some change with every step, most with few.
std::uint64_t last_change(std::uint64_t id, std::uint64_t step) {
    const std::uint64_t period = 1 + id % 7;
    return step - step % period;
}

std::vector<std::byte> bytes_of(std::uint64_t id, std::uint64_t step) {
    std::mt19937_64 random(id * 7919 + last_change(id, step));
    std::vector<std::byte> bytes(id % 9 == 0 ? 200'000 + random() % 100 : random() % 5000);
    for (std::size_t i = 0; i + 8 <= bytes.size(); i += 8) {
        const std::uint64_t word = random();
        std::memcpy(bytes.data() + i, &word, sizeof word);
    }
    return bytes;
}

std::uint64_t element(std::uint64_t i, std::uint64_t step) {
    return i * 31 + last_change(i / 1000, step);
}

std::unique_ptr<fs::FileSystem> mount(Session& session, const std::string& folder) {
    fs::Options mounting;
    for (int volume = session.rank(); volume < volumes; volume += session.size())
        mounting.volumes.directories.push_back(folder + "/" + std::to_string(volume));
    mounting.cache_bytes = std::uint64_t{8} << 20;
    return value_or_throw(fs::FileSystem::mount(session, mounting));
}

std::string line_of(std::uint64_t step) { return "step " + std::to_string(step) + "\n"; }

class Program {
public:
    Program(Session& session, const std::string& directory, const std::string& folder)
        : session_(session), system_(mount(session, folder)), first_(session.rank() == 0),
          global_(std::getenv("SSI_CHECKPOINT_GLOBAL_DIRECTORY")),
          has_others_(session.size() > 1 && directory.find("%n") != directory.npos),
          blobs_(value_or_throw(session.raw_set("blobs", {.kind = kddm::ObjectKind::variable}))),
          steps_(session.set<std::uint64_t>("steps")),
          checkpoint_(session, {.directory = directory, .application = "checkpoint_rank"}) {
        const auto ranks = static_cast<std::uint64_t>(session.size());
        const auto rank = static_cast<std::uint64_t>(session.rank());
        begin_ = elements * rank / ranks;
        piece_.resize(elements * (rank + 1) / ranks - begin_);
        checkpoint_.protect(blobs_);
        checkpoint_.protect(steps_);
        checkpoint_.protect_array("array", std::span(piece_), begin_, elements);
        // With the ranks' stores destroyed an older version is gone back to than one whose file has
        // only been added to.
        checkpoint_.protect_file("log", *system_, log_, global_);
    }

    void run(std::uint64_t takes) {
        std::uint64_t step = 0;
        if (const auto from = value_or_throw(checkpoint_.restart())) {
            step = from->number;
            check(step);
            if (first_) check_files(from->files, step);
            session_.barrier();
            if (first_)
                say("from " + std::to_string(from->version) + " " + std::to_string(step));
        } else if (first_) {
            say("new");
        }
        if (!log_.is_open())
            log_ = value_or_throw(system_->open("/log." + std::to_string(session_.rank()),
                                                O_CREAT | O_TRUNC | O_WRONLY));
        for (std::uint64_t i = 0; i < takes; ++i) {
            fill(++step);
            const std::string line = line_of(step);
            value_or_throw(log_.write(std::as_bytes(std::span(line))));
            session_.barrier();
            take(step);
        }
        finish_drained();
        session_.barrier();
        if (first_) say("done");
        value_or_throw(log_.close());
        value_or_throw(system_->close());
    }

private:
    void fill(std::uint64_t step) {
        const auto ranks = static_cast<std::uint64_t>(session_.size());
        for (auto id = static_cast<std::uint64_t>(session_.rank()); id < objects; id += ranks) {
            *steps_.grab(id) = step;
            if (step > 1 && last_change(id, step) != step && value_or_throw(blobs_.get(id))
                                                                     .bytes().size() != 0)
                continue;
            const auto bytes = bytes_of(id, step);
            auto guard = value_or_throw(blobs_.grab_new(id));
            value_or_throw(guard.resize(bytes.size()));
            std::memcpy(guard.writable().data(), bytes.data(), bytes.size());
            value_or_throw(guard.put());
        }
        for (std::uint64_t i = 0; i < piece_.size(); ++i) piece_[i] = element(begin_ + i, step);
    }

    // The lines of some steps, one after another, up to that one.
    void check_files(const std::vector<RestartedFile>& files, std::uint64_t step) {
        for (const RestartedFile& one : files) {
            auto file = value_or_throw(system_->open(one.path, O_RDONLY));
            std::string text(value_or_throw(file.stat()).size, ' ');
            const std::size_t read =
                value_or_throw(file.pread(std::as_writable_bytes(std::span(text)), 0));
            if (read != text.size() || text.size() != one.size ||
                one.position != one.size)
                wrong("length of " + one.path);
            std::string wanted;
            for (std::uint64_t s = step; s > 0 && wanted.size() < text.size(); --s)
                wanted.insert(0, line_of(s));
            if (text.empty() || text != wanted) wrong(one.path + ":\n" + text);
        }
    }

    void check(std::uint64_t step) {
        for (std::uint64_t id = 0; id < objects; ++id) {
            if (*steps_.get(id) != step) wrong("object " + std::to_string(id) + " of steps");
            const auto guard = value_or_throw(blobs_.get(id));
            const auto wanted = bytes_of(id, step);
            if (!std::ranges::equal(guard.bytes(), wanted))
                wrong("blob " + std::to_string(id) + " of step " + std::to_string(step));
        }
        for (std::uint64_t i = 0; i < piece_.size(); ++i)
            if (piece_[i] != element(begin_ + i, step)) wrong("element " + std::to_string(i));
        session_.barrier();
    }

    // Two of each kind in turn, where each rank has a store of its own.
    CheckpointLevel level_of(std::uint64_t step) const {
        constexpr CheckpointLevel levels[] = {CheckpointLevel::local, CheckpointLevel::partner,
                                              CheckpointLevel::parity};
        if (global_) return CheckpointLevel::global;
        return has_others_ ? levels[step / 2 % 3] : CheckpointLevel::local;
    }

    // In turn: waited for; going on at once and changing everything; incremental, both ways; and
    // of all levels.
    void take(std::uint64_t step) {
        if (first_) say("take " + std::to_string(step));
        const bool asynchronous = step % 2 == 1;
        const auto ticket = value_or_throw(checkpoint_.take(
            "", {.number = step,
                 .asynchronous = asynchronous,
                 .incremental = step % 4 >= 2,
                 .level = level_of(step)}));
        if (asynchronous) {
            for (std::uint64_t id = 0; id < objects; ++id)
                if (id % static_cast<std::uint64_t>(session_.size()) ==
                    static_cast<std::uint64_t>(session_.rank()))
                    *steps_.grab(id) = 0;
            std::fill(piece_.begin(), piece_.end(), 0);
            const std::string more = "not";   // shorter than the next line
            value_or_throw(log_.pwrite(std::as_bytes(std::span(more)),
                                       value_or_throw(log_.seek(0, SEEK_CUR))));
        }
        if (global_ && asynchronous) {
            draining_ = ticket;
            return;
        }
        value_or_throw(ticket.wait());
        finish_drained();
        if (first_)
            say("taken " + std::to_string(ticket.version()) + " " + std::to_string(step));
    }

    // The last one that was not waited for: there, or a newer one is.
    void finish_drained() {
        if (!draining_) return;
        const auto drained = draining_->wait();
        if (!drained && drained.error().code != Errc::cancelled)
            throw Error(drained.error());
        draining_.reset();
    }

    Session& session_;
    std::unique_ptr<fs::FileSystem> system_;
    fs::File log_;
    const bool first_, global_, has_others_;
    kddm::RawSet blobs_;
    kddm::Set<std::uint64_t> steps_;
    std::uint64_t begin_ = 0;
    std::vector<std::uint64_t> piece_;
    std::optional<CheckpointTicket> draining_;
    Checkpoint checkpoint_;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc == 2 && std::string_view(argv[1]) == "--points") {
        for (const std::string_view name : ckpt::fault_point_names)
            std::printf("%s\n", std::string(name).c_str());
        return 0;
    }
    int code = 0;
    try {
        Session session(argc, argv);
        if (argc != 4) wrong("arguments");
        Program(session, argv[1], argv[3]).run(std::strtoull(argv[2], nullptr, 10));
    } catch (const Error& error) {
        say(std::string("failed ") + error.what());
        code = error_info(error.code()).exit_code;
    }
    Session::exit(code);
}
