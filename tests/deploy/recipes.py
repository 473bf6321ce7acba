"""Commands and files of a page of documentation, as they stand there, and a shell that runs them one by one."""

from __future__ import annotations

import pathlib
import re
import shlex

from package import ROOT, run

DOCUMENTED = ROOT / "tests" / "deploy" / "documented.md"


def blocks(page: pathlib.Path, heading: str, language: str = "sh") -> list[str]:
    """The blocks of the section with that heading."""
    sections = re.split(r"^#+ (.*)\n", page.read_text(), flags=re.M)
    text = sections[sections.index(heading, 1) + 1]
    found = re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)
    assert found, f"{page}: no {language} block below {heading}"
    return found


def commands(*of: str) -> list[str]:
    """One by one, without comments; of `console` blocks those after a prompt."""
    lines = "".join(of).replace("\\\n", " ").splitlines()
    if any(line.startswith("$ ") for line in lines):
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    return [" ".join(line.split(" #")[0].split()) for line in lines if line.split(" #")[0].strip()]


class Shell:
    """Runs commands in `folder`. `programs`: what a word at the beginning of a command stands for."""

    def __init__(self, folder: pathlib.Path, programs: dict[str, list[str]]):
        self.folder = folder
        self.bin = folder / ".bin"
        self.bin.mkdir(parents=True)
        for name, command in programs.items():
            line = " ".join(shlex.quote(str(word)) for word in command)
            (self.bin / name).write_text(f'#!/bin/sh\nexec {line} "$@"\n')
            (self.bin / name).chmod(0o755)

    def words(self, line: str) -> list[str]:
        return ["sh", "-c", f'PATH="{self.bin}:$PATH"; exec {line}']

    def run(self, line: str, timeout: float = 300) -> str:
        """What it prints."""
        return run(*self.words(line), cwd=self.folder, timeout=timeout)
