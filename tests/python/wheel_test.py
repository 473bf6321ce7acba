"""The wheel that carries the programs, in a fresh environment: it starts a cluster and answers a query, with nothing
of this source tree, and nothing of the folders that the programs were built in, in its processes."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "python" / "build_wheel.py"
CODE = """
import pathlib, ballista, pyarrow
assert pathlib.Path(ballista.__file__).is_relative_to({site!r}), ballista.__file__
with ballista.Cluster(executors=2, threads=1) as cluster, cluster.connect() as con:
    print(con.sql("SELECT sum(i)::BIGINT AS s FROM range(1000) t(i)").fetchall())
    for process in cluster._processes.values():
        maps = pathlib.Path(f"/proc/{{process.pid}}/maps").read_text()
        for line in maps.splitlines():
            print("mapped", *line.split()[5:])
"""


class Wheel(unittest.TestCase):
    def build(self, folder, *arguments):
        subprocess.run([sys.executable, str(BUILD), "--out", folder, *arguments], check=True, timeout=240)
        [wheel] = pathlib.Path(folder).glob("*.whl")
        return wheel

    def test_of_the_client(self):
        with tempfile.TemporaryDirectory() as folder:
            wheel = self.build(folder)
            self.assertTrue(wheel.name.endswith("-py3-none-any.whl"))
            names = zipfile.ZipFile(wheel).namelist()
            self.assertIn("ballista/py.typed", names)
            self.assertFalse([name for name in names if "/bin/" in name])

    def test_with_programs(self):
        with tempfile.TemporaryDirectory() as folder:
            wheel = self.build(folder, "--programs", os.environ["BALLISTA_HOME"])
            self.assertRegex(wheel.name, r"-py3-none-linux_\w+\.whl$")
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", f"{folder}/venv"], check=True, timeout=60)
            site = pathlib.Path(folder, "venv", "lib", f"python3.{sys.version_info.minor}", "site-packages")
            install = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-deps"]
            subprocess.run([*install, "--target", str(site), str(wheel)], check=True, timeout=120)
            # pyarrow is the one requirement: the test's own, by a link instead of a download.
            import pyarrow

            for name in ("pyarrow", "pyarrow.libs"):
                found = pathlib.Path(pyarrow.__file__).parents[1] / name
                if found.exists():
                    (site / name).symlink_to(found)
            environment = {"PATH": "/usr/bin:/bin", "HOME": folder}
            done = subprocess.run(
                [f"{folder}/venv/bin/python", "-c", CODE.format(site=str(site))],
                capture_output=True, text=True, timeout=120, cwd=folder, env=environment,
            )  # fmt: skip
            self.assertEqual(done.returncode, 0, done.stderr)
            lines = done.stdout.splitlines()
            self.assertEqual(lines[0], "[(499500,)]")
            mapped = {line.split()[1] for line in lines[1:] if len(line.split()) > 1}
            libraries = {path for path in mapped if ".so" in path}
            self.assertTrue([path for path in libraries if path.endswith("/bin/lib/libduckdb.so")], libraries)
            arrow = str(pathlib.Path(pyarrow.__file__).parent)
            for path in libraries:
                system = path.startswith(("/usr/lib", "/lib")) and "python" not in path
                self.assertTrue(system or path.startswith((str(site), arrow)), path)
            for name in ("protobuf", "fmt", "ssl", "sqlite3"):
                self.assertFalse([path for path in libraries if path.startswith("/usr/lib") and f"lib{name}" in path])


if __name__ == "__main__":
    unittest.main()
