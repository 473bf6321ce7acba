"""Runs a test of this folder in the environment of scripts/setup-web, which it makes: run.py NAME [browser]"""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
subprocess.run(["bash", ROOT / "scripts/setup-web", *sys.argv[2:3]], check=True)
python = str(ROOT / ".deps-web/bin/python")
os.execv(python, [python, str(ROOT / "tests/http" / sys.argv[1])])
