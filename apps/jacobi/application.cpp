// SPDX-License-Identifier: BSD-3-Clause
#include "application.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "support/memory_need.hpp"
#include "support/program.hpp"
#include "support/statistics.hpp"

namespace jacobi {

Application::Application(ssi::Session& session, const Options& options)
    : session_(session),
      options_(options),
      layout_(options.plate, options.block, session.size()),
      progress_("jacobi", session.rank() == 0, options.progress, clock_),
      checkpoints_(session, options.checkpoints, "jacobi", "step", clock_) {
    report_.program = "jacobi";
    report_.plate = options.plate;
    report_.state_bytes = options.state_bytes();
    report_.speed = options.speed;
    report_.ranks = session.size();
    report_.iterations = options.iterations;
    lay_out(layout_);
}

void Application::lay_out(const Layout& layout) {
    layout_ = layout;
    report_.rank_rows = layout.rank_rows();
    report_.rank_cols = layout.rank_cols();
    report_.blocks = layout.blocks();
    report_.block_rows = layout.height();
    report_.block_cols = layout.width();
}

int Application::run() {
    if (const int code = prepare(); code != 0) return code;
    if (const int code = look_back(); code != 0) return code;
    if (const int code = begin(); code != 0) return code;
    if (const int code = solve(); code != 0) return code;
    report_.checkpoints = checkpoints_.finish();
    if (!options_.png.empty()) {
        if (const int code = picture(options_.png); code != 0) return code;
        report_.picture = options_.png;
    }
    report_.digest = plate_->digest();
    report_.change = options_.iterations != 0 ? plate_->change() : 0;
    report_.kddm = {support::sum_over_ranks(session_, plate_->blocks()),
                    support::sum_over_ranks(session_, plate_->edges())};
    verify();
    progress_.finish();
    return report();
}

int Application::agree(const std::string& problem, ssi::Errc code) {
    std::uint64_t exit_code = 0;
    if (!problem.empty()) {
        progress_.finish();
        fmt::print(stderr, "jacobi: {}\n", problem);
        exit_code = static_cast<std::uint64_t>(ssi::error_info(code).exit_code);
    }
    return static_cast<int>(session_.reduce(exit_code, ssi::Reduce::max));
}

int Application::prepare() {
    std::string problem;
    if (first() && !options_.beside.empty()) {
        if (auto other = read_beside(options_.beside))
            report_.beside = *other;
        else
            problem = other.error();
    }
    if (const int code = agree(problem, ssi::Errc::parse); code != 0) return code;
    if (first() && !options_.frames.empty()) {
        std::error_code error;
        std::filesystem::create_directories(options_.frames, error);
        if (error) problem = fmt::format("cannot make {}: {}", options_.frames, error.message());
    }
    // A picture that cannot be written is better known before the work than after it.
    if (first() && problem.empty() && !options_.png.empty()) {
        if (std::FILE* file = std::fopen(options_.png.c_str(), "ab"))
            std::fclose(file);
        else
            problem = fmt::format("cannot write {}: {}", options_.png, std::strerror(errno));
    }
    if (const int code = agree(problem, ssi::Errc::io); code != 0) return code;
    const auto host = support::this_host(session_);
    // Frames of ghosts, pages and what an object costs: a twentieth.
    double bytes = 1.05 * options_.state_bytes() * host.ranks / session_.size();
    // What is written while it is being saved is there twice.
    if (!options_.checkpoints.directory.empty() && !options_.checkpoints.wait) bytes *= 2;
    if (options_.verify && host.has_first) bytes += options_.state_bytes();
    bool fits = true;
    problem = support::memory_problem(session_, host, bytes, "the plate",
                                      "use more hosts, a smaller plate, or no --verify", fits);
    return agree(problem, ssi::Errc::out_of_memory);
}

int Application::look_back() {
    const auto from = checkpoints_.find();
    if (!from) return support::leave_with(session_, "jacobi", from.error());
    if (!*from) return 0;
    Saved saved;
    if (const int code = look_at(**from, saved); code != 0) return code;
    lay_out(Layout(saved.plate, saved.grid, session_.size()));
    return 0;
}

int Application::look_at(const ssi::Restarted& from, Saved& saved) {
    std::string fault = read_saved(from.bytes, saved);
    if (fault.empty())
        fault = fault_of(saved, options_.plate, options_.speed, options_.iterations);
    return fault.empty() ? 0 : refuse(from, fault);
}

int Application::refuse(const ssi::Restarted& from, const std::string& fault) {
    return support::leave_with(
        session_, "jacobi",
        {.code = ssi::Errc::mismatch,
         .text = fmt::format("version {} of {} {}", from.version, options_.checkpoints.directory,
                             fault)});
}

int Application::begin() {
    progress_.stage("filling the plate");
    const double begin = seconds();
    plate_.emplace(session_, layout_, options_.speed);
    if (!options_.png.empty() || !options_.frames.empty())
        pictures_.emplace(*plate_, options_.pixels);
    checkpoints_.protect(plate_->blocks());
    progress_.finish();
    const auto from = checkpoints_.restart();
    if (!from) return support::leave_with(session_, "jacobi", from.error());
    if (*from) {
        // It may be older than what was found, which was damaged then.
        Saved saved;
        if (const int code = look_at(**from, saved); code != 0) return code;
        if (saved.grid != layout_.grid())
            return refuse(**from, fmt::format("has other blocks than the newest one, which is "
                                              "damaged: give --restart-version {}",
                                              (*from)->version));
        first_step_ = saved.steps;
        spent_before_ = saved.seconds;
        plate_->resume(saved.steps);
    } else {
        plate_->start();
    }
    report_.build_seconds = seconds() - begin;
    return 0;
}

std::optional<int> Application::save(std::uint64_t step, double spent) {
    const Saved saved{.plate = layout_.plate(), .grid = layout_.grid(), .speed = options_.speed,
                      .steps = step, .seconds = spent};
    return checkpoints_.at(step, std::as_bytes(std::span(&saved, 1)));
}

int Application::solve() {
    if (first_step_ == 0)
        if (const int code = frame(0); code != 0) return code;
    session_.barrier();
    double spent = spent_before_;
    for (std::uint64_t step = first_step_ + 1; step <= options_.iterations; ++step) {
        const double begin = seconds();
        if (const auto code = save(step - 1, spent)) return *code;
        plate_->step();
        spent += seconds() - begin;
        progress_.update([&] {
            const double rate = static_cast<double>(options_.plate.cells()) *
                                static_cast<double>(step) / spent / 1e6;
            return fmt::format("step {} of {}, {:.1f} M cell updates/s", step,
                               options_.iterations, rate);
        });
        if (const int code = frame(step); code != 0) return code;
    }
    report_.seconds = session_.reduce(spent, ssi::Reduce::max);
    return 0;
}

int Application::frame(std::uint64_t step) {
    if (options_.frames.empty() || step % options_.every != 0) return 0;
    ++report_.frames;
    return picture(fmt::format("{}/frame-{:06}.png", options_.frames, step / options_.every));
}

int Application::picture(const std::string& path) {
    return agree(pictures_->write(path), ssi::Errc::io);
}

void Application::verify() {
    if (!options_.verify) return;
    if (first()) {
        progress_.stage("a serial run, to compare");
        const double begin = seconds();
        SerialPlate serial(options_.plate);
        for (std::uint64_t step = 0; step < options_.iterations; ++step)
            serial.step(options_.speed);
        Report::Verification& verification = report_.verification.emplace();
        verification.seconds = seconds() - begin;
        for (std::uint32_t block = 0; block < layout_.blocks(); ++block)
            plate_->read(block,
                         [&](std::int64_t row, std::int64_t col, std::span<const double> cells) {
                             verification.difference.look(serial, row, col, cells);
                         });
    }
    session_.barrier();
}

int Application::report() {
    ssi::Errc code = ssi::Errc::ok;
    if (report_.verification && !report_.verification->passed()) code = ssi::Errc::mismatch;
    return support::print_report(
        session_, "jacobi", [&] { return options_.json ? report_.json() : report_.text(); }, code);
}

}  // namespace jacobi
