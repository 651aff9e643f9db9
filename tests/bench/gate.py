"""Chipotle: the client beside Datil's, encryption beside plain HPKE, batches beside plain HTTP, and the gate.

The service runs in a process of its own, with real Deno in further ones. Client figures are CPU time of this one.
"""

from __future__ import annotations

import json
import secrets
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from lit_airflow import Conditions, LitClient, Session
from lit_airflow.devnet.deno import DenoRunner, Host, Limits
from lit_airflow.networks.chipotle.gates import NEWEST, deployment_text
from tests.bench import comparison, growth
from tests.bench.comparison import CONDITIONS, Net
from tests.bench.measure import medians_ms
from tests.bench.ours import timed

Json = dict[str, Any]

DATIL_NODES = (2, 10)
"""Our Datil has two nodes at least. One node's cost is on the line through these two."""
DELAY_S = 0.05
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_SECRET_BYTES = 1000
_BATCH = 50
_TIMEOUT_S = 300


@contextmanager
def service() -> Iterator[Net]:
    """A local service in a process of its own, with credit that does not run out."""
    command = [sys.executable, "-m", "lit_airflow.cli", "devnet", "--generation", "chipotle"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            net = Net(json.loads(process.stdout.readline()), process.pid)
            _control(net, "credit", cents=10_000_000)
            yield net
        finally:
            process.terminate()


def _control(net: Net, path: str, **body: object) -> None:
    url = f"{net.description['control_url']}/{path}"
    requests.post(url, json=body, timeout=_TIMEOUT_S).raise_for_status()


def _runs(net: Net) -> int:
    listed = requests.get(f"{net.description['control_url']}/requests", timeout=_TIMEOUT_S).json()
    return sum(each["call"] == "lit_action" for each in listed)


def client_cost(rounds: int) -> Json:
    """CPU milliseconds of one warm decryption of 1 kB: with a gate, and on Datil with as many nodes."""
    with service() as gate, comparison.devnet(2) as two, comparison.devnet(10) as ten:
        nets = {"gate": gate, "datil_2": two, "datil_10": ten}
        clients = {name: _Decrypting(net) for name, net in nets.items()}
        for client in clients.values():
            client()
        took = medians_ms(rounds, **clients)
    fewest, most = DATIL_NODES
    per_node = (took["datil_10"] - took["datil_2"]) / (most - fewest)
    one = took["datil_2"] - per_node * (fewest - 1)
    return {"what": "decrypt 1 kB", **took, "datil_1": one, "ratio": took["gate"] / one}


class _Decrypting:
    """Decrypts one container again and again."""

    def __init__(self, net: Net) -> None:
        self.client, self.session = LitClient(net.description), comparison.session(net)
        self.sealed = self.client.encrypt(bytes(_SECRET_BYTES), CONDITIONS)

    def __call__(self) -> object:
        return self.client.decrypt(self.sealed, CONDITIONS, self.session)


def encryption(rounds: int, sizes: Sequence[int] = (_SECRET_BYTES, 70_000)) -> list[Json]:
    """CPU milliseconds to encrypt 1 kB and 70 kB, with and without a lock, beside the library's own seals."""
    gate, lock = (secrets.token_bytes(32) for _ in range(2))
    keys = [_public(key) for key in (gate, lock)]
    conditions, rows = Conditions.parse(CONDITIONS), []
    for size in sizes:
        for seals in (1, 2):
            plaintext, recipients = secrets.token_bytes(size), keys[:seals]
            raw = [recipient.public_bytes_raw().hex() for recipient in recipients]
            given = {"gate_key": raw[0], **({"lock_key": raw[1]} if seals > 1 else {})}
            lit = LitClient({"network": "chipotle", **given})

            def ours(lit: LitClient = lit, plaintext: bytes = plaintext) -> object:
                return lit.encrypt(plaintext, conditions)

            def sealed(
                recipients: Sequence[X25519PublicKey] = recipients, plaintext: bytes = plaintext
            ) -> None:
                for recipient in recipients:
                    _SUITE.encrypt(plaintext, recipient, info=bytes(200))

            ours()
            took = medians_ms(rounds, ours=ours, sealed=sealed)
            rows.append(
                {"bytes": size, "seals": seals, **took, "ratio": took["ours"] / max(took["sealed"], 1e-6)}
            )
    return rows


def _public(secret: bytes) -> X25519PublicKey:
    return X25519PrivateKey.from_private_bytes(secret).public_key()


def batches(count: int, singly: int) -> Json:
    """So many secrets of 1 kB at 50 ms of delay, beside one call per secret with plain ``requests``.

    Args:
        count: How many at once.
        singly: How many with one call each, in turns with the others; the cost of one does not depend on it.
    """
    with service() as net:
        lit, session = LitClient(net.description, timeout_s=_TIMEOUT_S), comparison.session(net)
        sealed = lit.encrypt(bytes(_SECRET_BYTES), CONDITIONS)
        plain = _Plain.of(net, session, sealed)
        plain()
        _control(net, "faults", fault="slow", call="lit_action", seconds=DELAY_S)
        first = timed(lambda: [plain() for _ in range(singly // 2)])
        before = _runs(net)
        took = timed(lambda: growth.decrypt_all(lit, sealed, session, count))
        runs = _runs(net) - before
        last = timed(lambda: [plain() for _ in range(singly - singly // 2)])
    each_ms = (first["wall_ms"] + last["wall_ms"]) / singly
    return {
        "secrets": count,
        "runs": runs,
        "fewer_runs": count / runs,
        "wall_s": took["wall_ms"] / 1000,
        "cpu_s": took["cpu_ms"] / 1000,
        "single_ms": each_ms,
        "faster": each_ms * count / took["wall_ms"],
    }


@dataclass(frozen=True, slots=True)
class _Plain:
    """One call for one secret, as somebody would write it; opening the answer is left out."""

    url: str
    headers: Json
    body: Json

    @classmethod
    def of(cls, net: Net, session: Session, sealed: Json) -> _Plain:
        described = net.description
        gate = described["gates"][described["gate_key"]]
        (signature,) = session.session_sigs.values()
        return cls(
            f"{described['api_url']}/lit_action",
            {"Authorization": f"Bearer {described['api_key']}"},
            {
                "code": deployment_text(gate["version"], gate["salt"]),
                "js_params": {**CONDITIONS, **sealed, "authSig": signature},
            },
        )

    def __call__(self) -> None:
        answer = requests.post(self.url, json=self.body, headers=self.headers, timeout=_TIMEOUT_S)
        if answer.json()["response"]["ok"] is not True:
            raise SystemExit(f"a plain call failed: {answer.text[:300]}")


def many(counts: Sequence[int]) -> list[Json]:
    """CPU seconds and the peak of memory of the client, for so many secrets in one call."""
    with service() as net:
        rows = growth.by_secrets(net, 1, counts)
    return [{name: value for name, value in row.items() if name != "nodes"} for row in rows]


def of_an_item(rounds: int) -> Json:
    """CPU milliseconds of the gate per item of a batch of 50 of 1 kB, in a warm engine; and of the first run."""
    ikm, salt = secrets.token_bytes(32), secrets.token_hex(32)
    text = deployment_text(NEWEST, salt)
    host = Host(calls={"getLitActionPrivateKey": lambda _: f"0x{ikm.hex()}"})
    with DenoRunner(spare=1, runs_per_worker=10_000, limits=Limits(memory_mb=512)) as runner:
        asked = json.loads(runner.run(text, '{"ask":"key"}', host).response)
        params = _batch_for(asked["publicKey"])
        (worker,) = runner._idle
        engine = Net({}, worker._process.pid)

        def cpu_ms() -> float:
            before = engine.cpu_ms()
            answer = json.loads(runner.run(text, params, host).response)
            spent = engine.cpu_ms() - before
            if not all(item["ok"] for item in answer["items"]):
                raise SystemExit(f"the gate refused: {answer}")
            return spent / _BATCH

        first = cpu_ms()
        warm = [cpu_ms() for _ in range(rounds)]
    return {"items": _BATCH, "first_ms": first, "warm_ms": statistics.median(warm)}


def _batch_for(gate_key: str) -> str:
    """A batch for a gate, as the client would send it."""
    lit = LitClient({"network": "chipotle", "gate_key": gate_key})
    session = comparison.session(Net({"network": "chipotle", "gate_key": gate_key}, 0))
    (signature,) = session.session_sigs.values()
    items = [
        {**CONDITIONS, **lit.encrypt(secrets.token_bytes(_SECRET_BYTES), CONDITIONS)} for _ in range(_BATCH)
    ]
    return json.dumps({"items": items, "authSig": signature})
