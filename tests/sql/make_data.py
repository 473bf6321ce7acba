#!/usr/bin/env python3
"""Writes the tables of the SQL corpus: make_data.py [FOLDER] (default build/test-data/sql).

Deterministic: every value is arithmetic on the row number, so the same files come out everywhere. Tables are
small, but of several files each, with nulls, skewed keys, empty files and text outside ASCII.
"""

import fcntl
import json
import pathlib
import shutil
import sys

import duckdb

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEFAULT_FOLDER = ROOT / "build" / "test-data" / "sql"
STAMP = "complete"

SETUP = """
SET threads = 1;
-- A number below n that looks random, for row i and column `salt`.
CREATE MACRO pick(i, salt, n) AS
  ((((i + 1) * 7919 + salt * 104729) * 48271 + salt * 7) % 2147483647) % n;
-- NULL for about one row in `every`.
CREATE MACRO gaps(i, salt, every, v) AS CASE WHEN pick(i, salt, every) = 0 THEN NULL ELSE v END;
"""

GROUPS = "['alpha','beta','gamma','delta','épsilon','zeta','ита','日本','Alpha','','naïve','omega']"

# Each table: its rows, and how many files they are cut into by row number (round robin).
TABLES = {
    "facts": (
        5,
        f"""SELECT i::BIGINT AS id,
          gaps(i, 1, 15, CASE WHEN pick(i, 2, 10) < 4 THEN 1 ELSE pick(i, 3, 95) END)::INTEGER AS k,
          gaps(i, 4, 20, {GROUPS}[1 + pick(i, 5, 12)]) AS g,
          gaps(i, 6, 25, DATE '2019-01-01' + pick(i, 7, 1200)::INTEGER) AS d,
          gaps(i, 8, 30, TIMESTAMP '2021-03-01 00:00:00' + to_seconds(pick(i, 9, 4000000))) AS ts,
          gaps(i, 10, 12, pick(i, 11, 50) - 5)::INTEGER AS q,
          gaps(i, 12, 18, (pick(i, 13, 2000000) - 300000) / 100)::DECIMAL(12, 2) AS price,
          gaps(i, 14, 22, pick(i, 15, 100000) / 64.0)::DOUBLE AS amount,
          gaps(i, 16, 9, pick(i, 17, 3) = 0) AS flag,
          'tag-' || lpad(pick(i, 18, 700)::VARCHAR, 4, '0') AS tag,
          gaps(i, 19, 8, pick(i, 20, 2500))::BIGINT AS parent
        FROM range(2500) r(i)""",
    ),
    "dims": (
        2,
        """SELECT gaps(i, 31, 30, CASE WHEN i < 90 THEN i ELSE i - 60 END)::INTEGER AS k,
          'name ' || i AS name,
          gaps(i, 32, 10, ['north', 'south', 'east', 'west'][1 + pick(i, 33, 4)]) AS region,
          gaps(i, 34, 11, pick(i, 35, 20000) / 10000)::DECIMAL(6, 4) AS rate,
          DATE '2018-06-01' + pick(i, 36, 900)::INTEGER AS since,
          gaps(i, 37, 6, pick(i, 38, 90))::SMALLINT AS parent
        FROM range(100) r(i)""",
    ),
    "small": (
        1,
        """SELECT * FROM (VALUES (1, 'one', 1.5), (2, 'two', NULL), (3, NULL, -2.25), (NULL, 'none', 0.0),
          (5, 'five', 5e10), (6, 'six', 6.125), (7, 'one', 1.5), (8, '', -0.5), (9, 'neuf', 9.75),
          (10, 'zehn', 10.0), (NULL, NULL, NULL), (12, 'twelve', 1e-3)) t(a, b, c)""",
    ),
    "empty_table": (1, "SELECT 1 AS a, 'x' AS b, 1.5::DECIMAL(8,2) AS c, DATE '2020-01-01' AS d WHERE false"),
    "nulls_a": (
        3,
        """SELECT i::INTEGER AS id, gaps(i, 41, 4, pick(i, 42, 8))::INTEGER AS x,
          gaps(i, 43, 5, ['p', 'q', 'r'][1 + pick(i, 44, 3)]) AS y FROM range(24) r(i)""",
    ),
    "nulls_b": (
        2,
        """SELECT i::INTEGER AS id, gaps(i, 51, 5, 2 + pick(i, 52, 8))::INTEGER AS x,
          gaps(i, 53, 4, ['q', 'r', 's'][1 + pick(i, 54, 3)]) AS y FROM range(16) r(i)""",
    ),
    "no_nulls": (2, "SELECT i::INTEGER AS id, pick(i, 55, 6)::INTEGER AS x FROM range(10) r(i)"),
    "all_nulls": (2, "SELECT i::INTEGER AS id, NULL::INTEGER AS x, NULL::VARCHAR AS y FROM range(9) r(i)"),
    # Types that Parquet does not hold exactly are text here; the view `types` casts them.
    "raw_types": (
        4,
        """SELECT i::INTEGER AS id,
          gaps(i, 60, 9, pick(i, 61, 2) = 0) AS bo,
          gaps(i, 62, 9, pick(i, 63, 256) - 128)::TINYINT AS ti,
          gaps(i, 64, 9, pick(i, 65, 65536) - 32768)::SMALLINT AS si,
          gaps(i, 66, 9, pick(i, 67, 2000000000) - 1000000000)::INTEGER AS it,
          gaps(i, 68, 9, (pick(i, 69, 2000000000) - 1000000000) * 4000000000)::BIGINT AS bi,
          gaps(i, 70, 9, (pick(i, 71, 40) - 20)::HUGEINT * 1234567890123456789012345)::VARCHAR AS hi_text,
          gaps(i, 72, 9, pick(i, 73, 256))::UTINYINT AS ut,
          gaps(i, 74, 9, pick(i, 75, 65536))::USMALLINT AS us,
          gaps(i, 76, 9, pick(i, 77, 2000000000) * 2)::UINTEGER AS ui,
          gaps(i, 78, 9, pick(i, 79, 2000000000)::UBIGINT * 9000000000)::UBIGINT AS ub,
          gaps(i, 80, 9, pick(i, 81, 30)::UHUGEINT * 3234567890123456789012345678901234567)::VARCHAR AS uh_text,
          gaps(i, 82, 9, (pick(i, 83, 4000) - 2000) / 8.0)::FLOAT AS fl,
          gaps(i, 84, 9, (pick(i, 85, 40000) - 20000) / 16.0)::DOUBLE AS db,
          gaps(i, 86, 9, (pick(i, 87, 1998) - 999) / 10)::DECIMAL(4, 1) AS d4,
          gaps(i, 88, 9, (pick(i, 89, 199998) - 99999) / 100)::DECIMAL(9, 2) AS d9,
          gaps(i, 90, 9, (pick(i, 91, 2000000000) - 1000000000)::DECIMAL(18, 6) / 1000)::DECIMAL(18, 6) AS d18,
          gaps(i, 92, 9, ((pick(i, 93, 200) - 100)::HUGEINT * 12345678901234567890123)::DECIMAL(38, 0)::DECIMAL(38, 10))
            AS d38,
          gaps(i, 94, 9, ['', 'a', 'A', 'ä', 'z', 'zz', 'ein Wort', 'naïve', '日本語', '🦆', 'a''b', 'x,y', 'tab	x',
            repeat('long ', 12)][1 + pick(i, 95, 14)]) AS vc,
          gaps(i, 96, 9, ['\\x00', 'ab', 'AB\\xFF', '', '\\x01\\x02', 'zz\\x80'][1 + pick(i, 97, 6)]::BLOB) AS bl,
          gaps(i, 98, 9, bin(pick(i, 99, 64))) AS bt_text,
          gaps(i, 100, 9, md5((pick(i, 101, 60))::VARCHAR)::UUID) AS uu,
          gaps(i, 102, 9, DATE '1969-06-01' + pick(i, 103, 40000)::INTEGER) AS da,
          gaps(i, 104, 9, TIME '00:00:00' + to_microseconds(pick(i, 105, 86400) * 1000000 + pick(i, 106, 1000) * 1000))
            AS tm,
          gaps(i, 107, 9, TIMESTAMP '1965-01-01 00:00:00' + to_microseconds(pick(i, 108, 2000000000) * 1000001)) AS ts,
          gaps(i, 109, 9, (TIMESTAMP '2000-01-01' + to_seconds(pick(i, 110, 900000000)))::TIMESTAMP_S)::VARCHAR AS ts_s_text,
          gaps(i, 111, 9, make_timestamp_ns(1500000000000000000 + pick(i, 112, 2000000000)::BIGINT * 1000000007))
            AS ts_ns,
          gaps(i, 113, 9, TIMESTAMPTZ '2010-05-05 12:00:00+00' + to_seconds(pick(i, 114, 300000000))) AS tz,
          gaps(i, 115, 9, to_months(pick(i, 116, 30)::INTEGER) + to_days(pick(i, 117, 40)::INTEGER)
            + to_milliseconds(pick(i, 118, 90000000))) AS iv,
          gaps(i, 119, 9, ['low', 'mid', 'high', 'HIGH'][1 + pick(i, 120, 4)]) AS en_text,
          gaps(i, 121, 9, CASE pick(i, 122, 3) WHEN 0 THEN '{"a":' || pick(i, 123, 20) || ',"b":[1,null,"x"]}'
            WHEN 1 THEN '[' || pick(i, 123, 20) || ',true]' ELSE '"s' || pick(i, 123, 20) || '"' END) AS js_text
        FROM range(320) r(i)""",
    ),
    "nested": (
        3,
        """SELECT i::INTEGER AS id,
          gaps(i, 130, 10, list_transform(range(pick(i, 131, 5)), x -> CASE WHEN (x + i) % 6 = 5 THEN NULL
            ELSE ((x * 3 + i) % 11)::INTEGER END)) AS li,
          gaps(i, 132, 10, list_transform(range(pick(i, 133, 4)), x -> ['u', 'v', 'wé', ''][1 + ((x + i) % 4)])) AS ls,
          gaps(i, 134, 10, {'a': pick(i, 135, 20)::INTEGER, 'b': gaps(i, 136, 5, 'b' || pick(i, 137, 9)),
            'n': {'p': pick(i, 138, 100) / 4.0::DOUBLE, 'q': DATE '2022-01-01' + pick(i, 139, 50)::INTEGER}}) AS st,
          gaps(i, 140, 10, map_from_entries(list_transform(range(pick(i, 141, 4)),
            x -> {'k': 'k' || ((x * 2 + i) % 7), 'v': ((x + i) % 13)::INTEGER}))) AS mp,
          gaps(i, 142, 10, list_transform(range(pick(i, 143, 3)),
            x -> {'n': 'e' || x, 'v': (x * 10 + i % 10)::INTEGER})) AS lst,
          gaps(i, 144, 10, list_transform(range(pick(i, 145, 3)), x -> range(x + i % 2)::INTEGER[])) AS ll
        FROM range(200) r(i)""",
    ),
    "trades": (
        4,
        """SELECT i::INTEGER AS id, ['AAA', 'BBB', 'CCC', 'DDD', 'ÉÉÉ'][1 + pick(i, 150, 5)] AS sym,
          TIMESTAMP '2024-01-02 09:00:00' + to_seconds(pick(i, 151, 28800)) AS at,
          (1 + pick(i, 152, 500))::INTEGER AS size FROM range(600) r(i)""",
    ),
    "quotes": (
        3,
        """SELECT ['AAA', 'BBB', 'CCC', 'EEE'][1 + i % 4] AS sym,
          TIMESTAMP '2024-01-02 09:00:30' + to_seconds(i * 53) AS at,
          ((10000 + pick(i, 153, 5000)) / 100)::DECIMAL(8, 2) AS bid FROM range(500) r(i)""",
    ),
    "numbers": (
        2,
        """SELECT i::INTEGER AS id, v::DOUBLE AS d, v::FLOAT AS f FROM (SELECT i, [0.0::DOUBLE, '-0.0'::DOUBLE,
          'nan'::DOUBLE, 'inf'::DOUBLE, '-inf'::DOUBLE, 1.5, -1.5, 1e30, -1e30, 1e-30, NULL, 3.0][1 + i % 12] AS v
          FROM range(36) r(i))""",
    ),
    "words": (
        3,
        """SELECT i::INTEGER AS id, gaps(i, 160, 14, ['The', 'quick', 'Brown', 'fox', 'über', 'Ünit', 'straße', 'çedilla',
          'naïve', '東京', 'Москва', 'λόγος', '🦆duck', 'a_b%c', '100%', ' pad ', ''][1 + pick(i, 161, 17)]) AS w,
          gaps(i, 162, 14, ['The', 'quick', 'Brown', 'fox', 'über'][1 + pick(i, 163, 5)] || ' ' ||
            ['jumps', 'over', 'LAZY', 'dogs', '猫'][1 + pick(i, 164, 5)] || '-' || pick(i, 165, 100)) AS s
        FROM range(260) r(i)""",
    ),
    "edges": (2, "SELECT pick(i, 170, 40)::INTEGER AS src, pick(i, 171, 40)::INTEGER AS dst FROM range(70) r(i)"),
    "wide": (
        3,
        "SELECT i::INTEGER AS id, "
        + ", ".join(f"gaps(i, {200 + c}, 7, pick(i, {300 + c}, {10 + c}))::INTEGER AS c{c}" for c in range(40))
        + " FROM range(150) r(i)",
    ),
}


