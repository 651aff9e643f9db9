"""The Airflow connections of a sandbox: one to Vault and one to Lit for each role."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lit_airflow.sandbox import vault_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lit_airflow.sandbox.vault_server import AppRole

LIT_CONN_IDS: Final = {"renewer": "lit_renewer", "consumer": "lit_consumer"}
"""The id of each role's connection of type ``lit``."""
ACTING_CONN_ID: Final = "lit_actions"
"""The id of the connection for actions and signatures, on networks that have them."""


def lit_conn_ids(*, with_actions: bool) -> dict[str, str]:
    """Return each role -> the id of its connection of type ``lit``.

    Args:
        with_actions: Whether the network runs actions and signs.
    """
    return LIT_CONN_IDS | ({"actions": ACTING_CONN_ID} if with_actions else {})


def connections(  # noqa: PLR0913, PLR0917 - each is needed
    vault: tuple[str, int],
    roles: Sequence[AppRole],
    network: Mapping[str, object],
    wallet: str,
    decrypting: Mapping[str, object] | None = None,
    acting: Mapping[str, object] | None = None,
) -> Iterator[dict[str, object]]:
    """Yield the connections in the format of Airflow's REST API.

    Args:
        vault: The host and port of the Vault server.
        roles: The renewer, the consumer and, on networks that have actions, the role that runs them.
        network: The fields of a Lit connection that name the network.
        wallet: The address that the wallet key must belong to.
        decrypting: Further fields of the consumer's Lit connection.
        acting: Further fields of the Lit connection for actions and signatures.
    """
    # Only the renewer's connection names a key: the consumer's Vault role cannot read it.
    key_fields: dict[str, dict[str, object]] = {
        "renewer": {
            "vault_mount": vault_server.KV_MOUNT,
            "vault_path": vault_server.KV_PATH,
            "vault_field": vault_server.KV_FIELD,
            "wallet_address": wallet,
        },
        "consumer": dict(decrypting or {}),
        "actions": dict(acting or {}),
    }
    host, port = vault
    for role, (name, conn_id) in zip(roles, lit_conn_ids(with_actions=bool(acting)).items(), strict=True):
        yield {
            "connection_id": f"vault_{name}",
            "conn_type": "vault",
            "host": host,
            "port": port,
            "schema": vault_server.KV_MOUNT,
            "login": role.role_id,
            "password": role.secret_id.reveal().decode(),
            "extra": {"auth_type": "approle", "kv_engine_version": 2, "use_tls": False},
        }
        yield {
            "connection_id": conn_id,
            "conn_type": "lit",
            "port": 0,  # unused, but Airflow 3.3.1 and 3.3.2 do not test a connection without a port
            "extra": {
                **network,
                "vault_conn_id": f"vault_{name}",
                "seal": "transit",
                "transit_mount": vault_server.TRANSIT_MOUNT,
                "transit_key": vault_server.TRANSIT_KEY,
                **key_fields[name],
            },
        }
