"""The command ``lit-airflow``.

Results go to stdout, messages to stderr. Secrets come from the environment or Vault, never from arguments.
Exit codes: 0 for success, 1 for an error of this package (its text and hint go to stderr), 2 for wrong usage.
"""

from __future__ import annotations

import contextlib
import functools
import json
import operator
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lit_airflow import __version__
from lit_airflow.cli_chipotle import chipotle
from lit_airflow.errors import LitError, ScopeError, SettingsError, in_file
from lit_airflow.networks.descriptions import DEFAULT_GENERATION, known_networks
from lit_airflow.protocol.lifetime import LONGEST_SESSION_S
from lit_airflow.protocol.scope import EXAMPLE_REQUEST

if TYPE_CHECKING:
    from lit_airflow.client import LitClient
    from lit_airflow.protocol.conditions import Conditions
    from lit_airflow.provider.migration import FileReport, OnBytes

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Open Lit Protocol sessions, encrypt and decrypt, and run a local Lit network.",
)

app.add_typer(chipotle, name="chipotle")
actions = typer.Typer(no_args_is_help=True, help="Run Lit Actions, and compute their CIDs.")
app.add_typer(actions, name="action")

_LOCAL_NETWORKS = ("datil", "chipotle")


def _local_network(name: str) -> str:
    if name not in _LOCAL_NETWORKS:
        raise typer.BadParameter(f"Use one of {', '.join(_LOCAL_NETWORKS)}.")
    return name


Network = Annotated[
    str,
    typer.Option(
        metavar="NET", help=f"{', '.join(known_networks())}, or the path of a network description (JSON)."
    ),
]
LocalNetwork = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        callback=_local_network,
        help="The local network to run: datil or chipotle.",
    ),
]
ApiKeyEnv = Annotated[
    str | None,
    typer.Option(
        metavar="VAR",
        help="Environment variable that holds the API key, for networks that need one to decrypt.",
    ),
]
ActionFile = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, metavar="FILE", help="The action: JavaScript, sent as it is."),
]
_CONDITIONS_HELP = 'A JSON file such as {"chain": "ethereum", "accessControlConditions": [...]}.'
ConditionsFile = Annotated[Path, typer.Option(exists=True, dir_okay=False, help=_CONDITIONS_HELP)]


def _output_file(path: Path | None) -> Path | None:
    # The file is replaced, which would take the place of a device or a pipe.
    if path is not None and path.exists() and not path.is_file():
        raise typer.BadParameter(f"{path} is not a regular file.")
    return path


def _output_dir(folder: str) -> str:
    if not folder:
        raise typer.BadParameter("Name a folder; . is the current one.")
    if "://" not in folder and Path(folder).exists() and not Path(folder).is_dir():
        raise typer.BadParameter(f"{folder} is not a folder.")
    return folder


Output = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        dir_okay=False,
        callback=_output_file,
        help="Write to this file instead of stdout, whole or not at all; only you can read it (mode 0600).",
    ),
]
EncryptedFiles = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE",
        help="Containers and envelopes: paths or object-storage URLs. In quotes, * and ** match many.",
    ),
]
OutputDir = Annotated[
    str,
    typer.Option(
        metavar="DIR",
        callback=_output_dir,
        help="Folder for the output, local or in object storage; created if it is missing.",
    ),
]
OwnConditions = Annotated[
    Path | None,
    typer.Option(
        exists=True, dir_okay=False, help="The conditions, as JSON, of files that do not contain their own."
    ),
]


def main() -> None:
    """Run the command and exit with its exit code."""
    try:
        app()
    except LitError as error:
        typer.echo(f"{type(error).__name__}: {error}", err=True)
        sys.exit(1)


@contextlib.contextmanager
def _wrong_usage(**options: str) -> Iterator[None]:
    """Report a ``SettingsError`` about the value of an option as wrong usage, with exit code 2.

    Args:
        options: The error's field -> the option it came from, such as ``ttl_s="--ttl"``.

    Raises:
        typer.BadParameter: The block raised a ``SettingsError`` with one of these fields.
    """
    try:
        yield
    except SettingsError as error:
        if error.field not in options:
            raise
        raise typer.BadParameter(str(error), param_hint=options[error.field]) from error


