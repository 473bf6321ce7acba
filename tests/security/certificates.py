"""A certificate authority for tests, made by the openssl command as docs/security.md shows it."""

from __future__ import annotations

import pathlib
import subprocess

KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def openssl(*arguments) -> str:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments}: {done.stderr}")
    return done.stdout


class Authority:
    def __init__(self, folder: pathlib.Path, name: str = "ca"):
        self.folder = pathlib.Path(folder)
        self.cert = self.folder / f"{name}.crt"
        self.key = self.folder / f"{name}.key"
        openssl("req", "-x509", *KEY, "-days", 30, "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.cert)

    def issue(self, name: str, names: str = "DNS:localhost,IP:127.0.0.1", days: int = 30, subject: str | None = None):
        """Certificate and key; `days` below 0: expired. `subject`: its common name, where that is not the name."""
        subject = f"/CN={name}" if subject is None else subject
        cert, key, request = (self.folder / f"{name}.{end}" for end in ("crt", "key", "csr"))
        openssl(
            "req", *KEY, "-subj", subject, "-addext", f"subjectAltName={names}", "-keyout", key, "-out", request
        )
        openssl(
            "x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-copy_extensions", "copy",
            "-days", days, "-out", cert,
        )  # fmt: skip
        return cert, key
