from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from lit_airflow.errors import CiphertextError, ConditionError, SettingsError
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle.gate_container import GateContainer, SealingKeys
from lit_airflow.networks.chipotle.sealing import container_info, open_sealed
from lit_airflow.protocol.recovery import recover
from tests.unit.networks.chipotle.making import (
    GATE,
    GATE_SECRET,
    LOCK,
    LOCK_SECRET,
    RECOVERY,
    RECOVERY_SECRET,
    RPC,
    balance,
    basic,
    conditions,
    container,
    read_container,
    sealed,
)

READING = conditions(balance())


def gate_opens(of: GateContainer) -> bytes:
    """What the gate gets out of a container: everything but what stands behind the lock."""
    info = container_info(of.conditions.identity(of.data_hash), of.rpc)
    return open_sealed(GATE_SECRET, info, of.ciphertext)


def test_a_plain_container_names_the_gate_and_nothing_else() -> None:
    made = sealed(b"secret")
    assert set(made) == {"ciphertext", "dataToEncryptHash", "gate"}
    read = read_container(made, conditions(basic()))
    assert (read.gate, read.lock, read.rpc, read.given_bytes) == (GATE, "", {}, 6)
    assert read.unlock(gate_opens(read), None) == b"secret"


def test_it_is_json_and_survives_it() -> None:
    made = sealed(b"secret", under=READING, rpc=RPC, lock=LOCK, recovery=RECOVERY)
    assert read_container(json.loads(json.dumps(made)), READING) == read_container(made, READING)


def test_rpc_is_bound() -> None:
    made = sealed(under=READING, rpc=RPC)
    assert made["rpc"] == RPC
    assert gate_opens(read_container(made, READING)) == b"secret"
    for other in (
        {},
        {"ethereum": ["https://evil.example/"]},
        {"ethereum": [*RPC["ethereum"], "https://evil.example"]},
    ):
        with pytest.raises(CiphertextError):
            gate_opens(read_container({**made, "rpc": other}, READING))


def test_conditions_are_bound() -> None:
    made = sealed()
    with pytest.raises(CiphertextError):
        gate_opens(read_container(made, conditions(basic(value="0x" + "11" * 20))))


def test_a_lock_keeps_the_gate_out() -> None:
    read = container(b"secret", lock=LOCK)
    given = gate_opens(read)
    assert b"secret" not in given
    assert read.given_bytes == len(given) == 6 + 48
    assert read.unlock(given, LOCK_SECRET) == b"secret"
    with pytest.raises(CiphertextError, match="lock"):
        read.unlock(given, GATE_SECRET)
    with pytest.raises(CiphertextError, match="lock"):
        read.unlock(given, None)


def test_the_hash_of_a_locked_container_tells_nothing_of_its_data() -> None:
    first, second = (sealed(b"1234", lock=LOCK)["dataToEncryptHash"] for _ in range(2))
    assert first != second
    assert sealed(b"1234")["dataToEncryptHash"] == sealed(b"1234")["dataToEncryptHash"]


def test_a_lock_is_bound_to_conditions_and_rpc() -> None:
    read = container(b"secret", under=READING, rpc=RPC, lock=LOCK)
    given = gate_opens(read)
    loosened = GateContainer(
        conditions=conditions(basic()),
        ciphertext=read.ciphertext,
        data_hash=read.data_hash,
        gate=GATE,
        lock=LOCK,
        rpc={},
    )
    with pytest.raises(CiphertextError):
        loosened.unlock(given, LOCK_SECRET)


def test_other_data_than_the_hash_names_is_refused() -> None:
    with pytest.raises(CiphertextError, match="dataToEncryptHash"):
        container().unlock(b"Secret", None)


def test_a_recovery_copy_opens_offline_and_only_in_its_place() -> None:
    made = sealed(b"secret", lock=LOCK, recovery=RECOVERY)
    read = read_container(made, conditions(basic()))
    identity = read.conditions.identity(read.data_hash)
    assert recover(RECOVERY_SECRET, identity, made["recovery"]) == b"secret"
    with pytest.raises(CiphertextError, match="another key"):
        recover(LOCK_SECRET, identity, made["recovery"])
    with pytest.raises(CiphertextError):
        recover(RECOVERY_SECRET, identity + b"0", made["recovery"])
    for broken in ({}, {"key": RECOVERY}, {"key": RECOVERY, "sealed": 5}, {"key": RECOVERY, "sealed": "*"}):
        with pytest.raises(CiphertextError):
            recover(RECOVERY_SECRET, identity, broken)


def test_the_request_is_datils_body_and_the_ciphertext() -> None:
    read = container(under=READING, rpc=RPC)
    item = read.request_item()
    assert list(item) == ["accessControlConditions", "dataToEncryptHash", "chain", "ciphertext", "rpc"]
    assert base64.b64decode(item["ciphertext"]) == read.ciphertext
    assert "gate" not in json.dumps(item)


@pytest.mark.parametrize(
    "changes",
    [
        {"ciphertext": None},
        {"ciphertext": "*"},
        {"ciphertext": base64.b64encode(b"1" * 47).decode()},
        {"dataToEncryptHash": None},
        {"gate": None},
        {"gate": "0x" + GATE},
        {"gate": GATE.upper()},
        {"lock": "11"},
        {"lock": 7},
        {"rpc": []},
        {"rpc": {"ethereum": []}},
        {"rpc": {"ethereum": "https://rpc.one.example"}},
        {"rpc": {"\ud800": ["https://rpc.one.example"]}},
    ],
)
def test_malformed_containers(changes: dict[str, Any]) -> None:
    with pytest.raises(CiphertextError):
        read_container({**sealed(), **changes}, conditions(basic()))


def test_a_hash_that_is_not_one() -> None:
    with pytest.raises(ConditionError):
        read_container({**sealed(), "dataToEncryptHash": "00"}, conditions(basic()))


@pytest.mark.parametrize("field", ["gate", "lock", "recovery"])
def test_keys_are_checked_before_anything_is_sealed(field: str) -> None:
    with pytest.raises(SettingsError) as caught:
        SealingKeys(**{"gate": GATE, field: "11" * 31})
    assert caught.value.field == f"{field}_key"


def test_secrets_do_not_show() -> None:
    read = container(b"secret", lock=LOCK)
    assert "secret" not in repr(read)
    with pytest.raises(CiphertextError) as caught:
        read.unlock(gate_opens(read), Secret(b"\x07" * 32))
    assert "07" * 32 not in str(caught.value)
