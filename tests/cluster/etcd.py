"""An etcd of the test's own, on free ports."""

import base64
import json
import subprocess
import urllib.request

from cluster import free_ports


class Etcd:
    """One server, with its data in a folder below this one."""

    def __init__(self, folder):
        client, peer = (f"http://127.0.0.1:{port}" for port in free_ports(2))
        self.urls = client.removeprefix("http://")
        command = ["etcd", "--data-dir", f"{folder}/etcd", "--listen-client-urls", client]
        command += ["--advertise-client-urls", client, "--listen-peer-urls", peer]
        command += ["--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"]
        command += ["--logger", "zap", "--log-level", "error"]
        self.command = command
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def restart(self):
        """Killed, and there again with all that it had."""
        self.stop()
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.stop()

    def get(self, prefix):
        """What is stored below it: bytes by key."""
        entries = self.call("range", key=prefix, range_end=prefix[:-1] + chr(ord(prefix[-1]) + 1)).get("kvs", [])
        return {base64.b64decode(one["key"]).decode(): base64.b64decode(one.get("value", "")) for one in entries}

    def put(self, key, value):
        self.call("put", key=key, value=value)

    def call(self, what, **arguments):
        texts = {name: text.encode() if isinstance(text, str) else text for name, text in arguments.items()}
        body = json.dumps({name: base64.b64encode(text).decode() for name, text in texts.items()})
        with urllib.request.urlopen(f"http://{self.urls}/v3/kv/{what}", body.encode(), timeout=10) as answer:
            return json.load(answer)

    def stop(self):
        self.process.kill()
        self.process.wait()
