"""The tests of the Python package: type check, then each test file, with the package installed from its wheel.

    .deps/venv/bin/python tests/python/run.py [names of test files]

Two files run at a time. Prints what failed, and one line at the end.
"""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "python"
TIMEOUT = 240


def run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess:
    """Its output as one text; a run that takes too long is a failed one."""
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT,
                              env=environment, cwd=ROOT)  # fmt: skip
    except subprocess.TimeoutExpired as error:
        output = (error.stdout or b"").decode(errors="replace")
        return subprocess.CompletedProcess(command, 1, f"{output}\nno end after {TIMEOUT} s")


def main() -> int:
    subprocess.run(["bash", str(ROOT / "scripts" / "setup-python")], check=True)
    python = str(ROOT / ".deps-python" / "bin" / "python")
    build = os.environ.get("BALLISTA_BIN") or str(ROOT / "build" / "bin")
    # The data is made by the programs beside the other tests' interpreter.
    code = "import tpc_data; tpc_data.ensure('tpch', '0.01')"
    subprocess.run([str(ROOT / ".deps" / "venv" / "bin" / "python"), "-c", code], check=True,
                   env={**os.environ, "PYTHONPATH": str(ROOT / "tests" / "oracle")})  # fmt: skip
    names = sys.argv[1:] or sorted(path.name for path in HERE.glob("*_test.py"))
    with tempfile.TemporaryDirectory() as folder:
        site = pathlib.Path(folder, "site")
        environment = {**os.environ, "BALLISTA_HOME": build, "PYTHONPATH": str(site), "PYTHONWARNINGS": "ignore"}
        subprocess.run([python, str(ROOT / "python" / "build_wheel.py"), "--out", folder], check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        [wheel] = pathlib.Path(folder).glob("*.whl")
        install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*install, "--target", str(site), str(wheel)], check=True)
        commands = {"types": [python, "-m", "mypy", "--config-file", "python/pyproject.toml",
                              "--cache-dir", f"{folder}/mypy", "python/src/ballista"]}  # fmt: skip
        commands.update({name: [python, "-W", "ignore", str(HERE / name)] for name in names})
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            outcomes = dict(zip(commands, pool.map(lambda each: run(each, environment), commands.values())))
    failed = [name for name, outcome in outcomes.items() if outcome.returncode != 0]
    for name in failed:
        print(f"---- {name}\n{outcomes[name].stdout}")
    counts = [re.findall(r"^Ran (\d+) test", outcome.stdout, re.M) for outcome in outcomes.values()]
    tests = sum(int(count) for found in counts for count in found)
    problems = f", failed: {', '.join(failed)}" if failed else ", types checked" if "types" in outcomes else ""
    print(f"{tests} tests in {len(names)} files{problems}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
