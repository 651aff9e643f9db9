"""The commands ``lit-airflow chipotle``: set up an account, and look at it.

Vault is reached with the address and the token of the environment, as the program ``vault`` or ``bao`` does.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lit_airflow.errors import (
    LitError,
    SecretNotFoundError,
    SettingsError,
    VaultDeniedError,
    VaultUnavailableError,
)

if TYPE_CHECKING:
    from lit_airflow.keys.secret import Secret
    from lit_airflow.keys.vault import Vault
    from lit_airflow.networks.chipotle.description import ChipotleDescription
    from lit_airflow.networks.chipotle.setup import Finished, Setup

NAME = "chipotle"
ACCOUNT_KEY_FIELD = "account_key"
API_KEY_FIELD = "api_key"
OWNER_KEY_FIELD = "private_key"
_VAULT_TIMEOUT_S = 30.0

chipotle = typer.Typer(
    no_args_is_help=True,
    help="Set up an account of Chipotle for a deployment, and look at it.",
)

Network = Annotated[
    str, typer.Option(metavar="NET", help="chipotle, or the path of a network description (JSON).")
]
AccountKeyEnv = Annotated[
    str | None,
    typer.Option(
        metavar="VAR",
        help="Environment variable that holds the account key. Without it, the key is read from Vault.",
    ),
]
AccountKeyPath = Annotated[
    str,
    typer.Option(metavar="PATH", help="Path of the secret with account_key in Vault, below the mount."),
]
GatePath = Annotated[
    str,
    typer.Option("--path", metavar="PATH", help="Path of the secret of decrypting roles, below the mount."),
]
Mount = Annotated[str, typer.Option(metavar="MOUNT", help="Mount of the KV engine, of version 2.")]


@chipotle.command()
def setup(  # noqa: PLR0913 - one parameter per option
    network: Network = NAME,
    account_key_env: AccountKeyEnv = None,
    account_key_path: AccountKeyPath = "lit/account",
    gate_path: GatePath = "lit/gate",
    mount: Mount = "secret",
    *,
    new_gate: Annotated[
        bool,
        typer.Option(
            "--new-gate",
            help="Make a further gate, from the newest template. Data encrypted to earlier ones stays readable.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done and what it costs. Change nothing.")
    ] = False,
    recovery: Annotated[
        bool,
        typer.Option(
            "--recovery",
            help="Also make a recovery key. Its secret half, which opens data without any network, is shown once.",
        ),
    ] = False,
) -> None:
    """Prepare an account: a gate of its own, a lock, a group, an API key that runs the gate and nothing else.

    Writes the keys to Vault, tries them on a small container, and prints commands that add the connections. Run
    it again at any time: it keeps what is there, makes what is missing, and removes what a failed run has left.

    Needs the account key, and VAULT_ADDR and VAULT_TOKEN, or BAO_ADDR and BAO_TOKEN. Costs $0.05 the first time
    and $0.02 after that. If the description of the network has a server for base in its rpc, the account
    contract's registrations are looked at.
    """
    place = _place(network, mount, gate_path, account_key_path)
    vault = _vault()
    _check_mount(vault, place.mount)
    account_key = _account_key(vault, place, account_key_env)
    opened = replace(_opened(network, vault, place, account_key), new_gate=new_gate)
    unkept = account_key_env is not None and not _is_kept(vault, place, account_key)
    if dry_run:
        _show_plan(opened, place, unkept=unkept)
        return
    finished = opened.run(lambda line: typer.echo(line, err=True))
    if unkept:  # only now is it known to be good
        _keep(vault, place, account_key)
    _write_policies(vault, place)
    recovery_key = _recovery_key() if recovery else ""
    for command in _connections(opened, finished, place, network, recovery_key):
        typer.echo(command)


@chipotle.command()
def status(
    network: Network = NAME,
    account_key_env: AccountKeyEnv = None,
    account_key_path: AccountKeyPath = "lit/account",
    gate_path: GatePath = "lit/gate",
    mount: Mount = "secret",
) -> None:
    """Show credit, gates, locks, group and API key of a deployment. Changes nothing and costs nothing.

    Needs the account key, and VAULT_ADDR and VAULT_TOKEN, or BAO_ADDR and BAO_TOKEN. The exit code is 1 if
    anything is wrong; notes do not count.
    """
    from lit_airflow.networks.chipotle.status import status as checks  # noqa: PLC0415 - keeps --help fast
    from lit_airflow.provider import doctor  # noqa: PLC0415 - the same

    place = _place(network, mount, gate_path, account_key_path)
    vault = _vault()
    found = []
    for check in checks(_opened(network, vault, place, _account_key(vault, place, account_key_env))):
        found.append(check)
        typer.echo(doctor.text(check))
    raise typer.Exit(0 if doctor.good(found) else 1)


@chipotle.command()
def probe_namespace(
    network: Network = NAME,
    owner_key_env: Annotated[
        str | None,
        typer.Option(
            metavar="VAR",
            help="Environment variable that holds the wallet's private key. Without it, it is read from Vault.",
        ),
    ] = None,
    owner_key_path: Annotated[
        str,
        typer.Option(metavar="PATH", help="Path of the secret with private_key in Vault, below the mount."),
    ] = "lit/owner",
    mount: Mount = "secret",
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before transactions are sent.")] = False,
) -> None:
    """Try whether the service gives out a key that does not belong to the registered address.

    Sends three transactions as a wallet that owns a ChainSecured account, which pays the gas: one sets an API key,
    one registers a random address with a random path, one revokes the key. Says first what it will do and what it
    costs, and asks. The account needs credit of $0.01. Use one that holds nothing else.

    The network needs a description that has a server for base in its rpc. The exit code is 0 only if the service
    compares: 1 if it does not, and if that could not be seen.
    """
    from lit_airflow import clock  # noqa: PLC0415 - keeps --help fast
    from lit_airflow.keys.wallet import Wallet  # noqa: PLC0415 - the same
    from lit_airflow.networks.chipotle import open_namespace_probe  # noqa: PLC0415 - the same
    from lit_airflow.networks.chipotle.namespace import unseen  # noqa: PLC0415 - the same
    from lit_airflow.networks.contract import Check, Verdict  # noqa: PLC0415 - the same
    from lit_airflow.provider import doctor  # noqa: PLC0415 - the same

    description = _chipotle(network)
    wallet = Wallet.from_key(_owner_key(owner_key_env, mount, owner_key_path))
    probe = open_namespace_probe(description, wallet, clock=clock.now, wait=clock.sleep)

    def probed() -> Check:
        try:
            plan = probe.plan()
        except LitError as error:
            return unseen(error)
        for line in plan.lines():
            typer.echo(line, err=True)
        if not yes:
            typer.confirm("Send these transactions?", abort=True, err=True)
        return probe.run(plan, lambda line: typer.echo(line, err=True))

    found = probed()
    typer.echo(doctor.text(found))
    raise typer.Exit(0 if found.verdict is Verdict.GOOD else 1)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the secrets are in Vault."""

    mount: str
    gate_path: str
    account_key_path: str

    @property
    def policies(self) -> Mapping[str, str]:
        """The text of each policy, by its name."""
        gate, account = f"{self.mount}/data/{self.gate_path}", f"{self.mount}/data/{self.account_key_path}"
        return {
            "lit-gate": f'path "{gate}" {{ capabilities = ["read"] }}\n',
            "lit-account": f'path "{account}" {{ capabilities = ["read"] }}\n'
            f'path "{gate}" {{ capabilities = ["read", "update"] }}\n',
        }


