"""`make install` and the Debian package: what they install needs nothing of the build; the package installs into a Debian
12 system of its own, where scheduler and executor run a query as the user ballista with the files below /etc/ballista;
upgrades keep those, and the units are what systemd takes."""

import configparser
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from package import BUILD, ROOT, System, environment, package, run, set_up  # noqa: E402
from recipes import blocks, commands  # noqa: E402
from cluster import LISTENING, REGISTERED, Cluster, Process, free_ports  # noqa: E402
from summary import main  # noqa: E402

UNITS = ("ballista-scheduler.service", "ballista-executor.service")
# The most that systemd-analyze may find exposed, out of 10.
EXPOSURE = 2.0


def seconds(text: str) -> int:
    return int(re.fullmatch(r"(\d+)s", text)[1])


class Installed(unittest.TestCase):
    """What `cmake --install` writes."""

    @classmethod
    def setUpClass(cls):
        set_up("package")
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="ballista-install-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        run("cmake", "--install", BUILD, "--prefix", "/opt/b", "--strip", env={**os.environ, "DESTDIR": cls.folder})
        cls.prefix = cls.folder / "opt/b"

    def test_programs_need_nothing_of_the_build(self):
        for name in ("ballista", "ballista-scheduler", "ballista-executor"):
            libraries = run("ldd", self.prefix / "bin" / name, env=environment())
            self.assertNotIn("not found", libraries)
            for library in re.findall(r"=> (/\S+)", libraries):
                place = pathlib.Path(os.path.realpath(library))
                self.assertTrue(
                    place.is_relative_to(self.prefix) or place.parts[1] in ("lib", "lib64", "usr"), f"{name}: {place}"
                )
            self.assertIn("0.5", run(self.prefix / "bin" / name, "--version", env=environment()))
            self.assertNotIn(str(ROOT), run("readelf", "-d", self.prefix / "bin" / name))

    def test_a_cluster_of_them_runs_a_query(self):
        before = os.environ.get("BALLISTA_BIN")
        os.environ["BALLISTA_BIN"] = str(self.prefix / "lib/ballista/bin")
        try:
            with Cluster(executors=1) as cluster:
                self.assertEqual(cluster.sql("SELECT sum(x) AS s FROM range(1000) t(x)").to_pylist(), [{"s": 499500}])
        finally:
            os.environ.pop("BALLISTA_BIN")
            if before is not None:
                os.environ["BALLISTA_BIN"] = before

    def test_units(self):
        # systemd looks the programs up, and its own targets, below the root.
        units = self.folder / "usr/lib/systemd/system"
        units.mkdir(parents=True)
        for target in pathlib.Path("/lib/systemd/system").glob("*.target"):
            shutil.copy(target, units, follow_symlinks=True)
        shutil.copytree(self.prefix / "lib/systemd/system", units, dirs_exist_ok=True)
        done = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", f"--root={self.folder}", *UNITS], capture_output=True, text=True
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for name in UNITS:
            text = run("systemd-analyze", "security", "--offline=yes", f"--root={self.folder}", "--no-pager", name)
            exposure = float(re.search(r"exposure level for \S+: ([\d.]+)", text)[1])
            self.assertLess(exposure, EXPOSURE, text)
            unit = configparser.ConfigParser(strict=False, interpolation=None)
            unit.optionxform = str
            unit.read(units / name)
            program = name.removeprefix("ballista-").removesuffix(".service")
            options = (ROOT / "docs/examples" / f"{program}.toml").read_text()
            drain = seconds(re.search(r'^#drain_timeout = "(.*)"', options, re.M)[1])
            self.assertGreaterEqual(seconds(unit["Service"]["TimeoutStopSec"]), drain + 5)
            self.assertEqual(unit["Service"]["ExecStart"], f"/opt/b/bin/ballista-{program}")