def write_table(connection, folder: pathlib.Path, name: str, files: int, query: str) -> None:
    target = folder / name
    target.mkdir()
    connection.execute(f"CREATE TEMP TABLE t AS SELECT row_number() OVER () - 1 AS file_row, * FROM ({query})")
    for number in range(files):
        connection.execute(
            f"COPY (SELECT * EXCLUDE file_row FROM t WHERE file_row % {files} = {number} ORDER BY file_row) "
            f"TO '{target}/part-{number}.parquet' (FORMAT parquet, ROW_GROUP_SIZE 2048)"
        )
    if files > 1:
        connection.execute(
            f"COPY (SELECT * EXCLUDE file_row FROM t WHERE false) "
            f"TO '{target}/part-empty.parquet' (FORMAT parquet)"
        )
    connection.execute("DROP TABLE t")


def write_text_tables(connection, folder: pathlib.Path) -> None:
    (folder / "people_csv").mkdir()
    (folder / "logs_json").mkdir()
    for number in range(2):
        connection.execute(
            f"""COPY (SELECT i AS id, gaps(i, 401, 10, 'Name ' || pick(i, 402, 80)) AS name,
              gaps(i, 403, 8, pick(i, 404, 90)) AS age,
              ['Paris', 'São Paulo', '東京', 'New "York"', 'a, b'][1 + pick(i, 405, 5)] AS city,
              gaps(i, 406, 9, (pick(i, 407, 900000) / 100)::DECIMAL(10, 2)) AS salary,
              DATE '2000-01-01' + pick(i, 408, 5000)::INTEGER AS hired
              FROM range({number * 90}, {number * 90 + 90}) r(i) ORDER BY i)
            TO '{folder}/people_csv/part-{number}.csv' (FORMAT csv, HEADER)"""
        )
        lines = []
        for i in range(number * 80, number * 80 + 80):
            line = {"id": i, "level": ["info", "warn", "error"][i * 7 % 3], "at": f"2024-02-{1 + i % 28:02d}T10:00:00"}
            if i % 4:
                line["user"] = {"name": f"user{i % 9}", "tags": [f"t{j}" for j in range(i % 3)]}
            if i % 5:
                line["ms"] = i * 37 % 1000 / 4
            lines.append(json.dumps(line, ensure_ascii=False))
        (folder / "logs_json" / f"part-{number}.ndjson").write_text("\n".join(lines) + "\n")
    connection.execute(
        f"""COPY (SELECT i AS id, 2021 + pick(i, 421, 4) AS year, ['eu', 'us', 'ap'][1 + pick(i, 422, 3)] AS region,
          pick(i, 423, 1000)::DECIMAL(8, 2) AS amount, gaps(i, 424, 7, pick(i, 425, 20))::INTEGER AS units
          FROM range(500) r(i) ORDER BY i) TO '{folder}/sales_hive' (FORMAT parquet, PARTITION_BY (year, region))"""
    )


def ensure(folder: pathlib.Path = DEFAULT_FOLDER) -> pathlib.Path:
    """Makes the data unless this version of the script has made it already."""
    script = pathlib.Path(__file__).read_text()
    stamp = folder / STAMP
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Tests run beside each other: one of them makes the data, the others wait for it.
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == script:
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        with duckdb.connect() as connection:
            connection.execute(SETUP)
            for name, (files, query) in TABLES.items():
                write_table(connection, folder, name, files, query)
            write_text_tables(connection, folder)
        stamp.write_text(script)
    return folder


if __name__ == "__main__":
    print(ensure(pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else DEFAULT_FOLDER))
