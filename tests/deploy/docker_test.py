"""The Docker image: the documented commands, word for word, a query through them, the health check, what `docker stop`
does to a query that runs, and an image of one's own on top of it."""

import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import image  # noqa: E402
from package import run  # noqa: E402
from cluster import binaries_folder  # noqa: E402
from summary import main  # noqa: E402

# Commands of the documentation, which must work as they stand; each prints its container's id.
SCHEDULER = "docker run --network=host -d ballistacompute/ballista-rust:0.4.1 /scheduler --port 50050"
EXECUTOR = (
    "docker run --network=host -d ballistacompute/ballista-rust:0.4.1 /executor --external-host localhost --port 50051"
)
# One task, of some seconds; the count is DuckDB's.
LONG = "SELECT count(*) FROM range(30000) a(x), range(20000) b(y) WHERE (x * y) % 7 = 3"
LONG_COUNT = "73464898"


class Docker(image.ImageTest):
    def documented(self, line: str) -> str:
        [program, *words] = line.split()
        self.assertEqual(program, "docker")
        return self.engine.docker(*words).strip()

    def client(self, *words: str) -> list[str]:
        """The command line of this machine's build, on the network of the containers."""
        return self.engine.inside(binaries_folder() / "ballista", "--format", "csv", *words)

    def test_documented_commands(self):
        engine = self.engine
        scheduler = self.documented(SCHEDULER)
        engine.wait_for_log(scheduler, "Scheduler listening on 0.0.0.0:50050")
        executor = self.documented(EXECUTOR)
        engine.wait_for_log(executor, "Executor listening on 0.0.0.0:50051")
        engine.wait_for_log(scheduler, "Received register_executor request")
        self.assertRegex(engine.docker("ps"), r'"/scheduler --port 5\S*"')

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
        self.check_user_image()
        engine.wait_for_health(scheduler, "healthy", 20)
        self.check_drain(scheduler, executor)

    def check_hung_process(self, container: str) -> None:
        """A process that hangs is unhealthy, though its port still accepts connections."""
        self.engine.docker("kill", "--signal=STOP", container)
        check = self.engine.command("exec", container, "/usr/lib/ballista/bin/healthcheck", "1")
        done = subprocess.run(check, capture_output=True, text=True, timeout=20)
        self.engine.docker("kill", "--signal=CONT", container)
        self.assertEqual((done.returncode, done.stdout), (1, "port 50051 did not answer within 1 s\n"), done.stderr)

    def check_user_image(self) -> None:
        report = ("run", "--rm", "--network=host", image.REPORT)
        lines = self.engine.docker(*report, "python3", "/opt/report/report.py").splitlines()
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
