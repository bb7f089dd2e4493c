# SPDX-License-Identifier: BSD-3-Clause
"""`ssi stat`, `ssi nodes` and SIGUSR2 on a session that runs under mpirun."""
import json
import os
import re
import signal
import socket
import subprocess
import time

from support import ProgramTest, main

RANK = os.environ["SSI_TEST_RANK"]
MPIRUN = ["mpirun", "--oversubscribe", "--bind-to", "none", "--enable-recovery",
          "--mca", "pml", "ob1", "--mca", "btl", "self,vader"]


class Session(ProgramTest):
    """One mpirun of session_rank; every test lets it go on and sees it end."""

    def start(self, *arguments, ranks=3, env=None):
        self.run_directory = os.path.join(self.here, "run")
        self.files |= {"run", "log", "go"}
        variables = {"SSI_CONTROL_DIRECTORY": self.run_directory, "OMPI_ALLOW_RUN_AS_ROOT": "1",
                     "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", **(env or {})}
        with open(os.path.join(self.here, "log"), "w", encoding="utf-8") as log:
            self.job = subprocess.Popen([*MPIRUN, "-n", str(ranks), RANK, *arguments],
                                        cwd=self.here, env=self.environment(variables),
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.addCleanup(self.end_job)
        self.wait(lambda: "ready" in self.log(), "the session does not start")

    def end_job(self):
        if self.job.poll() is None:
            self.job.terminate()
            self.job.wait(30)

    def finish(self, code=0):
        with open(os.path.join(self.here, "go"), "w", encoding="utf-8"):
            pass
        self.assertEqual(self.job.wait(60), code, self.log())

    def log(self):
        with open(os.path.join(self.here, "log"), encoding="utf-8") as log:
            return log.read()

    def wait(self, condition, text, seconds=30):
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, text + "\n" + self.log())
            self.assertIsNone(self.job.poll(), self.log())
            time.sleep(0.02)

    def ssi(self, *arguments):
        return self.run_ssi(*arguments, env={"SSI_CONTROL_DIRECTORY": self.run_directory})

    def nodes(self):
        sessions = self.ssi("nodes", "--json").json()["sessions"]
        self.assertEqual(len(sessions), 1)
        return sessions[0]["nodes"]

    def leftovers(self):
        return sorted(os.listdir(self.run_directory))

    def sockets(self):
        name, = [n for n in self.leftovers() if n.endswith(".session")]
        with open(os.path.join(self.run_directory, name), encoding="utf-8") as file:
            return [node["socket"] for node in json.load(file)["nodes"]]

    def ask(self, path, request):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(10)
            client.connect(path)
            client.sendall((json.dumps(request) + "\n").encode())
            return json.loads(client.makefile().readline())

    def test_waits_name_who_waits_for_what_and_who_holds_it(self):
        self.start()
        waits = lambda: self.ssi("stat", "--waits").out
        self.wait(lambda: "in grab" in waits() and "in barrier" in waits(), "nobody waits")
        text = waits()
        self.assertRegex(text, r"(?m)^node 0 task \d+ waits [\d.]+ s in grab of object 7 of set "
                               r"'things', home node 0, held at node 1 \(grab\); "
                               r"holds object 3 of set 'things' \(get\)$")
        self.assertRegex(text, r"(?m)^node 2 task \d+ waits [\d.]+ s in barrier, for node 0$")
        self.assertNotRegex(text, r"(?m)^node 1 task")
        data = self.ssi("stat", "--waits", "--json", "--node", "0").json()
        wait, = data["nodes"][0]["waits"]
        self.assertEqual((wait["set"], wait["lo"], wait["verb"]), ("things", 7, "grab"))
        self.assertEqual(wait["held_by"], [{"node": 1, "verb": "grab", "guards": 1}])
        self.finish()
        self.assertEqual(self.leftovers(), [])

    def test_statistics_are_summed_and_told_by_node_and_set(self):
        self.start()
        self.wait(lambda: "in grab" in self.ssi("stat", "--waits").out, "nobody waits")
        text = self.ssi("stat").out
        self.assertRegex(text, r"(?m)^session [0-9a-f]{16}: session_rank, 3 nodes$")
        self.assertRegex(text, r"(?m)^things +all +1 +2 ")
        self.assertRegex(text, r"(?m)^ +1 +0 +1 ")
        self.assertRegex(text, r"(?m)^counter +all +node 0 +node 1 +node 2$")
        data = self.ssi("stat", "--json").json()
        values = lambda part: {(v["name"], v["labels"]): v["value"] for v in part["values"]}
        name = ("ssi_kddm_grabs_total", 'set="things"')
        self.assertEqual(values(data)[name], 2)
        self.assertEqual([values(node)[name] for node in data["nodes"]], [1, 1, 0])
        only = self.ssi("stat", "--json", "--node", "1").json()
        self.assertEqual([node["node"] for node in only["nodes"]], [1])
        self.finish()

    def test_nodes_are_listed_with_their_processes(self):
        self.start("lone")
        nodes = self.nodes()
        self.assertEqual([node["node"] for node in nodes], [0, 1, 2])
        for node in nodes:
            with open(f"/proc/{node['pid']}/comm", encoding="utf-8") as comm:
                self.assertEqual(comm.read().strip(), "session_rank")
            self.assertGreater(node["rss_bytes"], 1 << 20)
            self.assertGreaterEqual(node["cores"], 1)
        self.assertRegex(self.ssi("nodes").out, r"(?m)^ +1  \S+ +\d+ +\d+ +[\d.]+ MiB  [\d.]+ s$")
        session = self.ssi("nodes", "--json").json()["sessions"][0]["session"]
        self.assertEqual(self.ssi("stat", "--session", session[:4]).code, 0)
        self.assert_fails(self.ssi("stat", "--session", "x"), 43, "no session x")
        self.assert_fails(self.ssi("stat", "--node", "9"), 43, "has no node 9")
        self.finish()

    def test_watch_ends_with_the_session(self):
        self.start("lone")
        watch = subprocess.Popen([os.environ["SSI_TEST_PROGRAM"], "stat", "--watch", "0.2"],
                                 env=self.environment({"SSI_CONTROL_DIRECTORY":
                                                       self.run_directory}),
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(watch.kill)
        out, rounds = "", 0
        while rounds < 3:
            line = watch.stdout.readline()
            self.assertTrue(line, "it ended early")
            rounds += line.startswith("set ")
            out += line
        self.assertIn("a second", out)
        self.finish()
        watch.communicate(timeout=20)
        self.assertEqual(watch.returncode, 0)

    def test_sigusr2_makes_a_process_print_the_same(self):
        self.start()
        self.wait(lambda: "in grab" in self.ssi("stat", "--waits").out, "nobody waits")
        os.kill(self.nodes()[0]["pid"], signal.SIGUSR2)
        self.wait(lambda: re.search(r"node 0 dump: task \d+ waits \d+ ms in grab of object 7 of "
                                    r"set 'things', home node 0, holding object 3 of set 'things' "
                                    r"\(get\)\n", self.log()), "no dump")
        self.wait(lambda: 'node 0 dump: ssi_kddm_gets_total{set="things"} 1\n' in self.log(),
                  "no counters")
        self.assertNotIn("node 1 dump", self.log())
        self.finish()

    def test_any_node_forwards_to_any_other(self):
        self.start("lone")
        sockets = self.sockets()
        for via in sockets:
            for node in range(3):
                reply = self.ask(via, {"verb": "node", "node": node})
                self.assertEqual(reply["value"]["node"], node)
        text = self.ask(sockets[2], {"verb": "metrics", "node": 0})["value"]
        self.assertGreater(len(text), 8192, "too short to be sent as a large payload")
        self.assertIn('ssi_kddm_gets_total{set="many99"} 0\n', text)
        unknown = self.ask(sockets[0], {"verb": "ping", "node": 7})
        self.assertEqual(unknown["error"]["code"], "invalid_argument")
        no_fd = self.ask(sockets[0], {"verb": "fd", "name": "x", "node": 1})
        self.assertFalse(no_fd["ok"])
        self.finish()

    def test_nodes_of_another_host_are_reached_by_way_of_this_one(self):
        self.start("lone")
        name, = [n for n in self.leftovers() if n.endswith(".session")]
        path = os.path.join(self.run_directory, name)
        with open(path, encoding="utf-8") as file:
            contact = json.load(file)
        contact["nodes"][2].update(host="elsewhere", socket="/nowhere")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(contact, file)
        self.assertEqual([node["answers"] for node in self.nodes()], [True, True, True])
        self.finish()

    def test_a_stopped_node_is_named_and_the_others_are_printed(self):
        self.start("lone", env={"SSI_DETECT_ENABLED": "false"})
        pid = self.nodes()[1]["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            result = self.ssi("stat")
            forwarded = self.ask(self.sockets()[0], {"verb": "ping", "node": 1})
        finally:
            os.kill(pid, signal.SIGCONT)
        self.assert_fails(result, 52, "timed_out", "node 1", "stopped or very busy")
        self.assertRegex(result.out, r"(?m)^things +all ")
        self.assertEqual(forwarded["error"]["code"], "timed_out")
        self.finish()

    def test_what_killed_processes_leave_is_cleaned_by_the_next_session(self):
        self.start("lone")
        for node in self.nodes():
            os.kill(node["pid"], signal.SIGKILL)
        self.job.wait(60)
        left = self.leftovers()
        self.assertEqual(len(left), 4, left)
        self.assert_fails(self.ssi("stat"), 43, "no session of this user")
        self.start("lone", ranks=1)
        self.assertFalse(set(left) & set(self.leftovers()))
        self.assertEqual(len(self.leftovers()), 2)
        self.finish()

    def test_switched_off_there_is_none(self):
        self.start("lone", ranks=2, env={"SSI_CONTROL_SOCKET": "off"})
        self.files.discard("run")
        self.assertFalse(os.path.exists(self.run_directory))
        self.assert_fails(self.ssi("stat"), 43, "no session of this user")
        self.finish()

    def test_a_directory_that_cannot_be_used_costs_a_warning_only(self):
        os.mkdir(os.path.join(self.here, "run"), mode=0o755)
        os.chmod(os.path.join(self.here, "run"), 0o755)
        self.start("lone", ranks=2)
        self.assertRegex(self.log(), r"node 0 session warn: no control socket: io: the directory "
                                     r"\S+ is open to other users: chmod 700; see the settings")
        self.finish()


if __name__ == "__main__":
    main()
