# SPDX-License-Identifier: BSD-3-Clause
"""The command line itself: help, version, mistakes, manual pages."""
import shutil
import subprocess

from support import PROGRAM, ProgramTest, main

VERBS = ("info", "doctor", "stat", "nodes", "log", "fs", "checkpoint", "config", "man")


class Usage(ProgramTest):
    def test_help_lists_every_verb_and_each_verb_has_help(self):
        top = self.run_ssi("--help")
        self.assertEqual(top.code, 0)
        for verb in VERBS:
            self.assertIn(f"\n  {verb} ", top.out)
            own = self.run_ssi(verb, "--help")
            self.assertEqual(own.code, 0)
            self.assertIn("--help", own.out)

    def test_version_is_that_of_the_project(self):
        result = self.run_ssi("--version")
        self.assertEqual(result.code, 0)
        self.assertRegex(result.out, r"^ssi \d+\.\d+\.\d+\n$")

    def test_help_and_version_work_with_a_broken_configuration(self):
        for flag in ("--help", "--version"):
            self.assertEqual(self.run_ssi(flag, env={"SSI_NONSENSE": "1"}).code, 0)

    def test_no_verb_is_a_usage_error(self):
        self.assert_fails(self.run_ssi(), 2, "ssi --help")

    def test_unknown_verbs_and_options_are_named(self):
        self.assert_fails(self.run_ssi("frobnicate"), 2, "frobnicate")
        self.assert_fails(self.run_ssi("info", "--frobnicate"), 2, "--frobnicate")
        self.assert_fails(self.run_ssi("info", "extra"), 2, "extra")

    def test_verbs_that_are_not_built_yet_are_errors(self):
        for verb in ("up", "down", "top", "sched", "bench"):
            self.assert_fails(self.run_ssi(verb), 2)

    def test_lost_output_is_an_error(self):
        for arguments in (("config",), ("--help",), ("man",)):
            with open("/dev/full", "w", encoding="utf-8") as full:
                result = self.run_ssi(*arguments, capture_output=False, stdout=full,
                                      stderr=subprocess.PIPE)
            self.assertEqual(result.code, 54)
            self.assertIn("io: cannot write to standard output", result.err)
            self.assertIn("ENOSPC", result.err)


class Manual(ProgramTest):
    def test_program_page_has_every_verb_and_option(self):
        result = self.run_ssi("man")
        self.assertEqual(result.code, 0)
        self.assertTrue(result.out.startswith(".TH ssi 1 "))
        for verb in VERBS:
            self.assertIn(f'.SH "ssi {verb}"', result.out)
        for option in ("\\-\\-ranks N", "\\-\\-arena SIZE", "\\-\\-markdown", "\\-\\-json",
                       "\\-\\-waits", "\\-\\-watch SECONDS", "\\-\\-session ID", "\\-\\-node N"):
            self.assertIn(option, result.out)
        self.assertIn("\\fIFILE...\\fR", result.out)

    def test_error_page_has_every_error_with_its_exit_code(self):
        out = self.run_ssi("man", "errors").out
        self.assertIn("10 peer_lost (exit code 50)", out)
        self.assertIn("23 internal (exit code 63)", out)
        self.assertIn("SSI_ERR_", out)
        self.assertEqual(out.count(".TP"), 25)

    def test_config_page_has_every_setting(self):
        settings = self.run_ssi("config", "--json").json()["settings"]
        page = self.run_ssi("man", "config").out
        for setting in settings:
            self.assertIn(setting["variable"], page)

    def test_unknown_page_is_a_usage_error(self):
        self.assert_fails(self.run_ssi("man", "nothing"), 2, "PAGE")

    def test_pages_are_clean_roff(self):
        groff = shutil.which("groff")
        if not groff:
            self.skipTest("groff is not installed")
        for page in ("ssi", "config", "errors"):
            checked = subprocess.run([groff, "-man", "-Tascii", "-ww", "-z"],
                                     input=self.run_ssi("man", page).out, text=True, check=True,
                                     capture_output=True)
            self.assertEqual(checked.stderr, "", PROGRAM)


if __name__ == "__main__":
    main()
