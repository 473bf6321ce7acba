#!/usr/bin/env python3
"""Fills the expected results of the corpus from single-process DuckDB.

  regenerate.py [FILE...]          rewrites the files (default: all)
  regenerate.py --check [FILE...]  changes nothing; fails when a committed result is not DuckDB's
  regenerate.py --draft LIST FILE  makes FILE from a list of statements, one a line (README.md)

Each query runs twice, the second time with files in reverse order and several threads: a result that differs
is refused, because the statement does not determine it.
"""

from __future__ import annotations

import argparse
import pathlib
import re
import sys
import tempfile

import engines
import make_data
import sqllogictest
import values

HERE = pathlib.Path(__file__).resolve().parent


def regenerate(path: pathlib.Path, data: pathlib.Path) -> tuple[list[sqllogictest.Record], list[str]]:
    """The file's records with fresh results, and what is wrong with it."""
    records = sqllogictest.parse(path)
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        first = engines.DuckDb(data, pathlib.Path(one)).open()
        second = engines.DuckDb(data, pathlib.Path(two), reverse=True).open()
        for record in records:
            if record.runs_on("duckdb"):
                problem = fill(record, first, second)
                if problem:
                    problems.append(f"{path.name}:{record.line}: {problem}\n  {record.sql}")
        first.close()
        second.close()
    return records, problems


def fill(record: sqllogictest.Record, first, second) -> str:
    try:
        table = first.execute(record.sql)
    except Exception as error:
        if record.kind != "error":
            return f"{type(error).__name__}: {error}"
        if not record.regex:
            record.regex = error_regex(str(error))
        outcome = sqllogictest.run_record(record, second.execute)
        return outcome.problem
    if record.kind == "error":
        return "expected an error, got success"
    if record.kind == "ok":
        second.execute(record.sql)
        return ""
    record.letters = sqllogictest.letters_of(table.schema)
    rows = values.table_texts(table)
    record.rows = sqllogictest.ordered(rows, record.letters, record.mode)
    if record.mode == "valuesort":
        record.letters = "R" if "R" in record.letters else "T"
    problem = sqllogictest.difference(record, second.execute(record.sql))
    return f"not deterministic: {problem}" if problem else ""


def error_regex(message: str) -> str:
    """The start of the message without its kind and without the value it is about, as a regular expression."""
    line = next(part for part in message.split("\n") if part.strip())
    text = re.sub(r"^[A-Z][\w ]* Error: ", "", line).strip()[:70]
    if text.find("'") > 12:
        text = text[: text.find("'") + 1]
    return re.sub(r"([\\.*+?()\[\]{}|^$])", r"\\\1", text)


def draft(source: pathlib.Path, target: pathlib.Path) -> None:
    """One statement a line; `!` an error, `=` rows in order, `+` no rows (statement ok), `#` a comment."""
    records, lead = [], []
    for number, line in enumerate(source.read_text().split("\n"), 1):
        if not line.strip():
            continue
        if line.startswith("#"):
            lead.append(line)
            continue
        kind, mode, sql = "query", "rowsort", line
        if line[0] in "!=+":
            kind, mode = {"!": "error", "=": "query", "+": "ok"}[line[0]], "nosort"
            sql = line[1:]
        records.append(sqllogictest.Record(target, number, kind, sql.strip(), lead, mode=mode))
        lead = []
    target.write_text(sqllogictest.render(records))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--draft", metavar="LIST", type=pathlib.Path)
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.draft:
        draft(arguments.draft, arguments.files[0])
    data = make_data.ensure()
    passed = failed = 0
    for path in arguments.files or sorted(HERE.glob("*.test")):
        records, problems = regenerate(path, data)
        text = sqllogictest.render(records)
        if arguments.check and text != path.read_text():
            problems.append(f"{path.name}: differs from what DuckDB gives; run tests/sql/regenerate.py")
        elif not arguments.check:
            path.write_text(text)
        for problem in problems:
            print(problem)
        failed += len(problems)
        passed += len(records) - min(len(records), len(problems))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
