"""Builds a wheel of the Python package.

    python python/build_wheel.py --out dist                          the client alone, for any platform
    python python/build_wheel.py --out dist --programs build/bin     with scheduler, executor and ballista inside

The second carries the shared libraries that the programs need, but for those of every Linux (glibc, libstdc++) and
for Arrow's: these come with pyarrow, so the wheel requires exactly the version that the programs were linked with.
"""

import argparse
import importlib.metadata
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PROGRAMS = ("scheduler", "executor", "ballista")
# Of the system: a copy of them beside the system's own would not fit its kernel or its loader.
SYSTEM = re.compile(r"^(ld-linux.*|linux-vdso|libc|libm|libpthread|libdl|librt|libresolv|libstdc\+\+|libgcc_s)\.so")


def libraries(program: pathlib.Path) -> dict[str, pathlib.Path]:
    """The shared libraries that a program is loaded with, by the names that it asks for."""
    listing = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True).stdout
    found = {}
    for name, path in re.findall(r"^\s*(\S+) => (.*?)(?: \(0x\w+\))?$", listing, re.M):
        if path == "not found":
            raise SystemExit(f"{program} needs {name}, which is not found on this machine")
        found[name] = pathlib.Path(path)
    return found


def carry(programs: pathlib.Path, package: pathlib.Path) -> None:
    """Programs into bin/, libraries into bin/lib/."""
    folder = package / "bin"
    (folder / "lib").mkdir(parents=True)
    for name in PROGRAMS:
        if not (programs / name).exists():
            raise SystemExit(f"{programs / name} is missing: build it first (`make`)")
        shutil.copy2(programs / name, folder / name)
        for library, path in libraries(programs / name).items():
            if SYSTEM.match(library) or path.parent.name == "pyarrow":
                continue
            shutil.copy2(path.resolve(), folder / "lib" / library)
    for path in [*(folder / name for name in PROGRAMS), *(folder / "lib").iterdir()]:
        path.chmod(0o755)
        subprocess.run(["strip", "--strip-unneeded", str(path)], check=True)


def build(out: pathlib.Path, programs: pathlib.Path | None) -> pathlib.Path:
    with tempfile.TemporaryDirectory() as scratch:
        tree = pathlib.Path(scratch, "python")
        shutil.copytree(HERE, tree, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__", "bin"))
        if programs is not None:
            carry(programs, tree / "src" / "ballista")
            project = tree / "pyproject.toml"
            exact = f"pyarrow=={importlib.metadata.version('pyarrow')}"
            project.write_text(project.read_text().replace("pyarrow>=17", exact))
            platform = re.sub(r"[-.]", "_", sysconfig.get_platform())
            (tree / "setup.cfg").write_text(f"[bdist_wheel]\nplat_name = {platform}\n")
        wheels = pathlib.Path(scratch, "wheels")
        command = [sys.executable, "-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, "--no-build-isolation", "-w", str(wheels), str(tree)], check=True)
        [wheel] = wheels.iterdir()
        out.mkdir(parents=True, exist_ok=True)
        return pathlib.Path(shutil.copy2(wheel, out / wheel.name))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("dist"), help="folder for the wheel")
    parser.add_argument("--programs", type=pathlib.Path, help="folder of the programs to carry")
    arguments = parser.parse_args()
    wheel = build(arguments.out, arguments.programs)
    print(f"{wheel} ({os.path.getsize(wheel) / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
