"""The image of the build, for the tests that run it: made from the Debian package by deploy/docker/Dockerfile, and kept in
a file until something that goes into it changes."""

from __future__ import annotations

import pathlib
import shutil
import tempfile
import unittest

from engine import Engine
from package import BASE, BUILD, ROOT, alone, fingerprint, package, set_up

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
    with alone("image-test"):
        if not saved().exists():
            return _make(folder)
    with Engine(folder) as engine:
        engine.docker("load", "--quiet", "--input", saved())


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


class ImageTest(unittest.TestCase):
    """`engine` is one of its own for the class, with the image in it; `folder` is the class's, and goes with it."""

    @classmethod
    def setUpClass(cls):
        set_up("docker")
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"ballista-{cls.__name__.lower()}-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        put(cls.folder)
        cls.engine = cls.enterClassContext(Engine(cls.folder))
