"""The image of the build, for the tests that run it: made from the Debian package by deploy/docker/Dockerfile, and kept in
a file until something that goes into it changes."""

from __future__ import annotations

import pathlib
import shutil

from engine import Engine
from package import BASE, BUILD, ROOT, fingerprint, package

# Base of the test's images: a Debian 12 of debootstrap, since no image registry is asked.
DEBIAN = "ballista-test-debian"
IMAGE = "ballista"
# That of deploy/docker/example.
REPORT = "report"
# The name that the documented commands have.
DOCUMENTED = "ballistacompute/ballista-rust:0.4.1"


def build(folder: pathlib.Path, image: str, base: str, files: pathlib.Path, dockerfile: pathlib.Path | None = None) -> None:
    """An image of a Dockerfile that installs packages, in the store that is in `folder`."""
    with Engine(folder, online=True) as engine:
        if not engine.docker("images", "--quiet", DEBIAN):
            engine.docker("import", BASE, DEBIAN)
        engine.docker(
            "build", "--network=host", "--build-arg", f"BASE={base}", "--tag", image,
            "--file", dockerfile or files / "Dockerfile", files, timeout=400,
        )  # fmt: skip


def saved() -> pathlib.Path:
    return BUILD / "package-test" / f"image-{fingerprint()}.tar"


def put(folder: pathlib.Path) -> None:
    """Puts the images into the store in `folder`: from the file, or newly built where something has changed."""
    archive = saved()
    if archive.exists():
        with Engine(folder) as engine:
            engine.docker("load", "--quiet", "--input", archive)
        return
    _make(folder)


def _make(folder: pathlib.Path) -> None:
    files = folder / "files"
    files.mkdir()
    shutil.copy(package(), files)
    build(folder, IMAGE, DEBIAN, files, ROOT / "deploy" / "docker" / "Dockerfile")
    build(folder, REPORT, IMAGE, ROOT / "deploy" / "docker" / "example")
    with Engine(folder) as engine:
        engine.docker("tag", IMAGE, DOCUMENTED)
        part = saved().with_suffix(".part")
        engine.docker("save", "--output", part, IMAGE, DOCUMENTED, REPORT, DEBIAN)
        part.rename(saved())
