"""Reads and writes sqllogictest files, and runs their records on an engine (README.md has the dialect)."""

from __future__ import annotations

import dataclasses
import difflib
import pathlib
import re
import time

import pyarrow as pa

import values

TOLERANCE = 1e-6


@dataclasses.dataclass
class Record:
    """One statement or query, with the comment and directive lines before it."""

    file: pathlib.Path
    line: int  # of the directive `statement` or `query`, from 1
    kind: str  # "ok", "error", "query"
    sql: str
    lead: list[str] = dataclasses.field(default_factory=list)  # comment, skipif and onlyif lines
    regex: str = ""  # kind error
    letters: str = ""  # kind query: one a column
    mode: str = "rowsort"  # kind query
    rows: list[list[str]] = dataclasses.field(default_factory=list)

    def runs_on(self, engine: str) -> bool:
        for line in self.lead:
            words = line.split()
            if words[0] == "skipif" and words[1] == engine:
                return False
            if words[0] == "onlyif" and words[1] != engine:
                return False
        return True


class FormatError(ValueError):
    pass


def parse(path: pathlib.Path) -> list[Record]:
    records: list[Record] = []
    lead: list[str] = []
    lines = path.read_text().split("\n")
    position = 0
    while position < len(lines):
        line = lines[position]
        words = line.split()
        if not words:
            position += 1
        elif line.startswith("#") or words[0] in ("skipif", "onlyif"):
            lead.append(line)
            position += 1
        elif words[0] in ("statement", "query"):
            end = position
            while end < len(lines) and lines[end]:
                end += 1
            records.append(parse_record(path, position + 1, lead, words, lines[position:end]))
            lead = []
            position = end
        else:
            raise FormatError(f"{path}:{position + 1}: unknown directive {words[0]!r}")
    if lead:
        raise FormatError(f"{path}: comment or directive without a record at the end")
    return records


def parse_record(path, number, lead, words, lines) -> Record:
    body = lines[1:]
    results: list[str] = []
    if "----" in body:
        cut = body.index("----")
        body, results = body[:cut], body[cut + 1 :]
    record = Record(path, number, "query", "\n".join(body), lead)
    if not record.sql:
        raise FormatError(f"{path}:{number}: no SQL")
    if words[0] == "statement":
        if len(words) < 2 or words[1] not in ("ok", "error") or results:
            raise FormatError(f"{path}:{number}: expected `statement ok` or `statement error <regex>`")
        record.kind = words[1]
        record.regex = lines[0].partition(" error")[2].strip()
        return record
    record.letters = words[1].replace("?", "") if len(words) > 1 else ""
    record.mode = words[2] if len(words) > 2 else "rowsort"
    if record.mode not in ("rowsort", "nosort", "valuesort") or set(record.letters) - set("ITR"):
        raise FormatError(f"{path}:{number}: expected `query <ITR...> rowsort|nosort|valuesort`")
    record.rows = [line.split("\t") for line in results]
    return record


def render(records: list[Record]) -> str:
    blocks = []
    for record in records:
        lines = list(record.lead)
        if record.kind == "query":
            lines += [f"query {record.letters or '?'} {record.mode}", record.sql, "----"]
            lines += ["\t".join(row) for row in record.rows]
        else:
            lines += [f"statement {record.kind} {record.regex}".rstrip(), record.sql]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def ordered(rows: list[list[str]], letters: str, mode: str) -> list[list[str]]:
    if mode == "rowsort":
        return values.sort_rows(rows, letters)
    if mode == "valuesort":
        return [[cell] for cell in sorted(cell for row in rows for cell in row)]
    return rows


def letters_of(schema: pa.Schema) -> str:
    return "".join(values.type_letter(field.type) for field in schema)


# ---- running


@dataclasses.dataclass
class Outcome:
    record: Record
    problem: str = ""  # empty: passed
    seconds: float = 0.0


def run_record(record: Record, execute) -> Outcome:
    """`execute(sql)` gives a pyarrow.Table or raises. The outcome's problem says expected and got."""
    start = time.monotonic()
    problem = ""
    try:
        table = execute(record.sql)
    except Exception as error:  # whatever a driver raises is the statement's error
        message = f"{type(error).__name__}: {error}"
        if record.kind != "error":
            problem = f"failed: {message}"
        elif not re.search(record.regex, message, re.I | re.S):
            problem = f"expected an error like: {record.regex}\ngot: {message}"
    else:
        if record.kind == "error":
            problem = f"expected an error like: {record.regex}\ngot: success"
        elif record.kind == "query":
            problem = difference(record, table)
    return Outcome(record, problem, time.monotonic() - start)


def difference(record: Record, table: pa.Table) -> str:
    """Empty when the table is what the record expects."""
    letters = letters_of(table.schema)
    if letters != record.letters:
        types = ", ".join(f"{field.name}: {field.type}" for field in table.schema)
        return f"expected column types {record.letters}, got {letters} ({types})"
    got = ordered(values.table_texts(table), letters, record.mode)
    expected = ordered(record.rows, letters, record.mode)
    if same_rows(expected, got, letters, record.mode):
        return ""
    return difference_text(expected, got)


def same_rows(expected, got, letters: str, mode: str) -> bool:
    if len(expected) != len(got):
        return False
    if mode == "valuesort":
        letters = "R" if "R" in letters else "T"
    return all(
        len(left) == len(right)
        and all(values.equal_cells(a, b, letter, TOLERANCE) for a, b, letter in zip(left, right, letters))
        for left, right in zip(expected, got)
    )


def difference_text(expected, got, limit: int = 20) -> str:
    left = ["\t".join(row) for row in expected]
    right = ["\t".join(row) for row in got]
    lines = [line for line in difflib.unified_diff(left, right, lineterm="", n=0) if line[:2] not in ("--", "++", "@@")]
    shown = "\n".join(lines[:limit])
    more = f"\n... and {len(lines) - limit} more lines" if len(lines) > limit else ""
    return f"{len(expected)} rows expected, got {len(got)} (- expected, + got)\n{shown}{more}"
