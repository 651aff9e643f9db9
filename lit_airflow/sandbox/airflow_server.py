"""A real Airflow with its own home for the sandbox: API server, scheduler, task processes, DAG processor."""

from __future__ import annotations

import configparser
import json
import os
import secrets
import sys
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from lit_airflow.clock import Deadline
from lit_airflow.keys.secret import Secret
from lit_airflow.sandbox.airflow_rest import AirflowApi
from lit_airflow.sandbox.processes import Child, SandboxError, clean_environment, free_port, write_private

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lit_airflow.sandbox.processes import Children
    from lit_airflow.sandbox.stop_signal import StopSignal

Settings: TypeAlias = "Mapping[str, Mapping[str, object]]"
"""Of Airflow's configuration: section -> option -> value."""

USERNAME: Final = "admin"
_HEALTHY_S = 180.0
_MIGRATED_S = 180.0


class AirflowServer:
    """Airflow with SQLite and the LocalExecutor, unless told otherwise; every secret of its own is drawn anew.

    Not ``airflow standalone``: apart, the components start as soon as the database is there, stop on one
    signal each, and have a log each.

    Args:
        home: The sandbox's folder; Airflow lives in ``home/airflow``.
        children: Starts the processes, and stops them.
        dag_folders: Name -> folder of DAG files.
        triggerer: Whether deferred tasks can run.
        settings: Section -> option -> value, before our own: another database, another executor.
    """

    def __init__(
        self,
        home: Path,
        children: Children,
        dag_folders: Mapping[str, Path],
        *,
        triggerer: bool = False,
        settings: Settings | None = None,
    ) -> None:
        self.home = home / "airflow"
        self.home.mkdir(mode=0o700)
        self.password = Secret(secrets.token_urlsafe(18).encode())
        self._children = children
        self._components = {"scheduler": "scheduler", "dag-processor": "dag_processor"}
        if triggerer:
            self._components["triggerer"] = "triggerer"
        self._port = free_port()
        self._migration: Child | None = None
        self._write_settings(dag_folders, settings or {})

    @property
    def url(self) -> str:
        """Of the user interface and the REST API."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def database(self) -> Path:
        """The metadata database, as long as it is SQLite."""
        return self.home / "airflow.db"

    @property
    def task_logs(self) -> Path:
        """The folder of the tasks' own logs."""
        return self.home / "logs"

    def start_database(self) -> None:
        """Begin to create the metadata database; it takes some seconds of its own."""
        self._migration = self.run("airflow-db", "db", "migrate")

    def start(self, stopping: StopSignal) -> AirflowApi:
        """Wait for the database, start the components, wait until they are healthy, and log in.

        Raises:
            SandboxError: One of them ended, or is not healthy within three minutes.
            StopRequestedError: While waiting.
        """
        self._finish_database(stopping)
        # The API server takes longest and all others need it.
        started = [self.run("airflow-api-server", "api-server", "--workers", "1")]
        for command in self._components:
            arguments = () if command == "dag-processor" else ("--skip-serve-logs",)
            started.append(self.run(f"airflow-{command}", command, *arguments))
        api = AirflowApi(self.url, stopping)
        deadline = Deadline.after(_HEALTHY_S)
        while not api.healthy(*self._components.values()):
            for child in started:
                child.check()
            if not deadline.left_s():
                raise SandboxError(f"Airflow is not healthy after {_HEALTHY_S:.0f} s.", log=started[0].log)
            stopping.wait(0.2)
        api.login(USERNAME, self.password)
        return api

    def _finish_database(self, stopping: StopSignal) -> None:
        if self._migration is None:
            self.start_database()
        assert self._migration is not None  # noqa: S101 - for the type checker
        deadline = Deadline.after(_MIGRATED_S)
        while self._migration.running():
            if not deadline.left_s():
                raise SandboxError("Airflow's database is not there in time.", log=self._migration.log)
            stopping.wait(0.1)
        if self._migration.process.returncode:
            self._migration.check()
        self._children.forget(self._migration)

    def run(self, name: str, *arguments: str, **environment: str) -> Child:
        """Start an ``airflow`` command of this home: one more component, for example a Celery worker.

        Args:
            name: For people, and the log file's name.
            arguments: Those of ``airflow``.
            environment: Added to ours. Every task inherits it, so no secrets.
        """
        env = clean_environment(
            AIRFLOW_HOME=str(self.home),
            PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            **environment,
        )
        # -P: nothing in the working directory may stand in for a module.
        argv = [sys.executable, "-P", "-m", "airflow", *arguments]
        return self._children.start(name, argv, env=env, cwd=self.home)

    def _write_settings(self, dag_folders: Mapping[str, Path], further: Settings) -> None:
        # In a file of mode 0600 rather than in the environment: every task inherits the latter.
        passwords = write_private(
            self.home / "passwords.json", json.dumps({USERNAME: self.password.reveal().decode()})
        )
        settings = configparser.ConfigParser(interpolation=None)
        settings.read_dict(self._settings(dag_folders, passwords))
        settings.read_dict(further)
        file = write_private(self.home / "airflow.cfg", "")
        with file.open("w") as sink:
            settings.write(sink)

    def _settings(self, dag_folders: Mapping[str, Path], passwords: Path) -> Settings:
        bundle = "airflow.dag_processing.bundles.local.LocalDagBundle"
        bundles = [
            {"name": name, "classpath": bundle, "kwargs": {"path": str(folder), "refresh_interval": 5}}
            for name, folder in dag_folders.items()
        ]
        return {
            "core": {
                "dags_folder": next(iter(dag_folders.values())),
                "load_examples": False,
                "executor": "LocalExecutor",
                "parallelism": 4,  # 32 idle workers otherwise
                "fernet_key": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
                "execution_api_server_url": f"{self.url}/execution/",
                "simple_auth_manager_users": f"{USERNAME}:admin",
                "simple_auth_manager_passwords_file": passwords,
                "test_connection": "Enabled",
                # The default asks the name service, which may be slow and far away.
                "hostname_callable": "socket.gethostname",
            },
            "database": {"sql_alchemy_conn": f"sqlite:///{self.database}"},
            "api": {
                "host": "127.0.0.1",
                "port": self._port,
                "base_url": self.url,
                "secret_key": secrets.token_hex(32),
            },
            "api_auth": {"jwt_secret": secrets.token_hex(64)},
            "logging": {"base_log_folder": self.task_logs},
            "workers": {
                # How long a worker may take to notice that its task has ended, and so how long stopping takes.
                "min_heartbeat_interval": 1,
                # The first task makes the API server load for seconds, on a busy machine for many.
                "execution_api_timeout": 60,
            },
            "dag_processor": {
                "dag_bundle_config_list": json.dumps(bundles),
                "parsing_processes": 1,
                "refresh_interval": 5,
                "min_file_process_interval": 10,
                "bundle_refresh_check_interval": 1,
            },
        }
