"""The command ``lit-airflow``.

Answers go to stdout, messages to stderr. Secrets come from the environment or Vault, never from arguments.
Exit codes: 0 done, 1 an error of this package (its text and what to do next on stderr), 2 wrong usage.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated, Any

import typer

from lit_airflow import __version__
from lit_airflow.errors import LitError, SettingsError, conditions_of
from lit_airflow.networks.descriptions import DEFAULT_GENERATION, KNOWN
from lit_airflow.protocol.lifetime import LONGEST_SESSION_S
from lit_airflow.protocol.scope import EXAMPLE_REQUEST

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Lit Protocol sessions, encryption and decryption, and a local network to try them on.",
)

Network = Annotated[
    str, typer.Option(metavar="NET", help=f"{', '.join(KNOWN)}, or the path of a network description.")
]
ConditionsFile = Annotated[
    Path,
    typer.Option(
        exists=True,
        dir_okay=False,
        help='JSON such as {"chain": "ethereum", "accessControlConditions": [...]}.',
    ),
]


def main() -> None:
    """Run the command; the process's exit code says how it went."""
    try:
        app()
    except LitError as error:
        typer.echo(f"{type(error).__name__}: {error}", err=True)
        sys.exit(1)


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer's callback
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def root(
    *, version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False
) -> None:
    """Lit Protocol sessions, encryption and decryption, and a local network to try them on."""


@app.command()
def demo() -> None:
    """Run the main job on real parts and show the decrypted report; leaves nothing running."""
    from lit_airflow.sandbox import demo as run  # noqa: PLC0415 - needs the extra "sandbox"

    raise typer.Exit(run())


@app.command()
def sandbox(
    dags: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="A folder of your own DAGs.")
    ] = None,
) -> None:
    """Run Airflow, a Vault server and a local network for your own DAGs, until SIGTERM or Ctrl-C.

    When all is ready, prints one line of JSON: airflow_url, username, password, vault_addr, lit_conn_id (one per
    role), wallet (its address, also in Airflow's variable lit_wallet), network (its description, with the
    control_url for faults) and home (home/airflow is AIRFLOW_HOME). The example DAGs are loaded beside your own.
    """
    from lit_airflow.sandbox import sandbox as run  # noqa: PLC0415 - needs the extra "sandbox"

    raise typer.Exit(run(dags))


@app.command()
def devnet(  # noqa: PLR0913, PLR0917 - one parameter per option
    nodes: Annotated[int, typer.Option(min=2, max=255, help="How many nodes.")] = 3,
    threshold: Annotated[int, typer.Option(min=2, help="How many of them make a signature.")] = 2,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The chain's port; 0 takes any.")] = 0,
    generation: Annotated[str, typer.Option(help="Which protocol to speak.")] = DEFAULT_GENERATION,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NODE=NAME[:SECONDS]",
            help="Something wrong from the beginning, as 0=silent, 1=slow:2.5 or chain=down; repeatable.",
        ),
    ] = None,
) -> None:
    """Serve a local Lit network until SIGTERM or Ctrl-C.

    When ready, prints one line of JSON: the network description that --network reads.
    """
    from lit_airflow.devnet import serve  # noqa: PLC0415 - needs the extra "devnet"

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    serve(nodes, threshold, host, port, generation, _answer, stop, fault or ())


@app.command()
def session(
    network: Network,
    key_env: Annotated[str, typer.Option(metavar="VAR", help="Environment variable with the wallet's key.")],
    ttl: Annotated[
        float, typer.Option(metavar="SECONDS", help=f"Lifetime: from 1 to {LONGEST_SESSION_S}, 30 days.")
    ],
    allow: Annotated[
        list[str],
        typer.Option(
            metavar="ABILITY=RESOURCE",
            help=f"What the session may do, such as {EXAMPLE_REQUEST}; repeatable.",
        ),
    ],
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[ABILITY=RESOURCE]...", help="As --allow.")
    ] = None,
) -> None:
    """Print session sigs, as the SDK's getSessionSigs returns them. They are secret: mind where they go."""
    from lit_airflow.client import LitClient  # noqa: PLC0415 - --help stays quick
    from lit_airflow.keys.wallet import Wallet  # noqa: PLC0415 - the same
    from lit_airflow.protocol.scope import Scope  # noqa: PLC0415 - the same

    scope = Scope.parse([*allow, *(more or ())])
    key = os.environ.get(key_env)
    if not key:
        raise SettingsError(f"The environment variable {key_env} is not set.", field="key_env")
    wallet = Wallet.from_key(key)
    _answer(LitClient(network).open_session(wallet, scope, ttl_s=ttl).session_sigs)


