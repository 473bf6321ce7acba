"""Runs the pods of Kubernetes manifests as processes: each on a network host of its own, with the command, arguments,
environment, volumes, secrets and names that its manifest gives it, so that these are proven without a Kubernetes.

What stands in for a cluster: `dns.py` knows the services' names (all have the addresses of the pods that they select; there is
no service address), persistent volumes and emptyDirs are folders, secrets are files. Users, limits and quotas are not applied.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

from package import ROOT, DeployError

sys.path.insert(0, str(ROOT / "tests" / "cluster"))
from cluster import binaries_folder  # noqa: E402
from hosts import Network  # noqa: E402

# In which the pods are, as `helm template --namespace` says.
NAMESPACE = "analytics"
# A machine of its own for the pod: the machine's files, under what the pod writes, and its mounts.
ROOT_FILES = """
set -e
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay none -o lowerdir=/,upperdir="$1/upper",workdir="$1/work" "$1/root"
root=$1/root
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
cp "$2" "$root/etc/resolv.conf"
for program in scheduler executor ballista; do
  touch "$root/$program"
  mount --bind "$4/$program" "$root/$program"
done
mkdir -p "$root/usr/lib/ballista/bin"
cp "$5" "$root/usr/lib/ballista/bin/healthcheck"
while read -r source target; do
  mkdir -p "$root$target"
  mount --bind "$source" "$root$target"
