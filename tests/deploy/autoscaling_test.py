"""The chart's autoscaling: its ScaledObject against KEDA's own definition of that resource, and what a real Prometheus, which
scrapes a scheduler with work, answers to what KEDA and the adapter of an HPA ask of it."""

import json
import math
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from kubernetes_test import KUBERNETES_TOOLS, NAMESPACE, VALUES, parsed, rendered  # noqa: E402
from package import ROOT, DeployError, run, set_up  # noqa: E402
from recipes import blocks  # noqa: E402
from cluster import Cluster, Process, free_ports  # noqa: E402
from raw_client import RawClient  # noqa: E402
from summary import main  # noqa: E402

DEFINITION = ROOT / ".deps-keda" / "keda.sh_scaledobjects.yaml"
PAGE = ROOT / "docs" / "deploy" / "kubernetes.md"
SECTION = "Scaling executors with the work"
# One task that does not end by itself while the test runs.
LONG = "SELECT count(*) FROM range(100000) a(x), range(200000) b(y) WHERE (x * y) % 7 = 3"
# Strictly: what the definition does not name is an error, as for `kubectl apply`.
CHECK = """
import json, sys, jsonschema, yaml
definition, manifest = yaml.safe_load(open(sys.argv[1])), json.load(sys.stdin)
[version] = [one for one in definition["spec"]["versions"] if one["name"] == manifest["apiVersion"].split("/")[1]]
schema = version["schema"]["openAPIV3Schema"]
def close(node):
    if isinstance(node, dict):
        if node.get("type") == "object" and "properties" in node and "additionalProperties" not in node \\
                and not node.get("x-kubernetes-preserve-unknown-fields"):
            node["additionalProperties"] = False
        node = node.values()
    if not isinstance(node, (str, int, float, bool, type(None))):
        for one in node:
            close(one)
schema["properties"]["metadata"]["additionalProperties"] = True
close(schema)
jsonschema.Draft7Validator(schema).validate(manifest)
"""


def scaler(kind: str, *values: str) -> dict:
    """What the chart makes for executor.autoscaling.kind."""
    wanted = {"keda": "ScaledObject", "hpa": "HorizontalPodAutoscaler"}[kind]
    [found] = [one for one in parsed(rendered(*VALUES[kind], *values)) if one["kind"] == wanted]
    return found


def discovered(port: int) -> list[dict]:
    """The chart's pod of a scheduler as Prometheus' discovery of Kubernetes finds it: once for each port of its container. Its
    HTTP port is `port`; nobody is at the others."""
    [pods] = [
        one["spec"]["template"] for one in parsed(rendered(*VALUES["keda"]))
        if one["kind"] == "StatefulSet" and one["metadata"]["name"].endswith("-scheduler")
    ]  # fmt: skip
    about = {"namespace": NAMESPACE, "pod_name": "lake-ballista-scheduler-0"}
    for name, value in pods["metadata"]["labels"].items():
        about["pod_label_" + re.sub(r"\W", "_", name)] = value
    found = []
    for one in pods["spec"]["containers"][0]["ports"]:
        labels = {**about, "pod_container_port_name": one["name"]}
        target = f"127.0.0.1:{port if one['name'] == 'http' else 1}"
        found.append({"targets": [target], "labels": {f"__meta_kubernetes_{name}": value for name, value in labels.items()}})
    return found