class Package(unittest.TestCase):
    """One Debian system, through installation, use, upgrade and removal."""

    def start(self, system: System, program: str, waited_for: str) -> Process:
        command = system.command(f"/usr/bin/ballista-{program}", user="ballista:ballista")
        env = {**environment(), "TMPDIR": "/var/tmp"}
        process = Process(program, command, system.root.parent / f"{program}.log", env)
        self.addCleanup(process.kill)
        cluster = Cluster()
        self.addCleanup(shutil.rmtree, cluster.folder)
        cluster.scheduler = process
        cluster.wait_for(lambda: waited_for in process.text(), 30, f"{program}: {waited_for}")
        return process

    def install(self, system: System, deb: pathlib.Path) -> None:
        """By the commands of docs/deploy/systemd.md, in a folder that looks like the source tree after the first of them."""
        make, install, *enable = commands(*blocks(ROOT / "docs" / "deploy" / "systemd.md", "The Debian package"))
        self.assertEqual(make, "make package")
        system.path("/build/package").mkdir(parents=True)
        shutil.copy(deb, system.path("/build/package"))
        (system.path("/etc/apt/apt.conf.d") / "test").write_text(
            'APT::Get::Assume-Yes "true"; APT::Install-Recommends "false"; quiet "2";\n'
        )
        system.run("apt-get", "update", "-qq")
        system.run(*install.split(), timeout=300)
        # Nothing boots there: --now has nobody to start it.
        for line, unit in zip(enable, UNITS, strict=True):
            self.assertEqual(line, f"systemctl enable --now {unit.removesuffix('.service')}")
            run("systemctl", f"--root={system.root}", "enable", unit)
            self.assertTrue(system.path(f"/etc/systemd/system/multi-user.target.wants/{unit}").is_symlink())

    def test_package(self):
        set_up("package")
        deb = package()
        self.assertEqual(run("dpkg-deb", "-f", deb, "Package", "Architecture").split()[1::2], ["ballista", "amd64"])
        folder = pathlib.Path(tempfile.mkdtemp(prefix="ballista-package-"))
        self.addCleanup(shutil.rmtree, folder)
        system = System(folder / "root")
        shutil.copy(deb, system.path("/ballista.deb"))
        self.install(system, deb)
        size = sum(int(line.split()[0]) for line in system.run("du", "-sxk", "/usr/lib/ballista").splitlines())
        self.assertIn("uid=", system.run("id", "ballista"))

        scheduler_port, executor_port = free_ports(2)
        with open(system.path("/etc/ballista/scheduler.toml"), "a") as options:
            options.write(f'port = {scheduler_port}\nbind_host = "127.0.0.1"\nconfig_backend = "sqlite"\n')
            options.write('state_dir = "/var/lib/ballista/scheduler"\n')
        with open(system.path("/etc/ballista/executor.toml"), "a") as options:
            options.write(f'port = {executor_port}\nscheduler_port = {scheduler_port}\nbind_host = "127.0.0.1"\n')
        edited = system.path("/etc/ballista/executor.toml").read_text()

        scheduler = self.start(system, "scheduler", LISTENING)
        executor = self.start(system, "executor", "Registered with the scheduler")
        self.assertIn(REGISTERED, scheduler.text())
        ids = re.search(r"^Uid:\s+(\d+)", pathlib.Path(f"/proc/{executor.pid}/status").read_text(), re.M)[1]
        self.assertNotEqual(ids, "0")

        system.path("/srv/trips.csv").write_text("vendor,fare\n" + "".join(f"{n % 3},{n}\n" for n in range(9000)))
        sql = "SELECT vendor, sum(fare) AS fare FROM '/srv/trips.csv' GROUP BY vendor ORDER BY vendor"
        client = ("ballista", "--port", str(scheduler_port), "--format", "csv", "-c")
        self.assertEqual(
            system.run(*client, sql).split(), ["vendor,fare", "0,13495500", "1,13498500", "2,13501500"]
        )  # fmt: skip
        system.run(*client, "COPY (SELECT 1 AS one) TO '/var/lib/ballista/one' (FORMAT parquet)")

        for process in (executor, scheduler):
            process.child.send_signal(signal.SIGTERM)
            self.assertEqual(process.child.wait(40), 0, process.tail())

        # Another version: edited files stay.
        system.run("dpkg", "--install", "/ballista.deb")
        self.assertEqual(system.path("/etc/ballista/executor.toml").read_text(), edited)
        system.run("dpkg", "--remove", "ballista")
        self.assertFalse(system.path("/usr/lib/ballista").exists())
        self.assertTrue(system.path("/etc/ballista/executor.toml").exists())
        system.run("dpkg", "--purge", "ballista")
        for gone in ("/etc/ballista", "/var/lib/ballista"):
            self.assertFalse(system.path(gone).exists(), gone)
        print(f"the package has {deb.stat().st_size >> 20} MiB, {size >> 10} MiB installed")


if __name__ == "__main__":
    main()
