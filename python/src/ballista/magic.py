"""`%ballista` and `%%ballista` for notebooks.

    %load_ext ballista
    %ballista localhost:50050          connects
    %%ballista [NAME]                  runs the cell, shows the rows, keeps them as the variable NAME
    SELECT 42
"""

from __future__ import annotations

from typing import Any

from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand
from IPython.core.magic import cell_magic

from ballista.connection import Connection, connect

ROWS_SHOWN = 1000


@magics_class
class BallistaMagics(Magics):  # type: ignore[misc]
    def __init__(self, shell: Any):
        super().__init__(shell)
        self._connection: Connection | None = None

    @line_magic("ballista")  # type: ignore[untyped-decorator]
    def use(self, line: str) -> Connection:
        """Connects to an address, or takes the Connection that a variable holds. Without either: the environment's."""
        known = self.shell.user_ns.get(line.strip())
        self._connection = known if isinstance(known, Connection) else connect(line.strip() or None)
        return self._connection

    @no_var_expand  # type: ignore[untyped-decorator]
    @cell_magic("ballista")  # type: ignore[untyped-decorator]
    def run(self, line: str, cell: str) -> Any:
        """Runs the cell's statement. With a name on the line, its rows are kept as an Arrow table under it."""
        if self._connection is None:
            self._connection = connect()
        table = self._connection.sql(cell.strip().rstrip(";")).to_arrow()
        if name := line.strip():
            if not name.isidentifier():
                raise ValueError(f"%%ballista takes the name of a variable, not {name!r}")
            self.shell.user_ns[name] = table
            return None
        shown = table.slice(0, ROWS_SHOWN)
        try:
            return shown.to_pandas()
        except ImportError:
            return shown


def register(shell: Any) -> None:
    shell.register_magics(BallistaMagics(shell))