class Prometheus:
    """Debian's, on a free port, with the block. Scrapes a scheduler's pod, whose HTTP port is `port`, by the configuration of
    docs/deploy/kubernetes.md; what there is is told to it, since Debian's knows no Kubernetes."""

    def __init__(self, folder: pathlib.Path, port: int):
        [self.port] = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        [config] = [one for text in blocks(PAGE, SECTION, "yaml") for one in parsed(text) if "scrape_configs" in one]
        config["global"] = {"scrape_interval": "250ms", "scrape_timeout": "250ms"}
        [pods] = config["scrape_configs"]
        assert pods.pop("kubernetes_sd_configs") == [{"role": "pod"}]
        pods["static_configs"] = discovered(port)
        (folder / "prometheus.json").write_text(json.dumps(config))  # JSON is YAML
        command = ["prometheus", f"--config.file={folder}/prometheus.json", f"--storage.tsdb.path={folder}/data"]
        command += [f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"]
        self.process = Process("prometheus", command, folder / "prometheus.log", {"PATH": "/usr/bin:/bin"})

    def __enter__(self) -> "Prometheus":
        return self

    def __exit__(self, kind, error, trace) -> None:
        if kind is not None:
            print(self.process.tail(), file=sys.stderr)
        self.process.kill()

    def ask(self, query: str) -> float | None:
        """The value as KEDA's scaler `prometheus` reads it (pkg/scalers/prometheus_scaler.go): of one sample, as text. None:
        there is no sample, or nobody answers yet."""
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        url = f"{self.url}/api/v1/query?query={urllib.parse.quote_plus(query)}&time={when}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                body = json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise AssertionError(f"{query}: {error.read().decode()}") from None
            return None
        except OSError:
            return None
        assert body["status"] == "success", body
        samples = body["data"]["result"]
        assert len(samples) <= 1, body
        if not samples:
            return None
        assert isinstance(samples[0]["value"][1], str), body
        return float(samples[0]["value"][1])


class Autoscaling(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        set_up("kubernetes")
        subprocess.run(["bash", ROOT / "scripts" / "setup-autoscaling"], check=True, timeout=540)

    def check(self, manifest: dict) -> None:
        run(KUBERNETES_TOOLS / "bin" / "python", "-c", CHECK, DEFINITION, input=json.dumps(manifest))

    def test_scaled_object_is_one_of_keda(self):
        manifest = scaler("keda")
        self.check(manifest)
        # The check finds what is wrong.
        manifest["spec"]["maxReplicas"] = manifest["spec"].pop("maxReplicaCount")
        with self.assertRaisesRegex(DeployError, "maxReplicas"):
            self.check(manifest)
        manifest = scaler("keda")
        del manifest["spec"]["triggers"][0]["metadata"]
        with self.assertRaisesRegex(DeployError, "'metadata' is a required property"):
            self.check(manifest)

    def adapters_query(self, metric: dict) -> str:
        """What prometheus-adapter asks for an HPA's external metric by the rule of the page."""
        [rule] = [one["externalRules"][0] for text in blocks(PAGE, SECTION, "yaml") for one in parsed(text) if "externalRules" in one]
        rule = rule["metricsQuery"]
        labels = ",".join(f'{name}="{value}"' for name, value in metric["selector"]["matchLabels"].items())
        return rule.replace("<<.Series>>", metric["name"]).replace("<<.LabelMatchers>>", labels)

    def test_a_schedulers_work_is_what_they_see(self):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="ballista-autoscaling-"))
        self.addCleanup(shutil.rmtree, folder)
        [port] = free_ports(1)
        options = ["--http-port", str(port), "--max-running-jobs", "3", "--executor-wait", "10m"]
        slots = ["--concurrent-tasks", "2"]
        with Cluster(executors=0, scheduler_args=options, executor_args=slots) as cluster, Prometheus(folder, port) as server:
            [trigger] = scaler("keda", f"executor.autoscaling.keda.prometheusUrl={server.url}")["spec"]["triggers"]
            self.assertEqual((trigger["type"], trigger["metadata"]["serverAddress"]), ("prometheus", server.url))
            hpa = scaler("hpa")["spec"]["metrics"][0]["external"]
            threshold = float(trigger["metadata"]["threshold"])
            self.assertEqual(threshold, float(hpa["target"]["averageValue"]))
            queries = trigger["metadata"]["query"], self.adapters_query(hpa["metric"])

            def wait_for(work: int, what: str) -> None:
                for query in queries:
                    cluster.wait_for(lambda query=query: server.ask(query) == work, 30, f"{query} to be {work}: {what}")

            wait_for(0, "nothing is to be done")
            self.assertEqual(server.ask("count(up)"), 1)  # of the container's ports that for HTTP alone
            client = RawClient(cluster.port, 60)
            # Nobody can run it: this is what starts the first executor.
            infos = [client.start(LONG)]
            wait_for(1, "a query waits for an executor")
            infos += [client.start(LONG) for _ in range(3)]
            wait_for(4, "four queries wait for an executor")
            self.assertEqual(math.ceil(4 / threshold), 2)  # executors that are wanted
            cluster.start_executor()
            cluster.wait_for(lambda: server.ask("sum(ballista_tasks_running)") == 2, 30, "two tasks to run")
            wait_for(4, "two tasks run, one query waits for a slot and one for its turn")
            for info in infos:
                client.cancel("CancelFlightInfo", info)
            wait_for(0, "all are cancelled")


if __name__ == "__main__":
    main()