@app.command()
def encrypt(network: Network, conditions: ConditionsFile) -> None:
    """Encrypt stdin; prints {"ciphertext", "dataToEncryptHash"}.

    Operators read one object that has the conditions and their chain beside these two.
    """
    from lit_airflow.client import LitClient  # noqa: PLC0415 - --help stays quick

    client = LitClient(network)
    with conditions_of(str(conditions)):
        _answer(client.encrypt(sys.stdin.buffer.read(), _json(conditions.read_bytes(), str(conditions))))


@app.command()
def decrypt(
    network: Network,
    conditions: ConditionsFile,
    session: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="Session sigs, as JSON.")],
) -> None:
    """Decrypt the JSON on stdin; the plaintext's bytes go to stdout as they are."""
    from lit_airflow.client import LitClient  # noqa: PLC0415 - --help stays quick
    from lit_airflow.protocol.session import Session  # noqa: PLC0415 - the same

    client = LitClient(network)
    opened = Session.from_session_sigs(_json(session.read_bytes(), str(session)))
    sealed = _json(sys.stdin.buffer.read(), "stdin")
    with conditions_of(str(conditions)):
        plaintext = client.decrypt(sealed, _json(conditions.read_bytes(), str(conditions)), opened)
    sys.stdout.buffer.write(plaintext)
    sys.stdout.buffer.flush()


@app.command()
def inspect(
    file: Annotated[typer.FileBinaryRead, typer.Argument(metavar="FILE", help="Its JSON; - is stdin.")],
    conditions: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Say these in words, and whether they are reached."),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Say what a ticket or session sigs are for, until when, and what is wrong; shows no secret.

    Exit code 1 if something is wrong.
    """
    from lit_airflow import clock  # noqa: PLC0415 - --help stays quick
    from lit_airflow.inspection import inspect as look  # noqa: PLC0415 - the same
    from lit_airflow.protocol.conditions import Conditions  # noqa: PLC0415 - the same

    document = _json(file.read(), getattr(file, "name", "stdin"))
    with conditions_of(str(conditions) if conditions else None):
        said = Conditions.parse(_json(conditions.read_bytes(), str(conditions))) if conditions else None
        report = look(document, now=clock.now(), conditions=said)
    typer.echo(json.dumps(report.to_json()) if as_json else report.text())
    raise typer.Exit(0 if report.good else 1)


@app.command()
def doctor(
    conn_id: Annotated[str, typer.Option(metavar="ID", help="A connection of type lit.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="For machines: one object, at the end.")] = False,
) -> None:
    """Walk a connection: fields, Vault, key, seal, chain, every node; say what is wrong and what to do.

    Shows no secret. Exit code 1 if something is wrong; notes are not.
    """
    answers = sys.stdout
    # Airflow, when imported, sends its log to what is stdout then: findings stay apart from it.
    with contextlib.redirect_stdout(sys.stderr):
        from lit_airflow.hooks import LitHook  # noqa: PLC0415 - the same
        from lit_airflow.provider import doctor as doctors  # noqa: PLC0415 - --help stays quick
        from lit_airflow.provider.airflow_compat import use_server_context  # noqa: PLC0415 - imports Airflow

        use_server_context()
        hook = LitHook(conn_id)
        findings = []
        for finding in doctors.examine(hook):
            findings.append(finding)
            if not as_json:
                typer.echo(finding.text(), file=answers)
            if finding.check == "staking contract" and finding.verdict is not doctors.Verdict.BAD:
                typer.echo(f"FanOut the nodes; this takes up to {hook.settings.timeout_s:g} s.", err=True)
    if as_json:
        _answer(doctors.report(conn_id, findings))
    raise typer.Exit(0 if doctors.good(findings) else 1)


def _answer(answer: object) -> None:
    print(json.dumps(answer, ensure_ascii=False), flush=True)  # noqa: T201 - this is what stdout is for


def _json(raw: bytes, name: str) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise SettingsError(f"{name} holds no JSON object.", field=name)
    return found


if __name__ == "__main__":
    main()
