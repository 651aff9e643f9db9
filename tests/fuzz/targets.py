"""Every reader of bytes that somebody else wrote, one target per reader.

A target takes bytes and returns nothing. Only errors of the package's tree may come, and they end in it: whatever
leaves a target is a finding.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, cast

import requests
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from lit_airflow import LitClient, Scope, Session, Wallet, envelope
from lit_airflow.clock import Deadline
from lit_airflow.errors import LitError
from lit_airflow.handoff import sealed_plaintext, ticket
from lit_airflow.inspection import inspect
from lit_airflow.keys.secret import Secret
from lit_airflow.networks import descriptions
from lit_airflow.networks.chipotle import account_answers, api_errors, gate_answers
from lit_airflow.networks.chipotle.credentials import Credentials
from lit_airflow.networks.chipotle.gate_container import GateContainer, SealingKeys, seal_container
from lit_airflow.networks.chipotle.sealing import public_key_of, reply_info, seal
from lit_airflow.networks.datil import pkp, sev_snp, wire
from lit_airflow.networks.datil.attestation import Evidence, transcript
from lit_airflow.protocol import siwe
from lit_airflow.protocol.auth_sig import AuthRequest, AuthSig
from lit_airflow.protocol.conditions import Conditions
from lit_airflow.protocol.container import Container
from lit_airflow.protocol.delegation import is_usable, needs_new_signature
from lit_airflow.protocol.humanize import humanize
from lit_airflow.protocol.recap import Recap
from lit_airflow.protocol.session_signature import session_signature
from lit_airflow.protocol.session_storage import SESSION_KEY, SessionStorage
from lit_airflow.threshold import ciphertext, curve
from lit_airflow.threshold.shares import Share
from lit_airflow.transport.chain import Chain
from lit_airflow.transport.http import Http, Repeat

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORIGIN = ticket.Origin("reports", "a run", "session")
NETWORK_KEY = curve.times_generator(curve.scalar(b"\x05"))
SIGNATURE = curve.hash_to_g2(b"somebody's identity")
WALLET = Wallet.from_key("11" * 32)
GATE_SECRET = Secret(b"\x05" * 32)
GATE_KEY = public_key_of(GATE_SECRET)
GATE_OUTCOME = {
    "ok": True,
    "sealed": base64.b64encode(seal(GATE_KEY, reply_info(), b"secret")).decode(),
}
CONDITIONS: dict[str, Any] = {
    "chain": "ethereum",
    "unifiedAccessControlConditions": [
        {
            "conditionType": "evmBasic",
            "contractAddress": "",
            "standardContractType": "",
            "chain": "ethereum",
            "method": "",
            "parameters": [":userAddress"],
            "returnValueTest": {"comparator": "=", "value": WALLET.address},
        },
        {"operator": "or"},
        [
            {
                "conditionType": "solRpc",
                "method": "getBalance",
                "params": [":userAddress"],
                "pdaParams": [],
                "pdaInterface": {"offset": 0, "fields": {}},
                "pdaKey": "",
                "chain": "solana",
                "returnValueTest": {"key": "", "comparator": ">=", "value": "1"},
            }
        ],
    ],
}


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        read: Gets what was decoded: a JSON value, or bytes.
        seeds: Makes good inputs, to be spoiled.
        is_json: Whether the input is JSON.
    """

    read: Callable[[Any], object]
    seeds: Callable[[], list[Any]]
    is_json: bool = field(default=True)

    def __call__(self, data: bytes) -> None:
        """Read; whatever leaves is a finding."""
        value: object = data
        if self.is_json:
            try:
                value = json.loads(data)
            except (ValueError, RecursionError):
                return
        self.on(value)

    def on(self, value: object) -> None:
        """The same, decoded already."""
        with suppress(LitError):
            self.read(value)

    def seed_bytes(self) -> list[bytes]:
        """The good inputs, as they travel."""
        return [json.dumps(seed).encode() if self.is_json else seed for seed in self.seeds()]


