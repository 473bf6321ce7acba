"""The Debian package of the build, for the tests that install it, and a Debian system of the test's own to install it
into."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "cluster"))
from cluster import binaries_folder  # noqa: E402

BUILD = binaries_folder().parent
BASE = ROOT / ".deps-debian.tar"


class DeployError(RuntimeError):
    """A command that the test needs failed; its output is in the message."""


def run(*command, timeout: float = 120, input: str = "", **options) -> str:
    """What the command prints on standard output. Errors: DeployError with all of its output."""
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=timeout, input=input, **options
    )
    if done.returncode != 0:
        line = " ".join(str(word) for word in command)
        raise DeployError(f"{line}: exit code {done.returncode}\n{done.stdout[-6000:]}{done.stderr[-6000:]}")
    return done.stdout


def set_up(part: str) -> None:
    # The first time it installs packages and makes a Debian system.
    done = subprocess.run(["bash", ROOT / "scripts" / "setup-deploy", part], timeout=540)
    if done.returncode != 0:
        raise DeployError(f"scripts/setup-deploy {part} failed: the reason stands above")


def fingerprint() -> str:
    """Changes when anything does that goes into the package or the image."""
    digest = hashlib.sha256()
    programs = [binaries_folder() / name for name in ("scheduler", "executor", "ballista")]
    texts = [ROOT / "cmake" / "Install.cmake", ROOT / "cmake" / "Package.cmake", *(ROOT / "docs").rglob("*")]
    texts += [path for path in (ROOT / "deploy").rglob("*") if "debian" in path.parts or "docker" in path.parts]
    for path in [*programs, *sorted(texts)]:
        if path.is_file():
            about = path.stat()
            digest.update(f"{path.relative_to(ROOT)} {about.st_size} {about.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def alone(what: str):
    """One process at a time makes what several tests, which run beside each other, share."""
    with open(BUILD / f"{what}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def package() -> pathlib.Path:
    """The .deb; made when what goes into it has changed since the last one was."""
    folder = BUILD / "package-test"
    stamp = folder / "stamp"
    with alone("package-test"):
        if not stamp.exists() or stamp.read_text() != fingerprint():
            shutil.rmtree(folder, ignore_errors=True)
            run("cpack", "--config", BUILD / "CPackConfig.cmake", "-B", folder, timeout=300)
            shutil.rmtree(folder / "_CPack_Packages")
            stamp.write_text(fingerprint())
    [path] = folder.glob("*.deb")
    return path


class System:
    """A Debian system in a folder: its files, and commands in it. What it mounts is seen by those commands alone and goes
    with them."""

    def __init__(self, folder: pathlib.Path):
        self.root = folder
        folder.mkdir(parents=True, exist_ok=True)
        run("tar", "-C", folder, "-xf", BASE)
        shutil.copy("/etc/resolv.conf", folder / "etc/resolv.conf")

    def command(self, *words: str, user: str = "root") -> list[str]:
        """The words as one process (no child) that runs in the system."""
        inside = f"mount -t proc proc {self.root}/proc && exec chroot --userspec={user} {self.root} \"$@\""
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", inside, "sh", *words]

    def run(self, *words: str, user: str = "root", timeout: float = 120) -> str:
        env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}
        return run(*self.command(*words, user=user), timeout=timeout, env=env)

    def path(self, name: str) -> pathlib.Path:
        return self.root / name.removeprefix("/")


def environment() -> dict[str, str]:
    """That of a service: nothing of the test's own."""
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent", "LANG": os.environ.get("LANG", "C.UTF-8")}
