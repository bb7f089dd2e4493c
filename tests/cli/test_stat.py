# SPDX-License-Identifier: BSD-3-Clause
"""`ssi stat`."""
from support import ProgramTest, main

NODE = """# TYPE ssi_arena_bytes gauge
ssi_arena_bytes 48
# TYPE ssi_kddm_gets counter
ssi_kddm_gets_total{set="ranks"} 3
ssi_kddm_gets_total{set="a,b} \\"c\\""} 4
# TYPE ssi_get_seconds histogram
# UNIT ssi_get_seconds seconds
ssi_get_seconds_bucket{le="1e-06"} 9
ssi_get_seconds_bucket{le="0.001"} 10
ssi_get_seconds_bucket{le="+Inf"} 10
ssi_get_seconds_count 10
# EOF
"""


class Stat(ProgramTest):
    def test_prints_a_table(self):
        result = self.run_ssi("stat", self.file("n0", NODE))
        self.assertEqual(result.code, 0, result.err)
        self.assertRegex(result.out, r'(?m)^ssi_kddm_gets_total\{set="ranks"\} +3$')
        self.assertRegex(result.out, r"(?m)^ssi_arena_bytes +48$")
        self.assertRegex(result.out, r"(?m)^ssi_get_seconds +10 +1.0 us +1.0 us +1.0 ms$")

    def test_json_has_the_same_numbers(self):
        data = self.run_ssi("stat", "--json", self.file("n0", NODE)).json()
        self.assertEqual(data["files"], 1)
        values = {(v["name"], v["labels"]): v["value"] for v in data["values"]}
        self.assertEqual(values["ssi_kddm_gets_total", 'set="ranks"'], 3)
        self.assertEqual(values["ssi_kddm_gets_total", 'set="a,b} \\"c\\""'], 4)
        self.assertEqual(data["histograms"][0]["p99"], 0.001)

    def test_several_files_are_added_up(self):
        data = self.run_ssi("stat", "--json", self.file("n0", NODE), self.file("n1", NODE)).json()
        self.assertEqual(data["files"], 2)
        self.assertIn(6, [v["value"] for v in data["values"]])
        self.assertEqual(data["histograms"][0]["count"], 20)

    def test_missing_and_unreadable_files_are_named(self):
        self.assert_fails(self.run_ssi("stat", "absent"), 43, "not_found", "absent", "ENOENT")
        self.assert_fails(self.run_ssi("stat", "."), 54, "io", "EISDIR")

    def test_without_a_file_a_running_session_is_looked_for(self):
        self.assert_fails(self.run_ssi("stat"), 43, "not_found", "no session of this user",
                          "control.directory")
        self.assertEqual(self.run_ssi("nodes").out, "no session of this user runs on this host\n")
        self.assertEqual(self.run_ssi("nodes", "--json").json(), {"sessions": []})
        self.assert_fails(self.run_ssi("nodes", "--session", "ff"), 43, "not_found")

    def test_options_of_a_running_session_exclude_files(self):
        for option in (("--waits",), ("--session", "a"), ("--node", "1"), ("--watch", "1")):
            self.assert_fails(self.run_ssi("stat", self.file("n0", NODE), *option), 2, option[0])
        self.assert_fails(self.run_ssi("stat", "--watch", "0"), 2, "--watch")

    def test_malformed_files_name_the_line(self):
        for line, text in ((1, "nonsense nonsense nonsense\n# EOF\n"),
                           (2, "a 1\na{x=1} 1\n# EOF\n"),
                           (2, "a 1\n\n# EOF\n"),
                           (3, "a 1\nb 2\n"),
                           (3, "a 1\n# EOF\nb 2\n"),
                           (1, "")):
            with self.subTest(text=text):
                result = self.run_ssi("stat", self.file("bad", text))
                self.assert_fails(result, 61, f"bad:{line}: ")

    def test_one_malformed_file_of_several_prints_nothing(self):
        result = self.run_ssi("stat", self.file("n0", NODE), self.file("bad", "?\n"))
        self.assert_fails(result, 61, "bad:1: ")
        self.assertEqual(result.out, "")


if __name__ == "__main__":
    main()
