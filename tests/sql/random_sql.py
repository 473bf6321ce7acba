"""Random queries whose answer does not depend on the order of rows or of summation, so that two engines that are right
give the same rows. A query is a function of its seed alone.

What could differ by right is not made: doubles are multiples of 1/4 (their sums are exact), LIMIT and windows stand
on an order by all columns, and what is computed inexactly is never compared, grouped, joined or sorted by.
"""

from __future__ import annotations

import dataclasses
import random

# Types, and for each the literals that meet values of the tables' columns.
LITERALS = {
    "INTEGER": ["0", "1", "2", "3", "7", "-4", "40", "100000"],
    "BIGINT": ["0::BIGINT", "5::BIGINT", "-3::BIGINT", "3000000000"],
    "DECIMAL(12,2)": ["0.00::DECIMAL(12,2)", "10.50::DECIMAL(12,2)", "-7.25::DECIMAL(12,2)", "99.99::DECIMAL(12,2)"],
    "DOUBLE": ["0.0::DOUBLE", "2.25::DOUBLE", "-8.5::DOUBLE"],
    "VARCHAR": ["''", "'a'", "'ab'", "'b%'", "'é'", "'zz'", "'a_c'"],
    "DATE": ["DATE '2020-01-01'", "DATE '2020-02-29'", "DATE '2021-12-31'"],
    "TIMESTAMP": ["TIMESTAMP '2020-01-01 00:00:00'", "TIMESTAMP '2021-06-30 23:59:59.5'"],
    "BOOLEAN": ["true", "false"],
    "HUGEINT": ["0::HUGEINT", "12345678901234567890123", "-98765432109876543210"],
    "TIME": ["TIME '00:00:00'", "TIME '12:30:00.25'"],
    "INTEGER[]": ["[]::INTEGER[]", "[1]::INTEGER[]", "[1, NULL, 3]::INTEGER[]"],
    "STRUCT(x INTEGER, y VARCHAR)": ["{'x': 1, 'y': 'a'}", "{'x': NULL, 'y': 'ab'}::STRUCT(x INTEGER, y VARCHAR)"],
}
COMMON = ("INTEGER", "BIGINT", "DECIMAL(12,2)", "DOUBLE", "VARCHAR", "DATE", "TIMESTAMP", "BOOLEAN")
# How often expressions are of each type.
KINDS = (*COMMON, *COMMON, *LITERALS)
NUMBERS = ("INTEGER", "BIGINT", "DECIMAL(12,2)", "DOUBLE")
KEYS = tuple(kind for kind in LITERALS if kind not in ("DOUBLE", "TIME"))

# name: (rows, files, {column: (type, expression of i)}), made by `statements`.
TABLES = {
    "r_fact": (
        4000,
        5,
        {
            "id": ("BIGINT", "i"),
            "k": ("INTEGER", "CASE WHEN h(i,1) % 9 = 0 THEN NULL WHEN h(i,2) % 3 = 0 THEN 1 ELSE h(i,3) % 60 END"),
            "s": ("VARCHAR", "CASE WHEN h(i,4) % 11 = 0 THEN NULL ELSE ['a','ab','b','é','','abc','B'][1 + h(i,5) % 7] END"),
            "p": ("DECIMAL(12,2)", "CASE WHEN h(i,6) % 13 = 0 THEN NULL ELSE (h(i,7) % 4000 - 1000) / 20 END"),
            "f": ("DOUBLE", "CASE WHEN h(i,8) % 10 = 0 THEN NULL ELSE (h(i,9) % 400 - 150) / 4 END"),
            "d": ("DATE", "CASE WHEN h(i,10) % 15 = 0 THEN NULL ELSE DATE '2020-01-01' + (h(i,11) % 700)::INTEGER END"),
            "t": ("TIMESTAMP", "TIMESTAMP '2020-01-01' + to_seconds(h(i,12) % 5000000)"),
            "b": ("BOOLEAN", "CASE WHEN h(i,13) % 4 = 0 THEN NULL ELSE h(i,14) % 3 = 0 END"),
        },
    ),
    "r_dim": (
        80,
        2,
        {
            "k": ("INTEGER", "CASE WHEN h(i,21) % 14 = 0 THEN NULL ELSE (i * 7) % 55 END"),
            "s": ("VARCHAR", "CASE WHEN h(i,22) % 8 = 0 THEN NULL ELSE ['a','b','c','é','x'][1 + h(i,23) % 5] END"),
            "d": ("DATE", "DATE '2020-01-01' + (h(i,24) % 60)::INTEGER"),
            "p": ("DECIMAL(12,2)", "(h(i,25) % 200) / 4"),
            "n": ("BIGINT", "CASE WHEN h(i,26) % 6 = 0 THEN NULL ELSE h(i,27) % 12 END"),
        },
    ),
    "r_tiny": (
        6,
        1,
        {
            "k": ("INTEGER", "CASE WHEN i = 3 THEN NULL ELSE i END"),
            "s": ("VARCHAR", "['a','b','é','','ab','q'][1 + i]"),
            "b": ("BOOLEAN", "i % 2 = 0"),
            "f": ("DOUBLE", "i / 4"),
        },
    ),
    "r_empty": (0, 1, {"k": ("INTEGER", "i"), "s": ("VARCHAR", "''"), "p": ("DECIMAL(12,2)", "0"), "d": ("DATE", "DATE '2020-01-01'")}),
    "r_nulls": (50, 3, {"k": ("INTEGER", "NULL"), "s": ("VARCHAR", "CASE WHEN i % 5 = 0 THEN 'a' END"), "n": ("BIGINT", "i % 4")}),
}  # fmt: skip


