"""Writes the Substrait plans of Ibis's own TPC-H expressions, one file a query: ibis_plans.py DATA FOLDER

Runs with the modules of `scripts/setup-modules ibis-substrait` alone, whose versions are not those of the other tests. Prints
"NUMBER: why" for each query of which ibis-substrait makes none.
"""

import importlib
import inspect
import pathlib
import sys

import ibis
import ibis.formats.pyarrow
import pyarrow
import pyarrow.parquet
from ibis_substrait.compiler.core import SubstraitCompiler


def table(path: pathlib.Path):
    first = next(path.glob("*.parquet")) if path.is_dir() else path
    columns = pyarrow.parquet.read_schema(first)
    kinds = {pyarrow.string_view(): pyarrow.string()}  # which this Ibis does not know
    schema = ibis.schema(
        {each.name: ibis.formats.pyarrow.PyArrowType.to_ibis(kinds.get(each.type, each.type)) for each in columns}
    )
    return ibis.table(schema, name=path.stem)


def written(test):
    """The function that makes the expression, below what Ibis's decorators make of it."""
    function = inspect.unwrap(test)
    return inspect.getclosurevars(function).nonlocals.get("suite_name", function) if function is test else function


def main() -> None:
    data, folder = map(pathlib.Path, sys.argv[1:])
    tables = {path.stem: table(path) for path in data.iterdir() if path.is_dir() or path.suffix == ".parquet"}
    queries = importlib.import_module("ibis.backends.tests.tpc.h.test_queries")
    for number in range(1, 23):
        expression = written(getattr(queries, f"test_{number:02}"))
        try:
            made = expression(*(tables[name] for name in inspect.signature(expression).parameters))
            (folder / f"{number}.plan").write_bytes(SubstraitCompiler().compile(made).SerializeToString())
        except Exception as error:
            print(f"{number}: {error}".splitlines()[0])


if __name__ == "__main__":
    main()
