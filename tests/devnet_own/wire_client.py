"""A client of the wire protocol for these tests; of the package it uses the devnet only."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from eth_account import Account
from eth_account.messages import encode_defunct
from py_arkworks_bls12381 import GT, G1Point, G2Point, Scalar

from lit_airflow.devnet.listener import bind

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet

    from lit_airflow.devnet import Devnet

Json = dict[str, Any]
VECTORS = Path(__file__).parent.parent / "vectors" / "datil"
HEADERS = {
    "X-Request-Id": "lit_0123456789abc",
    "X-Lit-SDK-Version": "7.4.0",
    "X-Lit-SDK-Type": "Python",
}
SENTENCE = "I further authorize the stated URI to perform the following actions on my behalf:"


def load(name: str) -> Json:
    """Return one file of vectors."""
    return json.loads((VECTORS / f"{name}.json").read_text())


def cases(name: str, having: str | None = None, **where: str) -> list[ParameterSet]:
    """Return the cases of a file as parameters: all, those that have a key, or those with the given values."""
    return [
        pytest.param(case, id=case.get("name", f"{index}-{case.get('function', '')}"))
        for index, case in enumerate(load(name)["cases"])
        if having is None or having in case
        if all(case.get(key) == value for key, value in where.items())
    ]


def is_free(port: int) -> bool:
    """Use it below the range from which the system takes the ports of outgoing connections."""
    try:
        bind("127.0.0.1", port).close()
    except OSError:
        return False
    return True


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def recap(grants: Json) -> str:
    """Return the URN of a ReCap; the caller has sorted it."""
    packed = base64.urlsafe_b64encode(compact({"att": grants, "prf": []}).encode())
    return "urn:recap:" + packed.decode().rstrip("=")


class WireClient:
    """A wallet with a session key; every field of what it signs can be changed by name."""

    def __init__(self, key: bytes = b"\x11" * 32, seed: bytes = b"\x07" * 32) -> None:
        self.wallet = Account.from_key(key)
        self.session = Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self.session.public_key().public_bytes_raw().hex()

    @property
    def address(self) -> str:
        return str(self.wallet.address)

    def sign_in(self, now: datetime, **change: Any) -> Json:  # noqa: ANN401 - any field, any value
        resource = change.get("resource", "*")
        key = f"lit-accesscontrolcondition://{resource}"
        ability = change.get("ability", "Decryption")
        grants = change.get("grants", {key: {f"Threshold/{ability}": [{}]}})
        lines = [
            f"{change.get('domain', 'localhost')} wants you to sign in with your Ethereum account:",
            change.get("wallet", self.address),
            "",
            change.get("statement", f"Hello. {SENTENCE} (1) 'Threshold': '{ability}' for '{key}'."),
            "",
            f"URI: {change.get('uri', 'lit:session:' + self.public)}",
            "Version: 1",
            "Chain ID: 1",
            f"Nonce: {change.get('nonce', '0x' + 'ab' * 32)}",
            f"Issued At: {iso(change.get('issued_at', now))}",
            f"Expiration Time: {iso(change.get('expires_at', now + timedelta(hours=1)))}",
            *change.get("extra", []),
            "Resources:",
            *(f"- {urn}" for urn in change.get("urns", [recap(grants)])),
        ]
        text = "\n".join(lines)
        signature = self.wallet.sign_message(encode_defunct(text=text)).signature.hex()
        return {
            "sig": "0x" + signature.removeprefix("0x"),
            "derivedVia": "web3.eth.personal.sign",
            "signedMessage": text,
            "address": self.address,
        }

    def auth_sig(
        self, node_url: str, now: datetime, capabilities: list[Json] | None = None, **change: object
    ) -> Json:
        return self.sign_session(
            {
                "sessionKey": self.public,
                "resourceAbilityRequests": [
                    {
                        "resource": {"resource": "*", "resourcePrefix": "lit-accesscontrolcondition"},
                        "ability": "access-control-condition-decryption",
                    }
                ],
                "capabilities": [self.sign_in(now)] if capabilities is None else capabilities,
                "issuedAt": iso(now),
                "expiration": iso(now + timedelta(minutes=10)),
                "nodeAddress": node_url,
                **change,
            }
        )

    def sign_session(self, message: Json) -> Json:
        text = compact(message)
        return {
            "sig": self.session.sign(text.encode()).hex(),
            "derivedVia": "litSessionSignViaNacl",
            "signedMessage": text,
            "address": self.public,
            "algo": "ed25519",
        }

    def condition(self, **change: object) -> Json:
        return {
            "contractAddress": "",
            "chain": "ethereum",
            "standardContractType": "",
            "method": "",
            "parameters": [":userAddress"],
            "returnValueTest": {"comparator": "=", "value": self.address},
            **change,
        }

    def body(
        self,
        node_url: str = "http://127.0.0.1:7470",
        now: datetime | None = None,
        conditions: list[object] | None = None,
        **change: object,
    ) -> Json:
        """Return a valid request, in which ``change`` may replace fields."""
        now = now or datetime.now(UTC)
        return {
            "accessControlConditions": [self.condition()] if conditions is None else conditions,
            "dataToEncryptHash": sha256(b"data").hexdigest(),
            "chain": "ethereum",
            "authSig": self.auth_sig(node_url, now),
            "epoch": 1,
            **change,
        }

    def identity(self, body: Json) -> bytes:
        digest = sha256(compact(body["accessControlConditions"]).encode()).hexdigest()
        return f"lit-accesscontrolcondition://{digest}/{body['dataToEncryptHash']}".encode()

    def request_share(
        self,
        net: Devnet,
        node: int,
        path: str = "/web/encryption/sign/",
        timeout: float = 300,
        **change: Any,  # noqa: ANN401 - what ``body`` takes
    ) -> requests.Response:
        url = net.description["nodes"][node]
        return requests.post(url + path, json=self.body(url, **change), headers=HEADERS, timeout=timeout)

    def handshake(
        self,
        net: Devnet,
        node: int,
        headers: dict[str, str] = HEADERS,
        path: str = "/web/handshake/",
        **change: object,
    ) -> requests.Response:
        body = {"clientPublicKey": "test", "challenge": "5a" * 32, "epoch": 1, **change}
        url = net.description["nodes"][node]
        return requests.post(url + path, json=body, headers=headers, timeout=300)


def combine(shares: list[bytes]) -> G2Point:
    """Interpolate the shares at 0; their first bytes are the identifiers."""
    identifiers = [share[0] for share in shares]
    total = G2Point.identity()
    for share in shares:
        factor = Scalar(1)
        for other in identifiers:
            if other != share[0]:
                factor = factor * Scalar(other) / (Scalar(other) - Scalar(share[0]))
        total = total + G2Point.from_compressed_bytes(share[1:]) * factor
    return total


def verifies(public_key: str, message: bytes, signature: G2Point) -> bool:
    hashed = G2Point.hash_to_curve(message, b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_")
    key = G1Point.from_compressed_bytes(bytes.fromhex(public_key))
    return GT.pairing(key, hashed) == GT.pairing(G1Point(), signature)


def share_of(response: requests.Response) -> bytes:
    return bytes.fromhex(response.json()["signatureShare"]["ProofOfPossession"])
