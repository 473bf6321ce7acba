"""Stands in for kubectl where no Kubernetes runs: `Kubectl` keeps what is applied and runs the pods as processes (pods.py);
as a program it makes secrets, each a file NAME.json in the folder that its first argument names."""

from __future__ import annotations

import json
import pathlib
import shlex
import sys
from collections.abc import Callable

SECRET = ["create", "secret", "generic"]


def make_secret(folder: pathlib.Path, words: list[str]) -> None:
    if words[:3] != SECRET:
        raise SystemExit(f"kubectl: this stand-in only makes secrets, not: {' '.join(words)}")
    data = {}
    for word in words[4:]:
        option, _, value = word.partition("=")
        key, _, content = value.rpartition("=")
        if option == "--from-file":
            data[key or pathlib.Path(content).name] = pathlib.Path(content).read_text()
        elif option == "--from-literal":
            data[key] = content
        else:
            raise SystemExit(f"kubectl: unknown option {option}")
    (folder / f"{words[3]}.json").write_text(json.dumps(data))
    print(f"secret/{words[3]} created")


class Kubectl:
    """`start`: makes the Pods of manifests, started. Files are below `folder`."""

    def __init__(self, folder: pathlib.Path, parse: Callable, start: Callable):
        self.folder = folder
        self.parse = parse
        self.start = start
        self.manifests: list[dict] = []
        self.pods = None

    def run(self, line: str) -> str:
        match shlex.split(line):
            case ["kubectl", "apply", "-f", file]:
                return self.apply(self.parse((self.folder / file).read_text()))
            case ["kubectl", "get", "pods"]:
                state = {True: "1/1 Running", False: "0/1 Error"}
                return "".join(f"{pod.name} {state[pod.process.poll() is None]}\n" for pod in self.pods.pods)
            case ["kubectl", "logs", name]:
                [pod] = [one for one in self.pods.pods if one.name == name]
                return pod.text()
            case ["kubectl", "delete", "-f", file]:
                return self.delete(self.parse((self.folder / file).read_text()))
        raise ValueError(f"this stand-in for kubectl does not know: {line}")

    def apply(self, manifests: list[dict]) -> str:
        self.manifests += manifests
        if any(one["kind"] == "StatefulSet" for one in manifests):
            self.pods = self.start(self.manifests)
        return "".join(f"{one['kind'].lower()}/{one['metadata']['name']} created\n" for one in manifests)

    def delete(self, manifests: list[dict]) -> str:
        """Each pod is ended as a deleted one is."""
        names = {one["metadata"]["name"] for one in manifests}
        for pod in [one for one in self.pods.pods if one.workload in names]:
            code, _ = pod.terminate()
            if code != 0:
                raise ValueError(f"{pod.name} ended with code {code}:\n{pod.text()[-2000:]}")
            self.pods.pods.remove(pod)
        return "".join(f"{one['kind'].lower()} \"{one['metadata']['name']}\" deleted\n" for one in manifests)


if __name__ == "__main__":
    make_secret(pathlib.Path(sys.argv[1]), sys.argv[2:])