def _version(show: bool) -> None:  # noqa: FBT001 - typer's callback
    if show:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Open Lit Protocol sessions, encrypt and decrypt, and run a local Lit network."""


@app.command()
def demo(network: LocalNetwork = "datil") -> None:
    """Run the example DAG on a real Airflow, Vault server and local Lit network, and show the decrypted report.

    Stops everything at the end.
    """
    from lit_airflow.sandbox import demo as run  # noqa: PLC0415 - needs the extra "sandbox"

    raise typer.Exit(run(network=network))


@app.command()
def sandbox(
    dags: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="A folder with your own DAG files.")
    ] = None,
    network: LocalNetwork = "datil",
) -> None:
    """Run Airflow, a Vault server and a local Lit network for your own DAGs, until SIGTERM or Ctrl-C.

    When everything is ready, prints one line of JSON: airflow_url, username, password, vault_addr, lit_conn_id
    (one per role), wallet (its address, also in the Airflow variable lit_wallet), network (its description; its
    control_url sets faults) and home (home/airflow is AIRFLOW_HOME). Loads the example DAGs as well.
    """
    from lit_airflow.sandbox import sandbox as run  # noqa: PLC0415 - needs the extra "sandbox"

    raise typer.Exit(run(dags, network=network))


@app.command()
def devnet(  # noqa: PLR0913, PLR0917 - one parameter per option
    nodes: Annotated[
        int | None, typer.Option(min=2, max=255, help="Number of nodes.", show_default="3")
    ] = None,
    threshold: Annotated[
        int | None,
        typer.Option(min=2, help="Number of shares needed to decrypt; at most --nodes.", show_default="2"),
    ] = None,
    host: Annotated[str, typer.Option(help="Host name or IPv4 address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, help="Port of the chain; the nodes use the ports after it. 0 picks free ports."
        ),
    ] = 0,
    generation: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The kind of network: datil or chipotle. The latter has no nodes and no threshold.",
        ),
    ] = DEFAULT_GENERATION,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NODE=NAME[:SECONDS]",
            help="A fault to start with, such as 0=silent, 1=slow:2.5 or chain=down; repeatable.",
        ),
    ] = None,
) -> None:
    """Serve a local Lit network until SIGTERM or Ctrl-C.

    When ready, prints one line of JSON: the network description, which --network accepts.
    """
    from lit_airflow.devnet import serve  # noqa: PLC0415 - needs the extra "devnet"

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    options = {
        "nodes": "--nodes",
        "threshold": "--threshold",
        "generation": "--generation",
        "fault": "--fault",
        "port": "--port",
    }
    with _wrong_usage(**options):
        serve(nodes, threshold, host, port, generation, _print_json, stop, fault or ())


@app.command()
def session(  # noqa: PLR0913, PLR0917 - one parameter per option
    network: Network,
    key_env: Annotated[
        str, typer.Option(metavar="VAR", help="Environment variable that holds the wallet's private key.")
    ],
    ttl: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=1, max=LONGEST_SESSION_S, help="Lifetime of the session, at most 30 days."
        ),
    ],
    encrypted: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            metavar="FILE",
            help="Grant the decryption of this container or envelope, and nothing else; repeatable.",
        ),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ABILITY=RESOURCE",
            help=f"An ability to grant, such as {EXAMPLE_REQUEST}; repeatable.",
        ),
    ] = None,
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[ABILITY=RESOURCE]...", help="More values for --allow.")
    ] = None,
    api_key_env: ApiKeyEnv = None,
    output: Output = None,
) -> None:
    """Open a session and print session sigs, as the SDK's getSessionSigs does. Keep them secret: use --output.

    Where the network seals its answers to the session's key, print {"sessionSigs", "sessionKey"} instead.
    """
    from lit_airflow import cli_streams  # noqa: PLC0415 - keeps --help fast
    from lit_airflow.keys.wallet import Wallet  # noqa: PLC0415 - the same
    from lit_airflow.protocol.scope import Scope  # noqa: PLC0415 - the same

    granted = [*(allow or ()), *(more or ())]
    if not granted and not encrypted:
        raise typer.BadParameter("A session is for something.", param_hint="--encrypted or --allow")
    try:
        scopes = [Scope.parse(granted)] if granted else []
    except ScopeError as error:
        raise typer.BadParameter(str(error), param_hint="--allow") from error
    key = os.environ.get(key_env)
    if not key:
        raise SettingsError(f"The environment variable {key_env} is not set.", field="key_env")
    wallet = Wallet.from_key(key)
    with _wrong_usage(ttl_s="--ttl"):  # min and max of the option let NaN pass
        client = _client(network, api_key_env)
        scopes += [cli_streams.scope_of(client, path) for path in encrypted or ()]
        opened = client.open_session(wallet, functools.reduce(operator.or_, scopes), ttl_s=ttl)
    if client.traits.answers_to_session_key:
        seed, public_key = opened.to_json()["seed"], opened.public_key
        pair = {"publicKey": public_key, "secretKey": seed + public_key}
        cli_streams.write_json({"sessionSigs": opened.session_sigs, "sessionKey": pair}, output)
    else:
        cli_streams.write_json(opened.session_sigs, output)


@app.command()
def encrypt(
    network: Network, conditions: ConditionsFile, api_key_env: ApiKeyEnv = None, output: Output = None
) -> None:
    """Encrypt stdin for wallets that meet the conditions.

    Prints {"ciphertext", "dataToEncryptHash"}. With --output, the file also holds the conditions, and is what
    operators and decrypt read. More than a mebibyte becomes an envelope, in a few megabytes of memory, which
    operators and decrypt read too.
    """
    from lit_airflow import cli_streams  # noqa: PLC0415 - keeps --help fast
    from lit_airflow.protocol.conditions import Conditions  # noqa: PLC0415 - the same

    client = _client(network, api_key_env)
    with in_file(str(conditions)):
        parsed = Conditions.parse(_json_value(conditions))
        cli_streams.encrypt(client, sys.stdin.buffer, parsed, output)


@app.command()
def decrypt(
    network: Network,
    session: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="A JSON file with session sigs.")
    ],
    conditions: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help=f"{_CONDITIONS_HELP} Not needed if stdin contains them."
        ),
    ] = None,
    api_key_env: ApiKeyEnv = None,
    output: Output = None,
) -> None:
    """Decrypt stdin and write the plaintext to stdout, byte for byte.

    Reads what encrypt and the operators write: a container, or an envelope of any size.
    """
    from lit_airflow import cli_streams  # noqa: PLC0415 - keeps --help fast
    from lit_airflow.protocol.conditions import Conditions  # noqa: PLC0415 - the same
    from lit_airflow.protocol.session import Session  # noqa: PLC0415 - the same

    client = _client(network, api_key_env)
    opened = Session.from_document(_json_object(session))
    with in_file(str(conditions) if conditions else None):
        parsed = Conditions.parse(_json_value(conditions)) if conditions else None
    cli_streams.decrypt(client, sys.stdin.buffer, parsed, opened, output)


@app.command()
def convert(  # noqa: PLR0913, PLR0917 - one parameter per option
    encrypted: EncryptedFiles,
    old: Annotated[
        str, typer.Option("--from", metavar="NET", help="The network that FILE was encrypted for.")
    ],
    new: Annotated[str, typer.Option("--to", metavar="NET", help="The network to encrypt for.")],
    session: Annotated[
        Path,
        typer.Option(exists=True, dir_okay=False, help="A JSON file with session sigs for the old network."),
    ],
    output_dir: OutputDir,
    conditions: OwnConditions = None,
    from_api_key_env: ApiKeyEnv = None,
    to_api_key_env: ApiKeyEnv = None,
) -> None:
    """Encrypt containers and envelopes again, for another network and under the same conditions.

    FILE is only read. The output has the same name in DIR, and appears when it is complete. What an earlier run has
    converted is left alone, so repeat the command to resume. Prints a line of JSON per file. The exit code is 1 if
    a file failed.
    """
    from lit_airflow.client import LitClient  # noqa: PLC0415 - keeps --help fast
    from lit_airflow.protocol.session import Session  # noqa: PLC0415 - the same
    from lit_airflow.provider import file_io, migration  # noqa: PLC0415 - the same

    with _wrong_usage(encrypted="FILE", output_dir="--output-dir", path="FILE"):
        refused: dict[str, LitError] = {}
        targets = file_io.relative_output_paths(encrypted, output_dir, refused=refused)
    with _wrong_usage(network="--from"):
        old_client = LitClient(_described(old, from_api_key_env))
    with _wrong_usage(network="--to"):
        new_client = LitClient(_described(new, to_api_key_env))
    opened = Session.from_document(_json_object(session))
    parsed = _own_conditions(conditions)
    with (
        old_client,
        new_client,
        _file_progress("Converting", len(targets) + len(refused)) as (shown, on_bytes),
    ):
        reports = migration.convert(
            old_client, new_client, targets, opened, conditions=parsed, on_bytes=on_bytes
        )
        failed = _print_reports(shown(chain(migration.refusals(refused), reports)))
    raise typer.Exit(1 if failed else 0)


@app.command()
def recover(
    encrypted: EncryptedFiles,
    key_env: Annotated[
        str,
        typer.Option(
            metavar="VAR", help="Environment variable that holds the secret half of the recovery key, as hex."
        ),
    ],
    output_dir: OutputDir,
    conditions: OwnConditions = None,
) -> None:
    """Decrypt containers and envelopes by their recovery copies, without any network.

    The plaintext goes to DIR, under the name of FILE without .lit.json or .lit; a local file is readable by its
    owner only. Prints a line of JSON per file. The exit code is 1 if a file failed.
    """
    from lit_airflow.protocol.recovery import secret_key_from  # noqa: PLC0415 - keeps --help fast
    from lit_airflow.provider import file_io, migration  # noqa: PLC0415 - the same

    with _wrong_usage(encrypted="FILE", output_dir="--output-dir", path="FILE"):
        refused: dict[str, LitError] = {}
        targets = file_io.relative_output_paths(encrypted, output_dir, decrypted=True, refused=refused)
    key = os.environ.get(key_env)
    if not key:
        raise SettingsError(f"The environment variable {key_env} is not set.", field="key_env")
    parsed = _own_conditions(conditions)
    with _file_progress("Recovering", len(targets) + len(refused)) as (shown, on_bytes):
        reports = migration.recover(secret_key_from(key), targets, conditions=parsed, on_bytes=on_bytes)
        failed = _print_reports(shown(chain(migration.refusals(refused), reports)))
    raise typer.Exit(1 if failed else 0)


@app.command("recovery-key")
def recovery_key() -> None:
    """Make a recovery key: print its public half, and show its secret half once, on standard error.

    The public half is the recovery_key of a connection or a network description. The secret half opens the recovery
    copies with `recover`: write it down and keep it offline. Do this where no task runs.
    """
    from lit_airflow.cli_streams import new_recovery_key  # noqa: PLC0415 - keeps --help fast

    typer.echo(new_recovery_key())


@app.command()
def inspect(
    file: Annotated[
        typer.FileBinaryRead,
        typer.Argument(metavar="FILE", help="The JSON file, or an envelope; - reads stdin."),
    ],
    conditions: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Explain these conditions, and whether FILE may decrypt under them.",
        ),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Show what a ticket or session sigs allow, when they expire and what is wrong with them.

    For a container or an envelope, show who may decrypt it. Shows no secret. The exit code is 1 if anything is
    wrong.
    """
    from lit_airflow import clock, envelope  # noqa: PLC0415 - keeps --help fast
    from lit_airflow.inspection import inspect as inspect_document  # noqa: PLC0415 - the same
    from lit_airflow.protocol.conditions import Conditions  # noqa: PLC0415 - the same

    head, start = envelope.split_head(file)
    name = getattr(file, "name", "stdin")
    document = dict(head.container) if head else _parse_json_object(start + file.read(), name)
    with in_file(str(conditions) if conditions else None):
        parsed = Conditions.parse(_json_value(conditions)) if conditions else None
        report = inspect_document(document, now=clock.now(), conditions=parsed)
    typer.echo(json.dumps(report.to_json()) if as_json else report.text())
    raise typer.Exit(0 if report.good else 1)


