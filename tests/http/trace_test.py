"""OpenTelemetry traces: a collector gets a query's spans from the scheduler and the executors, by OTLP as OpenTelemetry's
own message classes read it, all below the client's span; nothing waits for a collector that is slow or gone."""

import http.server
import os
import pathlib
import secrets
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import opentelemetry.trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from client import DISTRIBUTED, ROOT, cluster, free_ports, make_table, run, until  # noqa: E402
sys.path.insert(0, str(ROOT / "python/src"))
import ballista  # noqa: E402
from summary import main  # noqa: E402

HEADER = "adbc.flight.sql.rpc.call_header.traceparent"


class Collector(http.server.ThreadingHTTPServer):
    """Takes spans; `spans` holds (service, span) as they came. `delay`: seconds before each answer."""

    def __init__(self, delay=0.0, status=200):
        self.spans, self.requests, self.wrong, self.delay, self.answer = [], [], [], delay, status
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def of(self, name, service=None):
        return [span for where, span in self.spans if span.name.startswith(name) and service in (None, where)]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(self.server.delay)
        self.server.requests.append((self.path, dict(self.headers)))
        try:
            request = ExportTraceServiceRequest.FromString(body)
            for resource in request.resource_spans:
                about = {one.key: one.value.string_value for one in resource.resource.attributes}
                for scope in resource.scope_spans:
                    self.server.spans += [(about["service.name"], span) for span in scope.spans]
        except Exception as error:  # the test's thread is to hear of it
            self.server.wrong.append(error)
        self.send_response(self.server.answer)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def attributes(span):
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def traced_cluster(collector, executors=2):
    option = ["--otlp-endpoint", collector.endpoint]
    return cluster(executors=executors, scheduler_args=option, executor_args=option)


