"""Prometheus metrics: parsed strictly, moved by a query by what it did, listed in docs/metrics.md; the dashboard asks for
none that is not there."""

import json
import pathlib
import re
import sys
import tempfile
import unittest

from prometheus_client.parser import text_string_to_metric_families

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from client import DISTRIBUTED, ROOT, Http, cluster, free_ports, make_table, run, until  # noqa: E402
from summary import main  # noqa: E402


def parse(text):
    """Families by name, after checks that Prometheus itself makes or that promtool warns of."""
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(names) == len(set(names)), "a family is there twice"
    assert text.endswith("\n") and "\r" not in text
    for line in text.splitlines():
        assert line and (line.startswith("# ") or re.fullmatch(r'[a-z_]+(\{[^{}]*\})? [-+0-9.eNaIf]+', line)), line
    for family in families:
        assert family.documentation and family.documentation.endswith("."), family.name
        assert family.type in ("counter", "gauge", "histogram"), family.name
        seen = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples]
        assert len(seen) == len(set(seen)), f"{family.name} has the same labels twice"
        if family.type == "counter":
            assert f"# TYPE {family.name}_total counter\n" in text, f"{family.name}: a counter's name ends in _total"
        if family.type == "histogram":
            check_histogram(family)
    return {family.name: family for family in families}


def check_histogram(family):
    buckets = [sample for sample in family.samples if sample.name.endswith("_bucket")]
    bounds = [float(sample.labels["le"]) for sample in buckets]
    counts = [sample.value for sample in buckets]
    total = next(sample.value for sample in family.samples if sample.name.endswith("_count"))
    assert bounds == sorted(bounds) and bounds[-1] == float("inf"), family.name
    assert counts == sorted(counts) and counts[-1] == total, family.name


def values(families):
    """Every sample by its name and labels."""
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in families.values()
        for sample in family.samples
    }


def documented():
    """Metrics of the tables of docs/metrics.md, by which program shows them."""
    found = {}
    for line in (ROOT / "docs/metrics.md").read_text().splitlines():
        if line.startswith("## "):
            part = line[3:]
        if row := re.match(r"\| `(\w+)` \|", line):
            found.setdefault(part, set()).add(row[1])
    return found