def _place(network: str, mount: str, gate_path: str, account_key_path: str) -> _Place:
    """Check the options that need no server.

    Raises:
        typer.BadParameter: One of them cannot be right.
    """
    try:
        _chipotle(network)
    except SettingsError as error:
        if error.field != "network":
            raise
        raise typer.BadParameter(str(error), param_hint="--network") from error
    mount, gate_path, account_key_path = (path.strip("/ ") for path in (mount, gate_path, account_key_path))
    paths = {"--mount": mount, "--path": gate_path, "--account-key-path": account_key_path}
    for option, path in paths.items():
        if not path:
            raise typer.BadParameter("It is empty.", param_hint=option)
    if gate_path == account_key_path:
        raise typer.BadParameter(
            "The secret of decrypting roles must not be the one with the account key.", param_hint="--path"
        )
    return _Place(mount, gate_path, account_key_path)


def _chipotle(network: str) -> ChipotleDescription:
    from lit_airflow.networks.chipotle.description import ChipotleDescription  # noqa: PLC0415 - keeps --help fast
    from lit_airflow.networks.descriptions import describe  # noqa: PLC0415 - the same

    description = describe(network)
    if not isinstance(description, ChipotleDescription):
        raise SettingsError(f"{network} is not a network of this kind.", field="network", hint=f"Use {NAME}.")
    return description


