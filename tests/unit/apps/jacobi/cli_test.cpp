// SPDX-License-Identifier: BSD-3-Clause
// The command line, the report and the reading of another run's report.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/beside.hpp"
#include "cli/options.hpp"
#include "cli/report.hpp"
#include "grid/png.hpp"

namespace jacobi {
namespace {

using testing::HasSubstr;

tl::expected<Options, support::Leave> parsed(std::vector<const char*> arguments,
                                             Program program = Program::kddm) {
    arguments.insert(arguments.begin(), "jacobi");
    return parse(program, static_cast<int>(arguments.size()), arguments.data());
}

TEST(Options, takes_a_size_or_rows_and_columns) {
    EXPECT_EQ(parsed({})->plate, (Plate{1024, 1024}));
    EXPECT_EQ(parsed({"--size", "70"})->plate, (Plate{70, 70}));
    EXPECT_EQ(parsed({"--rows", "3", "--cols", "5"})->plate, (Plate{3, 5}));
    EXPECT_EQ(parsed({"--cols", "5"})->plate, (Plate{1024, 5}));
    EXPECT_EQ(parsed({"--iterations", "0"})->iterations, 0u);
    EXPECT_DOUBLE_EQ(parsed({"--size", "8192"})->state_bytes(), 1024.0 * 1024 * 1024);
}

TEST(Options, refuses_what_it_cannot_use_in_one_line) {
    const std::pair<std::vector<const char*>, const char*> cases[] = {
        {{"--size", "0"}, "--size 0 is out of range"},
        {{"--size", "-5"}, "--size -5 is out of range"},
        {{"--size", "12x"}, "--size 12x is out of range"},
        {{"--size", "1000001"}, "is out of range: 1 to 1000000"},
        {{"--size", "99999999999999999999"}, "is out of range"},
        {{"--size", "8", "--rows", "8"}, "give it or them"},
        {{"--block", "2041"}, "--block 2041 is out of range"},
        {{"--iterations", "1.5"}, "--iterations 1.5"},
        {{"--speed", "0.26"}, "--speed 0.26"},
        {{"--speed", "nan"}, "--speed nan"},
        {{"--frames", "d"}, "--frames needs --every"},
        {{"--every", "3"}, "--every needs --frames"},
        {{"--png", ""}, "--png needs a name"},
        {{"--restart"}, "--restart needs --checkpoint DIR"},
        {{"--checkpoint", ""}, "--checkpoint needs a name"},
        {{"--checkpoint", "d", "--checkpoint-every", "0"}, "--checkpoint-every 0 is out of range"},
        {{"--checkpoint", "d", "--checkpoint-seconds", "inf"}, "--checkpoint-seconds inf"},
        {{"--nonsense"}, "--nonsense"},
        {{"extra"}, "extra"},
    };
    for (const auto& [arguments, text] : cases) {
        const auto options = parsed(arguments);
        ASSERT_FALSE(options) << text;
        EXPECT_EQ(options.error().exit_code, 2);
        EXPECT_THAT(options.error().text, HasSubstr(text));
        EXPECT_EQ(std::count(options.error().text.begin(), options.error().text.end(), '\n'), 1);
    }
}

TEST(Options, has_pictures_in_one_program_only) {
    EXPECT_EQ(parsed({"--png", "x"}).has_value(), can_write_png());
    EXPECT_FALSE(parsed({"--png", "x"}, Program::mpi_twin));
    EXPECT_FALSE(parsed({"--block", "8"}, Program::mpi_twin));
    EXPECT_TRUE(parsed({"--size", "8", "--verify", "--json"}, Program::mpi_twin));
    EXPECT_THAT(parsed({"--help"}).error().text, HasSubstr("--frames"));
    EXPECT_EQ(parsed({"--version"}).error().exit_code, 0);
}

TEST(Options, say_when_to_save_and_what_to_go_on_from) {
    EXPECT_TRUE(parsed({})->checkpoints.directory.empty());
    const auto often = parsed({"--checkpoint", "d", "--checkpoint-every", "7",
                               "--checkpoint-seconds", "1.5", "--checkpoint-wait"});
    EXPECT_EQ(often->checkpoints.directory, "d");
    EXPECT_EQ(often->checkpoints.every, 7u);
    EXPECT_DOUBLE_EQ(often->checkpoints.seconds, 1.5);
    EXPECT_TRUE(often->checkpoints.wait);
    EXPECT_FALSE(often->checkpoints.restart);
    EXPECT_TRUE(parsed({"--checkpoint", "d", "--restart"})->checkpoints.restart);
    const auto older = parsed({"--checkpoint", "d", "--restart-version", "3"});
    EXPECT_TRUE(older->checkpoints.restart);
    EXPECT_EQ(older->checkpoints.version, 3u);
    EXPECT_FALSE(parsed({"--checkpoint", "d"}, Program::mpi_twin));
}

Report some_report() {
    Report report;
    report.program = "mpi_jacobi";
    report.plate = {30, 40};
    report.iterations = 10;
    report.seconds = 0.5;
    report.digest = 0x00c0ffee00c0ffee;
    return report;
}

TEST(Beside, reads_what_a_report_writes) {
    const auto other = parse_beside(some_report().json(), "x.json");
    ASSERT_TRUE(other) << other.error();
    EXPECT_EQ(other->program, "mpi_jacobi");
    EXPECT_EQ(other->plate, (Plate{30, 40}));
    EXPECT_EQ(other->iterations, 10u);
    EXPECT_EQ(other->digest, 0x00c0ffee00c0ffeeu);
    EXPECT_DOUBLE_EQ(other->updates_per_second, 24000);
}

TEST(Beside, refuses_anything_else) {
    for (const char* text : {"", "{}", "\"program\": \"x", "{\"program\": \"a\", \"rows\": x}"}) {
        const auto other = parse_beside(text, "x.json");
        ASSERT_FALSE(other);
        EXPECT_THAT(other.error(), HasSubstr("x.json is no report"));
    }
    EXPECT_THAT(read_beside("/no/such/file").error(), HasSubstr("cannot read /no/such/file"));
}

TEST(Report, tells_whether_two_runs_found_the_same) {
    Report report = some_report();
    report.beside = *parse_beside(report.json(), "x");
    EXPECT_THAT(report.text(), HasSubstr("ratio 1.00; the same result, every bit"));
    EXPECT_THAT(report.json(), HasSubstr("\"same_result\": true"));
    report.digest ^= 1;
    EXPECT_THAT(report.text(), HasSubstr("ANOTHER RESULT"));
    EXPECT_THAT(report.json(), HasSubstr("\"same_result\": false"));
    report.iterations = 11;
    EXPECT_THAT(report.text(), HasSubstr("another plate or other steps"));
}

TEST(Report, tells_of_checkpoints_where_they_were_asked_for) {
    Report report = some_report();
    EXPECT_THAT(report.text() + report.json(), testing::Not(HasSubstr("checkpoints")));
    report.checkpoints = {.directory = "a \"b\"", .unit = "step", .taken = 3,
                          .stopped_seconds = 0.5};
    EXPECT_THAT(report.text(), HasSubstr("checkpoints 3 in a \"b\", for which the run stopped"));
    EXPECT_THAT(report.text(), testing::Not(HasSubstr("FAILED")));
    EXPECT_THAT(report.json(), HasSubstr("\"directory\": \"a \\\"b\\\"\", \"taken\": 3"));
    EXPECT_THAT(report.json(), HasSubstr("\"restarted\": null}"));
    report.checkpoints.failed = 1;
    report.checkpoints.restart = {.version = 7, .number = 70, .saved_ranks = 1};
    EXPECT_THAT(report.text(), HasSubstr("from version 7, step 70, saved by 1 rank\n"));
    EXPECT_THAT(report.text(), HasSubstr("1 FAILED"));
    EXPECT_THAT(report.json(), HasSubstr("{\"version\": 7, \"step\": 70, \"saved_ranks\": 1}"));
}

TEST(Report, says_which_cell_differs) {
    Report report = some_report();
    report.verification.emplace();
    EXPECT_THAT(report.text(), HasSubstr("every bit agrees"));
    report.verification->difference = {.cells = 1234, .row = 5, .col = 6, .found = 1};
    EXPECT_THAT(report.text(), HasSubstr("1,234 cells DIFFER from a serial run"));
    EXPECT_THAT(report.text(), HasSubstr("the first is row 5, column 6: 1 instead of 0"));
    EXPECT_THAT(report.json(), HasSubstr("\"passed\": false"));
}

}  // namespace
}  // namespace jacobi