class Traces(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.table = make_table(cls.folder.name)
        cls.query = f"SELECT k, count(*) AS n, sum(v) AS s FROM {cls.table} GROUP BY k ORDER BY k"

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def ask(self, started, sql, flags="01"):
        """Runs a query below a span; the ids of its trace and of the span."""
        trace, span = secrets.token_hex(16), secrets.token_hex(8)
        connection = started.connect(timeout=60, options={HEADER: f"00-{trace}-{span}-{flags}"})
        try:
            with connection.cursor() as cursor:
                cursor.execute(DISTRIBUTED)
                cursor.execute(sql)
                cursor.fetch_arrow_table()
        finally:
            connection.close()
        return bytes.fromhex(trace), bytes.fromhex(span)

    def test_a_query_below_its_clients_span(self):
        with Collector() as collector, traced_cluster(collector) as started:
            before = time.time_ns()
            trace, caller = self.ask(started, self.query)
            [query] = until(lambda: collector.of("query"), "the query's span")
            profile = started.http.get(f"/api/jobs/{attributes(query)['ballista.job_id']}/profile")
            stages = {stage["id"]: stage for stage in profile["stages"] if int(stage.get("started_us", 0)) > 0}
            tasks = sum(len(stage["task_list"]) for stage in stages.values())
            until(lambda: len(collector.of("task")) == tasks, "the tasks' spans")
            self.assertEqual(collector.wrong, [])
            spans = [span for _, span in collector.spans]
            self.assertEqual({span.trace_id for span in spans}, {trace})
            self.assertEqual(len({span.span_id for span in spans}), len(spans))
            self.check_query(query, caller, before)
            by_id = {span.span_id: span for span in spans}
            for span in spans:
                self.assertLessEqual(span.start_time_unix_nano, span.end_time_unix_nano)
                if span is not query:
                    self.assertIn(span.parent_span_id, by_id, span.name)
            self.assertEqual([by_id[one.parent_span_id].name for one in collector.of("plan")], ["query"])
            for span in collector.of("stage", "ballista-scheduler"):
                self.assertEqual(span.parent_span_id, query.span_id)
                stage = stages.pop(attributes(span)["ballista.stage"])
                self.assertEqual(attributes(span)["ballista.rows"], int(stage["rows"]))
            self.assertEqual(stages, {})
            for span in collector.of("task", "ballista-executor"):
                self.assertEqual(by_id[span.parent_span_id].name, f"stage {attributes(span)['ballista.stage']}")
            self.check_fetches(collector, by_id)
            counted = until(lambda: (text := started.http.text("/metrics")) and 'spans_total{state="sent"}' in text and text, "counts")
            self.assertIn('ballista_trace_spans_total{state="lost"} 0', counted)
            self.assertEqual({path for path, _ in collector.requests}, {"/v1/traces"})

    def check_query(self, query, caller, before):
        self.assertEqual((query.parent_span_id, query.kind), (caller, Span.SPAN_KIND_SERVER))
        self.assertEqual(attributes(query)["db.query.text"], self.query)
        self.assertEqual((attributes(query)["ballista.rows"], attributes(query)["ballista.state"]), (100, "finished"))
        self.assertEqual(query.status.code, Status.STATUS_CODE_UNSET)
        self.assertLess(before, query.start_time_unix_nano)
        self.assertLess(query.end_time_unix_nano, time.time_ns())

    def check_fetches(self, collector, by_id):
        """What a task read of the other executor lies within the task, and adds up to what it says."""
        fetches = collector.of("fetch", "ballista-executor")
        self.assertGreater(len(fetches), 0)
        read = {}
        for span in fetches:
            task = by_id[span.parent_span_id]
            self.assertTrue(task.name.startswith("task"), task.name)
            self.assertLessEqual(task.start_time_unix_nano, span.start_time_unix_nano)
            read[task.span_id] = read.get(task.span_id, 0) + attributes(span)["ballista.bytes"]
        for span in collector.of("task"):
            self.assertEqual(attributes(span)["ballista.fetched_bytes"], read.get(span.span_id, 0), span.name)

    def test_the_command_line(self):
        trace, span = secrets.token_hex(16), secrets.token_hex(8)
        with Collector() as collector, traced_cluster(collector, executors=1) as started:
            shell = [ROOT / "build/bin/ballista", "--port", str(started.port), "-c", self.query, "--format", "csv"]
            environment = {**os.environ, "TRACEPARENT": f"00-{trace}-{span}-01"}
            subprocess.run([*shell, "--otlp-endpoint", collector.endpoint], env=environment, check=True, capture_output=True)
            # It has sent its spans when it ends.
            [statement] = collector.of("statement", "ballista")
            self.assertEqual((statement.trace_id.hex(), statement.parent_span_id.hex()), (trace, span))
            self.assertEqual(attributes(statement)["db.response.returned_rows"], 100)
            [query] = until(lambda: collector.of("query"), "the query's span")
            self.assertEqual((query.trace_id.hex(), query.parent_span_id), (trace, statement.span_id))
            # Without a collector of its own it passes the caller on.
            subprocess.run(shell, env=environment, check=True, capture_output=True)
            _, query = until(lambda: len(found := collector.of("query")) == 2 and found, "the second query's span")
            self.assertEqual((query.trace_id.hex(), query.parent_span_id.hex()), (trace, span))
            refused = subprocess.run([*shell, "--otlp-endpoint", "localhost:4318"], capture_output=True, text=True)
            self.assertEqual(refused.returncode, 2)
            self.assertIn("such as http://localhost:4318, not 'localhost:4318'", refused.stderr)
        refused = subprocess.run(
            [ROOT / "build/bin/scheduler", "--port", str(free_ports(1)[0]), "--otlp-endpoint", "4318"], capture_output=True, text=True
        )
        self.assertIn("otlp-endpoint", refused.stderr)
        self.assertNotEqual(refused.returncode, 0)

    def test_the_python_package_in_an_application_with_opentelemetry(self):
        """Client, scheduler, task and fetch are one trace, below the application's own span."""
        recorded = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(recorded))
        opentelemetry.trace.set_tracer_provider(provider)
        self.addCleanup(provider.shutdown)
        with Collector() as collector, traced_cluster(collector) as started:
            with ballista.connect(f"localhost:{started.port}") as con:
                con.sql(DISTRIBUTED)
                with provider.get_tracer("test").start_as_current_span("report"):
                    self.assertEqual(con.sql(self.query).to_arrow().num_rows, 100)
                with self.assertRaises(ballista.BindError):
                    con.sql("SELECT nothing")
                con.sql(self.query).close()
            spans = {span.attributes.get("db.query.text", span.name): span for span in recorded.get_finished_spans()[1:3]}
            statement, report = spans[self.query], spans["report"]
            *_, refused, cancelled = recorded.get_finished_spans()
            self.assertEqual((statement.name, statement.parent.span_id), ("statement", report.context.span_id))
            self.assertEqual((statement.kind.name, statement.attributes["db.response.returned_rows"]), ("CLIENT", 100))
            self.assertEqual((refused.status.status_code.name, cancelled.status.description), ("ERROR", "cancelled"))
            self.assertIn('"nothing"', refused.status.description)
            trace = statement.context.trace_id.to_bytes(16, "big")
            [query] = until(lambda: [one for one in collector.of("query") if one.trace_id == trace], "the query's span")
            self.assertEqual(query.parent_span_id, statement.context.span_id.to_bytes(8, "big"))
            self.assertLessEqual(statement.start_time, query.start_time_unix_nano)
            fetch = until(lambda: [one for one in collector.of("fetch") if one.trace_id == trace], "a fetch's span")[0]
            above = until(lambda: self.ancestors(collector, fetch), "the spans above it")
            self.assertEqual([one.name.split()[0] for one in above], ["task", "stage", "query"])

    @staticmethod
    def ancestors(collector, span):
        """Up to the query's span; none as long as one is missing."""
        by_id, found = {one.span_id: one for _, one in collector.spans}, []
        while span.name != "query":
            span = by_id.get(span.parent_span_id)
            if span is None:
                return []
            found.append(span)
        return found

    def test_the_python_package_with_a_collector(self):
        """In a process of its own, without OpenTelemetry."""
        code = (
            "import sys, ballista\n"
            "with ballista.connect(sys.argv[1], **({'otlp_endpoint': sys.argv[2]} if sys.argv[2:] else {})) as con:\n"
            "    print(con.sql(sys.stdin.read()).to_arrow().num_rows)\n"
            "assert 'opentelemetry' not in sys.modules\n"
        )
        trace, span = secrets.token_hex(16), secrets.token_hex(8)

        def report(*words, flags="01", extra=None):
            environment = {**os.environ, "PYTHONPATH": str(ROOT / "python/src"), "TRACEPARENT": f"00-{trace}-{span}-{flags}"}
            return subprocess.run(
                [sys.executable, "-c", code, *words], env={**environment, **(extra or {})}, input=self.query,
                capture_output=True, text=True, timeout=60,
            )  # fmt: skip

        with Collector() as collector, traced_cluster(collector, executors=1) as started:
            server = f"localhost:{started.port}"
            done = report(server, collector.endpoint)
            self.assertEqual(done.stdout, "100\n", done.stderr)
            # It has sent its spans when it ends.
            [statement] = collector.of("statement", "ballista-python")
            self.assertEqual((statement.trace_id.hex(), statement.parent_span_id.hex()), (trace, span))
            self.assertEqual((statement.kind, statement.status.code), (Span.SPAN_KIND_CLIENT, Status.STATUS_CODE_UNSET))
            self.assertEqual(attributes(statement)["db.response.returned_rows"], 100)
            [query] = until(lambda: collector.of("query"), "the query's span")
            self.assertEqual((query.trace_id.hex(), query.parent_span_id), (trace, statement.span_id))
            # Without a collector of its own it passes the caller on.
            self.assertEqual(report(server).stdout, "100\n")
            _, query = until(lambda: len(found := collector.of("query")) == 2 and found, "the second query's span")
            self.assertEqual((query.trace_id.hex(), query.parent_span_id.hex()), (trace, span))
            # What is not to be recorded is nowhere; the next one is.
            self.assertEqual(report(server, collector.endpoint, flags="00").stdout, "100\n")
            self.assertEqual(report(server, extra={"BALLISTA_OTLP_ENDPOINT": collector.endpoint}).stdout, "100\n")
            until(lambda: len(collector.of("query")) == 3, "the last query's span")
            self.assertEqual(len(collector.of("statement")), 2)
            self.assertEqual(collector.wrong, [])
            self.assertIn("such as http://localhost:4318, not 'localhost:4318'", report(server, "localhost:4318").stderr)
            # One that is gone costs the span alone.
            self.assertEqual(report(server, f"http://127.0.0.1:{free_ports(1)[0]}").stdout, "100\n")

    def test_errors_and_callers_that_do_not_record(self):
        with Collector() as collector, traced_cluster(collector, executors=1) as started:
            self.ask(started, self.query, flags="00")
            with self.assertRaises(Exception):
                run(started, f"SELECT sum(('x' || v)::INTEGER) FROM {self.table}")
            [query] = until(lambda: collector.of("query"), "the failed query's span")
            failed = until(lambda: [one for one in collector.of("task") if one.status.code], "the failed task's span")
            for span in (query, failed[0]):
                self.assertEqual(span.status.code, Status.STATUS_CODE_ERROR)
                self.assertIn("Could not convert string", span.status.message)
            # It is no client's; the one that is not recorded has none.
            self.assertEqual((query.parent_span_id, attributes(query)["ballista.state"]), (b"", "failed"))
            self.assertEqual({span.trace_id for _, span in collector.spans}, {query.trace_id})

    def test_collectors_that_do_not_take_spans(self):
        with Collector(status=503) as refusing:
            with traced_cluster(refusing, executors=1) as started:
                run(started, self.query)
                until(lambda: refusing.requests, "a request")
                until(lambda: "did not take them: HTTP status 503" in started.scheduler.text(), "the line in the log")
                run(started, self.query)
        with Collector(delay=60) as slow:
            with traced_cluster(slow, executors=1) as started:
                for _ in range(3):
                    run(started, self.query)
                # It answers after a minute.
                self.assertEqual(slow.requests, [], "somebody waited for the collector")
                for one in (*started.executors, started.scheduler):
                    one.child.terminate()
                    self.assertEqual(one.child.wait(60), 0)


if __name__ == "__main__":
    main()
