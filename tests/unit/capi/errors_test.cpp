// SPDX-License-Identifier: BSD-3-Clause
// The error numbers of C are those of the table, and errors.h is what the table says.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <fstream>
#include <sstream>
#include <string>

#include "handles.hpp"
#include "ssi/base/error.hpp"
#include "ssi/ssi.h"

namespace {

constexpr std::size_t columns = 100;

std::string comment(std::string_view sentence) {
    std::istringstream words("/* " + std::string(sentence) + " */");
    std::string out, line = "   ", word;
    while (words >> word) {
        if (line.size() + 1 + word.size() > columns) {
            out += line + "\n";
            line = "      ";
        }
        line += " " + word;
    }
    return out + line + "\n";
}

std::string constant(const ssi::ErrorInfo& info) {
    if (info.code == ssi::Errc::ok) return "SSI_OK";
    std::string name = std::string("SSI_ERR_") + info.name;
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return name;
}

std::string errors_h() {
    std::string out =
        "/* SPDX-License-Identifier: BSD-3-Clause\n"
        " *\n"
        " * The error numbers. Written from the table in runtime/base/error.cpp: do not edit it "
        "here (see\n"
        " * capi/README.md). Numbers are never reused. */\n"
        "#ifndef SSI_CAPI_ERRORS_H\n"
        "#define SSI_CAPI_ERRORS_H\n"
        "\n"
        "enum ssi_error {\n";
    for (const ssi::ErrorInfo& info : ssi::error_table()) {
        const bool last = &info == &ssi::error_table().back();
        out += comment(info.text) + "    " + constant(info) + " = " +
               std::to_string(static_cast<int>(info.code)) + (last ? "\n" : ",\n");
    }
    return out + "};\n\n#endif\n";
}

}  // namespace

TEST(CErrors, header_is_what_the_error_table_says) {
    const char* path = std::getenv("SSI_ERRORS_H");
    ASSERT_TRUE(path) << "SSI_ERRORS_H must name capi/include/ssi/capi/errors.h";
    if (std::getenv("SSI_WRITE_ERRORS_H")) std::ofstream(path) << errors_h();
    std::stringstream there;
    there << std::ifstream(path).rdbuf();
    EXPECT_EQ(there.str(), errors_h())
        << "errors.h is not what the error table says: run this test with SSI_WRITE_ERRORS_H=1";
}

TEST(CErrors, names_sentences_and_exit_codes_come_from_the_table) {
    for (const ssi::ErrorInfo& info : ssi::error_table()) {
        const int number = static_cast<int>(info.code);
        EXPECT_STREQ(ssi_error_name(number), info.name);
        EXPECT_STREQ(ssi_strerror(number), info.text);
        EXPECT_EQ(ssi_exit_code(number), info.exit_code);
    }
    EXPECT_EQ(static_cast<int>(ssi::Errc::internal), SSI_ERR_INTERNAL);
}

TEST(CErrors, numbers_that_are_none_read_as_internal) {
    for (const int number : {-1, 25, 70000, -2147483647})
        EXPECT_STREQ(ssi_error_name(number), "internal") << number;
}

TEST(CErrors, last_error_is_what_the_failure_was) {
    using namespace ssi;
    const int result = capi::call([]() -> Result<void> {
        return tl::unexpected<Failure>(
            Failure{Errc::io, ENOSPC, NodeId(3), "cannot write the file"});
    });
    EXPECT_EQ(result, SSI_ERR_IO);
    EXPECT_EQ(ssi_last_error_errno(), ENOSPC);
    EXPECT_EQ(ssi_last_error_node(), 3u);
    EXPECT_NE(std::string(ssi_last_error()).find("cannot write the file"), std::string::npos);
    EXPECT_EQ(ssi_put(nullptr), SSI_ERR_INVALID_ARGUMENT);
    EXPECT_EQ(ssi_last_error_errno(), 0);
    EXPECT_EQ(ssi_last_error_node(), SSI_NO_NODE);
}

// Whatever a body throws becomes a number.
template <class Thrown>
int number_of(const Thrown& thrown) {
    return ssi::capi::call([&]() -> ssi::Result<void> { throw thrown; });
}

TEST(CErrors, no_exception_leaves_a_function) {
    EXPECT_EQ(number_of(ssi::Error(ssi::Failure{ssi::Errc::parse, 0, ssi::no_node, "line 4"})),
              SSI_ERR_PARSE);
    EXPECT_NE(std::string(ssi_last_error()).find("line 4"), std::string::npos);
    EXPECT_EQ(number_of(std::bad_alloc()), SSI_ERR_OUT_OF_MEMORY);
    EXPECT_EQ(number_of(std::length_error("vector::reserve")), SSI_ERR_OUT_OF_MEMORY);
    EXPECT_EQ(number_of(std::runtime_error("something else")), SSI_ERR_INTERNAL);
    EXPECT_NE(std::string(ssi_last_error()).find("something else"), std::string::npos);
    EXPECT_EQ(number_of(7), SSI_ERR_INTERNAL);
}
