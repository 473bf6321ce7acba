"""The Docker image: the commands of Ballista 0.4.1's guide and of docs/deploy/docker.md as they stand there, queries through
them, the health check, what `docker stop` does to a query that runs, and an image of one's own on top of it."""

import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import image  # noqa: E402
from package import run  # noqa: E402
from recipes import DOCUMENTED, blocks, commands  # noqa: E402
from cluster import binaries_folder  # noqa: E402
from summary import main  # noqa: E402

# One task, of some seconds; the count is DuckDB's.
LONG = "SELECT count(*) FROM range(30000) a(x), range(20000) b(y) WHERE (x * y) % 7 = 3"
LONG_COUNT = "73464898"


class Docker(image.ImageTest):
    def start(self, shell, scheduler: str, executor: str) -> list[str]:
        """The containers' ids, which such commands print."""
        ids = []
        for line, log in ((scheduler, "Scheduler listening on 0.0.0.0:50050"), (executor, "Executor listening on 0.0.0.0:50051")):
            ids.append(shell.run(line).strip())
            self.engine.wait_for_log(ids[-1], log)
        self.engine.wait_for_log(ids[0], "Received register_executor request")
        return ids

    def test_guide(self):
        shell = self.shell(self.folder / "guide")
        ids = self.start(shell, *commands(*blocks(DOCUMENTED, "Docker")))
        shown = ""
        for line in commands(*blocks(DOCUMENTED, "Docker", "console")):
            for documented, own in zip(("59452ce72138", "0746ce262a19"), ids):
                line = line.replace(documented, own[:12])
            shown += shell.run(line + " 2>&1")
        for text in (
            r'"/scheduler --port 5\S*"', r'"/executor --externa\S*"', r"Scheduler listening on 0\.0\.0\.0:50050",
            r'Running with config: ExecutorConfig \{ host: "localhost", port: 50051, ', "concurrent_tasks: 4",
            r"Executor listening on 0\.0\.0\.0:50051", "Starting registration with scheduler",
        ):  # fmt: skip
            self.assertRegex(shown, text)
        self.assertEqual(run(*self.client("-c", "SELECT count(*) AS n FROM range(1000)")), "n\n1000\n")
        self.engine.docker("rm", "--force", *ids)
        self.check_etcd(shell)

    def check_etcd(self, shell) -> None:
        """The guide's scheduler with etcd; its state is there for the next one."""
        [line] = commands(*blocks(DOCUMENTED, "Docker with etcd"))
        server = ["etcd", f"--data-dir={self.folder}/etcd", "--logger=zap", "--log-level=error"]
        etcd = subprocess.Popen(self.engine.inside(*server), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(etcd.wait)
        self.addCleanup(etcd.kill)
        for statement, expected in (("CREATE VIEW kept AS SELECT 7 AS seven", ""), ("FROM kept", "seven\n7\n")):
            scheduler = shell.run(line).strip()
            self.engine.wait_for_log(scheduler, "Scheduler listening on 0.0.0.0:50050")
            executor = self.engine.docker(
                "run", "--network=host", "-d", image.DOCUMENTED, "/executor", "--external-host", "localhost", "--port", "50051"
            ).strip()
            self.engine.wait_for_log(scheduler, "Received register_executor request")
            self.assertIn(expected, run(*self.client("-c", statement)))
            self.engine.docker("rm", "--force", scheduler, executor)

    def test_one_process(self):
        folder = self.folder / "one"
        shell = self.shell(folder)
        (folder / "data").mkdir()
        (folder / "data" / "trips.csv").write_text("vendor,fare\n" + "".join(f"{n % 3},{n}\n" for n in range(9000)))
        [start, query, stop] = commands(blocks(image.PAGE, "A cluster")[1])
        shell.run(start)
        self.engine.wait_for_log("ballista", "Executor listening on 0.0.0.0:50051")
        self.assertIn("9000", shell.run(query))
        shell.run(stop)
        self.assertEqual(self.engine.state("ballista")["ExitCode"], 0)

    def client(self, *words: str) -> list[str]:
        """The command line of this machine's build, on the network of the containers."""
        return self.engine.inside(binaries_folder() / "ballista", "--format", "csv", *words)

    def test_page(self):
        engine = self.engine
        shell = self.shell(self.folder / "page")
        [start_scheduler, start_executor, ask] = commands(blocks(image.PAGE, "A cluster")[0])
        scheduler, executor = self.start(shell, start_scheduler, start_executor)
        self.assertRegex(shell.run(ask), r"(?s)answer.*42")
        sql = "SELECT x % 3 AS k, sum(x) AS s FROM range(9000) t(x) GROUP BY k ORDER BY k"
        expected = "k,s\n0,13495500\n1,13498500\n2,13501500\n"
        self.assertEqual(run(*self.client("-c", sql)), expected)
        self.assertEqual(
            engine.docker("run", "--rm", "--network=host", image.IMAGE, "/ballista", "--format", "csv", "-c", sql), expected
        )

        # Not root, nothing but the documented files at the root, and not too big.
        self.assertEqual(engine.docker("exec", executor, "id", "-u").strip(), "10001")
        engine.docker("exec", executor, "/executor", "--version")
        size = int(engine.docker("image", "inspect", "--format", "{{.Size}}", image.IMAGE))
        base = int(engine.docker("image", "inspect", "--format", "{{.Size}}", image.DEBIAN))
        self.assertLess(size - base, 220 << 20)
        print(f"the image has {size / 1e6:.0f} MB, {(size - base) / 1e6:.0f} of them over its base")

        for container in (scheduler, executor):
            self.assertIn("answers on", engine.docker("exec", container, "/usr/lib/ballista/bin/healthcheck"))
        self.check_hung_process(executor)
        self.check_user_image(shell)
        engine.wait_for_health(scheduler, "healthy", 20)
        self.check_drain(scheduler, executor)

    def check_hung_process(self, container: str) -> None:
        """A process that hangs is unhealthy, though its port still accepts connections."""
        self.engine.docker("kill", "--signal=STOP", container)
        check = self.engine.command("exec", container, "/usr/lib/ballista/bin/healthcheck", "1")
        done = subprocess.run(check, capture_output=True, text=True, timeout=20)
        self.engine.docker("kill", "--signal=CONT", container)
        self.assertEqual((done.returncode, done.stdout), (1, "port 50051 did not answer within 1 s\n"), done.stderr)

    def check_user_image(self, shell) -> None:
        [_, report] = commands(*blocks(image.PAGE, "An image of one's own"))
        lines = shell.run(report).splitlines()
        self.assertEqual(lines[0], "vendor 0: 3000 trips, 13495500 in all")
        self.assertEqual(len(lines), 3)
        own = self.engine.docker("run", "-d", "--network=host", image.REPORT, "/executor", "--port", "50052").strip()
        self.engine.wait_for_log(own, "concurrent_tasks: 2")
        self.engine.docker("rm", "--force", own)

    def check_drain(self, scheduler: str, executor: str) -> None:
        """A query that runs when its executor is stopped still gets its answer, of an executor that then ends by itself."""
        query = subprocess.Popen(self.client("-c", LONG), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(query.kill)
        time.sleep(1)
        self.assertIsNone(query.poll(), "the query was too quick to be drained")
        start = time.monotonic()
        self.engine.docker("stop", "--time", "30", executor)
        taken = time.monotonic() - start
        out, error = query.communicate(timeout=30)
        self.assertEqual((query.returncode, out.split()[-1:]), (0, [LONG_COUNT]), error)
        self.assertLess(taken, 28)
        self.assertEqual(self.engine.state(executor)["ExitCode"], 0)
        self.engine.docker("stop", "--time", "30", scheduler)
        self.assertEqual(self.engine.state(scheduler)["ExitCode"], 0)
        log = self.engine.logs(executor)
        self.assertTrue(re.search(r"Stopping", log), log)
        print(f"docker stop of an executor with a running query took {taken:.1f} s")


if __name__ == "__main__":
    main()
