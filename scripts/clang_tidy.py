"""Runs clang-tidy over what does not include DuckDB: clang_tidy.py --build DIR [FILE...]

The files of a folder are checked together, as one unit that includes them all, since most of the time goes into
parsing and searching Arrow's headers once a unit. Where two of them cannot stand in one unit (both have a
function of one name in their unnamed namespace), the group is halved. What came out is kept beside the
dependencies (BALLISTA_DEPS_DIR, XDG_CACHE_HOME, ~/.cache/ballista) under a hash of the files, of all headers of
ours that they include, of the flags and of the checks, so that an unchanged tree costs a second, in another
checkout too.
"""

import argparse
import concurrent.futures
import functools
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Files in one unit. More makes a change of one file dearer, fewer the first run.
GROUP = 12
UNIT_DEADLINE_SECONDS = 300
# What only g++ knows, and precompiled headers, which clang cannot read.
GCC_ONLY = {"-fpch-preprocess", "-Winvalid-pch"}


def check_reasons():
    """Each check in .clang-tidy has its line with a reason, and each such line its check."""
    text = (ROOT / ".clang-tidy").read_text()
    reasons = re.findall(r"^# ([a-z]+-[a-z-]+) +\S", text, re.M)
    checks = re.findall(r"^  ([a-z]+-[a-z-]+),?$", text, re.M)
    if reasons != checks:
        odd = sorted(set(reasons) ^ set(checks)) or ["the order"]
        sys.exit(f".clang-tidy: reasons and Checks differ in {', '.join(odd)}")


@functools.cache
def includes_of(path, build):
    """What of ours a file includes itself, and whether DuckDB."""
    found = []
    duckdb = False
    for name in re.findall(r'^\s*#include ["<]([^">]+)[">]', path.read_text(), re.M):
        duckdb = duckdb or name.startswith("duckdb")
        for folder in (ROOT / "src", path.parent, build / "proto", build / "generated", ROOT):
            if (folder / name).is_file():
                found.append((folder / name).resolve())
                break
    return found, duckdb


@functools.cache
def closure(path, build):
    """All files of ours that a file includes, itself first; and whether it reaches DuckDB."""
    seen = {path: None}
    todo = [path]
    reaches_duckdb = False
    while todo:
        found, duckdb = includes_of(todo.pop(), build)
        reaches_duckdb = reaches_duckdb or duckdb
        for one in found:
            if one not in seen:
                seen[one] = None
                todo.append(one)
    return list(seen), reaches_duckdb


def flags_of(command):
    """The flags of a compile command that clang needs."""
    words = shlex.split(command)
    kept = []
    skip = False
    for index, word in enumerate(words[1:], 1):
        if skip:
            skip = False
        elif word in ("-o", "-c", "-include", "-MF", "-MT"):
            skip = True
        elif word in GCC_ONLY or word.startswith("-W") or word.startswith("-O") or word in ("-MD", "-w"):
            pass
        elif not word.endswith((".cc", ".o")):
            kept.append(word)
    return tuple(kept)


def groups_of(build, only):
    by_folder = {}
    skipped = 0
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["file"]).resolve()
        if build in path.parents or ROOT not in path.parents or (only and path not in only):
            continue
        if closure(path, build)[1]:
            skipped += 1
            continue
        test = path.name.endswith(("_test.cc", "_benchmark.cc"))
        by_folder.setdefault((path.parent, test, flags_of(entry["command"])), []).append(path)
    groups = []
    for (_, _, flags), paths in sorted(by_folder.items(), key=lambda item: str(item[0])):
        paths.sort()
        groups += [(paths[at : at + GROUP], flags) for at in range(0, len(paths), GROUP)]
    return groups, skipped


@functools.cache
def common_hash():
    version = subprocess.run(["clang-tidy", "--version"], capture_output=True, text=True, check=True).stdout
    pins = (ROOT / "scripts/pins").read_text() + (ROOT / "scripts/requirements.txt").read_text()
    return "\0".join([version, pins, (ROOT / ".clang-tidy").read_text()])


def without_place(text, build):
    """The same in each checkout."""
    return text.replace(str(build), "BUILD").replace(str(ROOT), "ROOT")


def hash_of(paths, flags, build):
    digest = hashlib.sha256("\0".join([common_hash(), *(without_place(flag, build) for flag in flags)]).encode())
    for path in paths:
        for one in closure(path, build)[0]:
            digest.update(f"\0{without_place(str(one), build)}\0".encode() + one.read_bytes())
    return digest.hexdigest()[:32]


def cache_folder():
    caches = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(os.environ.get("BALLISTA_DEPS_DIR") or pathlib.Path(caches, "ballista"), "clang-tidy")


def keep(path, text):
    """Whole or not at all: other checkouts read it."""
    fresh = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
    fresh.write_text(text)
    fresh.replace(path)


def check(paths, flags, build):
    """What clang-tidy says of a group, from the cache where nothing has changed."""
    cache = cache_folder()
    key = hash_of(paths, flags, build)
    kept = cache / f"{key}.txt"
    if not kept.exists():
        unit = cache / f"unit-{key}-{os.getpid()}.cc"
        unit.write_text("".join(f'#include "{path}"\n' for path in paths))
        run = subprocess.run(
            ["clang-tidy", "--quiet", f"--config-file={ROOT / '.clang-tidy'}", str(unit), "--", *flags, "-w"],
            capture_output=True, text=True, timeout=UNIT_DEADLINE_SECONDS, cwd=ROOT,
        )
        unit.unlink()
        if run.returncode < 0:
            raise RuntimeError(f"clang-tidy was ended by signal {-run.returncode}")
        if "clang-diagnostic-error" in run.stdout and len(paths) > 1:
            keep(kept, "halve")
        elif run.returncode != 0 and not run.stdout.strip():
            raise RuntimeError(f"clang-tidy failed on {paths}: {run.stderr}")
        else:
            keep(kept, without_place(run.stdout, build))
    os.utime(kept)
    said = kept.read_text()
    if said != "halve":
        return said
    middle = len(paths) // 2
    return check(paths[:middle], flags, build) + check(paths[middle:], flags, build)


def forget_old(cache):
    """Keeps the results of the last few trees only."""
    for old in sorted(cache.glob("*.txt"), key=lambda path: path.stat().st_mtime)[:-2000]:
        old.unlink(missing_ok=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    arguments = parser.parse_args()
    check_reasons()
    build = arguments.build.resolve()
    cache_folder().mkdir(parents=True, exist_ok=True)
    groups, skipped = groups_of(build, {path.resolve() for path in arguments.files})
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        said = list(pool.map(lambda group: check(*group, build), groups))
    forget_old(cache_folder())
    # A header is seen by several units.
    findings = {}
    for finding in re.split(r"\n(?=ROOT/)", "\n".join(said)):
        if finding.strip():
            findings.setdefault(finding.strip())
    for finding in findings:
        print(finding.replace("ROOT/", ""))
    files = sum(len(paths) for paths, _ in groups)
    print(f"clang-tidy: {files} files, {len(findings)} findings ({skipped} files that include DuckDB left out)")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
