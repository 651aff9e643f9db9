from __future__ import annotations

import pytest

from lit_airflow.errors import ProtocolError, SettingsError
from lit_airflow.networks.chipotle.gate_answers import GateKey
from lit_airflow.networks.chipotle.setup_checks import check_cid, check_gate_key, check_group, other_action
from tests.unit.networks.chipotle.making import GATE, LOCK

CID_HASH = "0x" + "ab" * 32


def test_another_cid() -> None:
    check_cid("Qm1", "Qm1")
    for served in ("Qm2", None, ["Qm1"]):
        with pytest.raises(ProtocolError):
            check_cid("Qm1", served)


def test_another_key_or_version() -> None:
    asked = GateKey(GATE, 1, "0x" + "00" * 20)
    check_gate_key(asked, GATE, 1)
    for registered, version in ((LOCK, 1), (GATE, 2)):
        with pytest.raises(ProtocolError, match="Do not encrypt"):
            check_gate_key(asked, registered, version)


def test_groups() -> None:
    check_group([{"id": CID_HASH}], [], CID_HASH)
    check_group([{"id": CID_HASH.upper().replace("0X", "0x")}], [], CID_HASH)
    for actions in ([], [{"id": "n/a"}], [{"id": CID_HASH}, {"id": "n/a"}], [{}]):
        with pytest.raises(SettingsError):
            check_group(actions, [], CID_HASH)
    with pytest.raises(SettingsError, match="1 wallets"):
        check_group([{"id": CID_HASH}], [{"wallet_address": "0x"}], CID_HASH)


def test_other_actions_differ() -> None:
    assert other_action(b"\x01") != other_action(b"\x02")
    assert other_action(b"\x01").reveal().startswith(b"async function main() { return {}; }\n")
