"""The manifests of deploy/kubernetes and the chart of deploy/helm: checked against the schemas of many versions of
Kubernetes, linted and rendered by Helm itself, and their pods run as processes that must find each other by the names,
ports, environment, volumes and secrets that the manifests give. The commands are those of docs/deploy/kubernetes.md and of
Ballista 0.4.1's guide."""

import itertools
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from package import ROOT, DeployError, run, set_up  # noqa: E402
from kubectl import Kubectl  # noqa: E402
from pods import NAMESPACE, Pods  # noqa: E402
from recipes import DOCUMENTED, Shell, blocks, commands  # noqa: E402
from cluster import REGISTERED, binaries_folder  # noqa: E402
from summary import main  # noqa: E402

sys.path.insert(0, str(ROOT / "tests" / "security"))
from certificates import Authority  # noqa: E402

KUBERNETES_TOOLS = ROOT / ".deps-kubernetes"
KUBERNETES = ROOT / "deploy" / "kubernetes"
CHART = ROOT / "deploy" / "helm" / "ballista"
PAGE = ROOT / "docs" / "deploy" / "kubernetes.md"
# Autoscaling by KEDA is a resource of KEDA's own: autoscaling_test.py.
FOREIGN = {"ScaledObject"}
SUMS = "SELECT vendor, sum(fare) AS fare FROM '{}' GROUP BY vendor ORDER BY vendor"
EXPECTED = "vendor,fare\n0,13495500\n1,13498500\n2,13501500\n"
# What the tests' machine has room for, in place of the chart's defaults.
SMALL = (
    "scheduler.resources.limits.memory=512Mi", "executor.resources.limits.memory=1Gi",
    "executor.drainTimeoutSeconds=10", "scheduler.drainTimeoutSeconds=10",
)  # fmt: skip
SECURED = ("tls.existingSecret=tls", "tls.mutual=true", "auth.existingSecret=users", "clusterToken.existingSecret=token")
# Each set of values must render to valid manifests.
VALUES = {
    "default": (),
    "sqlite": ("scheduler.state.backend=sqlite", "scheduler.state.sqlite.storageClass=fast"),
    "etcd": ("scheduler.state.backend=etcd", "scheduler.state.etcdUrls=etcd:2379", "scheduler.replicas=3"),
    "secured": (*SECURED, "dataDirs={/data,/lake}", "data.existingClaim=tables", "objectStore.existingSecret=s3"),
    "http": ("scheduler.httpPort=50080", "executor.httpPort=50081", "service.type=LoadBalancer"),
    "keda": ("scheduler.httpPort=50080", "executor.autoscaling.enabled=true", "executor.work.storageClass=fast"),
    "hpa": ("scheduler.httpPort=50080", "executor.autoscaling.enabled=true", "executor.autoscaling.kind=hpa"),
}
# Values that cannot work, and what the chart says to them.
REFUSED = {
    ("scheduler.replicas=2",): "need scheduler.state.backend=etcd",
    ("scheduler.state.backend=etcd",): "needs scheduler.state.etcdUrls",
    ("scheduler.state.backend=redis",): "must be memory, sqlite or etcd, not 'redis'",
    ("executor.resources.limits.memory=8000000000",): "whole number of Gi or Mi",
    ("auth.existingSecret=users",): "needs clusterToken.existingSecret",
    ("executor.autoscaling.enabled=true",): "needs scheduler.httpPort",
}


def helm(*words) -> str:
    return run(KUBERNETES_TOOLS / "bin" / "helm", *words)


def rendered(*values: str, words: tuple[str, ...] = ("lake", str(CHART))) -> str:
    """What Helm would install; `words`: those of a command after `helm install`."""
    options = list(itertools.chain.from_iterable(("--set", value) for value in values))
    # Which Kubernetes it renders for: a Helm built from its module knows none by itself.
    return helm("template", *words, "--namespace", NAMESPACE, "--kube-version", "1.31", *options)


def page_commands() -> tuple[tuple[str, ...], list[str]]:
    """Of the section on the chart: the words after `helm install`, from the root of the tree, and what makes the secrets."""
    install, *secrets = commands(*blocks(PAGE, "The Helm chart"))
    words = shlex.split(install.replace("deploy/helm/ballista", str(CHART)))
    assert words[:2] == ["helm", "install"], install
    return tuple(words[2:]), secrets


