"""The REST interface: every answer is what web/openapi.json says, wrong requests get one sentence, jobs can be
cancelled and executors drained, the history outlives the scheduler, slow queries are in the log."""

import concurrent.futures
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import unittest

import jsonschema

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from client import DISTRIBUTED, ROOT, Http, cluster, free_ports, make_table, run, until  # noqa: E402
from raw_client import RawClient, job_state, length_delimited, messages  # noqa: E402
from summary import main  # noqa: E402

LONG = "SELECT count(*) FROM range(100000) a(x), range(200000) b(y) WHERE (x * y) % 7 = 3"


class Rest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.table = make_table(cls.folder.name)
        cls.query = f"SELECT k, count(*) AS n, sum(v) AS s FROM {cls.table} GROUP BY k ORDER BY k"

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def check(self, http, path, template, method="GET", status=200, headers=None):
        """The answer, after it was compared with its description."""
        got, header, body = http.request(method, path, headers)
        self.assertEqual(got, status, (path, body))
        content = self.api["paths"][template][method.lower()]["responses"][str(status)]["content"]
        kind = header["Content-Type"].split(";")[0]
        self.assertIn(kind, content, path)
        if kind != "application/json":
            return body
        answer = json.loads(body)
        schema = {**content[kind]["schema"], "components": self.api["components"]}
        jsonschema.Draft202012Validator(schema).validate(answer)
        return answer

    def test_everything_is_as_described(self):
        subprocess.run([sys.executable, ROOT / "scripts/generate_openapi.py", "--check"], check=True)
        with cluster(executors=2, executor_args=["--concurrent-tasks", "2"], scheduler_args=["--max-running-jobs", "2"]) as started:
            http = started.http
            self.api = http.get("/openapi.json")
            self.assertEqual(self.api, json.loads((ROOT / "web/openapi.json").read_text()))
            self.assertEqual(run(started, self.query).num_rows, 100)
            [job] = until(lambda: [one for one in http.get("/api/jobs?state=finished")["jobs"] if one["ended"]], "the job")
            self.assertEqual((job["statement"], job["result_rows"], job["failed_attempts"]), (self.query, 100, 0))
            self.assertEqual(job["tasks"], job["finished_tasks"])
            self.check_reading(http, job)
            self.check_executors(http)
            self.check_lists(started, http)
            self.check_wrong_requests(http, job)
            self.check_cancel(started, http)
            self.check_drain(started, http)
            untested = set(self.api["paths"]) - self.seen
            self.assertEqual(untested, set())

    def check_reading(self, http, job):
        asked = set()

        def check(path, template, **more):
            asked.add(template)
            return self.check(http, path, template, **more)

        self.assertEqual(check("/health", "/health"), "ok\n")
        self.assertEqual(check("/health/live", "/health/live"), "ok\n")
        self.assertTrue(check("/health/ready", "/health/ready")["ready"])
        self.assertEqual(check("/version", "/version")["wire_version"], 1)
        self.assertIn("<title>Ballista", check("/", "/"))
        check("/metrics", "/metrics")
        check("/openapi.json", "/openapi.json")
        name = f"/api/jobs/{job['job_id']}"
        one = check(name, "/api/jobs/{job}")
        self.assertEqual((one["state"], one["ended"]), ("finished", True))
        overview = check(f"{name}/overview", "/api/jobs/{job}/overview")
        profile = check(f"{name}/profile", "/api/jobs/{job}/profile")
        self.assertEqual([stage["task_list"] for stage in overview["stages"]], [[]] * len(profile["stages"]))
        stages = check(f"{name}/stages", "/api/jobs/{job}/stages")["stages"]
        self.assertEqual(stages, overview["stages"])
        scan = stages[0]
        self.assertEqual((scan["rows_scanned"]["total"], scan["state"]), (200_000, "complete"))
        self.assertLess(scan["started_us"], scan["ended_us"])
        self.assertEqual(sum(len(stage["task_list"]) for stage in profile["stages"]), job["tasks"])
        self.assertEqual(stages[profile["result_stage"]]["rows"], 100)
        one = check(f"{name}/stages/0", "/api/jobs/{job}/stages/{stage}")
        self.assertEqual(one, profile["stages"][0])
        self.assertEqual(sum(task["metrics"]["output_rows"] for task in one["task_list"]), one["rows"])
        tasks = check(f"{name}/tasks", "/api/jobs/{job}/tasks")
        self.assertEqual((tasks["total"], len(tasks["tasks"])), (job["tasks"], job["tasks"]))
        self.assertEqual(check(f"{name}/tasks?stage=0&offset=1&limit=1", "/api/jobs/{job}/tasks")["tasks"], tasks["tasks"][1:2])
        plan = check(f"{name}/plan", "/api/jobs/{job}/plan")
        self.assertEqual(plan, "".join(stage["plan"] for stage in profile["stages"]))
        self.assertIn("Stage 0: many tasks", plan)
        options = {one["name"]: one["value"] for one in check("/api/config", "/api/config")["options"]}
        self.assertEqual((options["max-running-jobs"], options["http-port"]), ("2", str(http.port)))
        now = check("/api/cluster", "/api/cluster")
        self.assertEqual((now["executors"], now["usable_executors"], now["slots"], now["running_jobs"]), (2, 2, 4, 0))
        self.seen = asked

    def check_executors(self, http):
        self.seen.add("/api/executors")
        found = until(
            lambda: all(one["memory_used"] for one in http.get("/api/executors")["executors"]) and
            self.check(http, "/api/executors", "/api/executors"),
            "heartbeats with memory",
        )
        for one in found["executors"]:
            self.assertEqual((one["state"], one["slots"], one["running_tasks"]), ("active", 2, 0))
            self.assertGreater(one["memory_used"], 20 << 20)
            self.assertLess(one["heartbeat_age_ms"], 10_000)

    def check_lists(self, started, http):
        self.seen.add("/api/jobs")
        client = RawClient(started.port, 20)
        # Two run, the others wait.
        infos = [client.start(LONG) for _ in range(5)]
        running = until(lambda: (found := http.get("/api/jobs?state=running"))["total"] == 2 and found, "two jobs to run")
        queued = self.check(http, "/api/jobs?state=queued", "/api/jobs")
        self.assertEqual(queued["total"], 3)
        job = self.check(http, f"/api/jobs/{queued['jobs'][0]['job_id']}", "/api/jobs/{job}")
        self.assertRegex(job["waiting_for"], "waiting in the queue, at position [123] of 3")
        job = self.check(http, f"/api/jobs/{running['jobs'][0]['job_id']}", "/api/jobs/{job}")
        self.assertIn("running tasks, the longest is task 0", job["waiting_for"])
        now = http.get("/api/cluster")
        self.assertEqual((now["running_jobs"], now["queued_jobs"]), (2, 3))
        for one in (queued["jobs"][0], running["jobs"][0]):
            self.check_progress(client, http, one["job_id"])
        everything = http.get("/api/jobs?text=RANGE(100000)")
        self.assertEqual(everything["total"], 5)
        times = [one["submitted_ms"] for one in everything["jobs"]]
        self.assertEqual(times, sorted(times, reverse=True))
        pages = [http.get(f"/api/jobs?text=range&limit=2&offset={offset}")["jobs"] for offset in (0, 2, 4, 6)]
        self.assertEqual([len(page) for page in pages], [2, 2, 1, 0])
        self.assertEqual([one["job_id"] for page in pages for one in page], [one["job_id"] for one in everything["jobs"]])
        self.assertEqual(http.get("/api/jobs?text=nothing%20like%20it")["jobs"], [])
        for info in infos:
            client.cancel("CancelFlightInfo", info)
        until(lambda: http.get("/api/jobs?state=cancelled")["total"] == 5, "the jobs in the history")

    def check_progress(self, client, http, job_id):
        """What clients' progress is read from says what the profile says (numbers: profile.proto)."""
        outline = client.act("job_profile", length_delimited(1, job_id.encode()))
        job, [stage] = messages.one(outline, 3), [value for number, value in messages.fields(outline) if number == 6]
        profile = http.get(f"/api/jobs/{job_id}/profile")
        [same] = profile["stages"]
        self.assertEqual(job_state(outline), profile["job"]["state"])
        self.assertEqual(messages.one(job, 1).decode(), job_id)
        self.assertEqual(messages.one(job, 16, 0), profile["job"]["queue_position"])
        self.assertEqual(messages.one(job, 17).decode().split(" for ")[0], profile["job"]["waiting_for"].split(" for ")[0])
        for number, name in ((1, "id"), (7, "tasks"), (8, "pending"), (9, "running"), (10, "finished")):
            self.assertEqual(messages.one(stage, number, 0), same[name], name)
        # The texts and tasks, which cost more, are the profile's alone.
        self.assertEqual((messages.one(job, 3), messages.one(stage, 31), messages.one(stage, 32)), (b"", b"", b""))

    def check_wrong_requests(self, http, job):
        name = f"/api/jobs/{job['job_id']}"
        for path, template, sentence in (
            ("/api/jobs?state=done", "/api/jobs", "'state' is queued, running, finished, failed or cancelled"),
            ("/api/jobs?limit=5001", "/api/jobs", "'limit' is a number from 0 to 5000"),
            ("/api/jobs?limit=-1", "/api/jobs", "'limit' is a number"), ("/api/jobs?offset=1x", "/api/jobs", "'offset' is a number"),
            ("/api/jobs?text=" + "x" * 1001, "/api/jobs", "'text' has at most 1000 bytes"),
            ("/api/jobs?stat=running", "/api/jobs", "there is no parameter 'stat' here, only: state"),
            (f"{name}/tasks?stage=x", "/api/jobs/{job}/tasks", "'stage' is a number"),
        ):  # fmt: skip
            self.assertIn(sentence, self.check(http, path, template, status=400)["error"])
        for path, template in (
            ("/api/jobs/nothing", "/api/jobs/{job}"), (f"{name}/stages/99", "/api/jobs/{job}/stages/{stage}"),
            ("/api/jobs/..%2f..%2fetc/plan", "/api/jobs/{job}/plan"), ("/api/jobs/%ff%fe", "/api/jobs/{job}"),
        ):  # fmt: skip
            self.check(http, path, template, status=404)
        for path in ("/api", "/api/", "/api/jobs/", f"{name}/", f"{name}/nothing", f"{name}/stages/0/x", "/nothing", "/api/jobs//",
                     "/app.js/x", "/health/x", "/../etc/passwd", "//", "/" + "a/" * 2000):  # fmt: skip
            status, _, body = http.request("GET", path)
            self.assertEqual(status, 404, path)
            self.assertIn("error", json.loads(body))
        self.assertEqual(http.request("GET", "/" + "x" * 9000)[0], 414)
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS"):
            self.assertEqual(http.request(method, name)[0], 405, method)
        self.assertEqual(http.request("POST", name)[0], 404)
        # A page of another site, whose request a browser would send with the credentials of this one.
        for headers in ({"Origin": "http://elsewhere.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
            status, _, body = http.request("POST", f"{name}/cancel", headers)
            self.assertEqual((status, "another site" in body), (403, True))
        self.assertIn("default-src 'self'", http.request("GET", "/")[1]["Content-Security-Policy"])
        # More requests at once than there are threads.
        with concurrent.futures.ThreadPoolExecutor(40) as pool:
            answers = list(pool.map(lambda _: http.request("GET", "/api/jobs")[0], range(200)))
        self.assertEqual(set(answers), {200})

    def check_cancel(self, started, http):
        self.seen.add("/api/jobs/{job}/cancel")
        client = RawClient(started.port, 20)
        info = client.start(LONG)
        job_id = info.app_metadata.decode()
        until(lambda: http.get(f"/api/jobs/{job_id}")["state"] == "running", "the job to run")
        path, template = f"/api/jobs/{job_id}/cancel", "/api/jobs/{job}/cancel"
        own = {"Origin": f"http://127.0.0.1:{http.port}", "Sec-Fetch-Site": "same-origin"}
        self.check(http, path, template, method="POST", headers=own)
        job = until(lambda: (one := http.get(f"/api/jobs/{job_id}"))["ended"] and one, "the end of the job")
        self.assertEqual((job["state"], job["error"]), ("cancelled", "the client cancelled the query"))
        self.assertIn("it has ended", self.check(http, path, template, method="POST", status=404)["error"])
        self.check(http, "/api/jobs/nothing/cancel", template, method="POST", status=404)

    def check_drain(self, started, http):
        template = "/api/executors/{executor}/drain"
        self.seen.add(template)
        self.check(http, "/api/executors/nothing/drain", template, method="POST", status=404)
        first, second = http.get("/api/executors")["executors"]
        self.check(http, f"/api/executors/{first['id']}/drain", template, method="POST")
        left = until(lambda: len(found := http.get("/api/executors")["executors"]) == 1 and found, "the executor to leave")
        self.assertEqual(left[0]["id"], second["id"])
        leaving = next(one for one in started.executors if one.port == first["port"])
        self.assertEqual(leaving.child.wait(20), 0)
        started.executors.remove(leaving)

    def test_failures_and_slow_queries(self):
        with cluster(executors=1, scheduler_args=["--slow-query-log", "1ms", "--history-jobs", "3"]) as started:
            http = started.http
            with self.assertRaises(Exception):
                run(started, f"SELECT sum(('x' || v)::INTEGER) FROM {self.table}")
            job = until(lambda: http.get("/api/jobs?state=failed")["jobs"], "the failed job")[0]
            self.assertIn("Could not convert string", job["error"])
            profile = http.get(f"/api/jobs/{job['job_id']}/profile")
            [error] = profile["errors"]
            self.assertIn("Could not convert string", error["message"])
            self.assertEqual(error["executor_id"], http.get("/api/executors")["executors"][0]["id"])
            # Both logs name the attempt: job, stage, task, and its number.
            name = f"task {job['job_id']}/{error['stage']}/{error['task']} attempt {error['attempt']} failed"
            for process, place in ((started.scheduler, f" on executor {error['executor_id']}: "), (started.executors[0], ": ")):
                self.assertRegex(process.text(), re.escape(name + place) + ".*Could not convert string")
            for number in range(4):
                run(started, f"SELECT {number} AS number, count(*) FROM {self.table}")
            jobs = until(lambda: (found := http.get("/api/jobs"))["total"] == 3 and found, "the history to be cut")["jobs"]
            self.assertEqual([one["statement"][7] for one in jobs], ["3", "2", "1"])
            lines = re.findall(r"^.*Slow query.*$", started.scheduler.text(), re.M)
            self.assertEqual(len(lines), 5)
            self.assertRegex(
                lines[-1], r"Slow query \S{36} \(finished\): \d+\.\d+ s, \d stages, \d+ tasks; stage \d .*; why: .*; SELECT 3 AS number"
            )

    def test_disk_of_executors(self):
        """Outputs that wait for their reader are in files here; they are told by the next heartbeat, and gone when they are."""
        with cluster(executors=1, executor_args=["--shuffle-memory-limit", "0"]) as started:
            client = RawClient(started.port, 20)
            client.sql(DISTRIBUTED)
            info = client.start(f"SELECT * FROM {self.table}")
            get = started.http.get
            until(lambda: get("/api/executors")["executors"][0]["disk_used"] > 1 << 20, "files of outputs")
            until(lambda: get("/api/cluster")["disk_used"] > 1 << 20, "their sum")
            client.cancel("CancelFlightInfo", info)
            until(lambda: get("/api/executors")["executors"][0]["disk_used"] == 0, "the files to go", 60)

    def test_history_outlives_the_scheduler(self):
        with tempfile.TemporaryDirectory() as state:
            options = ["--config-backend", "sqlite", "--state-dir", state]
            with cluster(executors=1, scheduler_args=options) as started:
                http = started.http
                run(started, self.query)
                [before] = until(lambda: [one for one in http.get("/api/jobs")["jobs"] if one["ended"]], "the job")
                exported = http.get(f"/api/jobs/{before['job_id']}/profile")
                started.scheduler.child.send_signal(signal.SIGTERM)
                started.scheduler.child.wait(20)
                started.restart(started.scheduler)
                started.wait_for(lambda: "HTTP interface listening" in started.scheduler.text(), 20, "the scheduler")
                self.assertEqual(http.get(f"/api/jobs/{before['job_id']}/profile"), exported)
                self.assertEqual(http.get("/api/jobs")["jobs"], [before])
                started.wait_for_executors(1)
                run(started, self.query)
                until(lambda: http.get("/api/jobs")["total"] == 2, "the second job")

    def test_one_process(self):
        """executor --local has the page, and metrics of both."""
        http, port, scheduler = free_ports(3)
        with tempfile.TemporaryDirectory() as folder:
            command = [cluster_binary("executor"), "--local", "--bind-host", "127.0.0.1", "--external-host", "127.0.0.1",
                       "--port", str(port), "--scheduler-port", str(scheduler), "--http-port", str(http), "--work-dir", folder]  # fmt: skip
            with open(f"{folder}/log", "wb") as log:
                process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
            try:
                ask = Http(http)

                def there():
                    try:
                        return len(ask.get("/api/executors")["executors"]) == 1
                    except OSError:
                        return False

                until(there, "the process to register")
                text = ask.text("/metrics")
                self.assertEqual(text.count("\nprocess_threads "), 1)
                self.assertIn("ballista_executor_slots 4", text)
                self.assertIn("ballista_executors{", text)
            finally:
                process.terminate()
                self.assertEqual(process.wait(30), 0)


def cluster_binary(name):
    from cluster import Cluster

    return str(Cluster.binary(name))


if __name__ == "__main__":
    main()
