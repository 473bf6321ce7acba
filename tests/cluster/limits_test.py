"""No message-size limit anywhere: a plan with 20,000 expressions, a row of 300 MB through an exchange and to the
client; and results in messages that a stock client with its default limit can take."""

import pathlib
import sys
import unittest

import adbc_driver_flightsql.dbapi as flightsql
from adbc_driver_flightsql import DatabaseOptions

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from cluster import Cluster  # noqa: E402
from summary import main  # noqa: E402


class Limits(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(executors=2, memory_limit="3GiB")
        cls.cluster.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__(None, None, None)

    def rows(self, *statements, max_message=None):
        options = {DatabaseOptions.WITH_MAX_MSG_SIZE.value: str(max_message)} if max_message else {}
        uri = f"grpc://127.0.0.1:{self.cluster.port}"
        with flightsql.connect(uri, db_kwargs=options) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
                table = cursor.fetch_arrow_table()
            return table

    def test_plan_of_20000_expressions(self):
        table = self.rows("SELECT " + ", ".join(f"{i} + 1 AS c{i}" for i in range(20_000)))
        self.assertEqual(table.num_columns, 20_000)
        self.assertEqual(table.column(19_999)[0].as_py(), 20_000)

    def test_row_of_300_mb(self):
        table = self.rows("SELECT repeat('x', 300000000) AS s", max_message=2**31 - 1)
        self.assertEqual(len(table.column(0)[0].as_py()), 300_000_000)

    def test_wide_rows_in_messages_for_stock_clients(self):
        # 64 MB in rows of 64 KB, with the driver's own limit of 16 MiB a message.
        table = self.rows("SELECT i, repeat('y', 65536) AS s FROM range(1000) t(i)")
        self.assertEqual(table.num_rows, 1000)


if __name__ == "__main__":
    main()