@app.command()
def doctor(
    conn_id: Annotated[str, typer.Option(metavar="ID", help="Id of a connection of type lit.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object at the end.")] = False,
) -> None:
    """Check a connection: fields, Vault, wallet key, seal, chain and every node; say how to fix what is wrong.

    Shows no secret. The exit code is 1 if anything is wrong; notes do not count.
    """
    _need_airflow()
    stdout = sys.stdout
    # Airflow logs to whatever is stdout when it is imported; that must not mix with the results.
    with contextlib.redirect_stdout(sys.stderr):
        from lit_airflow.hooks import LitHook  # noqa: PLC0415 - the same
        from lit_airflow.provider import doctor as doctors  # noqa: PLC0415 - keeps --help fast
        from lit_airflow.provider.airflow_compat import use_server_context  # noqa: PLC0415 - imports Airflow

        use_server_context()
        hook = LitHook(conn_id)
        checks = []
        for check in doctors.examine(hook):
            checks.append(check)
            if not as_json:
                typer.echo(doctors.text(check), file=stdout)
            if check.name == "fields":
                typer.echo(
                    f"Contacting servers; each step takes up to {hook.settings.timeout_s:g} s.", err=True
                )
    if as_json:
        _print_json(doctors.report(conn_id, checks))
    raise typer.Exit(0 if doctors.good(checks) else 1)


