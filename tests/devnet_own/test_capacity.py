"""Who pays for a request: docs/protocol/capacity.md, rule by rule."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from eth_account.messages import encode_defunct

from lit_airflow.devnet import Devnet
from lit_airflow.devnet.capacity import Credits, PaymentLedger
from lit_airflow.devnet.errors import NodeError
from tests.devnet_own.wire_client import SENTENCE, Json, WireClient, cases, compact, iso

NOW = datetime(2025, 1, 15, 12, 34, 56, 789000, UTC)
USER = WireClient()
OWNER = WireClient(b"\x33" * 32)
SESSION = "lit:session:" + USER.public


def lend(limits: Json | list[Json], now: datetime = NOW, **change: Any) -> Json:  # noqa: ANN401 - any field
    """A delegation of the owner's."""
    key = change.get("key", "lit-ratelimitincrease://*")
    restrictions = [dict(sorted(each.items())) for each in (limits if isinstance(limits, list) else [limits])]
    att = {"att": {key: {"Auth/Auth": restrictions}}, "prf": []}
    lines = [
        "localhost wants you to sign in with your Ethereum account:",
        OWNER.address,
        "",
        change.get("statement", f"Lend. {SENTENCE} (1) 'Auth': 'Auth' for '{key}'."),
        "",
        f"URI: {change.get('uri', 'lit:capability:delegation')}",
        "Version: 1",
        "Chain ID: 1",
        "Nonce: 0123456789abcdef",
        f"Issued At: {iso(now)}",
        f"Expiration Time: {iso(change.get('expires_at', now + timedelta(days=7)))}",
        "Resources:",
        "- urn:recap:" + base64.urlsafe_b64encode(compact(att).encode()).decode().rstrip("="),
    ]
    text = "\n".join(lines)
    signer = change.get("signer", OWNER)
    signature = signer.wallet.sign_message(encode_defunct(text=text)).signature.hex()
    return {
        "sig": "0x" + signature.removeprefix("0x"),
        "derivedVia": "web3.eth.personal.sign",
        "signedMessage": text,
        "address": OWNER.address,
    }


class Payments:
    """A payment ledger, and two credits of the owner: number 1 is valid, number 2 has expired."""

    def __init__(self) -> None:
        self.credits = Credits()
        assert self.credits.mint(OWNER.address, NOW).token_id == "1"
        assert self.credits.mint(OWNER.address, NOW, -1).token_id == "2"
        self.ledger = PaymentLedger(self.credits)

    def passes(self, *capabilities: Json, user: str = USER.address, now: datetime = NOW) -> bool:
        try:
            self.ledger.charge(user, list(capabilities), SESSION, now, b"")
        except NodeError as error:
            return error.code != "rate_limit_exceeded"
        return True


@pytest.fixture
def payments() -> Payments:
    return Payments()


class TestOwners:
    def test_a_credit_of_ones_own(self, payments: Payments) -> None:
        assert not payments.passes()
        assert payments.passes(user=OWNER.address)

    def test_it_expires(self, payments: Payments) -> None:
        assert payments.passes(user=OWNER.address, now=NOW + timedelta(days=29))
        assert not payments.passes(user=OWNER.address, now=NOW + timedelta(days=30))

    def test_a_payer(self, payments: Payments) -> None:
        payments.credits.pay_for(OWNER.address.lower(), USER.address.lower())
        assert payments.passes()
        assert not payments.passes(now=NOW + timedelta(days=30))

    def test_no_address(self, payments: Payments) -> None:
        with pytest.raises(ValueError, match="nobody"):
            payments.credits.mint("nobody", NOW)