@cache
def session() -> Session:
    """A session of a network of two nodes; nobody was asked."""
    from lit_airflow.protocol.auth_sig import AuthRequest, sign_in
    from lit_airflow.protocol.session import SessionKey

    key = SessionKey.generate()
    scope = Scope.parse(["access-control-condition-decryption=lit-accesscontrolcondition://*"])
    expiration = "2026-01-02T00:00:00.000Z"
    request = AuthRequest(
        chain="ethereum",
        expiration=expiration,
        uri=key.uri,
        session_key=key,
        nonce="0x" + "ab" * 32,
        scope=scope,
        now=NOW,
        domain=None,
    )
    capabilities = (sign_in(request, WALLET).to_json(),)
    times = ("2026-01-01T00:00:00.000Z", expiration)
    return Session(
        network="custom",
        wallet=WALLET.address,
        public_key=key.public_key,
        scope=scope,
        issued_at=times[0],
        expiration=times[1],
        expires_at=datetime(2026, 1, 2, tzinfo=UTC),
        capabilities=capabilities,
        session_sigs={
            node: session_signature(key, scope, capabilities, times, node)
            for node in ("http://127.0.0.1:7470", "http://127.0.0.1:7471")
        },
        key=key,
    )


class _Opened:
    """A seal that opens to what it is given, as one under a stolen key would."""

    facts: Mapping[str, str] = {"seal": "fernet"}

    def seal(self, plaintext: Secret, _bound: bytes) -> str:
        return base64.b64encode(plaintext.reveal()).decode()

    def open(self, sealed: str, _bound: bytes) -> Secret:
        try:
            return Secret(base64.b64decode(sealed.encode()))
        except ValueError:
            return Secret(sealed.encode("utf-8", "replace"))


def _sealed() -> dict[str, str]:
    encrypted = ciphertext.seal(NETWORK_KEY.to_compressed_bytes(), b"plaintext", b"identity")
    return {"ciphertext": base64.b64encode(encrypted).decode(), "dataToEncryptHash": "ab" * 32}


def _ciphertext(data: bytes) -> None:
    with suppress(LitError):
        ciphertext.check(data)
    ciphertext.unseal(SIGNATURE, data)


def _validators() -> bytes:
    from eth_abi.abi import encode

    node = (2130706433, 0, 7470, WALLET.address, 0, 1, 2)
    return encode(wire.VALIDATORS.outputs, ((3600, 7, 1_800_000_000, 0, 60), 2, [node, node]))


def _abi(data: bytes) -> None:
    wire.validators(wire.VALIDATORS.decode(data.hex()), default_scheme="http")


