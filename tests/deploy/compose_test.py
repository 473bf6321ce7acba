"""The files of deploy/compose, run by docker-compose: the documented one, with its query on the data volume, and the one
with two schedulers, etcd and executors, of which a scheduler is killed; by the commands of docs/deploy/compose.md and of
Ballista 0.4.1's guide, as they stand there."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import image  # noqa: E402
from package import ROOT, run  # noqa: E402
from recipes import DOCUMENTED, blocks, commands  # noqa: E402
from cluster import binaries_folder  # noqa: E402
from summary import main  # noqa: E402

FILES = ROOT / "deploy" / "compose"
PAGE = ROOT / "docs" / "deploy" / "compose.md"
# As the files name it; made of Debian's etcd-server, since no registry is asked.
ETCD = "quay.io/coreos/etcd:v3.4.9"
SUMS = "SELECT vendor, sum(fare) AS fare FROM {} GROUP BY vendor ORDER BY vendor"
EXPECTED = "vendor,fare\n0,13495500\n1,13498500\n2,13501500\n"


class Compose(image.ImageTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        etcd = cls.folder / "etcd"
        etcd.mkdir()
        shutil.copy("/usr/bin/etcd", etcd)
        (etcd / "Dockerfile").write_text(f"FROM {image.DEBIAN}\nCOPY etcd /usr/local/bin/etcd\n")
        cls.engine.docker("build", "--quiet", "--tag", ETCD, etcd)

    def project(self, name: str, file: str) -> pathlib.Path:
        """A folder with the file and a data folder that the containers' user may write to."""
        folder = self.folder / name
        (folder / "data").mkdir(parents=True)
        (folder / "data").chmod(0o777)
        shutil.copy(FILES / file, folder)
        (folder / "data" / "trips.csv").write_text("vendor,fare\n" + "".join(f"{n % 3},{n}\n" for n in range(9000)))
        return folder

    def compose(self, folder: pathlib.Path, *words: str) -> str:
        env = {**os.environ, "DOCKER_HOST": f"unix://{self.engine.socket}", "COMPOSE_PROJECT_NAME": folder.name}
        return run("/usr/bin/docker-compose", *words, cwd=folder, env=env, timeout=120)

    def query(self, sql: str, *options: str) -> str:
        """By the command line, from outside of the containers."""
        command = [binaries_folder() / "ballista", "--format", "csv", *options, "-c", sql]
        return run(*self.engine.inside(*command), timeout=60)

    def containers(self, folder: pathlib.Path, service: str, *files: str) -> list[str]:
        return self.compose(folder, *files, "ps", "-q", service).split()

    def wait_for_one_process(self, folder: pathlib.Path) -> None:
        self.engine.wait_for(
            lambda: self.containers(folder, "ballista-executor"), 60, "docker-compose to start the container"
        )
        [process] = self.containers(folder, "ballista-executor")
        self.engine.wait_for_log(process, "listening on 0.0.0.0:50051")

    def test_guide(self):
        """The guide's own file, in the foreground."""
        folder = self.project("guide", "docker-compose.yaml")
        [text] = blocks(DOCUMENTED, "Docker Compose", "yaml")
        kept = (folder / "docker-compose.yaml").read_text()
        self.assertEqual(text, "".join(line for line in kept.splitlines(True) if not line.startswith("#")))
        (folder / "docker-compose.yaml").write_text(text)
        [line] = commands(*blocks(DOCUMENTED, "Docker Compose"))
        shell = self.shell(folder)
        with subprocess.Popen(shell.words(line), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as up:
            try:
                self.wait_for_one_process(folder)
                self.assertEqual(self.query(SUMS.format("'/data/trips.csv'")), EXPECTED)
            finally:
                up.send_signal(signal.SIGINT)
                shown = up.communicate(timeout=60)[0].decode(errors="replace")
        self.assertIn("listening on 0.0.0.0:50051", shown)
        self.compose(folder, "down")

    def test_page_one_process(self):
        folder = self.project("one", "docker-compose.yaml")
        shell = self.shell(folder)
        [up, query, down] = commands(*blocks(PAGE, "One process"))
        shell.run(up)
        self.wait_for_one_process(folder)
        self.assertIn("9000", shell.run(query))
        shell.run(down)
        self.assertEqual(self.engine.docker("ps", "--quiet"), "")

    def test_page_two_schedulers(self):
        folder = self.project("cluster", "cluster.yaml")
        file = ("-f", "cluster.yaml")
        shell = self.shell(folder)
        [up, query, down] = commands(*blocks(PAGE, "A cluster"))
        shell.run(up)
        schedulers = [self.containers(folder, f"scheduler-{number}", *file)[0] for number in (1, 2)]
        executors = self.containers(folder, "executor", *file)
        self.assertEqual(len(executors), 3)
        for scheduler in schedulers:
            self.engine.wait_for_log(scheduler, "Received register_executor request", 60)
            self.engine.wait_for(
                lambda one=scheduler: self.engine.logs(one).count("Received register_executor request") >= 3,
                60, "three executors to register",
            )  # fmt: skip
        hosts = re.findall(r'Received register_executor request[^\n]*?host: "([^"]+)"', self.engine.logs(schedulers[0]))
        self.assertEqual(len(set(hosts)), 3, "each executor is known by an address of its own")

        self.assertIn("9000", shell.run(query))
        both = ("--host", "localhost:50050,localhost:50060")
        create = "CREATE EXTERNAL TABLE trips STORED AS CSV LOCATION '/data/trips.csv'"
        self.query(create, "--host", "localhost:50050")
        self.assertEqual(self.query(SUMS.format("trips"), "--host", "localhost:50060"), EXPECTED)
        self.query("COPY trips TO '/data/copy' (FORMAT parquet)", *both)
        # The file's grace period is enough for the drain: it ends by itself.
        self.compose(folder, *file, "up", "-d", "--no-recreate", "--scale", "executor=2")
        # Its state is in etcd: the other one goes on, with the table.
        self.engine.docker("kill", schedulers[0])
        self.assertEqual(self.query(SUMS.format("trips"), *both), EXPECTED)
        self.assertEqual(self.query(SUMS.format("'/data/copy'"), *both), EXPECTED)
        self.compose(folder, *file, "kill")
        shell.run(down)
        self.assertEqual(self.engine.docker("ps", "--quiet"), "")


if __name__ == "__main__":
    main()
