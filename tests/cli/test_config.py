# SPDX-License-Identifier: BSD-3-Clause
"""`ssi config`: the table of settings as TOML, Markdown and JSON."""
import os

from support import SOURCE, ProgramTest, main


class Config(ProgramTest):
    def test_documentation_in_the_tree_is_the_generated_one(self):
        with open(os.path.join(SOURCE, "docs", "configuration.md"), encoding="utf-8") as file:
            written = file.read()
        self.assertEqual(self.run_ssi("config", "--markdown").out, written,
                         "run: ssi config --markdown > docs/configuration.md")

    def test_printed_toml_is_a_configuration_file(self):
        first = self.run_ssi("config", env={"SSI_ARENA_WARM_BYTES": "3M", "SSI_PROGRESS": "yield"})
        self.assertEqual(first.code, 0)
        self.assertIn("# Set by SSI_PROGRESS.\nprogress = \"yield\"\n", first.out)
        path = self.file("printed.toml", first.out)
        second = self.run_ssi("config", "--json", "--ssi-config", path)
        self.assertEqual(second.code, 0, second.err)
        values = {s["key"]: s for s in second.json()["settings"]}
        self.assertEqual(values["arena.warm_bytes"]["value"], 3 << 20)
        self.assertEqual(values["progress"]["value"], "yield")
        self.assertTrue(values["progress"]["source"].startswith(path + ":"))

    def test_json_has_types_and_names(self):
        settings = {s["key"]: s for s in self.run_ssi("config", "--json").json()["settings"]}
        self.assertIs(settings["detect.enabled"]["value"], True)
        self.assertEqual(settings["arena.chunk_bytes"]["value"], 2 << 20)
        self.assertEqual(settings["arena.chunk_bytes"]["variable"], "SSI_ARENA_CHUNK_BYTES")
        self.assertEqual(settings["arena.chunk_bytes"]["flag"], "--ssi-arena-chunk-bytes")

    def test_flag_beats_variable(self):
        result = self.run_ssi("config", "--json", "--ssi-kddm-shards", "5",
                              env={"SSI_KDDM_SHARDS": "4"})
        shards = [s for s in result.json()["settings"] if s["key"] == "kddm.shards"][0]
        self.assertEqual((shards["value"], shards["source"]), (5, "--ssi-kddm-shards"))

    def test_mistakes_are_named_with_their_source(self):
        self.assert_fails(self.run_ssi("config", env={"SSI_KDDM_SHARD": "1"}), 2,
                          "unknown variable SSI_KDDM_SHARD; did you mean SSI_KDDM_SHARDS?")
        self.assert_fails(self.run_ssi("config", env={"SSI_KDDM_SHARDS": "many"}), 2,
                          "SSI_KDDM_SHARDS: \"many\"", "1 to 4096")
        self.assert_fails(self.run_ssi("config", "--ssi-kddm-shards=0"), 2, "--ssi-kddm-shards")
        self.assert_fails(self.run_ssi("--ssi-nothing", "--version"), 2, "--ssi-nothing")
        path = self.file("bad.toml", "[arena]\nwarm = 1\n")
        self.assert_fails(self.run_ssi("config", env={"SSI_CONFIG": path}), 2,
                          path + ":2: unknown setting arena.warm")
        self.assert_fails(self.run_ssi("config", env={"SSI_CONFIG": "/nonexistent"}), 2,
                          "SSI_CONFIG: cannot read configuration file /nonexistent", "ENOENT")

    def test_formats_exclude_each_other(self):
        self.assert_fails(self.run_ssi("config", "--markdown", "--json"), 2)
        self.assert_fails(self.run_ssi("config", "--markdown", "--toml"), 2)


if __name__ == "__main__":
    main()
