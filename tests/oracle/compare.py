"""Compares a cluster's result with DuckDB's: same types, same rows, and the order that ORDER BY asks for."""

from __future__ import annotations

import collections
import dataclasses
import decimal
import json
import math
import re

import duckdb
import pyarrow as pa

STRICT = 1e-9  # relative difference of doubles that passes without a word
LOOSE = 1e-6  # up to here it passes with a note: another order of summation


@dataclasses.dataclass
class Verdict:
    problem: str = ""  # empty: equal
    notes: list[str] = dataclasses.field(default_factory=list)


def compare(query: str, expected: pa.Table, got: pa.Table, oracle: duckdb.DuckDBPyConnection) -> Verdict:
    """`oracle` answers the query again without its LIMIT, where rows tie at the cut."""
    verdict = Verdict()
    if type_names(expected) != type_names(got):
        verdict.problem = f"types: expected {type_names(expected)}, got {type_names(got)}"
        return verdict
    left, right = rows_of(expected), rows_of(got)
    if len(left) != len(right):
        verdict.problem = f"rows: expected {len(left)}, got {len(right)}"
        return verdict
    keys = order_keys(query, expected.column_names)
    unequal_order = first_difference([pick(row, keys) for row in left], [pick(row, keys) for row in right], verdict)
    if keys and unequal_order is not None:
        verdict.problem = f"order: row {unequal_order + 1}: expected {left[unequal_order]}, got {right[unequal_order]}"
        return verdict
    missing, extra = multiset_difference(left, right, verdict)
    if missing or extra:
        check_ties_at_the_cut(query, left, missing, extra, keys, oracle, verdict)
    return verdict


def check_ties_at_the_cut(query, left, missing, extra, keys, oracle, verdict: Verdict) -> None:
    """With a LIMIT, rows that tie with the last one may be others of the same rank."""
    unlimited = re.sub(r"\blimit\s+\d+\s*$", "", query, flags=re.I)
    tied = keys and all(same(pick(row, keys), pick(left[-1], keys), Verdict()) for row in missing + extra)
    if unlimited != query and tied:
        everything = rows_of(oracle.sql(unlimited).to_arrow_table())
        unknown, _ = multiset_difference(extra, everything, Verdict())
        if not unknown:
            verdict.notes.append(f"{len(extra)} rows tie at the LIMIT")
            return
    verdict.problem = f"{len(missing)} rows differ: expected {missing[:3]}, got {extra[:3]}"


def type_names(table: pa.Table) -> list[str]:
    """Types without the physical variants of text and binary."""
    names = []
    for field in table.schema:
        text = str(field.type)
        for variant, plain in (("large_", ""), ("string_view", "string"), ("binary_view", "binary")):
            text = text.replace(variant, plain)
        names.append(text)
    return names


def rows_of(table: pa.Table) -> list[tuple]:
    return list(zip(*(column.to_pylist() for column in table.columns))) if table.num_columns else []


def pick(row: tuple, columns: list[int]) -> tuple:
    return tuple(row[i] for i in columns)


def first_difference(left: list[tuple], right: list[tuple], verdict: Verdict) -> int | None:
    for i, (a, b) in enumerate(zip(left, right)):
        if not same(a, b, verdict):
            return i
    return None


def same(left: tuple, right: tuple, verdict: Verdict) -> bool:
    return len(left) == len(right) and all(same_value(a, b, verdict) for a, b in zip(left, right))


def same_value(left, right, verdict: Verdict) -> bool:
    if not isinstance(left, float) or not isinstance(right, float):
        return type(left) is type(right) and left == right
    if left == right or (math.isnan(left) and math.isnan(right)):
        return True
    if math.isclose(left, right, rel_tol=STRICT):
        return True
    if math.isclose(left, right, rel_tol=LOOSE):
        verdict.notes.append(f"double off by {abs(left - right) / abs(left):.1e}")
        return True
    return False


def multiset_difference(left: list[tuple], right: list[tuple], verdict: Verdict) -> tuple[list, list]:
    """Rows of `left` without a partner in `right`, and the other way round."""
    groups = collections.defaultdict(list)
    for row in right:
        groups[exact_part(row)].append(row)
    missing = []
    for row in sorted(left, key=float_part):
        partners = groups.get(exact_part(row), [])
        match = next((i for i, other in enumerate(partners) if same(row, other, verdict)), None)
        if match is None:
            missing.append(row)
        else:
            partners.pop(match)
    return missing, [row for partners in groups.values() for row in partners]


def exact_part(row: tuple) -> tuple:
    return tuple(repr(value) if isinstance(value, (decimal.Decimal, list, dict)) else value for value in row
                 if not isinstance(value, float))  # fmt: skip


def float_part(row: tuple) -> tuple:
    return tuple(value for value in row if isinstance(value, float))


def order_keys(query: str, names: list[str]) -> list[int]:
    """Columns of the result that the final ORDER BY names, up to the first key that is no column of it."""
    with duckdb.connect() as connection:
        text = connection.execute("SELECT json_serialize_sql(?)", [query]).fetchone()[0]
    tree = json.loads(text)
    if tree.get("error"):
        return []
    node = tree["statements"][0]["node"]
    orders = [m for m in node["modifiers"] if m["type"] == "ORDER_MODIFIER"]
    lowered = [name.lower() for name in names]
    aliases = select_aliases(node, len(names))
    columns: list[int] = []
    for order in orders[0]["orders"] if orders else []:
        position = key_position(order["expression"], lowered, aliases)
        if position is None:
            return columns
        columns.append(position)
    return columns


def select_aliases(node: dict, count: int) -> list[str]:
    """Each select item's expression as text without position and alias, to find it again in ORDER BY."""
    items = node.get("select_list", [])
    return [expression_text(item) for item in items] if len(items) == count else []


def key_position(expression: dict, names: list[str], aliases: list[str]) -> int | None:
    if expression["class"] == "CONSTANT":
        value = expression["value"]["value"]
        return value - 1 if isinstance(value, int) and 0 < value <= len(names) else None
    if expression["class"] == "COLUMN_REF" and len(expression["column_names"]) == 1:
        name = expression["column_names"][0].lower()
        if names.count(name) == 1:
            return names.index(name)
    text = expression_text(expression)
    return aliases.index(text) if text in aliases else None


def expression_text(expression: dict) -> str:
    def strip(value):
        if isinstance(value, dict):
            return {k: strip(v) for k, v in value.items() if k not in ("alias", "query_location")}
        return [strip(each) for each in value] if isinstance(value, list) else value

    return json.dumps(strip(expression), sort_keys=True).lower()