@actions.command()
def run(  # noqa: PLR0913, PLR0917 - one parameter per option
    network: Network,
    api_key_env: ApiKeyEnv = None,
    code: ActionFile = None,
    gate: Annotated[
        str, typer.Option(metavar="KEY", help="The public key of a gate that NET lists, instead of --code.")
    ] = "",
    params: Annotated[
        typer.FileBinaryRead | None,
        typer.Option(metavar="FILE", help="The parameters, JSON; - reads stdin. No secrets in clear."),
    ] = None,
    expected_cid: Annotated[str, typer.Option(metavar="CID", help="Refuse any text with another CID.")] = "",
    timeout: Annotated[float, typer.Option(metavar="SECONDS", min=1, help="How long to wait.")] = 30.0,
) -> None:
    """Run an action once, and print its response as JSON.

    Its console, CID and price go to stderr.
    """
    from lit_airflow.client import LitClient  # noqa: PLC0415 - keeps --help fast
    from lit_airflow.text import printable  # noqa: PLC0415 - the same

    if (code is None) == (not gate):
        raise typer.BadParameter("Give either a file or a gate.", param_hint="--code or --gate")
    given = None if params is None else _parse_json(params.read(), "--params")
    text = _action_text(code)
    with (
        _wrong_usage(network="--network", timeout_s="--timeout"),
        LitClient(_described(network, api_key_env), timeout_s=timeout) as client,
    ):
        ended = client.run_action(text, given, gate=gate, expected_cid=expected_cid)
    for line in ended.logs.splitlines():
        typer.echo(printable(line), err=True)
    typer.echo(
        f"{ended.cid or 'The gate'}: {ended.cost.seconds:.1f} s, about {ended.cost.cents} US cents.", err=True
    )
    if ended.note:
        typer.echo(ended.note, err=True)
    _print_json(ended.response)


