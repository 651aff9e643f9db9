"""A complete Airflow in its own folder: API server, scheduler with task processes, DAG processor, triggerer."""

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
"""Airflow's configuration: section -> option -> value."""

USERNAME: Final = "admin"
_HEALTHY_S = 600.0  # seconds on an idle machine, minutes on a busy one
_MIGRATED_S = 600.0
_LOCKED_S: Final = 120


class AirflowServer:
    """Airflow with SQLite and the LocalExecutor by default, and random secrets.

    The components run separately instead of in ``airflow standalone``: each starts as soon as the database exists,
    stops on one signal and has its own log.

    Args:
        home: The sandbox's folder; ``home/airflow`` becomes AIRFLOW_HOME.
        children: Starts and stops the processes.
        dag_folders: The name of each DAG bundle -> its folder.
        triggerer: Whether to start a triggerer, which deferred tasks need.
        settings: Overrides of the configuration, for example another database or executor.
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
        """The URL of the user interface and the REST API."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def database(self) -> Path:
        """The file of the metadata database, if it is SQLite."""
        return self.home / "airflow.db"

    @property
    def task_logs(self) -> Path:
        """The folder of the task logs."""
        return self.home / "logs"

    def start_database(self) -> None:
        """Start to create the metadata database, which takes several seconds; :meth:`start` waits for it."""
        self._migration = self.run("airflow-db", "db", "migrate")

    def start(self, stop_signal: StopSignal) -> AirflowApi:
        """Wait for the database, start the components, wait until they are healthy, and log in.

        Args:
            stop_signal: Checked during every wait.

        Raises:
            SandboxError: A component ended, or is not healthy within ten minutes.
            StopRequestedError: While waiting.
        """
        self._finish_database(stop_signal)
        # The API server starts first: it takes longest, and all others need it.
        started = [self.run("airflow-api-server", "api-server", "--workers", "1")]
        for command in self._components:
            arguments = () if command == "dag-processor" else ("--skip-serve-logs",)
            started.append(self.run(f"airflow-{command}", command, *arguments))
        api = AirflowApi(self.url, stop_signal)
        deadline = Deadline.after(_HEALTHY_S)
        while not api.healthy(*self._components.values()):
            for child in started:
                child.check()
            if not deadline.left_s():
                raise SandboxError(
                    f"Airflow is not healthy after {_HEALTHY_S:.0f} s. Is the machine busy? Try again.",
                    log=started[0].log,
                )
            stop_signal.wait(0.2)
        api.login(USERNAME, self.password)
        return api

    def _finish_database(self, stop_signal: StopSignal) -> None:
        if self._migration is None:
            self.start_database()
        assert self._migration is not None  # noqa: S101 - for the type checker
        deadline = Deadline.after(_MIGRATED_S)
        while self._migration.running():
            if not deadline.left_s():
                raise SandboxError(
                    f"Airflow's database was not ready after {_MIGRATED_S:.0f} s. Is the machine busy? Try again.",
                    log=self._migration.log,
                )
            stop_signal.wait(0.1)
        if self._migration.process.returncode:
            self._migration.check()
        self._children.forget(self._migration)

    def run(self, name: str, *arguments: str, **environment: str) -> Child:
        """Start an ``airflow`` command, for example a further component such as a Celery worker.

        Args:
            name: The name of the process in messages, and of its log file.
            arguments: The arguments of ``airflow``.
            environment: Additional environment variables. Tasks inherit them, so they must not contain secrets.
        """
        env = clean_environment(
            AIRFLOW_HOME=str(self.home),
            PATH=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            **environment,
        )
        # -P: a file in the working directory must not be imported in place of a module.
        argv = [sys.executable, "-P", "-m", "airflow", *arguments]
        return self._children.start(name, argv, env=env, cwd=self.home)

    def _write_settings(self, dag_folders: Mapping[str, Path], overrides: Settings) -> None:
        # Secrets go to a file of mode 0600, because every task inherits the environment.
        passwords = write_private(
            self.home / "passwords.json", json.dumps({USERNAME: self.password.reveal().decode()})
        )
        settings = configparser.ConfigParser(interpolation=None)
        settings.read_dict(self._settings(dag_folders, passwords))
        settings.read_dict(overrides)
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
                "parallelism": 4,  # the default starts 32 idle workers
                "fernet_key": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
                "execution_api_server_url": f"{self.url}/execution/",
                "simple_auth_manager_users": f"{USERNAME}:admin",
                "simple_auth_manager_passwords_file": passwords,
                "test_connection": "Enabled",
                # The default asks the name service, which can be slow.
                "hostname_callable": "socket.gethostname",
            },
            # All components write to it. On a busy machine one of them can wait for longer than the default of five
            # seconds, and a scheduler whose write fails ends.
            "database": {"sql_alchemy_conn": f"sqlite:///{self.database}?timeout={_LOCKED_S}"},
            # There is no other one that could take over its tasks: a scheduler that was late must not do so itself.
            "scheduler": {"scheduler_health_check_threshold": _LOCKED_S * 2},
            "api": {
                "host": "127.0.0.1",
                "port": self._port,
                "base_url": self.url,
                "secret_key": secrets.token_hex(32),
            },
            "api_auth": {"jwt_secret": secrets.token_hex(64)},
            "logging": {"base_log_folder": self.task_logs},
            "workers": {
                # The time until a worker notices that its task has ended, which delays the shutdown.
                "min_heartbeat_interval": 1,
                # The first task makes the API server import modules, which can take long on a busy machine.
                "execution_api_timeout": 60,
            },
            "dag_processor": {
                "dag_bundle_config_list": json.dumps(bundles),
                "parsing_processes": 1,
                "refresh_interval": 5,
                # A changed file is parsed at once whatever this says; parsing the others anew keeps a core busy.
                "min_file_process_interval": 600,
                "bundle_refresh_check_interval": 1,
            },
        }
