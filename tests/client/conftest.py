"""A client, a local network, and something encrypted on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lit_airflow import LitClient, Scope, Wallet
from lit_airflow.devnet import Devnet
from lit_airflow.protocol.session import Session
from tests.devnet_chipotle.warm_engine import warm

__all__ = ["warm"]

PLAINTEXT = b"what only the wallet may read"


@dataclass(frozen=True)
class Job:
    """Everything a decryption needs."""

    net: Devnet
    lit: LitClient
    wallet: Wallet
    conditions: dict[str, Any]
    sealed: dict[str, Any]
    session: Session

    def decrypt(self, session: Session | None = None) -> bytes:
        """Decrypt, with a client that knows nothing yet."""
        return self.decrypt_this(self.sealed, session)

    def decrypt_this(self, sealed: dict[str, Any], session: Session | None = None) -> bytes:
        """The same, with something else."""
        return self.new_client().decrypt(sealed, self.conditions, session or self.session)

    def new_client(self, **options: Any) -> LitClient:  # noqa: ANN401 - LitClient's
        """A client that has surveyed nobody."""
        return LitClient(self.net.description, **{"timeout_s": 10, **options})

    def url(self, node: int) -> str:
        """A node's URL."""
        return str(self.net.description["nodes"][node])  # type: ignore[index]

    def asked_for_shares(self) -> list[int]:
        """Which nodes have answered requests for shares."""
        return [node for node, path, _, _ in self.net.requests if path.startswith("/web/encryption/sign")]


def only(wallet: Wallet) -> dict[str, Any]:
    """The condition that names a wallet."""
    return {
        "chain": "ethereum",
        "accessControlConditions": [
            {
                "contractAddress": "",
                "standardContractType": "",
                "chain": "ethereum",
                "method": "",
                "parameters": [":userAddress"],
                "returnValueTest": {"comparator": "=", "value": wallet.address},
            }
        ],
    }


@pytest.fixture
def net() -> Iterator[Devnet]:
    with Devnet(nodes=3, threshold=2) as running:
        yield running


@pytest.fixture(scope="session")
def wallet() -> Wallet:
    return Wallet.from_key("11" * 32)


@pytest.fixture
def job(net: Devnet, wallet: Wallet) -> Job:
    lit = LitClient(net.description, timeout_s=120)
    conditions = only(wallet)
    sealed = lit.encrypt(PLAINTEXT, conditions)
    session = lit.open_session(wallet, lit.scope_of(sealed, conditions), ttl_s=600)
    return Job(net, lit, wallet, conditions, sealed, session)


@pytest.fixture
def all_items() -> Scope:
    return Scope.parse(["access-control-condition-decryption=lit-accesscontrolcondition://*"])