@actions.command()
def cid(
    code: ActionFile = None,
    pkp: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Print the CID of this PKP's signer, instead of a file's.")
    ] = "",
    chain_id: Annotated[int, typer.Option(metavar="ID", min=0, help="The signer's chain.")] = 0,
    address: Annotated[str, typer.Option(metavar="ADDRESS", help="The signer's address.")] = "",
    *,
    show_code: Annotated[
        bool, typer.Option("--show-code", help="Print the text instead of its CID.")
    ] = False,
) -> None:
    """Print the CID of an action, or of the signer for a connection's sign_pkp, sign_chain_id and sign_address.

    An API key's group must contain it. Sends nothing.
    """
    from lit_airflow.client import LitClient  # noqa: PLC0415 - keeps --help fast
    from lit_airflow.networks.descriptions import DEFAULT_NETWORK  # noqa: PLC0415 - the same
    from lit_airflow.protocol.signing import SigningPolicy  # noqa: PLC0415 - the same

    if (code is None) == (not pkp):
        raise typer.BadParameter("Give either a file or a PKP.", param_hint="--code or --pkp")
    if code is not None and (chain_id or address):
        raise typer.BadParameter("Only the signer of a PKP has a chain and an address.", param_hint="--pkp")
    client = LitClient(DEFAULT_NETWORK)
    if code is not None:
        text = _action_text(code)
        found = client.action_cid(text)
    else:
        with _wrong_usage(sign_pkp="--pkp", sign_chain_id="--chain-id", sign_address="--address"):
            text, found = client.signing_code(SigningPolicy.of(pkp, chain_id, address))
    if show_code:
        sys.stdout.buffer.write(text.encode())
        sys.stdout.buffer.flush()
    else:
        typer.echo(found)


def _action_text(file: Path | None) -> str:
    """Return a file's text, byte for byte."""
    if file is None:
        return ""
    try:
        text = file.read_bytes().decode()
    except UnicodeDecodeError:
        raise SettingsError(f"{file} is not UTF-8 text.", field="code") from None
    if not text:
        raise SettingsError(f"{file} is empty.", field="code")
    return text


