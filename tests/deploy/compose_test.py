"""The files of deploy/compose, run by docker-compose: the documented one, with its query on the data volume, and the one
with two schedulers, etcd and executors, of which a scheduler is killed."""

import os
import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import image  # noqa: E402
from package import ROOT, run  # noqa: E402
from cluster import binaries_folder  # noqa: E402
from summary import main  # noqa: E402

FILES = ROOT / "deploy" / "compose"
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

    def test_documented_file(self):
        folder = self.project("documented", "docker-compose.yaml")
        self.compose(folder, "up", "-d")
        [process] = self.containers(folder, "ballista-executor")
        self.engine.wait_for_log(process, "listening on 0.0.0.0:50051")
        self.assertEqual(self.query(SUMS.format("'/data/trips.csv'")), EXPECTED)
        self.compose(folder, "down")
        self.assertEqual(self.engine.docker("ps", "--quiet"), "")

    def test_two_schedulers(self):
        folder = self.project("cluster", "cluster.yaml")
        file = ("-f", "cluster.yaml")
        self.compose(folder, *file, "up", "-d", "--scale", "executor=3")
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
        self.compose(folder, *file, "down", "--volumes")
        self.assertEqual(self.engine.docker("ps", "--quiet"), "")


if __name__ == "__main__":
    main()