class Metrics(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.table = make_table(self.folder.name)

    def test_numbers_move_with_a_query(self):
        port = free_ports(1)[0]
        args = ["--http-port", str(port), "--shuffle-memory-limit", "0"]
        with cluster(executors=1, executor_args=args) as started:
            scheduler, executor = started.http, Http(port)
            # Another one, whose metrics nobody asks for.
            started.executor_args = args[2:]
            started.start_executor()
            started.wait_for_executors(2)
            self.first = next(one["id"] for one in scheduler.get("/api/executors")["executors"] if one["port"] == started.executors[0].port)
            until(lambda: self.ready(executor), "the executor to be ready")
            before = values(parse(scheduler.text("/metrics"))), values(parse(executor.text("/metrics")))
            sql = f"SELECT k, count(*) AS n FROM {self.table} GROUP BY k ORDER BY k"
            rows = run(started, sql, [DISTRIBUTED, "SET ballista.replan = false"]).num_rows
            self.assertEqual(rows, 100)
            job = until(lambda: scheduler.get("/api/jobs")["jobs"], "the job")[0]
            profile = scheduler.get(f"/api/jobs/{job['job_id']}/profile")
            until(lambda: "ballista_history_jobs 1\n" in scheduler.text("/metrics"), "the end of the job")
            self.families = [parse(scheduler.text("/metrics")), parse(executor.text("/metrics"))]
            moved = [
                {name: value - old.get(name, 0) for name, value in values(new).items()}
                for old, new in zip(before, self.families)
            ]
            self.check_scheduler(moved[0], job, profile)
            self.check_executor(moved[1], job, profile)
            self.check_documents()
            with self.assertRaises(Exception):
                run(started, f"SELECT sum(('x' || v)::INTEGER) FROM {self.table}")
            now = values(parse(scheduler.text("/metrics")))
            self.assertEqual(now["ballista_jobs_ended_total", "failed"], 1)
            self.assertGreaterEqual(now["ballista_tasks_ended_total", "failed"], 1)

    @staticmethod
    def ready(executor):
        try:
            return executor.request("GET", "/health/ready")[0] == 200
        except OSError:
            return False

    def check_scheduler(self, moved, job, profile):
        tasks = job["tasks"]
        self.assertGreater(tasks, 2)
        metrics = [task["metrics"] for stage in profile["stages"] for task in stage["task_list"]]
        for name, expected in {
            ("ballista_jobs_submitted_total",): 1,
            ("ballista_jobs_ended_total", "finished"): 1,
            ("ballista_jobs_ended_total", "failed"): 0,
            ("ballista_query_seconds_count",): 1,
            ("ballista_job_start_seconds_count",): 1,
            ("ballista_tasks_launched_total",): tasks,
            ("ballista_tasks_ended_total", "finished"): tasks,
            ("ballista_task_seconds_count",): tasks,
            ("ballista_tasks_retried_total",): 0,
            ("ballista_output_rows_total",): sum(one["output_rows"] for one in metrics),
            ("ballista_shuffle_bytes_total", "written"): sum(one["output_bytes"] for one in metrics),
            ("ballista_shuffle_bytes_total", "process"): sum(one["local_bytes"] for one in metrics),
            ("ballista_shuffle_bytes_total", "network"): sum(one["fetched_bytes"] for one in metrics),
            ("ballista_shuffle_bytes_total", "disk"): sum(one["spilled_bytes"] for one in metrics),
            ("ballista_history_jobs",): 1,
        }.items():
            self.assertEqual(moved[name], expected, name)
        self.assertGreater(moved["ballista_shuffle_bytes_total", "disk"], 0)
        self.assertGreater(moved["ballista_scheduler_event_seconds_count",], tasks)
        self.assertAlmostEqual(moved["ballista_query_seconds_sum",], job["elapsed_us"] / 1e6, places=3)
        now = values(self.families[0])
        self.assertEqual((now["ballista_executors", "active"], now["ballista_slots",], now["ballista_tasks_running",]), (2, 8, 0))
        age = [value for name, value in now.items() if name[0] == "ballista_executor_heartbeat_age_seconds"]
        self.assertEqual(len(age), 2)
        self.assertLess(max(age), 10)

    def check_executor(self, moved, job, profile):
        own = [task["metrics"] for stage in profile["stages"] for task in stage["task_list"] if task["executor_id"] == self.first]
        self.assertGreater(len(own), 0)
        self.assertLess(len(own), job["tasks"])
        self.assertEqual(moved["ballista_executor_tasks_total", "finished"], len(own))
        self.assertEqual(moved["ballista_executor_task_seconds_count",], len(own))
        self.assertEqual(moved["ballista_executor_output_rows_total",], sum(one["output_rows"] for one in own))
        self.assertGreater(moved["ballista_executor_shuffle_bytes_total", "written"], 0)
        self.assertGreater(moved["ballista_executor_shuffle_bytes_total", "disk"], 0)
        now = values(self.families[1])
        self.assertEqual((now["ballista_executor_slots",], now["ballista_executor_tasks_running",], now["ballista_executor_ready",]), (4, 0, 1))
        owned = sum(value for name, value in now.items() if name[0] == "ballista_executor_memory_bytes")
        self.assertGreater(owned, 10 << 20)
        self.assertLess(owned, now["ballista_executor_memory_limit_bytes",])

    def check_documents(self):
        shown = [
            {family.name + ("_total" if family.type == "counter" else "") for family in families.values()}
            for families in self.families
        ]
        tables = documented()
        self.assertEqual(tables["Scheduler"] | tables["Every process"], shown[0])
        self.assertEqual(tables["Executor"] | tables["Every process"], shown[1])
        known = shown[0] | shown[1]
        samples = {sample.name for families in self.families for family in families.values() for sample in family.samples}
        board = json.loads((ROOT / "deploy/grafana/ballista.json").read_text())
        expressions = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
        self.assertGreater(len(expressions), 15)
        for expression in expressions:
            names = re.findall(r"\b(?:ballista|process)_\w+", expression)
            self.assertTrue(names, expression)
            self.assertEqual(set(names) - samples, set(), expression)
        self.assertGreaterEqual(len(known & {name for one in expressions for name in re.findall(r"\bballista_\w+", one)}), 12)


if __name__ == "__main__":
    main()
