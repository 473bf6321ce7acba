"""The commands of docs/security.md, as they stand there but for the ports, in an empty folder: they make certificates,
tokens and users, start a cluster and use it."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "cluster"))
from cluster import binaries_folder, free_ports  # noqa: E402

# What the page leaves to its reader: until the executor is there.
WAIT = """
for try in $(seq 100); do
  grep -q "Registered with the scheduler" executor.log && break
  sleep 0.1
done
"""


class Recipes(unittest.TestCase):
    def test_recipes(self):
        page = (ROOT / "docs" / "security.md").read_text()
        # etcd's (```shell) are another test's: tests/cluster/etcd_access_test.py.
        blocks = re.findall(r"^```sh\n(.*?)^```$", page, re.M | re.S)
        self.assertEqual(len(blocks), 4)
        script = "set -e\n" + "".join(blocks)
        for port, free in zip(("50050", "50080", "50051"), free_ports(3)):
            script = script.replace(port, str(free))
            if port == "50050":
                scheduler = free
        script = script.replace("--external-host localhost", f"--external-host localhost --scheduler-port {scheduler}")
        script = re.sub(r"(executor [^\n]*)&\n", rf"\1 > executor.log 2>&1 &\n{WAIT}", script)
        script = script.replace("ballista --tls-ca", f"ballista --port {scheduler} --tls-ca")
        with tempfile.TemporaryDirectory() as folder:
            env = {**os.environ, "PATH": f"{binaries_folder()}:{os.environ['PATH']}", "HOME": folder}
            with subprocess.Popen(
                ["bash", "-c", script], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                start_new_session=True,
            ) as shell:  # fmt: skip
                try:
                    shell.wait(60)
                finally:
                    os.killpg(shell.pid, signal.SIGTERM)
                out, error = shell.communicate(timeout=20)
            self.assertEqual(shell.returncode, 0, error)
            self.assertRegex(out, r"(?s)answer.*42")
            self.assertIn('"host":"localhost"', out)
            self.assertEqual(oct((pathlib.Path(folder) / "users").stat().st_mode)[-3:], "600")


if __name__ == "__main__":
    unittest.main()