class TestDelegations:
    @pytest.mark.parametrize(
        ("limits", "passes"),
        [
            ({}, True),
            ({"nft_id": ["1"]}, True),
            ({"nft_id": ["2"]}, False),
            ({"nft_id": ["3"]}, False),
            ({"nft_id": ["2", "1"]}, True),
            ({"nft_id": []}, False),
            ({"nft_id": "1"}, False),
            ({"nft_id": [1]}, False),
            ({"delegate_to": [USER.address[2:]]}, True),
            ({"delegate_to": [USER.address[2:].lower()]}, True),
            ({"delegate_to": [OWNER.address[2:]]}, False),
            ({"delegate_to": []}, False),
            ({"delegate_to": ["0X" + USER.address[2:]]}, False),
            ({"uses": "1"}, True),
            ({"uses": "0"}, False),
            ({"uses": 1}, False),
            ({"uses": "-1"}, False),
            ({"uses": "many"}, False),
            ({"uses": "²"}, False),
            ([{"nft_id": ["2"]}, {"nft_id": ["1"]}], True),
        ],
    )
    def test_limits(self, payments: Payments, limits: Json, passes: bool) -> None:  # noqa: FBT001 - a parameter
        assert payments.passes(lend(limits)) is passes

    @pytest.mark.parametrize(
        ("change", "passes"),
        [
            ({"key": "lit-ratelimitincrease://999"}, True),  # the id in the key is not looked at
            ({"key": "lit-ratelimitincrease://"}, True),
            ({"key": "lit-pkp://*"}, False),
            ({"uri": SESSION}, True),
            ({"uri": "lit:session:" + "00" * 32}, False),
            ({"statement": "Lend."}, False),
            ({"signer": USER}, False),
            ({"expires_at": NOW}, True),
            ({"expires_at": NOW - timedelta(milliseconds=1)}, False),
        ],
    )
    def test_message(self, payments: Payments, change: Json, passes: bool) -> None:  # noqa: FBT001 - a parameter
        assert payments.passes(lend({}, **change)) is passes

    @pytest.mark.parametrize("kind", ["EIP1271", "EIP1271_SHA256"])
    def test_a_contract_signature_delegates_nothing(self, payments: Payments, kind: str) -> None:
        assert not payments.passes({**lend({}), "derivedVia": kind})

    def test_an_unusable_capability_does_no_harm(self, payments: Payments) -> None:
        broken = {**lend({}), "signedMessage": "no message"}
        assert payments.passes(broken, lend({}, signer=USER), lend({}))

    def test_uses_are_counted_by_signature(self, payments: Payments) -> None:
        lent = lend({"uses": "2"})
        assert [payments.passes(lent) for _ in range(3)] == [True, True, False]
        assert payments.passes(lend({"uses": "2"}, now=NOW - timedelta(seconds=1)))
        assert payments.passes(user=OWNER.address)

    def test_refused_uses_are_not_counted(self, payments: Payments) -> None:
        lent = lend({"uses": "1", "delegate_to": [USER.address[2:]]})
        assert not payments.passes(lent, user="0x" + "11" * 20)
        assert payments.passes(lent)

    @pytest.mark.parametrize("case", cases("capacity_delegation"))
    def test_recorded_delegations(self, payments: Payments, case: Json) -> None:
        """What the SDK signs is read; whom it lends to is in its parameters."""
        now, params = datetime.fromisoformat(case["now"]), case["params"]
        lent, token = case["expected"]["auth_sig"], params.get("capacityTokenId")
        lent_to = params.get("delegateeAddresses", [USER.address])
        for _ in range(int(token or 1)):
            last = payments.credits.mint(lent["address"], now).token_id
            if token is None or last == token:
                break
        assert payments.passes(lent, now=now) is (USER.address in lent_to)
        assert not payments.passes(lent, now=now + timedelta(days=1000))


class TestNetwork:
    @pytest.fixture
    def paying(self) -> Any:  # noqa: ANN401 - a generator
        with Devnet(2, 2, pays=True) as net:
            yield net

    def test_asked_before_the_conditions_are(self, paying: Devnet) -> None:
        impossible = USER.condition(returnValueTest={"comparator": "=", "value": "0x" + "00" * 20})
        response = USER.request_share(paying, 0, conditions=[impossible])
        assert response.status_code == 402
        assert list(response.json()) == ["message", "errorCode"]
        assert response.json()["errorCode"] == "rate_limit_exceeded"
        paying.mint_credit(USER.address)
        assert USER.request_share(paying, 0, conditions=[impossible]).status_code == 401
        assert USER.request_share(paying, 0).status_code == 200

    def test_a_wallet_alone_pays_too(self, paying: Devnet) -> None:
        auth_sig = USER.sign_in(datetime.now(UTC), uri="https://localhost/login")
        assert USER.request_share(paying, 0, authSig=auth_sig).status_code == 402
        paying.mint_credit(USER.address)
        assert USER.request_share(paying, 0, authSig=auth_sig).status_code == 200

    def test_each_node_counts_for_itself(self, paying: Devnet) -> None:
        token = paying.mint_credit(OWNER.address)
        now = datetime.now(UTC)
        lent = lend({"nft_id": [token], "uses": "1"}, now)
        statuses = []
        for node in (0, 1, 0, 1):
            url = paying.description["nodes"][node]
            auth_sig = USER.auth_sig(url, now, [lent, USER.sign_in(now)])
            statuses.append(USER.request_share(paying, node, authSig=auth_sig).status_code)
        assert statuses == [200, 200, 402, 402]

    def test_control_api(self, paying: Devnet) -> None:
        url = paying.description["control_url"]
        before = requests.get(url, timeout=300).json()
        assert (before["pays"], before["credits"]) == (True, [])
        asked = {"owner": OWNER.address, "lasts_s": 60}
        (credit,) = requests.post(url + "/credits", json=asked, timeout=300).json()["credits"]
        assert (credit["tokenId"], credit["owner"]) == ("1", OWNER.address)
        payer = {"payer": OWNER.address, "user": USER.address}
        assert requests.post(url + "/payers", json=payer, timeout=300).status_code == 200
        assert USER.request_share(paying, 0).status_code == 200
        for path, body in (
            ("/credits", {"owner": "nobody"}),
            ("/credits", {"owner": OWNER.address, "lasts_s": 1e300}),
            ("/payers", {"payer": OWNER.address}),
            ("/payers", {"payer": OWNER.address, "user": "nobody"}),
        ):
            assert requests.post(url + path, json=body, timeout=300).status_code == 400

    def test_others_ask_for_nothing(self, net: Devnet) -> None:
        assert USER.request_share(net, 0).status_code == 200