def statements(folder: str) -> list[str]:
    """What makes the tables' files by DuckDB, as FOLDER/TABLE/*.parquet."""
    made = ["CREATE OR REPLACE MACRO h(i, salt) AS (((i + 1) * 7919 + salt * 104729) * 48271 + salt * 7) % 2147483647 // 16"]
    for name, (rows, files, columns) in TABLES.items():
        items = ", ".join(f"({expression})::{kind} AS {column}" for column, (kind, expression) in columns.items())
        for number in range(files):
            query = f"SELECT {items} FROM range({rows}) r(i) WHERE i % {files} = {number}"
            made.append(f"COPY ({query}) TO '{folder}/{name}/{number}.parquet' (ROW_GROUP_SIZE 2048)")
    return made


@dataclasses.dataclass(frozen=True)
class Column:
    name: str
    type: str
    exact: bool = True  # else it is only shown

    @property
    def comparable(self) -> bool:
        return self.exact and self.type in LITERALS


@dataclasses.dataclass
class Relation:
    """A query without WITH, and its columns."""

    sql: str
    columns: list[Column]


class Generator:
    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.names = 0
        self.ctes: list[tuple[str, Relation]] = []

    def query(self) -> str:
        if self.random.random() < 0.35:
            for _ in range(self.random.choice([1, 1, 2])):
                body = self.relation(self.random.choice([1, 2]))
                self.ctes.append((self.name("c"), body))
        if self.random.random() < 0.1:
            self.ctes.append(self.recursive())
        body = self.ordered(self.relation(self.random.choice([1, 2, 2, 3, 3, 4])))
        if not self.ctes:
            return body
        kinds = ["", "", "MATERIALIZED ", "NOT MATERIALIZED "]
        listed = ", ".join(f"{name} AS {self.random.choice(kinds)}({each.sql})" for name, each in self.ctes)
        recursive = "RECURSIVE " if any("(" in name for name, _ in self.ctes) else ""
        return f"WITH {recursive}{listed} {body}"

    def ordered(self, relation: Relation) -> str:
        """Sometimes sorted as a whole, by columns of the result."""
        keys = [c.name for c in relation.columns if c.comparable]
        if not keys or self.random.random() < 0.7:
            return relation.sql
        keys = self.random.sample(keys, self.random.randint(1, len(keys)))
        return f"SELECT * FROM {self.sub(relation)} {self.name('t')} ORDER BY {', '.join(self.directed(keys))}"

    def recursive(self) -> tuple[str, Relation]:
        base, alias, name = self.source(), self.name("t"), self.name("c")
        columns = self.qualified(base, alias)
        start = f"SELECT {self.expression(columns, 'INTEGER', 1)}, {self.expression(columns, 'VARCHAR', 1)} FROM {self.sub(base)} {alias}"
        union = self.random.choice(["UNION", "UNION", "UNION ALL"])
        step = self.random.choice([
            f"SELECT n + 1, s FROM {name} WHERE n < 9 AND n > 4",
            f"SELECT z.k, r.s FROM {name} r JOIN r_tiny z ON z.k = r.n - 1",
            f"SELECT n - 1, z.s FROM {name} r JOIN r_tiny z ON z.k = r.n % 6 AND n > 0 AND n < 5",
        ])  # fmt: skip
        body = Relation(f"({start}) {union} {step}", [Column("n", "INTEGER"), Column("s", "VARCHAR")])
        return f"{name}(n, s)", body

    # ---- relations

    def relation(self, depth: int) -> Relation:
        if depth == 0:
            return self.source()
        makers = [self.filter, self.project, self.join, self.join, self.join, self.aggregate, self.aggregate,
                  self.set_operation, self.window, self.limit, self.distinct, self.subquery, self.subquery,
                  self.grouping_sets, self.scalar, self.lateral, self.asof, self.distinct_on, self.range_window]  # fmt: skip
        return self.random.choice(makers)(depth - 1)

    def source(self) -> Relation:
        if self.ctes and self.random.random() < 0.4:
            name, body = self.random.choice(self.ctes)
            return Relation(f"SELECT * FROM {name.split('(')[0]}", body.columns)
        name = self.random.choices(list(TABLES), [8, 5, 3, 1, 2])[0]
        return Relation(f"SELECT * FROM {name}", [Column(c, kind) for c, (kind, _) in TABLES[name][2].items()])

    def sub(self, relation: Relation) -> str:
        if relation.sql.startswith("SELECT * FROM ") and relation.sql.count(" ") == 3:
            return relation.sql.split()[-1]
        return f"({relation.sql})"

    def filter(self, depth: int) -> Relation:
        inner, alias = self.relation(depth), self.name("t")
        condition = self.condition(self.qualified(inner, alias), 2)
        return Relation(f"SELECT * FROM {self.sub(inner)} {alias} WHERE {condition}", inner.columns)

    def project(self, depth: int) -> Relation:
        inner, alias = self.relation(depth), self.name("t")
        columns = self.qualified(inner, alias)
        items, result = self.kept(self.some(columns, self.random.randint(1, 3)))
        for _ in range(self.random.randint(1, 3)):
            kind = self.random.choice(KINDS)
            name = self.name("x")
            items.append(f"{self.expression(columns, kind, 2)} AS {name}")
            result.append(Column(name, kind))
        return Relation(f"SELECT {', '.join(items)} FROM {self.sub(inner)} {alias}", result)

    def join(self, depth: int) -> Relation:
        left, right = self.relation(depth), self.relation(self.random.choice([0, depth]))
        a, b = self.name("l"), self.name("r")
        lefts, rights = self.qualified(left, a), self.qualified(right, b)
        kind = self.random.choice(["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "SEMI JOIN", "ANTI JOIN"])
        pairs = [(x, y) for x in lefts for y in rights if x.comparable and x.type == y.type and x.type in KEYS]
        # An equality of few values would make too many rows.
        pairs = [p for p in pairs if p[0].type != "BOOLEAN"] or pairs
        if not pairs:
            return self.small_cross(left, right)
        conditions = []
        for x, y in self.some(pairs, self.random.choice([1, 1, 2])):
            operator = "IS NOT DISTINCT FROM" if self.random.random() < 0.12 else "="
            conditions.append(f"{x.name} {operator} {y.name}")
        if self.random.random() < 0.25:
            conditions.append(self.condition(lefts + rights, 1))
        shown = lefts if kind in ("SEMI JOIN", "ANTI JOIN") else lefts + rights
        items, result = self.kept(self.some(shown, self.random.randint(2, 6)))
        sql = f"SELECT {', '.join(items)} FROM {self.bounded(left)} {a} {kind} {self.bounded(right)} {b}"
        return Relation(f"{sql} ON {' AND '.join(conditions)}", result)

    def small_cross(self, left: Relation, right: Relation) -> Relation:
        a, b = self.name("l"), self.name("r")
        items, result = self.kept(self.qualified(left, a)[:3] + self.qualified(right, b)[:3])
        return Relation(f"SELECT {', '.join(items)} FROM {self.bounded(left, 30)} {a}, {self.bounded(right, 30)} {b}", result)

    def bounded(self, relation: Relation, rows: int = 400) -> str:
        """At most `rows` rows of it, so that joins of joins do not explode; none where it has no exact order. A whole
        table where many are wanted."""
        if rows > 100 and self.sub(relation) in TABLES:
            return self.sub(relation)
        order = self.order(relation.columns)
        bound = f"ORDER BY {order} LIMIT {rows}" if order else "LIMIT 0"
        return f"(SELECT * FROM {self.sub(relation)} {self.name('t')} {bound})"

    def aggregate(self, depth: int) -> Relation:
        inner, alias = self.relation(depth), self.name("t")
        columns = self.qualified(inner, alias)
        keys = [c for c in columns if c.comparable]
        keys = self.some(keys, self.random.choice([0, 1, 1, 2, 3]))
        items, result = self.kept(keys)
        self.aggregates(columns, items, result)
        sql = f"SELECT {', '.join(items)} FROM {self.sub(inner)} {alias}"
        if self.random.random() < 0.3:
            sql += f" WHERE {self.condition(columns, 1)}"
        if keys:
            sql += f" GROUP BY {', '.join(key.name for key in keys)}"
            if self.random.random() < 0.25:
                sql += f" HAVING count(*) > {self.random.randint(0, 3)}"
        return Relation(sql, result)

    def grouping_sets(self, depth: int) -> Relation:
        inner, alias = self.relation(depth), self.name("t")
        columns = self.qualified(inner, alias)
        keys = [c for c in columns if c.comparable]
        if len(keys) < 2:
            return self.aggregate(depth)
        keys = self.some(keys, self.random.choice([2, 2, 3]))
        items, result = self.kept(keys)
        names = ", ".join(key.name for key in keys)
        sets = self.random.choice([f"ROLLUP ({names})", f"CUBE ({names})",
                                   f"GROUPING SETS (({names}), ({keys[0].name}), ({keys[-1].name}), ())"])  # fmt: skip
        name = self.name("g")
        items.append(f"grouping({names}) AS {name}")
        result.append(Column(name, "GROUPING"))
        self.aggregates(columns, items, result)
        return Relation(f"SELECT {', '.join(items)} FROM {self.sub(inner)} {alias} GROUP BY {sets}", result)

    def aggregates(self, columns: list[Column], items: list[str], result: list[Column]) -> None:
        for _ in range(self.random.randint(1, 4)):
            text, kind, exact = self.aggregate_call(columns)
            if self.random.random() < 0.15 and not text.startswith(("round(", "list_sort(")):
                text += f" FILTER (WHERE {self.condition(columns, 1)})"
            name = self.name("a")
            items.append(f"{text} AS {name}")
            result.append(Column(name, kind, exact))

    def aggregate_call(self, columns: list[Column]) -> tuple[str, str, bool]:
        """The call, its type, and whether it is exact."""
        choice = self.random.choice(["count(*)", "count", "distinct", "min", "max", "sum", "sum", "avg", "bool", "list",
                                     "string", "stddev", "sum distinct", "median", "arg", "bit", "avg decimal"])  # fmt: skip
        number = lambda kinds: self.expression(columns, self.random.choice(kinds), 1)  # noqa: E731
        some = self.expression(columns, self.random.choice(KINDS), 1)
        if choice == "count(*)":
            return "count(*)", "BIGINT", True
        if choice == "count":
            return f"count({some})", "BIGINT", True
        if choice == "distinct":
            return f"count(DISTINCT {some})", "BIGINT", True
        if choice in ("min", "max"):
            kind = self.random.choice(KINDS)
            return f"{choice}({self.expression(columns, kind, 1)})", kind, True
        if choice == "sum":
            return f"sum({number(NUMBERS)})", "SUM", True
        if choice == "sum distinct":
            return f"sum(DISTINCT {number(('INTEGER', 'DECIMAL(12,2)'))})", "SUM", True
        if choice == "avg":
            return f"avg({number(NUMBERS)})", "DOUBLE", False
        if choice == "avg decimal":
            return f"avg(DISTINCT {number(('DECIMAL(12,2)',))})", "DOUBLE", False
        if choice == "stddev":
            function = self.random.choice(["stddev", "var_pop", "stddev_pop", "variance"])
            return f"round({function}({number(('INTEGER', 'DOUBLE'))}), 3)", "DOUBLE", False
        if choice == "median":
            function = self.random.choice(["median({})", "quantile_cont({}, 0.25)", "quantile_disc({}, 0.5)"])
            return function.format(number(("INTEGER", "DOUBLE"))), "MEDIAN", False
        if choice == "bool":
            return f"{self.random.choice(['bool_and', 'bool_or'])}({self.condition(columns, 1)})", "BOOLEAN", True
        if choice == "bit":
            return f"{self.random.choice(['bit_and', 'bit_or', 'bit_xor'])}({number(('INTEGER',))})", "INTEGER", True
        if choice == "arg":
            kind = self.random.choice(["VARCHAR", "DATE", "INTEGER"])
            value = self.expression(columns, kind, 0)
            return f"arg_max({value}, {value})", kind, True
        if choice == "list":
            return f"list_sort(list({number(('INTEGER', 'DATE'))}))", "LIST", True
        text = self.expression(columns, "VARCHAR", 1)
        return f"string_agg({text}, '|' ORDER BY {text} NULLS LAST)", "VARCHAR", True

    def set_operation(self, depth: int) -> Relation:
        left = self.relation(depth)
        columns = [c for c in left.columns if c.comparable]
        if not columns:
            return left
        columns = self.some(columns, self.random.randint(1, 3))
        a, right, b = self.name("t"), self.relation(depth), self.name("t")
        rights = self.qualified(right, b)
        items = [f"{a}.{c.name}" for c in columns]
        others = [f"({self.expression(rights, c.type, 1)})" for c in columns]
        kind = self.random.choice(["UNION ALL", "UNION", "EXCEPT", "INTERSECT", "EXCEPT ALL", "INTERSECT ALL"])
        names = [self.name("u") for _ in columns]
        sql = (f"SELECT {', '.join(f'{item} AS {name}' for item, name in zip(items, names))} FROM {self.sub(left)} {a}"
               f" {kind} SELECT {', '.join(others)} FROM {self.sub(right)} {b}")  # fmt: skip
        # An expression's type may be wider than the column's: cast back.
        shown = ", ".join(f"{name}::{c.type} AS {name}" for name, c in zip(names, columns))
        return Relation(f"SELECT {shown} FROM ({sql}) {self.name('t')}", [Column(n, c.type) for n, c in zip(names, columns)])

    def window(self, depth: int) -> Relation:
        inner, alias = self.relation(depth), self.name("t")
        columns = self.qualified(inner, alias)
        order = self.order(columns)
        if not order:
            return inner
        parts = [c for c in columns if c.comparable]
        parts = self.some(parts, self.random.choice([0, 1, 1, 2]))
        partition = f"PARTITION BY {', '.join(c.name for c in parts)} " if parts else ""
        frames = ["", "ROWS BETWEEN 2 PRECEDING AND CURRENT ROW", "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING",
                  "ROWS BETWEEN 1 FOLLOWING AND 3 FOLLOWING"]  # fmt: skip
        items, result = self.kept(self.some(columns, 4))
        for _ in range(self.random.randint(1, 2)):
            value = self.random.choice([c for c in columns if c.comparable])
            call, kind = self.random.choice([("row_number()", "BIGINT"), ("rank()", "BIGINT"), ("dense_rank()", "BIGINT"),
                (f"lag({value.name})", value.type), (f"lead({value.name}, 2)", value.type), ("ntile(3)", "BIGINT"),
                (f"first_value({value.name})", value.type), (f"last_value({value.name})", value.type),
                (f"count({value.name})", "BIGINT"), (f"max({value.name})", value.type),
                (f"sum({value.name})" if value.type in NUMBERS else f"min({value.name})", "SUM"),
                ("cume_dist()", "CUME"), ("percent_rank()", "CUME")])  # fmt: skip
            plain = call.split("(")[0] in ("row_number", "rank", "dense_rank", "lag", "lead", "ntile", "cume_dist", "percent_rank")
            frame = "" if plain else " " + self.random.choice(frames)
            name = self.name("w")
            items.append(f"{call} OVER ({partition}ORDER BY {order}{frame}) AS {name}")
            result.append(Column(name, kind, kind != "CUME"))
        sql = f"SELECT {', '.join(items)} FROM {self.sub(inner)} {alias}"
        if self.random.random() < 0.2:
            sql += f" QUALIFY row_number() OVER ({partition}ORDER BY {order}) <= {self.random.randint(1, 3)}"
        return Relation(sql, result)

    def limit(self, depth: int) -> Relation:
        inner, alias = self.relation(depth), self.name("t")
        order = self.order(self.qualified(inner, alias))
        if not order:
            return inner
        offset = f" OFFSET {self.random.choice([0, 1, 5, 3000])}" if self.random.random() < 0.3 else ""
        rows = self.random.choice([0, 1, 3, 10, 100, 2500])
        return Relation(f"SELECT * FROM {self.sub(inner)} {alias} ORDER BY {order} LIMIT {rows}{offset}", inner.columns)

    def distinct_on(self, depth: int) -> Relation:
        inner, alias = self.relation(depth), self.name("t")
        columns = self.qualified(inner, alias)
        order = self.order(columns)
        if not order:
            return inner
        keys = self.some(columns, self.random.randint(1, 2))
        names = ", ".join(key.name for key in keys)
        return Relation(f"SELECT DISTINCT ON ({names}) * FROM {self.sub(inner)} {alias} ORDER BY {names}, {order}", inner.columns)

    def asof(self, depth: int) -> Relation:
        """The nearest row of a relation that has one row for each key and instant. Not for NULL, for which DuckDB gives
        the last one in some plans."""
        left, a, b = self.relation(depth), self.name("l"), self.name("r")
        lefts = self.qualified(left, a)
        dates = [c for c in lefts if c.exact and c.type == "DATE"]
        keys = [c for c in lefts if c.exact and c.type == "VARCHAR"]
        if not dates or not keys:
            return self.filter(depth)
        items, result = self.kept(self.some(lefts, 3))
        name = self.name("x")
        items.append(f"{b}.m AS {name}")
        result.append(Column(name, "DECIMAL(12,2)"))
        right = "(SELECT s, d, max(p) AS m FROM r_dim GROUP BY s, d)"
        kind = self.random.choice(["ASOF JOIN", "ASOF LEFT JOIN"])
        date = self.random.choice(dates).name
        match = f"{self.random.choice(keys).name} = {b}.s AND {date} >= {b}.d"
        known = f"(SELECT * FROM {self.sub(left)} {a} WHERE {date} IS NOT NULL)"
        return Relation(f"SELECT {', '.join(items)} FROM {known} {a} {kind} {right} {b} ON {match}", result)

    def range_window(self, depth: int) -> Relation:
        """Frames by value: peers are all in or all out."""
        inner, alias = self.relation(depth), self.name("t")
        columns = self.qualified(inner, alias)
        keys = [c for c in columns if c.exact and c.type in ("INTEGER", "BIGINT", "DATE")]
        if not keys:
            return self.window(depth)
        key = self.random.choice(keys)
        near = "INTERVAL 3 DAY" if key.type == "DATE" else "2"
        frame = self.random.choice(["", f"RANGE BETWEEN {near} PRECEDING AND CURRENT ROW",
                                    f"RANGE BETWEEN {near} PRECEDING AND {near} FOLLOWING",
                                    "RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING"])  # fmt: skip
        items, result = self.kept(self.some(columns, 3))
        text, kind, exact = self.random.choice([("count(*)", "BIGINT", True), (f"sum({key.name})", "SUM", True),
            (f"max({self.expression(columns, 'VARCHAR', 0)})", "VARCHAR", True)])  # fmt: skip
        if kind == "SUM" and key.type == "DATE":
            text, kind = f"min({key.name})", "DATE"
        name = self.name("w")
        direction = self.random.choice(["", " DESC", " NULLS FIRST"])
        items.append(f"{text} OVER (ORDER BY {key.name}{direction} {frame}) AS {name}")
        result.append(Column(name, kind, exact))
        return Relation(f"SELECT {', '.join(items)} FROM {self.sub(inner)} {alias}", result)

    def distinct(self, depth: int) -> Relation:
        inner, alias = self.relation(depth), self.name("t")
        columns = [c for c in self.qualified(inner, alias) if c.comparable]
        if not columns:
            return inner
        items, result = self.kept(self.some(columns, self.random.randint(1, 3)))
        return Relation(f"SELECT DISTINCT {', '.join(items)} FROM {self.sub(inner)} {alias}", result)

    def subquery(self, depth: int) -> Relation:
        outer, inner = self.relation(depth), self.relation(self.random.choice([0, 0, depth]))
        a, b = self.name("o"), self.name("i")
        outers, inners = self.qualified(outer, a), self.qualified(inner, b)
        pairs = [(x, y) for x in outers for y in inners if x.comparable and x.type == y.type]
        if not pairs:
            return self.filter(depth)
        x, y = self.random.choice(pairs)
        u, v = self.random.choice(pairs)
        body = f"FROM {self.sub(inner)} {b}"
        extra = f" AND {self.condition(inners, 1)}" if self.random.random() < 0.5 else ""
        test = self.random.choice([
            f"{x.name} IN (SELECT {y.name} {body} WHERE true{extra})",
            f"{x.name} NOT IN (SELECT {y.name} {body} WHERE {y.name} IS NOT NULL{extra})",
            f"{x.name} NOT IN (SELECT {y.name} {body} WHERE true{extra})",
            f"EXISTS (SELECT 1 {body} WHERE {u.name} = {v.name}{extra})",
            f"NOT EXISTS (SELECT 1 {body} WHERE {u.name} = {v.name}{extra})",
            f"{x.name} >= (SELECT min({y.name}) {body} WHERE true{extra})",
            f"{x.name} <= (SELECT max({y.name}) {body} WHERE {u.name} = {v.name}{extra})",
            f"(SELECT count(*) {body} WHERE {u.name} = {v.name}{extra}) > 1",
            f"({x.name} IN (SELECT {y.name} {body} WHERE true{extra}) OR {self.condition(outers, 1)})",
            f"{x.name} IN (SELECT {y.name} {body} WHERE {u.name} = {v.name}{extra})",
            f"{x.name} > ANY (SELECT {y.name} {body} WHERE true{extra})",
            f"{x.name} <= ALL (SELECT {y.name} {body} WHERE true{extra})",
        ])  # fmt: skip
        return Relation(f"SELECT * FROM {self.sub(outer)} {a} WHERE {test}", outer.columns)

    def scalar(self, depth: int) -> Relation:
        """Subqueries in the list of SELECT."""
        outer, inner = self.relation(depth), self.relation(self.random.choice([0, 0, depth]))
        a, b = self.name("o"), self.name("i")
        outers, inners = self.qualified(outer, a), self.qualified(inner, b)
        pairs = [(x, y) for x in outers for y in inners if x.comparable and x.type == y.type]
        if not pairs:
            return self.project(depth)
        (x, y), body = self.random.choice(pairs), f"FROM {self.sub(inner)} {b}"
        call, kind, exact = self.aggregate_call(inners)
        where = f" WHERE {x.name} = {y.name}" if self.random.random() < 0.7 else ""
        items, result = self.kept(self.some(outers, 3))
        name, test = self.name("x"), self.name("x")
        items += [f"(SELECT {call} {body}{where}) AS {name}", f"{x.name} IN (SELECT {y.name} {body}) AS {test}"]
        result += [Column(name, kind, exact), Column(test, "BOOLEAN")]
        return Relation(f"SELECT {', '.join(items)} FROM {self.sub(outer)} {a}", result)

    def lateral(self, depth: int) -> Relation:
        """Lists that are unnested again, or a lateral subquery."""
        inner, alias = self.relation(depth), self.name("t")
        columns = self.qualified(inner, alias)
        items, result = self.kept(self.some(columns, 3))
        name = self.name("x")
        numbers = [c for c in columns if c.type == "INTEGER" and c.exact]
        if not numbers or self.random.random() < 0.5:
            items.append(f"unnest([1, NULL, {self.expression(columns, 'INTEGER', 1)}]) AS {name}")
            result.append(Column(name, "INTEGER"))
            return Relation(f"SELECT {', '.join(items)} FROM {self.sub(inner)} {alias}", result)
        outer = self.random.choice(numbers).name
        items.append(f"q.y AS {name}")
        result.append(Column(name, "BIGINT"))
        lateral = f"LATERAL (SELECT sum(z.k)::BIGINT AS y FROM r_tiny z WHERE z.k <= {outer}) q"
        return Relation(f"SELECT {', '.join(items)} FROM {self.sub(inner)} {alias}, {lateral}", result)

    # ---- expressions

    def condition(self, columns: list[Column], depth: int) -> str:
        choice = self.random.random()
        if depth > 0 and choice < 0.4:
            operator = self.random.choice(["AND", "OR", "AND"])
            return f"({self.condition(columns, depth - 1)} {operator} {self.condition(columns, depth - 1)})"
        if choice < 0.47:
            return f"NOT ({self.condition(columns, 0)})"
        kind = self.random.choice(KINDS)
        left = self.expression(columns, kind, min(depth, 1))
        if choice < 0.56:
            return f"{left} IS {self.random.choice(['', 'NOT '])}NULL"
        if choice < 0.63:
            listed = ", ".join(self.some(LITERALS[kind], 3))
            return f"{left} {self.random.choice(['', 'NOT '])}IN ({listed})"
        if choice < 0.69 and kind != "BOOLEAN":
            return f"{left} BETWEEN {self.random.choice(LITERALS[kind])} AND {self.random.choice(LITERALS[kind])}"
        if kind == "VARCHAR" and choice < 0.85:
            return f"{left} {self.random.choice(['LIKE', 'NOT LIKE', 'ILIKE'])} {self.random.choice(LITERALS[kind])}"
        operator = self.random.choice(["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM"])
        return f"{left} {operator} {self.expression(columns, kind, 0)}"

    def expression(self, columns: list[Column], kind: str, depth: int) -> str:
        """Of the type `kind` exactly, and the same in every engine."""
        fitting = [c.name for c in columns if c.exact and c.type == kind]
        if depth == 0 or self.random.random() < 0.4:
            return self.random.choice(fitting) if fitting and self.random.random() < 0.85 else self.random.choice(LITERALS[kind])
        sub = lambda k=kind: self.expression(columns, k, depth - 1)  # noqa: E731
        common = [
            lambda: f"coalesce({sub()}, {sub()})",
            lambda: f"nullif({sub()}, {sub()})",
            lambda: f"CASE WHEN {self.condition(columns, 0)} THEN {sub()} ELSE {sub()} END",
            lambda: f"CASE WHEN {self.condition(columns, 0)} THEN {sub()} END",
        ]
        special = {
            "INTEGER": [
                lambda: f"(({sub()}) % 13)::INTEGER",
                lambda: f"len({sub('INTEGER[]')})::INTEGER",
                lambda: f"({sub('INTEGER[]')})[1]",
                lambda: f"({sub('STRUCT(x INTEGER, y VARCHAR)')}).x",
                lambda: f"extract(hour FROM {sub('TIME')})::INTEGER",
                lambda: f"length({sub('VARCHAR')})::INTEGER",
                lambda: f"(({sub()}) // 3)::INTEGER",
                lambda: f"extract(month FROM {sub('DATE')})::INTEGER",
                lambda: f"date_diff('day', {sub('DATE')}, {sub('DATE')})::INTEGER",
                lambda: f"(({sub()})::BIGINT % 1000 + 7)::INTEGER",
                lambda: f"TRY_CAST({sub('VARCHAR')} AS INTEGER)",
            ],
            "BIGINT": [
                lambda: f"(({sub()}) % 1000 - ({sub('INTEGER')})::BIGINT % 1000)",
                lambda: f"({sub('INTEGER')})::BIGINT",
                lambda: f"strlen({sub('VARCHAR')})",
                lambda: f"instr({sub('VARCHAR')}, 'b')",
            ],
            "DECIMAL(12,2)": [
                lambda: f"(({sub()}) % 100 + ({sub()}) % 100)::DECIMAL(12,2)",
                lambda: f"round(({sub()}) / 3, 1)::DECIMAL(12,2)",
                lambda: f"(({sub()}) % 100 * 0.5)::DECIMAL(12,2)",
                lambda: f"abs({sub()})",
            ],
            "DOUBLE": [lambda: f"(({sub()}) * 0.5)", lambda: f"floor({sub()})", lambda: f"abs({sub()})"],
            "VARCHAR": [
                lambda: f"upper({sub()})",
                lambda: f"({sub()} || {sub()})",
                lambda: f"substring({sub()}, 1, 2)",
                lambda: f"replace({sub()}, 'a', 'xy')",
                lambda: f"({sub('INTEGER')})::VARCHAR",
                lambda: f"({sub('DATE')})::VARCHAR",
                lambda: f"({sub('DECIMAL(12,2)')})::VARCHAR",
                lambda: f"reverse({sub()})",
            ],
            "DATE": [
                lambda: f"({sub()} + (({sub('INTEGER')}) % 30)::INTEGER)",
                lambda: f"date_trunc('month', {sub()})::DATE",
                lambda: f"last_day({sub()})",
                lambda: f"({sub('TIMESTAMP')})::DATE",
            ],
            "TIMESTAMP": [
                lambda: f"({sub()} + INTERVAL 36 HOUR)",
                lambda: f"date_trunc('hour', {sub()})",
                lambda: f"({sub('DATE')})::TIMESTAMP",
            ],
            "BOOLEAN": [lambda: f"({self.condition(columns, depth - 1)})"],
            "HUGEINT": [lambda: f"({sub('BIGINT')})::HUGEINT", lambda: f"(({sub()}) % 1000007)"],
            "TIME": [lambda: f"({sub('TIMESTAMP')})::TIME"],
            "INTEGER[]": [
                lambda: f"[{sub('INTEGER')}, {sub('INTEGER')}]",
                lambda: f"list_concat({sub()}, {sub()})",
                lambda: f"list_transform({sub()}, e -> ((e % 100) + 1)::INTEGER)",
                lambda: f"list_filter({sub()}, e -> e > 1)",
            ],
            "STRUCT(x INTEGER, y VARCHAR)": [lambda: f"{{'x': {sub('INTEGER')}, 'y': {sub('VARCHAR')}}}"],
        }
        return self.random.choice(common + special[kind] * 2)()

    # ---- names

    def name(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}{self.names}"

    @staticmethod
    def qualified(relation: Relation, alias: str) -> list[Column]:
        return [dataclasses.replace(c, name=f"{alias}.{c.name}") for c in relation.columns]

    def some(self, columns: list, most: int) -> list:
        return self.random.sample(columns, min(len(columns), most))

    def kept(self, columns: list[Column]) -> tuple[list[str], list[Column]]:
        """Items of a SELECT that pass the columns on, and what they are then."""
        result = [dataclasses.replace(column, name=self.name("k")) for column in columns]
        return [f"{column.name} AS {kept.name}" for column, kept in zip(columns, result)], result

    def order(self, columns: list[Column]) -> str:
        """By all columns, so that only equal rows tie; empty where some column has no exact order."""
        if not columns or not all(c.comparable for c in columns):
            return ""
        return ", ".join(self.directed(c.name for c in self.random.sample(columns, len(columns))))

    def directed(self, names) -> list[str]:
        ways = ["", " DESC", " NULLS FIRST", " DESC NULLS LAST"]
        return [name + self.random.choice(ways) for name in names]
