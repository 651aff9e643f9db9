"""The sandbox's Airflow on a busy machine."""

from configparser import ConfigParser
from pathlib import Path

from sqlalchemy import create_engine

from lit_airflow.sandbox.airflow_server import AirflowServer
from lit_airflow.sandbox.processes import Children


def test_all_processes_wait_for_a_database_that_another_writes_to(tmp_path: Path) -> None:
    """With SQLite's default, five seconds, a scheduler ended; and late, it took its own tasks for another's."""
    with Children(tmp_path) as children:
        server = AirflowServer(tmp_path, children, {"mine": tmp_path})
        settings = ConfigParser(interpolation=None)
        settings.read(server.home / "airflow.cfg")
        with create_engine(settings["database"]["sql_alchemy_conn"]).connect() as connection:
            waits_ms = connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one()
    assert waits_ms == 120_000
    assert settings["scheduler"].getint("scheduler_health_check_threshold") * 1000 > waits_ms