def parsed(text: str) -> list[dict]:
    """The manifests of a YAML text, by the parser of the schemas' environment."""
    script = "import json, sys, yaml; print(json.dumps([one for one in yaml.safe_load_all(sys.stdin) if one]))"
    return json.loads(run(KUBERNETES_TOOLS / "bin" / "python", "-c", script, input=text))


class Manifests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        set_up("kubernetes")

    def test_schemas(self):
        files = {path.name: path.read_text() for path in sorted(KUBERNETES.glob("*.yaml"))}
        files |= {f"chart, {name}": rendered(*values) for name, values in VALUES.items()}
        manifests = {
            name: [one for one in parsed(text) if one["kind"] not in FOREIGN] for name, text in files.items()
        }
        script = pathlib.Path(__file__).with_name("check_schemas.py")
        done = subprocess.run(
            [KUBERNETES_TOOLS / "bin" / "python", script], input=json.dumps(manifests), capture_output=True, text=True, timeout=120
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        print(done.stdout.strip())

    def test_chart(self):
        lint = helm("lint", "--strict", CHART)
        self.assertIn("1 chart(s) linted, 0 chart(s) failed", lint)
        for values, reason in REFUSED.items():
            with self.subTest(values=values), self.assertRaisesRegex(DeployError, re.escape(reason)):
                rendered(*values)

    def test_documented_files_are_the_guides(self):
        for name, text in zip(("pv.yaml", "cluster.yaml"), blocks(DOCUMENTED, "Kubernetes", "yaml"), strict=True):
            self.assertEqual(parsed((KUBERNETES / name).read_text()), parsed(text), name)


class Running(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        set_up("kubernetes")

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ballista-pods-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def data(self, claim: str) -> None:
        folder = self.folder / "pods" / "claims" / claim
        folder.mkdir(parents=True)
        (folder / "trips.csv").write_text("vendor,fare\n" + "".join(f"{n % 3},{n}\n" for n in range(9000)))

    def wait_for_executors(self, pods: Pods, schedulers: str, count: int) -> None:
        for pod in pods.of(schedulers):
            pods.wait_for(lambda one=pod: one.text().count(REGISTERED) >= count, 30, f"{count} executors at {pod.name}")

    def test_guide(self):
        for name, text in zip(("pv.yaml", "cluster.yaml"), blocks(DOCUMENTED, "Kubernetes", "yaml"), strict=True):
            (self.folder / name).write_text(text)
        self.run_least(self.folder, commands(*blocks(DOCUMENTED, "Kubernetes")))

    def test_page(self):
        self.run_least(ROOT, commands(*blocks(PAGE, "The least that is a cluster")))

    def run_least(self, folder: pathlib.Path, lines: list[str]) -> None:
        """The commands, whose files are below `folder`, with a query where the cluster is there."""
        self.data("data-pv-claim")
        start = lambda manifests: self.enterContext(Pods(manifests, self.folder / "pods"))  # noqa: E731
        kubectl = Kubectl(folder, parsed, start)
        shown = ""
        for line in lines:
            if kubectl.pods is not None:
                self.wait_for_executors(kubectl.pods, "ballista-scheduler", 2)
            if "delete" in line:
                # The address of the pod is what the executor is known by.
                for executor in kubectl.pods.of("ballista-executor"):
                    self.assertIn(f'host: "{executor.address}"', shown)
                self.assertEqual(kubectl.pods.query("ballista-scheduler", SUMS.format("/mnt/trips.csv")), EXPECTED)
            shown += kubectl.run(line)
        self.assertIn("Scheduler listening on 0.0.0.0:50050", shown)
        self.assertNotIn("Error", shown)
        self.assertEqual(kubectl.pods.pods, [])

    def test_chart(self):
        """As the page installs it, with a volume of tables: probes, and the ends of an executor and of a scheduler."""
        self.data("tables")
        words, _ = page_commands()
        values = (*SMALL, "dataDirs={/data}", "scheduler.state.backend=sqlite")
        with Pods(parsed(rendered(*values, words=words)), self.folder / "pods") as pods:
            self.wait_for_executors(pods, "lake-ballista-scheduler", 2)
            self.assertEqual(pods.query("lake-ballista", SUMS.format("/data/trips.csv")), EXPECTED)
            with self.assertRaises(DeployError):
                pods.query("lake-ballista", "SELECT * FROM read_text('/etc/hostname')")
            for pod in pods.pods:
                for kind in ("startup", "liveness", "readiness"):
                    self.assertTrue(pod.probe(kind), f"{kind} of {pod.name}")
            [first, second] = pods.of("lake-ballista-executor")
            self.assertIn("memory_limit: 819MiB", first.text())  # 80 % of 1 GiB
            # A process that hangs is started again.
            os.kill(first.pid(), signal.SIGSTOP)
            self.assertFalse(first.probe("liveness"))
            os.kill(first.pid(), signal.SIGCONT)
            code, seconds = first.terminate()
            self.assertEqual(code, 0, first.text()[-2000:])
            self.assertLess(seconds, 10)
            pods.pods.remove(first)
            self.assertEqual(pods.query("lake-ballista", SUMS.format("/data/trips.csv")), EXPECTED)
            [scheduler] = pods.of("lake-ballista-scheduler")
            self.assertEqual(scheduler.terminate()[0], 0, scheduler.text()[-2000:])
            pods.pods.remove(scheduler)

    def test_chart_with_everything_locked(self):
        """Two schedulers with etcd, mutual TLS, users and the cluster token, from secrets, by names that the chart says the
        certificate must have."""
        self.data("tables")
        schedulers, name = "lake-ballista-scheduler", "lake-ballista"
        notes = (CHART / "templates" / "NOTES.txt").read_text()
        for template, value in (
            ('include "ballista.name" .', name), ('include "ballista.schedulers" .', schedulers),
            (".Release.Namespace", NAMESPACE),
        ):  # fmt: skip
            notes = notes.replace("{{ %s }}" % template, value)
        names = re.findall(r"^  (\S+\.svc)$", notes, re.M)
        self.assertEqual(len(names), 4)
        names = ",".join(f"DNS:{one}" for one in names)
        cert, key = Authority(self.folder).issue("node", names)
        users = self.folder / "users"
        password = "correct horse"
        run(binaries_folder() / "ballista", "--add-user", "alice", "--auth-file", users, input=password + "\n")
        made = self.folder / "secrets"
        made.mkdir()
        stand_in = [sys.executable, str(pathlib.Path(__file__).with_name("kubectl.py")), str(made)]
        shell = Shell(self.folder, {"kubectl": stand_in})
        for line in page_commands()[1]:
            shell.run(line)
        secrets = {path.stem: json.loads(path.read_text()) for path in made.iterdir()}
        self.assertEqual(set(secrets), {"tls", "users", "token"})
        secrets["s3"] = {"AWS_REGION": "eu-north-1"}
        values = (
            *SMALL, *SECURED, "data.existingClaim=tables", "scheduler.state.backend=etcd", "scheduler.replicas=2",
            "scheduler.state.etcdUrls=etcd:2379", "objectStore.existingSecret=s3", "logFormat=json",
        )  # fmt: skip
        client = ("--tls-ca", self.folder / "ca.crt", "--tls-cert", cert, "--tls-key", key, "--user", "alice")
        login = {"env": {"BALLISTA_PASSWORD": password}}
        with Pods(parsed(rendered(*values)), self.folder / "pods", secrets, etcd="etcd") as pods:
            self.wait_for_executors(pods, schedulers, 2)
            create = "CREATE EXTERNAL TABLE trips STORED AS CSV LOCATION '/data/trips.csv'"
            each = [f"grpc+tls://{pod.name}.{schedulers}.{NAMESPACE}.svc:50050" for pod in pods.of(schedulers)]
            pods.query(each[0], create, *client, **login)
            sums = SUMS.replace("'{}'", "trips")
            self.assertEqual(pods.query(each[1], sums, *client, **login), EXPECTED)
            self.assertEqual(pods.query(f"grpc+tls://{name}.{NAMESPACE}.svc:50050", sums, *client, **login), EXPECTED)
            with self.assertRaisesRegex(DeployError, "password|credentials|log in"):
                pods.query(each[1], sums, *client, env={"BALLISTA_PASSWORD": "wrong"})
            for pod in pods.pods:
                environment = pathlib.Path(f"/proc/{pod.pid()}/environ").read_text().split("\0")
                self.assertIn("AWS_REGION=eu-north-1", environment)
                for kind in ("startup", "liveness", "readiness"):
                    self.assertTrue(pod.probe(kind), f"{kind} of {pod.name}")


if __name__ == "__main__":
    main()