done < "$3"
shift 5
cd "$root"
exec chroot . "$@"
"""


class Pod:
    """A process of a manifest's first container. `number`: which replica."""

    def __init__(self, cluster: "Pods", workload: dict, number: int):
        self.cluster = cluster
        self.workload = workload["metadata"]["name"]
        self.name = f"{self.workload}-{number}"
        self.service = workload["spec"]["serviceName"]
        template = workload["spec"]["template"]
        self.labels = template["metadata"]["labels"]
        self.spec = template["spec"]
        [self.container] = self.spec["containers"]
        self.claims = {one["metadata"]["name"] for one in workload["spec"].get("volumeClaimTemplates", [])}
        self.process: subprocess.Popen | None = None
        self.log = cluster.folder / f"{self.name}.log"

    @property
    def address(self) -> str:
        return self.cluster.network.address(self.name)

    def field(self, path: str) -> str:
        return {"metadata.name": self.name, "status.podIP": self.address}[path]

    def environment(self) -> dict[str, str]:
        # Kubernetes describes every service of the namespace in variables such as BALLISTA_SCHEDULER_PORT=tcp://...
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME": self.name}
        if self.spec.get("enableServiceLinks", True):
            for service in self.cluster.services:
                prefix = service["metadata"]["name"].upper().replace("-", "_")
                port = service["spec"]["ports"][0]["port"]
                env[f"{prefix}_SERVICE_HOST"] = "10.96.0.1"
                env[f"{prefix}_SERVICE_PORT"] = str(port)
                env[f"{prefix}_PORT"] = f"tcp://10.96.0.1:{port}"
        for source in self.container.get("envFrom", []):
            env.update(self.cluster.secret(source["secretRef"]["name"]))
        for one in self.container.get("env", []):
            if "value" in one:
                env[one["name"]] = one["value"]
            else:
                env[one["name"]] = self.field(one["valueFrom"]["fieldRef"]["fieldPath"])
        return env

    def command(self) -> list[str]:
        env = self.environment()
        words = self.container["command"] + self.container.get("args", [])
        return [re.sub(r"\$\((\w+)\)", lambda found: env[found[1]], word) for word in words]

    def mounts(self) -> dict[str, pathlib.Path]:
        """Folders of this machine by the path in the pod."""
        volumes = {one["name"]: one for one in self.spec.get("volumes", [])}
        found = {}
        for mount in self.container.get("volumeMounts", []):
            name = mount["name"]
            volume = volumes.get(name)
            if volume is None:
                if name not in self.claims:
                    raise DeployError(f"{self.name} mounts {name}, which is no volume of it")
                folder = self.cluster.folder / "claims" / f"{name}-{self.name}"
            elif "persistentVolumeClaim" in volume:
                folder = self.cluster.folder / "claims" / volume["persistentVolumeClaim"]["claimName"]
            elif "secret" in volume:
                folder = self.cluster.folder / "secrets" / self.name / name
                folder.mkdir(parents=True, exist_ok=True)
                for key, value in self.cluster.secret(volume["secret"]["secretName"]).items():
                    (folder / key).write_text(value)
                    (folder / key).chmod(volume["secret"].get("defaultMode", 0o644))
            elif "emptyDir" in volume or "ephemeral" in volume:
                folder = self.cluster.folder / "empty" / self.name / name
            else:
                raise DeployError(f"a volume of a kind that this test does not know: {volume}")
            folder.mkdir(parents=True, exist_ok=True)
            found[mount["mountPath"]] = folder
        return found

    def start(self) -> None:
        mounts = self.cluster.folder / f"{self.name}.mounts"
        mounts.write_text("".join(f"{folder} {path}\n" for path, folder in self.mounts().items()))
        root = self.cluster.folder / f"{self.name}.root"
        root.mkdir(exist_ok=True)
        check = ROOT / "deploy/docker/healthcheck"
        spaces = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child=KILL"]
        shell = ["sh", "-c", ROOT_FILES, "sh", root, self.cluster.resolver, mounts, binaries_folder().resolve(), check]
        inside = ["env", "-i", *(f"{key}={value}" for key, value in self.environment().items()), *self.command()]
        host = ["ip", "netns", "exec", self.cluster.network.space(self.name)]
        with open(self.log, "wb") as output:
            self.process = subprocess.Popen(
                [str(word) for word in [*host, *spaces, *shell, *inside]],
                stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def pid(self) -> int:
        """Of the container's own process; 0 once that has ended."""
        try:
            return int(pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()[0])
        except (OSError, IndexError):
            return 0

    def probe(self, kind: str) -> bool:
        """One try of the container's liveness, readiness or startup probe, as the kubelet makes it."""
        probe = self.container[f"{kind}Probe"]
        if "exec" in probe:
            enter = ["nsenter", f"--target={self.pid()}", "--mount", "--pid", "--net", "--root"]
            command = [*enter, *probe["exec"]["command"]]
        else:
            get = probe["httpGet"]
            ports = {one["name"]: one["containerPort"] for one in self.container["ports"]}
            url = f"{get['scheme'].lower()}://{self.address}:{ports[get['port']]}{get['path']}"
            # The kubelet does not check certificates.
            enter = ["nsenter", f"--target={self.pid()}", "--net"]
            command = [*enter, "curl", "--silent", "--insecure", "--fail", "--output", "/dev/null", url]
        done = subprocess.run(command, capture_output=True, timeout=probe["timeoutSeconds"] + 10)
        return done.returncode == 0

    def terminate(self) -> tuple[int, float]:
        """As a deleted pod is: preStop, then SIGTERM. Exit code, and seconds from SIGTERM until the end."""
        hook = self.container.get("lifecycle", {}).get("preStop")
        if hook:
            enter = ["nsenter", f"--target={self.pid()}", "--mount", "--pid", "--root"]
            subprocess.run([*enter, *hook["exec"]["command"]], check=True, timeout=60)
        start = time.monotonic()
        os.kill(self.pid(), signal.SIGTERM)
        code = self.process.wait(self.spec.get("terminationGracePeriodSeconds", 30))
        return code, time.monotonic() - start

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Pods:
    """All stateful sets of some manifests, started with the block, ended with it. The pods' files are below `folder`.
    etcd: name under which the pods find an etcd, which is no part of the manifests."""

    def __init__(
        self, manifests: list[dict], folder: pathlib.Path, secrets: dict[str, dict[str, str]] | None = None,
        etcd: str | None = None,
    ):  # fmt: skip
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.secrets = secrets or {}
        self.services = [one for one in manifests if one["kind"] == "Service"]
        self.pods: list[Pod] = []
        for workload in manifests:
            if workload["kind"] == "StatefulSet":
                for number in range(workload["spec"].get("replicas", 1)):
                    self.pods.append(Pod(self, workload, number))
        self.etcd = etcd
        self.others: list[subprocess.Popen] = []
        self.resolver = folder / "resolv.conf"
        self.network = Network(("client", "etcd", *(pod.name for pod in self.pods)))

    def secret(self, name: str) -> dict[str, str]:
        if name not in self.secrets:
            raise DeployError(f"the manifests want the secret {name}")
        return self.secrets[name]

    def selected(self, service: dict) -> list[Pod]:
        wanted = service["spec"]["selector"].items()
        return [pod for pod in self.pods if wanted <= pod.labels.items()]

    def zone(self) -> dict[str, list[str]]:
        """Addresses by name, as the cluster's DNS has them."""
        domain = f"{NAMESPACE}.svc.cluster.local"
        names = {f"{self.etcd}.{domain}": [self.network.address("etcd")]} if self.etcd else {}
        for service in self.services:
            name = f"{service['metadata']['name']}.{domain}"
            pods = self.selected(service)
            if not pods:
                raise DeployError(f"the service {name} selects no pod")
            names[name] = [pod.address for pod in pods]
            if service["spec"].get("clusterIP") == "None":
                for pod in pods:
                    if pod.service == service["metadata"]["name"]:
                        names[f"{pod.name}.{name}"] = [pod.address]
        return names

    def start_dns(self) -> None:
        address = self.network.address("client")
        search = f"{NAMESPACE}.svc.cluster.local svc.cluster.local cluster.local"
        self.resolver.write_text(f"nameserver {address}\nsearch {search}\noptions ndots:5\n")
        server = pathlib.Path(__file__).with_name("dns.py")
        host = ["ip", "netns", "exec", self.network.space("client")]
        process = subprocess.Popen(
            [*host, sys.executable, str(server), address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.others.append(process)
        process.stdin.write(json.dumps(self.zone()))
        process.stdin.close()
        if process.stdout.readline() != "listening\n":
            raise DeployError("the test's name server did not start")

    def __enter__(self) -> "Pods":
        self.network.__enter__()
        try:
            self.start_dns()
            if self.etcd:
                self.start_etcd()
            for pod in self.pods:
                pod.start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, error, trace) -> None:
        for pod in self.pods:
            if kind is not None:
                print(f"---- {pod.name}\n{pod.text()[-3000:]}", file=sys.stderr)
            if pod.process is not None:
                pod.process.kill()
                pod.process.wait()
        for process in self.others:
            process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        self.network.remove()

    def start_etcd(self) -> None:
        command = ["etcd", f"--data-dir={self.folder}/etcd", "--listen-client-urls=http://0.0.0.0:2379"]
        command += [f"--advertise-client-urls=http://{self.etcd}:2379", "--logger=zap", "--log-level=error"]
        host = ["ip", "netns", "exec", self.network.space("etcd")]
        self.others.append(
            subprocess.Popen([*host, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )

    def of(self, workload: str) -> list[Pod]:
        return [pod for pod in self.pods if pod.workload == workload]

    def wait_for(self, ready, seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        while not ready():
            for pod in self.pods:
                if pod.process.poll() is not None:
                    raise DeployError(f"{pod.name} ended with code {pod.process.returncode}:\n{pod.text()[-3000:]}")
            if time.monotonic() > deadline:
                raise DeployError(f"waited {seconds:g} s for {what}")
            time.sleep(0.05)

    def query(self, host: str, sql: str, *options: str, env: dict[str, str] | None = None) -> str:
        """By the command line, on a host of its own that knows the services' names."""
        inside = 'mount --bind "$1" /etc/resolv.conf; shift; exec "$@"'
        place = ["ip", "netns", "exec", self.network.space("client"), "unshare", "--mount", "--propagation", "private"]
        place += ["sh", "-c", inside, "sh", self.resolver]
        command = [binaries_folder() / "ballista", "--host", host, "--format", "csv", *options, "-c", sql]
        done = subprocess.run(
            [str(word) for word in [*place, *command]], capture_output=True, text=True, timeout=60,
            env={**os.environ, **(env or {})},
        )  # fmt: skip
        if done.returncode != 0:
            raise DeployError(f"{sql}: {done.stderr}")
        return done.stdout