def _vault() -> Vault:
    from lit_airflow.keys.vault import Vault  # noqa: PLC0415 - keeps --help fast
    from lit_airflow.keys.vault_token import TokenLogin  # noqa: PLC0415 - the same

    return Vault(TokenLogin(os.environ, timeout_s=_VAULT_TIMEOUT_S))


def _check_mount(vault: Vault, mount: str) -> None:
    """Check that what is mounted there has versions, as far as the token may see it.

    Raises:
        SettingsError: It has none: a secret would be written to another path than it is read from.
    """
    try:
        found = vault.read(f"sys/internal/ui/mounts/{mount}")
    except (SecretNotFoundError, VaultDeniedError):
        return
    options = found.get("options")
    if found.get("type") != "kv" or not isinstance(options, Mapping) or options.get("version") != "2":
        raise SettingsError(
            f"The mount {mount} is not a KV engine of version 2.",
            field="mount",
            hint="Name another with --mount. `bao kv enable-versioning` gives a KV engine of version 1 versions.",
        )


def _account_key(vault: Vault, place: _Place, variable: str | None) -> Secret:
    """Return the account key, from the environment or Vault."""
    if variable is not None:
        return _from_environment(variable, "account_key_env")
    try:
        return vault.read_secret(mount=place.mount, path=place.account_key_path, field=ACCOUNT_KEY_FIELD)
    except SecretNotFoundError as error:
        raise SecretNotFoundError(
            error.message,
            hint="Name a variable that holds the account key with --account-key-env: the key is then kept there.",
        ) from None


def _owner_key(variable: str | None, mount: str, path: str) -> Secret:
    """Return the private key of an account's owner, from the environment or Vault."""
    if variable is not None:
        return _from_environment(variable, "owner_key_env")
    try:
        return _vault().read_secret(mount=mount, path=path, field=OWNER_KEY_FIELD)
    except SecretNotFoundError as error:
        raise SecretNotFoundError(
            error.message, hint="Write it there, or name a variable that holds the key with --owner-key-env."
        ) from None


def _from_environment(variable: str, option: str) -> Secret:
    from lit_airflow.keys.secret import Secret  # noqa: PLC0415 - keeps --help fast

    given = os.environ.get(variable, "").strip()
    if not given:
        raise SettingsError(f"The environment variable {variable} is not set.", field=option)
    return Secret(given.encode())


def _is_kept(vault: Vault, place: _Place, account_key: Secret) -> bool:
    """Return whether the account key is in Vault.

    Raises:
        SettingsError: Another key is there.
    """
    try:
        kept, _ = vault.read_version(mount=place.mount, path=place.account_key_path, field=ACCOUNT_KEY_FIELD)
    except SecretNotFoundError:
        return False
    if kept is not None and kept != account_key:
        raise SettingsError(
            f"{place.mount}/{place.account_key_path} has the key of another account.",
            field="account_key_path",
            hint="Name another path with --account-key-path and --path: one deployment uses one account.",
        )
    return kept is not None


def _keep(vault: Vault, place: _Place, account_key: Secret) -> None:
    """Write the account key to Vault, beside whatever else is in that secret."""
    from lit_airflow.json_input import parse_object  # noqa: PLC0415 - keeps --help fast
    from lit_airflow.keys.secret import Secret  # noqa: PLC0415 - the same
    from lit_airflow.keys.vault_fields import VaultFields  # noqa: PLC0415 - the same

    store = VaultFields(vault, place.mount, place.account_key_path)
    typer.echo(f"Writing the account key to {store.where}.", err=True)
    fields, version = store.read()
    others = {name: Secret(str(value).encode()) for name, value in parse_object(fields).items()}
    if not store.write({**others, ACCOUNT_KEY_FIELD: account_key}, version):
        raise VaultUnavailableError(
            f"Somebody else has changed {store.where} meanwhile.", hint="Run it again."
        )


