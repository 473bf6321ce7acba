"""The image of the build, for the tests that run it: made from the Debian package by deploy/docker/Dockerfile, and kept in
a file until something that goes into it changes."""

from __future__ import annotations

import pathlib
import shutil
import tempfile
import unittest

from engine import Engine
from package import BASE, BUILD, ROOT, alone, binaries_folder, fingerprint, package, set_up
from recipes import Shell, blocks, commands

# Base of the test's images: a Debian 12 of debootstrap, since no image registry is asked.
DEBIAN = "ballista-test-debian"
IMAGE = "ballista"
# That of deploy/docker/example.
REPORT = "report"
# The name that the documented commands have.
DOCUMENTED = "ballistacompute/ballista-rust:0.4.1"
PAGE = ROOT / "docs" / "deploy" / "docker.md"


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
    """By the commands of the page, in a folder that looks like the source tree after `make package`."""
    [make, build, tag] = commands(*blocks(PAGE, "Docker"))
    [build_report, _] = commands(*blocks(PAGE, "An image of one's own"))
    assert make == "make package", make
    tree = folder / "tree"
    (tree / "build" / "package").mkdir(parents=True)
    (tree / "deploy").symlink_to(ROOT / "deploy")
    shutil.copy(package(), tree / "build" / "package")
    with Engine(folder, online=True) as engine:
        engine.docker("import", BASE, DEBIAN)
        shell = Shell(tree, {"docker": engine.command()})
        # No registry is asked for the base; packages come over the machine's network.
        shell.run(build.replace("build", f"build --network=host --build-arg BASE={DEBIAN}", 1), timeout=400)
        shell.run(tag)
        shell.run(build_report.replace("build", "build --network=host", 1), timeout=400)
    with Engine(folder) as engine:
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

    def shell(self, folder: pathlib.Path) -> Shell:
        """Runs the commands of pages there: on the engine, and on the network of its containers."""
        environment = ["env", f"DOCKER_HOST=unix://{self.engine.socket}", f"COMPOSE_PROJECT_NAME={folder.name}"]
        return Shell(folder, {
            "docker": self.engine.command(),
            "docker-compose": [*environment, "/usr/bin/docker-compose"],
            "ballista": self.engine.inside(binaries_folder() / "ballista"),
        })  # fmt: skip
