"""After a refusal, the hint names its cause: a closed time lock, the conditions, a value, a chain."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from lit_airflow import LitClient, Scope, Wallet
from lit_airflow.devnet import Devnet
from lit_airflow.errors import AccessDeniedError, ConditionsNotMetError, NodeError, NodesUnavailableError
from lit_airflow.networks.datil import wire

WALLET = Wallet.from_key("22" * 32)
ALL = Scope.parse(["access-control-condition-decryption=lit-accesscontrolcondition://*"])
OTHER = "0x" + "11" * 20


@pytest.fixture(scope="module")
def net() -> Iterator[Devnet]:
    with Devnet(nodes=3, threshold=2) as running:
        yield running


def basic(**fields: object) -> dict[str, Any]:
    condition = {
        "contractAddress": "",
        "standardContractType": "",
        "chain": "ethereum",
        "method": "",
        "parameters": [":userAddress"],
        "returnValueTest": {"comparator": "=", "value": OTHER},
    }
    return condition | fields


def from_time_on(moment: datetime) -> dict[str, Any]:
    test = {"comparator": ">=", "value": str(int(moment.timestamp()))}
    return basic(
        standardContractType="timestamp",
        method="eth_getBlockByNumber",
        parameters=["latest"],
        returnValueTest=test,
    )


def refused(net: Devnet, *items: dict[str, Any]) -> ConditionsNotMetError | NodesUnavailableError:
    conditions = {"chain": "ethereum", "accessControlConditions": list(items)}
    client = LitClient(net.description)
    sealed = client.encrypt(b"x", conditions)
    with pytest.raises((ConditionsNotMetError, NodesUnavailableError)) as caught:
        client.decrypt(sealed, conditions, client.open_session(WALLET, ALL))
    return caught.value


def test_a_time_lock_says_until_when(net: Devnet) -> None:
    opens_at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    until = f"{opens_at:%Y-%m-%d %H:%M:%S} UTC"
    assert refused(net, from_time_on(opens_at)).hint == f"They are time-locked until {until}."
    either = refused(net, from_time_on(opens_at), {"operator": "or"}, basic())
    assert until in either.hint
    assert OTHER in either.hint


def test_other_conditions_are_put_into_words(net: Devnet) -> None:
    assert f"The wallet is {OTHER}." in refused(net, basic()).hint


def test_a_contract_that_no_chain_answers_for(net: Devnet) -> None:
    missing = basic(
        standardContractType="ERC20",
        contractAddress=OTHER,
        method="balanceOf",
        returnValueTest={"comparator": ">", "value": "1"},
    )
    assert "Check contract, function and arguments in the conditions" in refused(net, missing).hint


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("NodeInvalidACCReturnValueTest", "cannot use a value in the conditions"),
        ("NodeInvalidBooleanConditionType", "cannot use the operators in the conditions"),
        ("NodeRpcError", "could not evaluate a condition"),
    ],
)
def test_a_refusal_that_the_conditions_cause(code: str, said: str) -> None:
    found = wire.denial(NodeError(f"HTTP 400 {code}", status=400, code=code))
    assert isinstance(found, AccessDeniedError)
    assert said in found.message
    assert "session" not in found.hint