class _Saying(BaseAdapter):
    """Answers every request with the same thing."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__()
        self._answer = (status, headers, body)

    def send(self, request: requests.PreparedRequest, **_options: Any) -> requests.Response:  # noqa: ANN401
        status, headers, body = self._answer
        raw = HTTPResponse(io.BytesIO(body), headers=headers, status=status, preload_content=False)
        return requests.adapters.HTTPAdapter().build_response(request, raw)

    def close(self) -> None:
        pass


def saying(status: int, headers: Mapping[str, str], body: bytes) -> Http:
    """An ``Http`` that always gets this answer."""
    http = Http()
    http._session.mount("http://", _Saying(status, headers, body))
    return http


def _answer(document: Any) -> None:  # noqa: ANN401 - JSON
    if not isinstance(document, dict):
        return
    status, body = document.get("status"), document.get("body")
    after = document.get("after")
    headers = {
        "Content-Type": "application/json",
        **({"Retry-After": after} if isinstance(after, str) else {}),
    }
    with suppress(UnicodeEncodeError):
        http = saying(
            status if type(status) is int and 200 <= status < 600 else 200, headers, json.dumps(body).encode()
        )
        response = http.post(
            "http://127.0.0.1:1/x", "{}", deadline=Deadline.after(0.05), repeat=Repeat.ALWAYS
        )
        wire.read_answer(response)


def _rpc(document: object) -> None:
    http = saying(200, {"Content-Type": "application/json"}, json.dumps(document).encode())
    chain = Chain(http, "http://127.0.0.1:1", 31337)
    result = chain.call("0x" + "00" * 20, wire.VALIDATORS, (), Deadline.after(5))
    wire.validators(result, default_scheme="http")


def _auth_sig(document: Any) -> None:  # noqa: ANN401 - JSON
    auth_sig = AuthSig.from_json(document)
    scope, key = session().scope, NETWORK_KEY.to_compressed_bytes().hex()
    with suppress(LitError):
        needs_new_signature(
            auth_sig, session_uri="lit:session:00", scope=scope, now=NOW, network_public_key=key
        )
    is_usable(auth_sig, _request(scope), wallet=WALLET.address, network_public_key=key)


def _request(scope: Scope) -> AuthRequest:
    key = session().key
    assert key is not None
    return AuthRequest(
        chain="ethereum",
        expiration="2026-01-02T00:00:00.000Z",
        uri=key.uri,
        session_key=key,
        nonce="0x" + "ab" * 32,
        scope=scope,
        now=NOW,
    )


def _kept(document: Any) -> None:  # noqa: ANN401 - JSON
    text = json.dumps(document)
    SessionStorage({SESSION_KEY: text}).session_key()
    storage: dict[str, str] = {}
    SessionStorage(storage).keep("custom", WALLET.address, AuthSig("", "", "", ""))
    storage = dict.fromkeys(storage, text)
    SessionStorage(storage).auth_sig("custom", WALLET.address)


def _ticket(document: Any) -> None:  # noqa: ANN401 - JSON
    seal = _Opened()
    with suppress(LitError):
        ticket.ticket_scope(ticket.check_ticket(document, seal, network="custom"))
    for name in ("", "reports"):
        with suppress(LitError):
            _open_ticket(document, name)
    _open_ticket(document)


def _open_ticket(document: object, name: str = "") -> object:
    return ticket.open_ticket(document, _Opened(), _load, network="custom", now=NOW, origin=ORIGIN, name=name)


def _load(kind: str, contents: Mapping[str, Any]) -> Session:
    network = LitClient({"nodes": ["http://127.0.0.1:7470"], "threshold": 1})
    return cast("Session", network.load_session(kind, contents))


def _sealed_plaintext(document: object) -> None:
    with suppress(LitError):
        sealed_plaintext.open_plaintext(document, _Opened(), origin=ORIGIN)
    sealed_plaintext.open_plaintext(
        document, _Opened(), origin=ORIGIN, data_hash="ab" * 32, made_by="session"
    )


def _conditions(document: Any) -> None:  # noqa: ANN401 - JSON
    parsed = Conditions.parse(document)
    with suppress(LitError):
        humanize(parsed)
    with suppress(LitError):
        parsed.resource_id("ab" * 32)
    parsed.validate()


def _attestation(document: Any) -> None:  # noqa: ANN401 - JSON
    evidence = Evidence.read(document)
    transcript(evidence)
    sev_snp.certificate_url(evidence.report)
    sev_snp.check_report(evidence.report)


def _report(data: bytes) -> None:
    report = sev_snp.Report(data[: sev_snp.REPORT_BYTES].ljust(sev_snp.REPORT_BYTES, b"\0"))
    sev_snp.verify(report, data, sev_snp.milan(), NOW)


def _envelope(data: bytes) -> None:
    source = io.BytesIO(data)
    head = envelope.read_head(source)
    if head is not None:
        key = Secret(b"k" * 32)
        opened = envelope.tagged_key(key) if head.tagged else key
        envelope.unseal(source, io.BytesIO(), opened, head, segment_bytes=256)


def _an_envelope() -> bytes:
    return _enveloped(envelope.write_head({**_sealed(), **CONDITIONS}))


def _an_old_envelope() -> bytes:
    return _enveloped(envelope.Head({}, b"lit-envelope/1 {}\n"))


def _enveloped(head: envelope.Head) -> bytes:
    target = io.BytesIO()
    envelope.seal(io.BytesIO(b"x" * 900), target, Secret(b"k" * 32), head, segment_bytes=256)
    return target.getvalue()


def _pkp(document: Any) -> None:  # noqa: ANN401 - JSON
    pkp._text(document)
    wire.read_share(document)


def _text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    """A reader of texts, which may hold halves of characters."""
    return lambda data: read(data.decode("utf-8", "surrogateescape"))


def _share() -> bytes:
    return b"\x01" + SIGNATURE.to_compressed_bytes()


def _share_answer() -> dict[str, Any]:
    return {
        "result": "success",
        "signatureShare": {"ProofOfPossession": _share().hex()},
        "shareIndex": 0,
        "curveType": "BLS",
        "siweMessage": session().capabilities[0]["signedMessage"],
        "dataSigned": "ab" * 32,
        "blsRootPubkey": "cd" * 48,
    }


def _a_ticket() -> dict[str, Any]:
    return ticket.make_ticket(session(), _Opened(), network="custom", origin=ORIGIN)  # type: ignore[arg-type]


def _an_old_ticket() -> dict[str, Any]:
    new = {"kind", "dag_id", "run_id"}
    return {key: value for key, value in _a_ticket().items() if key not in new} | {"v": 1}


def _a_sealed_plaintext() -> dict[str, Any]:
    return sealed_plaintext.seal_plaintext(
        Secret(b"plaintext"),
        _Opened(),  # type: ignore[arg-type]
        data_hash="ab" * 32,
        origin=ORIGIN,
        now=NOW,
    )


def _proof() -> dict[str, Any]:
    text = base64.b64encode(b"x" * 32).decode()
    report = base64.b64encode(b"\x02" * sev_snp.REPORT_BYTES).decode()
    return {
        "type": "AMD_SEV_SNP",
        "noonce": text,
        "data": {"A": text},
        "signatures": [text],
        "report": report,
    }


def _description() -> dict[str, Any]:
    nodes = ["http://127.0.0.1:7470", "http://127.0.0.1:7471"]
    return {
        "network": "custom",
        "generation": "datil",
        "rpc_url": "http://127.0.0.1:8545",
        "chain_id": 31337,
        "staking_address": WALLET.address,
        "nodes": nodes,
        "threshold": 2,
        "epoch": 1,
        "network_public_key": NETWORK_KEY.to_compressed_bytes().hex(),
        "contracts": {"RateLimitNFT": WALLET.address},
    }


HANDSHAKE = {
    "serverPublicKey": "",
    "subnetPublicKey": "ab" * 48,
    "networkPublicKey": "ab" * 48,
    "networkPublicKeySet": "ab" * 48,
    "clientSdkVersion": "7.4.0",
    "hdRootPubkeys": [],
    "attestation": None,
    "latestBlockhash": "0x" + "ab" * 32,
}
_REFUSAL = {
    "errorKind": "Validation",
    "errorCode": "NodeNotAuthorized",
    "status": 403,
    "message": "no",
    "details": [],
}


def _gate_container() -> dict[str, Any]:
    """A container of a gate, with all that one may carry."""
    keys = SealingKeys(gate=GATE_KEY, lock=GATE_KEY, recovery=GATE_KEY)
    sealed = seal_container(
        b"secret", Conditions.for_wallet(WALLET.address), keys, {"ethereum": ["https://a.example"]}
    )
    return {**sealed, **Conditions.for_wallet(WALLET.address).to_json(), "network": "chipotle"}


def _gate_answer(answer: object) -> None:
    items = answer.get("items") if isinstance(answer, dict) else None
    for outcome in gate_answers.read_outcomes(answer, len(items) if isinstance(items, list) and items else 1):
        outcome.open(GATE_SECRET, 6)


def _service_answer(answer: object) -> None:
    fields = answer if isinstance(answer, dict) else {}
    status, body = fields.get("status"), json.dumps(fields.get("body"))
    for call in ("lit_action", "add_usage_api_key"):
        found = api_errors.ApiAnswer(status if isinstance(status, int) else 500, "application/json", body)
        failure = api_errors.classify(call, found)
        if failure is not None:
            raise api_errors.error_of(failure, call, "https://api.example")


def _account_lists(row: object) -> None:
    for read in (account_answers.read_usage_key, account_answers.read_group):
        with suppress(LitError):
            read(row)
    account_answers.read_usage_key(row)


TARGETS: dict[str, Target] = {
    "gate-container": Target(
        lambda document: GateContainer.read(Container.parse(document)), lambda: [_gate_container()]
    ),
    "gate-answer": Target(
        _gate_answer, lambda: [GATE_OUTCOME, {"ok": True, "items": [GATE_OUTCOME, GATE_OUTCOME]}]
    ),
    "gate-key": Target(
        gate_answers.read_key,
        lambda: [{"ok": True, "gate": 1, "publicKey": GATE_KEY, "address": WALLET.address.lower()}],
    ),
    "gate-secret": Target(
        lambda document: Credentials.parse(document if isinstance(document, dict) else {}, where="there"),
        lambda: [
            {
                "api_key": "key",
                "gates": {GATE_KEY: {"version": 1, "salt": "5a" * 32}},
                "locks": {GATE_KEY: GATE_SECRET.reveal().hex()},
            }
        ],
    ),
    "service-answer": Target(
        _service_answer,
        lambda: [
            {"status": 200, "body": {"response": {}, "logs": "", "has_error": False}},
            {"status": 200, "body": True},
        ],
    ),
    "account-lists": Target(
        _account_lists,
        lambda: [
            {
                "id": "0x01",
                "api_key_hash": "0x" + "ab" * 32,
                "name": "la1.abcd.1.00",
                "can_create_groups": False,
                "can_manage_ipfs_ids_in_groups": [],
                "can_add_pkp_to_groups": [],
                "can_remove_pkp_from_groups": [],
                "can_execute_in_groups": [1, "0x02"],
            }
        ],
    ),
    "ciphertext": Target(_ciphertext, lambda: [base64.b64decode(_sealed()["ciphertext"])], is_json=False),
    "sealed": Target(
        lambda document: wire.read_sealed(document if isinstance(document, dict) else {}), lambda: [_sealed()]
    ),
    "share": Target(Share.decode, lambda: [_share()], is_json=False),
    "share-answer": Target(wire.read_share, lambda: [_share_answer()]),
    "pkp-answer": Target(_pkp, lambda: [_share_answer()]),
    "handshake": Target(wire.read_handshake, lambda: [HANDSHAKE]),
    "error-body": Target(
        _answer, lambda: [{"status": 403, "after": "5", "body": _REFUSAL}, {"status": 200, "body": HANDSHAKE}]
    ),
    "abi": Target(_abi, lambda: [_validators()], is_json=False),
    "rpc": Target(
        _rpc,
        lambda: [
            {"jsonrpc": "2.0", "id": 1, "result": "0x" + _validators().hex()},
            {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "no"}},
        ],
    ),
    "siwe": Target(
        _text(siwe.read), lambda: [session().capabilities[0]["signedMessage"].encode()], is_json=False
    ),
    "recap": Target(
        _text(Recap.from_urn), lambda: [Recap.of(session().scope.requests).urn().encode()], is_json=False
    ),
    "recap-inside": Target(
        lambda document: (
            Recap.from_urn(
                "urn:recap:" + base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")
            ).statement
        ),
        lambda: [{"att": {"lit-pkp://*": {"Threshold/Signing": [{}]}}, "prf": []}],
    ),
    "auth-sig": Target(
        _auth_sig,
        lambda: [
            dict(session().capabilities[0]),
            {
                "sig": json.dumps({"ProofOfPossession": SIGNATURE.to_compressed_bytes().hex()}),
                "derivedVia": "lit.bls",
                "signedMessage": session().capabilities[0]["signedMessage"],
                "address": WALLET.address,
                "algo": "LIT_BLS",
            },
        ],
    ),
    "session-sigs": Target(
        Session.from_session_sigs, lambda: [json.loads(json.dumps(dict(session().session_sigs)))]
    ),
    "session": Target(Session.from_json, lambda: [session().to_json()]),
    "stored": Target(
        _kept, lambda: [{"publicKey": "ab" * 32, "secretKey": "cd" * 64}, dict(session().capabilities[0])]
    ),
    "ticket": Target(_ticket, lambda: [_a_ticket(), _an_old_ticket()]),
    "sealed-plaintext": Target(_sealed_plaintext, lambda: [_a_sealed_plaintext()]),
    "scope": Target(
        _text(lambda text: Scope.parse([text])), lambda: [b"pkp-signing=lit-pkp://0xab"], is_json=False
    ),
    "conditions": Target(
        _conditions,
        lambda: [
            CONDITIONS,
            {
                "chain": "ethereum",
                "accessControlConditions": [CONDITIONS["unifiedAccessControlConditions"][0]],
            },
            {"chain": "solana", "solRpcConditions": [CONDITIONS["unifiedAccessControlConditions"][2][0]]},
        ],
    ),
    "description": Target(
        lambda document: LitClient(descriptions.describe(document if isinstance(document, dict) else {})),
        lambda: [_description()],
    ),
    "attestation": Target(_attestation, lambda: [_proof()]),
    "report": Target(_report, lambda: [b"\x02" * sev_snp.REPORT_BYTES], is_json=False),
    "inspected": Target(
        lambda document: inspect(document, now=NOW).text(),
        lambda: [_a_ticket(), _an_old_ticket(), json.loads(json.dumps(dict(session().session_sigs)))],
    ),
    "envelope": Target(_envelope, lambda: [_an_envelope(), _an_old_envelope()], is_json=False),
    "wallet-key": Target(_text(Wallet.from_key), lambda: [b"11" * 32], is_json=False),
}
