from __future__ import annotations

from typing import Any

import pytest
from eth_account.messages import _hash_eip191_message, encode_defunct

from lit_airflow.errors import LitError
from lit_airflow.keys.wallet import Wallet, recover
from lit_airflow.networks.datil.wire import compact
from lit_airflow.protocol import auth_sig
from lit_airflow.protocol.auth_sig import AuthSig


def test_case(case: dict[str, Any]) -> None:
    if "expected_error" in case:
        with pytest.raises(LitError):
            auth_sig.sign(Wallet.from_key(case["private_key"]).expect(case.get("address")), case["message"])
        return
    wanted = case["expected"]["auth_sig"]
    signed = auth_sig.sign(Wallet.from_key(case["private_key"]), case["message"], algo=case.get("algo"))
    assert signed.address == Wallet.from_key(case["private_key"]).expect(case.get("address")).address
    assert compact(signed.to_json()) == compact(wanted)  # the order of the keys counts, too
    assert AuthSig.from_json(wanted) == signed
    assert recover(wanted["signedMessage"], wanted["sig"]) == wanted["address"]
    digest = _hash_eip191_message(encode_defunct(text=case["message"]))
    assert "0x" + digest.hex() == case["expected"]["eip191_hash"]
