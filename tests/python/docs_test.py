"""The Python snippets of docs/python.md and README.md, run in their order on a real cluster."""

import contextlib
import io
import pathlib
import re
import tempfile
import unittest

import pyarrow as pa
import pyarrow.parquet as pq

import ballista

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Snippets(unittest.TestCase):
    def run_page(self, page):
        blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S)
        with tempfile.TemporaryDirectory() as folder, ballista.Cluster(executors=2, threads=1) as cluster:
            vendors = {"vendor": ["a", "b", "b"], "fare": [1.0, 2.0, 4.0]}
            pq.write_table(pa.table(vendors), pathlib.Path(folder, "1.parquet"))
            names: dict[str, object] = {}
            printed = io.StringIO()
            for block in blocks:
                code = block.replace("/data/trips", folder).replace("localhost:50050", cluster.address)
                code = code.replace("port=50050", f"port={cluster.port}")
                with contextlib.redirect_stdout(printed):
                    exec(compile(code, page, "exec"), names)
            if isinstance(con := names.get("con"), ballista.Connection):
                con.close()
        return len(blocks), printed.getvalue()

    def test_python_md(self):
        count, printed = self.run_page("docs/python.md")
        self.assertEqual(count, 6)
        for text in ("Ran in", 'line 1, column 16: Binder Error: Referenced column "fair"', "south", "[(42,)]",
                     "      b  2   3.0"):  # fmt: skip
            self.assertIn(text, printed)

    def test_readme(self):
        count, printed = self.run_page("README.md")
        self.assertEqual(count, 2)
        self.assertRegex(printed, r"(?s)\[\[3\]\].*fare.*\[\[3\]\]")


if __name__ == "__main__":
    unittest.main()