def _need_airflow() -> None:
    from importlib.util import find_spec  # noqa: PLC0415 - only doctor asks

    if find_spec("airflow") is None:
        raise SettingsError(
            "doctor checks an Airflow connection, and Airflow is not installed here.",
            field="conn_id",
            hint="Run it in the environment of your Airflow. Without Airflow, LitClient(...).diagnose() checks a "
            "network, and `lit-airflow inspect` a session.",
        )


def _client(network: str, api_key_env: str | None) -> LitClient:
    """Return a client of the network that an option names."""
    from lit_airflow.client import LitClient  # noqa: PLC0415 - keeps --help fast

    with _wrong_usage(network="--network"):
        return LitClient(_described(network, api_key_env))


def _described(network: str, api_key_env: str | None) -> str | dict[str, Any]:
    """Return a network as the client takes it, with the API key from the environment."""
    if api_key_env is None:
        return network
    from lit_airflow.networks.descriptions import describe, known_networks  # noqa: PLC0415 - keeps --help fast

    api_key = os.environ.get(api_key_env, "").strip()
    if not api_key:
        raise SettingsError(f"The environment variable {api_key_env} is not set.", field="api_key_env")
    if network in known_networks():
        return {"network": network, "api_key": api_key}
    describe(network)  # says what is wrong with the file
    return {**_json_object(Path(network)), "api_key": api_key}


def _own_conditions(path: Path | None) -> Conditions | None:
    from lit_airflow.protocol.conditions import Conditions  # noqa: PLC0415 - keeps --help fast

    with in_file(str(path) if path else None):
        return Conditions.parse(_json_object(path)) if path else None


def _print_reports(reports: Iterable[FileReport]) -> int:
    """Print a line of JSON per file, and at the end how many had which outcome; return how many failed."""
    counted: Counter[str] = Counter()
    for report in reports:
        counted[report.outcome] += 1
        _print_json(report.to_json())
    typer.echo(", ".join(f"{count} {outcome}" for outcome, count in counted.items()), err=True)
    return counted["failed"]


@contextlib.contextmanager
def _file_progress(
    what: str, total: int
) -> Iterator[tuple[Callable[[Iterable[FileReport]], Iterator[FileReport]], OnBytes]]:
    """Show progress on standard error, if that is a terminal.

    Yields:
        A function that passes reports on and counts them, and one to call with the bytes of a file that are done.
    """
    from rich.console import Console  # noqa: PLC0415 - keeps --help fast
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415 - the same

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    # On one terminal the results must not be written into the bar; in a file they must not pass through it.
    bar = Progress(
        *columns,
        console=console,
        redirect_stdout=console.is_terminal and sys.stdout.isatty(),
        redirect_stderr=console.is_terminal,
        disable=not console.is_terminal,
        transient=True,
    )
    task = bar.add_task(what, total=total)

    def counted(reports: Iterable[FileReport]) -> Iterator[FileReport]:
        for report in reports:
            bar.update(task, advance=1, description=what)
            yield report

    def on_bytes(source: str, done: int) -> None:
        bar.update(task, description=f"{what} {source}: {done // 10**6} MB")

    with bar:
        yield counted, on_bytes


def _print_json(result: object) -> None:
    print(json.dumps(result, ensure_ascii=False), flush=True)  # noqa: T201 - stdout is for results


def _json_object(path: Path) -> dict[str, Any]:
    return _parse_json_object(path.read_bytes(), str(path))


def _parse_json_object(raw: bytes, name: str) -> dict[str, Any]:
    content = _parse_json(raw, name)
    if not isinstance(content, dict):
        raise SettingsError(f"{name} does not contain a JSON object.", field=name)
    return content


def _json_value(path: Path) -> Any:  # noqa: ANN401 - JSON; who reads it says what is wrong with it
    return _parse_json(path.read_bytes(), str(path))


def _parse_json(raw: bytes, name: str) -> Any:  # noqa: ANN401 - JSON
    where = ""
    if not raw.strip():
        raise SettingsError(f"{name} is empty.", field=name)
    try:
        return json.loads(raw)
    except json.JSONDecodeError as error:
        where = f" (line {error.lineno}, column {error.colno})"
    except (ValueError, RecursionError):
        pass
    raise SettingsError(
        f"{name} is not valid JSON{where}.",
        field=name,
        hint="JSON has no comments, no comma after the last item, and double quotes around texts.",
    )


if __name__ == "__main__":
    main()
