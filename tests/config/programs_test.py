"""Configuration of the real programs: `programs_test.py FOLDER-OF-PROGRAMS`.

Which level wins is tested for every option and pair of levels in src/ballista/config; here, that
the programs act by it, and that what is wrong ends them with one sentence and an exit code.
The default file in /etc/ballista is left alone.
"""

import itertools
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

BIN = None
DEADLINE = 30  # seconds
DEFAULT_PORTS = {"scheduler": 50050, "executor": 50051}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def clean_environment(extra):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("BALLISTA_")}
    return kept | extra


class ProgramsTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name)

    def tearDown(self):
        self.folder.cleanup()

    def end(self, program, *arguments, environment=None):
        """Runs a program that ends by itself: exit code, standard output, standard error."""
        done = subprocess.run(
            [BIN / program, *map(str, arguments)], capture_output=True, text=True,
            timeout=DEADLINE, env=clean_environment(environment or {}), cwd=self.root,
        )
        return done.returncode, done.stdout, done.stderr

    def port_that_is_used(self, program, arguments, environment):
        """Starts a program, reads on which port it says that it listens, and stops it."""
        log = self.root / "log"
        with open(log, "w") as file:
            process = subprocess.Popen(
                [BIN / program, *map(str, arguments)], stdout=file, stderr=file,
                env=clean_environment(environment), cwd=self.root,
            )
        try:
            end = time.monotonic() + DEADLINE
            while time.monotonic() < end and process.poll() is None:
                if found := re.search(r"listening on 127\.0\.0\.1:(\d+)", log.read_text()):
                    return int(found[1])
                time.sleep(0.02)
            self.fail(f"{program} did not say where it listens:\n{log.read_text()}")
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def test_higher_level_wins(self):
        levels = ("environment", "file", "command line")
        for program in DEFAULT_PORTS:
            for low, high in itertools.combinations(levels, 2):
                with self.subTest(program=program, low=low, high=high):
                    ports = {low: free_port(), high: free_port()}
                    arguments, environment = ["--bind-host", "127.0.0.1"], {}
                    if "environment" in ports:
                        name = f"BALLISTA_{program.upper()}_PORT"
                        environment[name] = str(ports["environment"])
                    if "file" in ports:
                        (self.root / "own.toml").write_text(f"port = {ports['file']}\n")
                        arguments += ["--config-file", self.root / "own.toml"]
                    if "command line" in ports:
                        arguments += [f"--port={ports['command line']}"]
                    used = self.port_that_is_used(program, arguments, environment)
                    self.assertEqual(used, ports[high])

    def test_help_and_version(self):
        for program, port in DEFAULT_PORTS.items():
            code, out, _ = self.end(program, "--help")
            self.assertEqual(code, 0)
            self.assertIn(f"Default: {port}.", out)
            code, out, _ = self.end(program, "--version")
            self.assertEqual(code, 0)
            self.assertRegex(out, r"^Ballista v\d+\.\d+\.\d+ ")

    def check_refusal(self, program, arguments, environment, *parts):
        code, out, error = self.end(program, *arguments, environment=environment)
        self.assertNotEqual(code, 0)
        # Log lines may come first; the sentence is the last line.
        sentence = error.splitlines()[-1]
        for part in parts:
            self.assertIn(part, sentence)

    def test_refusals(self):
        (self.root / "own.toml").write_text("\nprot = 1\n")
        for program in DEFAULT_PORTS:
            prefix = f"BALLISTA_{program.upper()}_"
            for arguments, environment, parts in (
                (["--prot", "1"], {}, ("command line", "--prot", "--port")),
                (["--port", "x"], {}, ("command line", "--port", '"x"')),
                ([], {prefix + "PROT": "1"}, (prefix + "PROT", prefix + "PORT")),
                ([], {prefix + "PORT": "70000"}, (prefix + "PORT", '"70000"', "65535")),
                (["--config-file", "own.toml"], {}, ("own.toml:2", '"prot"', '"port"')),
                (["--config-file", "none.toml"], {}, ("none.toml", "No such file")),
                ([], {"BALLISTA_LOG": "loud"}, ("BALLISTA_LOG", '"loud"', "info")),
            ):
                with self.subTest(program=program, arguments=arguments, environment=environment):
                    self.check_refusal(program, arguments, environment, *parts)

    def test_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            for program in DEFAULT_PORTS:
                with self.subTest(program=program):
                    arguments = ["--bind-host", "127.0.0.1", "--port", port]
                    self.check_refusal(program, arguments, {}, "command line", "--port", str(port))

    def test_work_dir_that_cannot_be_written_to(self):
        self.check_refusal("executor", ["--work-dir", "/proc"], {}, "--work-dir", "/proc")


if __name__ == "__main__":
    BIN = pathlib.Path(sys.argv.pop(1)).resolve()
    unittest.main()
