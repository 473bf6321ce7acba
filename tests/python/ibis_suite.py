"""Runs Ibis's own backend tests against a cluster: what its DuckDB backend has to pass, with a Ballista connection.

    python tests/python/ibis_suite.py FOLDER [--duckdb] [pytest arguments]

FOLDER holds what the wheel of Ibis leaves out: `ibis-testing-data/parquet/*.parquet` of the repository
ibis-project/testing-data, and `schema/duckdb.sql` of ibis-project/ibis (`ci/schema`). Needs, beside
scripts/requirements-python.txt, filelock, pytest-mock, pytest-snapshot, pytest-timeout and pytest-xdist. The tests
are chosen by Ibis's marker `duckdb`, so those that Ibis knows to fail on DuckDB are expected to fail here too.
`--duckdb` runs them on DuckDB itself, to compare. Not a part of `make test`: docs/python.md has the results.
"""

import importlib
import os
import pathlib
import sys

import pytest

MODULES = (
    "aggregation api array asof_join binary client column conditionals dot_sql export expr_caching generic impure "
    "interactive io join json map numeric param set_ops sql string struct temporal udf uuid vectorized_udf window"
).split()


class Plugin:
    """Gives Ibis's fixtures a cluster, and the data a place outside of the package."""

    def __init__(self, folder: pathlib.Path, address: str | None):
        self.folder = folder
        self.address = address

    @pytest.fixture(scope="session")
    def data_dir(self):
        return self.folder / "ibis-testing-data"

    def pytest_configure(self, config):
        import ibis

        backends = sorted(importlib.import_module("ibis.backends")._get_backend_names())
        others = ("notimpl notyet never xfail_version backend core benchmark tpch tpcds timeout network geospatial "
                  "xdist_group polars_streaming").split()  # fmt: skip
        for marker in [*backends, *others]:
            config.addinivalue_line("markers", f"{marker}: of Ibis")
        from ibis.backends.duckdb.tests import conftest

        folder = self.folder
        conf = conftest.TestConf
        conf.supports_tpch = conf.supports_tpcds = False
        conf.preload = lambda self: None
        conftest.SANDBOXED = True  # no extensions: neither here nor there
        start = conf.__init__

        def with_schema(self, *, data_dir, tmpdir, worker_id, **options):
            data_dir = folder / "ibis-testing-data"
            start(self, data_dir=data_dir, tmpdir=tmpdir, worker_id=worker_id, **options)
            self.script_dir = folder / "schema"

        conf.__init__ = with_schema
        if self.address is None:
            return
        host, port = self.address.split(":")
        conf.connect = staticmethod(lambda **_: ibis.ballista.connect(host=host, port=int(port)))

        def load(self, **_):
            self.connection.raw_sql("DROP SCHEMA IF EXISTS shops CASCADE")  # tables stay when a session ends
            for statements in self.ddl_script:
                for statement in filter(None, map(str.strip, statements.split(";"))):
                    self.connection.raw_sql(statement)

        conf._load_data = load

    def pytest_collection_modifyitems(self, items):
        # Fixtures of Ibis's conftest are overridden by name only in plugins that come after it.
        for item in items:
            for name in ("data_dir",):
                if name in item._fixtureinfo.name2fixturedefs:
                    mine = [d for d in item._fixtureinfo.name2fixturedefs[name] if d.func.__qualname__.startswith("Plugin")]
                    item._fixtureinfo.name2fixturedefs[name] = mine or item._fixtureinfo.name2fixturedefs[name]


def main() -> int:
    arguments = sys.argv[1:]
    folder = pathlib.Path(arguments.pop(0)).resolve()
    on_duckdb = "--duckdb" in arguments
    if on_duckdb:
        arguments.remove("--duckdb")
    import ibis

    tests = pathlib.Path(ibis.__file__).parent / "backends" / "tests"
    if not any(argument.endswith(".py") or "::" in argument for argument in arguments):
        arguments += [str(tests / f"test_{name}.py") for name in MODULES]
    else:
        arguments = [str(tests / a) if a.startswith("test_") else a for a in arguments]
    os.chdir(pathlib.Path(ibis.__file__).parent.parent)
    options = ["-m", "duckdb", "-q", "-p", "no:cacheprovider", "-W", "ignore", *arguments]
    if on_duckdb:
        return int(pytest.main(options, plugins=[Plugin(folder, None)]))
    import ballista

    with ballista.Cluster(executors=2, threads=1) as cluster:
        return int(pytest.main(options, plugins=[Plugin(folder, cluster.address)]))


if __name__ == "__main__":
    sys.exit(main())