def _opened(network: str, vault: Vault, place: _Place, account_key: Secret) -> Setup:
    from lit_airflow import clock  # noqa: PLC0415 - keeps --help fast
    from lit_airflow.keys.vault_fields import VaultFields  # noqa: PLC0415 - the same
    from lit_airflow.networks.api_keys import ManagedSecrets  # noqa: PLC0415 - the same
    from lit_airflow.networks.chipotle import open_setup  # noqa: PLC0415 - the same

    store = VaultFields(vault, place.mount, place.gate_path)
    return open_setup(_chipotle(network), ManagedSecrets(account_key, store, clock.now, clock.sleep))


def _show_plan(opened: Setup, place: _Place, *, unkept: bool) -> None:
    state = opened.look()
    steps = state.steps()
    for step in steps:
        typer.echo(f"${step.cents / 100:.2f}  {step.what}")
    if unkept:
        typer.echo(f"$0.00  write the account key to {place.mount}/{place.account_key_path}")
    typer.echo(f"$0.00  write the policies {' and '.join(place.policies)}")
    total = sum(step.cents for step in steps)
    typer.echo(f"${total / 100:.2f}  in all; the account's credit is ${state.credit_cents / 100:.2f}")


def _write_policies(vault: Vault, place: _Place) -> None:
    """Write the policies; where the token may not, show them. Show also what one that was replaced has said."""
    for name, text in place.policies.items():
        path = f"sys/policies/acl/{name}"
        before = _policy(vault, path)
        try:
            vault.write(path, {"policy": text})
        except VaultDeniedError:
            typer.echo(
                f"This token may not write policies. Have the policy {name} written:\n{text}", err=True
            )
        else:
            typer.echo(f"Wrote the policy {name}.", err=True)
            if before not in ("", text):
                typer.echo(
                    "It said something else before. If another deployment uses it, write that one's policy "
                    f"again under another name:\n{before}",
                    err=True,
                )


def _policy(vault: Vault, path: str) -> str:
    """Return a policy's text; empty if there is none, or the token may not read it."""
    try:
        return str(vault.read(path).get("policy", ""))
    except (SecretNotFoundError, VaultDeniedError):
        return ""


def _recovery_key() -> str:
    from lit_airflow.cli_streams import new_recovery_key  # noqa: PLC0415 - keeps --help fast

    return new_recovery_key()


def _connections(
    opened: Setup, finished: Finished, place: _Place, network: str, recovery_key: str
) -> list[str]:
    """Return the commands that add the connections, one for each role."""
    description = opened.description
    service = _service(network, description)
    keys = {
        "gate_key": finished.gate_key,
        "lock_key": finished.lock_key,
        "recovery_key": recovery_key or description.recovery_key,
    }
    encrypts: dict[str, object] = {**service, **{name: key for name, key in keys.items() if key}}
    if description.rpc:
        encrypts["rpc"] = description.rpc
    api_key: dict[str, object] = {"api_key_path": place.gate_path}
    if description.api_key_field != API_KEY_FIELD:
        api_key["api_key_field"] = description.api_key_field
    unlocked = {"allow_unlocked": True} if description.allow_unlocked else {}
    roles: dict[str, dict[str, object]] = {
        "renewer": {**encrypts, "vault_path": "lit/wallet"},
        "consumer": {**encrypts, **unlocked, **api_key},
        "account": {**encrypts, **api_key, "account_key_path": place.account_key_path},
    }
    return [
        f"airflow connections add lit_{role} --conn-type lit --conn-extra "
        + shlex.quote(json.dumps({**fields, "vault_conn_id": f"vault_{role}", "vault_mount": place.mount}))
        for role, fields in roles.items()
    ]


def _service(network: str, description: ChipotleDescription) -> dict[str, object]:
    """Return the fields of every connection: which service, and what it must prove of its build."""
    from lit_airflow.networks.chipotle.description import Policy  # noqa: PLC0415 - keeps --help fast
    from lit_airflow.networks.descriptions import describe  # noqa: PLC0415 - the same

    service: dict[str, object] = {"network": NAME}
    if description.plain_http:  # only a description allows it
        service["network"] = str(Path(network).absolute())
    elif description.api_url != getattr(describe(NAME), "api_url", ""):
        service["api_url"] = description.api_url
    if description.attestation is not Policy.OFF:
        service["attestation"] = description.attestation.value
    for name in ("compose_hash", "machine_hash", "tcb_accepted"):
        if accepted := getattr(description, name):
            service[name] = ",".join(accepted)
    if description.collateral:
        service["collateral"] = description.collateral
    return service
