"""`%%ballista` in a real Jupyter kernel: rows, variables, errors, the progress bar, and the interrupt button."""

import json
import tempfile
import time
import unittest

import pyarrow.flight as flight
from jupyter_client.manager import start_new_kernel
from package_test import LONG

import ballista


class Notebook(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = ballista.Cluster(executors=2, threads=1).start()
        cls.addClassCleanup(cls.cluster.stop)
        cls.own = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.own.cleanup)
        cls.manager, cls.client = start_new_kernel(startup_timeout=60, cwd=cls.own.name)
        cls.addClassCleanup(cls.manager.shutdown_kernel, now=True)
        cls.addClassCleanup(cls.client.stop_channels)
        cls(methodName="run_cell").run_cell("%load_ext ballista")

    def run_cell(self, code, while_running=None):
        """All messages of a cell's run, by kind."""
        message = self.client.execute(code)
        found = []
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            one = self.client.get_iopub_msg(timeout=60)
            if one["parent_header"].get("msg_id") != message:
                continue
            if one["msg_type"] == "status" and one["content"]["execution_state"] == "idle":
                return found
            found.append((one["msg_type"], one["content"]))
            if while_running is not None:
                while_running(one)
        self.fail(f"no end of {code}: {found}")

    def outputs(self, code, kind):
        found = self.run_cell(code)
        self.assertEqual([k for k, _ in found if k == "error"], ["error"] if kind == "error" else [], found)
        return [content for k, content in found if k == kind]

    def setUp(self):
        [shown] = self.outputs(f"%ballista {self.cluster.address}", "execute_result")
        self.assertIn("ballista.Connection", shown["data"]["text/plain"])

    def test_rows_are_shown(self):
        [shown] = self.outputs("%%ballista\nSELECT i AS number, 'x{y}' AS s FROM range(3) t(i);", "execute_result")
        self.assertRegex(shown["data"]["text/plain"], r"(?s)number.*0.*1.*2.*x\{y\}")
        self.assertIn("<table", shown["data"]["text/html"])

    def test_rows_as_a_variable(self):
        self.assertEqual(self.outputs("%%ballista answer\nSELECT 42 AS a", "execute_result"), [])
        [shown] = self.outputs("answer.to_pylist()", "execute_result")
        self.assertEqual(shown["data"]["text/plain"], "[{'a': 42}]")

    def test_a_connection_of_a_variable(self):
        self.run_cell(f"import ballista, pyarrow\nmine = ballista.connect({self.cluster.address!r})\n"
                      "mine.register('t', pyarrow.table({'a': [7]}))\n%ballista mine")  # fmt: skip
        [shown] = self.outputs("%%ballista\nFROM t", "execute_result")
        self.assertIn("7", shown["data"]["text/plain"])

    def test_errors(self):
        [error] = self.outputs("%%ballista\nSELECT nowhere", "error")
        self.assertEqual(error["ename"], "BindError")
        [error] = self.outputs("%%ballista not-a-name\nSELECT 1", "error")
        self.assertEqual(error["ename"], "ValueError")

    def test_progress_and_interrupt(self):
        drawn = []

        def interrupt(message):
            if message["msg_type"] in ("display_data", "update_display_data"):
                drawn.append(message["content"]["data"]["text/plain"])
                if len(drawn) == 3:
                    self.manager.interrupt_kernel()

        found = self.run_cell(f"%%ballista\n{LONG}", interrupt)
        [error] = [content for kind, content in found if kind == "error"]
        self.assertEqual(error["ename"], "KeyboardInterrupt")
        self.assertRegex(drawn[0], r"\d+% stage 1/1 · tasks 0/1")
        self.assertEqual(drawn[-1], "")
        deadline = time.monotonic() + 10
        while True:
            with flight.connect(f"grpc://{self.cluster.address}") as client:
                [answer] = client.do_action(("status", b""))
            left = json.loads(answer.body.to_pybytes())
            if not left["running_tasks"]:
                break
            self.assertLess(time.monotonic(), deadline, left)
            time.sleep(0.05)
        [shown] = self.outputs("%%ballista\nSELECT 42 AS a", "execute_result")
        self.assertIn("42", shown["data"]["text/plain"])


if __name__ == "__main__":
    unittest.main()
