"""Conditions, sessions and containers to try things on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle.gate_container import GateContainer, SealingKeys, seal_container
from lit_airflow.networks.chipotle.sealing import public_key_of
from lit_airflow.protocol.conditions import Conditions
from lit_airflow.protocol.container import Container
from lit_airflow.protocol.session import SessionKey

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
WALLET = "0x01d11722C7603ae13fF51DF1f4C157ca9F88eF4E"
TOKEN = "0x" + "7a" * 20
RPC = {"ethereum": ["https://rpc.one.example/v1"]}
GATE_SECRET, LOCK_SECRET, RECOVERY_SECRET = (Secret(bytes([n]) * 32) for n in (1, 2, 3))
GATE, LOCK, RECOVERY = map(public_key_of, (GATE_SECRET, LOCK_SECRET, RECOVERY_SECRET))
SESSION_KEY = SessionKey.from_hex("44" * 32)


def basic(**changes: object) -> dict[str, Any]:
    """A condition that the wallet is one address, with some keys changed; ``comparator`` and ``value`` too."""
    test = {"comparator": "=", "value": WALLET}
    test |= {key: changes.pop(key) for key in ("comparator", "value") if key in changes}
    condition = {
        "contractAddress": "",
        "chain": "ethereum",
        "standardContractType": "",
        "method": "",
        "parameters": [":userAddress"],
        "returnValueTest": test,
    }
    return condition | changes


def balance(**changes: object) -> dict[str, Any]:
    """A condition on the wallet's balance."""
    defaults = {
        "method": "eth_getBalance",
        "parameters": [":userAddress", "latest"],
        "comparator": ">",
        "value": "0",
    }
    return basic(**(defaults | changes))


def token(kind: str, method: str, parameters: list[str], **changes: object) -> dict[str, Any]:
    """A condition on a token contract."""
    test = (
        {"comparator": ">", "value": "0"}
        if method == "balanceOf"
        else {"comparator": "=", "value": ":userAddress"}
    )
    made = {
        "contractAddress": TOKEN,
        "standardContractType": kind,
        "method": method,
        "parameters": parameters,
    }
    return basic(**(made | test | changes))


def function(inputs: Mapping[str, str], output: str, **changes: object) -> dict[str, Any]:
    """A condition on a function of ``inputs`` (type -> argument) and one output type."""
    test = {"key": "", "comparator": "=", "value": "true"}
    test |= {key: changes.pop(key) for key in ("key", "comparator", "value") if key in changes}
    abi = {
        "name": "f",
        "inputs": [{"name": f"a{n}", "type": kind} for n, kind in enumerate(inputs)],
        "outputs": [{"name": "", "type": output}],
        "stateMutability": "view",
    }
    condition = {
        "contractAddress": TOKEN,
        "functionName": "f",
        "functionParams": list(inputs.values()),
        "functionAbi": abi,
        "chain": "ethereum",
        "returnValueTest": test,
    }
    return condition | changes


def conditions(*items: object, field: str = "accessControlConditions") -> Conditions:
    """A list of conditions."""
    return Conditions.parse({field: list(items), "chain": "ethereum"})


def functions(*items: object) -> Conditions:
    """A list of conditions on functions."""
    return conditions(*items, field="evmContractConditions")


def sealed(
    plaintext: bytes = b"secret",
    *,
    under: Conditions | None = None,
    rpc: Mapping[str, list[str]] | None = None,
    **keys: str,
) -> dict[str, Any]:
    """What encrypting returns."""
    return seal_container(
        plaintext, under or conditions(basic()), SealingKeys(**{"gate": GATE, **keys}), rpc or {}
    )


def container(
    plaintext: bytes = b"secret",
    *,
    under: Conditions | None = None,
    rpc: Mapping[str, list[str]] | None = None,
    **keys: str,
) -> GateContainer:
    """The same, read back."""
    under = under or conditions(basic())
    return read_container(sealed(plaintext, under=under, rpc=rpc, **keys), under)


def read_container(fields: Mapping[str, Any], under: Conditions) -> GateContainer:
    """A container, given apart from its conditions."""
    return GateContainer.read(Container(fields, under))
