"""Stolen parts: what somebody can do who has some of what decryption takes, in every combination, but not the lock.

The thief sends requests of his own to the gate and does not use this package's client, which would refuse most of
them. The gate's secret comes out of the local network, as a broken enclave or key namespace would give it away.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import cached_property
from itertools import combinations
from typing import Any, cast

import pytest
import requests

from lit_airflow import Conditions, LitClient, Wallet
from lit_airflow.clock import iso, now
from lit_airflow.devnet.chipotle import Chipotle
from lit_airflow.errors import CiphertextError, LitError
from lit_airflow.keys.hpke import open_sealed, public_key_of
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.chipotle.cid import cid_v0
from lit_airflow.networks.chipotle.gate_container import GateContainer
from lit_airflow.networks.chipotle.gate_requests import decrypt_params
from lit_airflow.networks.chipotle.gate_sessions import signature_for
from lit_airflow.networks.chipotle.gates import deployment_text
from lit_airflow.networks.chipotle.sealing import container_info, reply_info, reply_secret_key
from lit_airflow.networks.chipotle.session_signature import gate_session_signature
from lit_airflow.protocol.container import Container
from lit_airflow.protocol.session import Session
from tests.conformance.chipotle.derivation import gate_secret_key
from tests.devnet_chipotle.warm_engine import WarmEngine

OWNER, STRANGER = Wallet.from_key("11" * 32), Wallet.from_key("22" * 32)
PLAINTEXT = b"what only the owner's tasks may read"


class Part(StrEnum):
    """What can be stolen, or made by anybody."""

    API_KEY = "API key and the gate's text"
    CONTAINER = "container"
    EXPIRED = "expired session of the owner, with its key"
    FOREIGN = "session of another wallet, with its key"
    CAPTURED = "request of the owner: a session signature that is valid, without the session's key"
    GATE_SECRET = "gate's secret"


@dataclass
class World:
    """A deployment, its parts, and the answers that the gate gave so far."""

    description: Mapping[str, Any]
    text: str
    gate_secret: Secret
    container: GateContainer
    sessions: Mapping[Part, Session]
    answers: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def signatures(self) -> list[tuple[Part | None, Mapping[str, str]]]:
        """What the gate can be shown, and what must be stolen for it."""
        expired = self.sessions[Part.EXPIRED]
        assert expired.key is not None
        times = (iso(now()), iso(now() + timedelta(minutes=5)))
        again = (expired.key, expired.scope, expired.capabilities, times, self.container.gate)
        stolen = [(part, self.signature(part)) for part in self.sessions]
        return [(None, {}), *stolen, (Part.EXPIRED, gate_session_signature(*again))]

    def signature(self, part: Part) -> Mapping[str, str]:
        return signature_for(self.sessions[part], self.container.gate)

    def ask(self, signature: Mapping[str, str]) -> Any:  # noqa: ANN401 - JSON
        """Have the gate run with the container and a session signature."""
        text = signature.get("signedMessage", "")
        if text not in self.answers:
            self.answers[text] = self.run(self.text, decrypt_params([self.container], signature))
        return self.answers[text]

    def run(self, code: str, params: Mapping[str, Any]) -> Any:  # noqa: ANN401 - JSON
        reply = requests.post(
            f"{self.description['api_url']}/lit_action",
            json={"code": code, "js_params": params},
            headers={"X-Api-Key": self.description["api_key"]},
            timeout=120,
        )
        return reply.json()["response"] if reply.ok else {"status": reply.status_code}


def opened_with(secret: Secret, info: bytes, sealed: bytes) -> bytes | None:
    with suppress(CiphertextError):
        return open_sealed(secret, info, sealed)
    return None


def everything_readable(world: World, parts: set[Part]) -> Iterator[bytes]:
    """All that these parts let a thief read, also where the meaning stays closed to him."""
    gate = world.container
    keys = [world.gate_secret] if Part.GATE_SECRET in parts else []
    keys += [reply_secret_key(world.sessions[part].key) for part in {Part.EXPIRED, Part.FOREIGN} & parts]
    sealed: list[tuple[bytes, bytes]] = []
    if Part.CONTAINER in parts:
        info = container_info(gate.conditions.identity(gate.data_hash), gate.rpc)
        sealed.append((info, gate.ciphertext))
    if {Part.API_KEY, Part.CONTAINER} <= parts:
        for part, signature in world.signatures:
            if part is not None and part not in parts:
                continue
            answer = world.ask(signature)
            yield str(answer).encode()
            if "sealed" in answer:
                sealed.append((reply_info(), base64.b64decode(answer["sealed"])))
    for info, ciphertext in sealed:
        yield ciphertext
        for key in keys:
            opened = opened_with(key, info, ciphertext)
            if opened is not None:
                yield opened


def make_world(net: Chipotle, **changes: object) -> World:
    description = {**cast("dict[str, Any]", net.description), **changes}
    owner = LitClient(description, timeout_s=60)
    made = owner.make_container(PLAINTEXT, Conditions.for_wallet(OWNER.address))
    scope = owner.scope_of(made, made)
    hours_ago = LitClient(description, timeout_s=60, clock=lambda: now() - timedelta(hours=2))
    entry = description["gates"][made["gate"]]
    text = deployment_text(entry["version"], entry["salt"])
    action_secret = net.network.state.keys.action_secret(cid_v0(text))
    sessions = {
        Part.EXPIRED: hours_ago.open_session(OWNER, scope, ttl_s=3600),
        Part.FOREIGN: owner.open_session(STRANGER, scope),
        Part.CAPTURED: owner.open_session(OWNER, scope),
    }
    return World(
        description,
        text,
        gate_secret_key(action_secret.hex()),
        GateContainer.read(Container.parse(made)),
        cast("dict[Part, Session]", sessions),
    )


@pytest.fixture(scope="module")
def net(warm: WarmEngine) -> Iterator[Chipotle]:
    with Chipotle() as running:
        yield warm.serve(running)


@pytest.fixture(scope="module")
def world(net: Chipotle) -> World:
    return make_world(net)


SUBSETS = [set(chosen) for size in range(len(Part) + 1) for chosen in combinations(Part, size)]


@pytest.mark.parametrize(
    "parts", SUBSETS, ids=lambda parts: ", ".join(sorted(p.name for p in parts)) or "none"
)
def test_stolen_parts_open_nothing(world: World, parts: set[Part]) -> None:
    for readable in everything_readable(world, parts):
        assert PLAINTEXT not in readable
        assert PLAINTEXT.hex().encode() not in readable
        assert base64.b64encode(PLAINTEXT) not in readable


def test_the_gate_refuses_each_session_for_its_own_reason(world: World) -> None:
    found = [(part, world.ask(signature).get("code", "sealed")) for part, signature in world.signatures]
    assert found == [
        (None, "NodeInvalidMultipleAuthSigs"),
        (Part.EXPIRED, "NodeExpWrongOrTooLarge"),
        (Part.FOREIGN, "NodeAccessControlConditionsReturnedNotAuthorized"),
        (Part.CAPTURED, "sealed"),  # to the session's key, which was not stolen
        (Part.EXPIRED, "NodeSIWECapabilityInvalid"),  # signed again: the delegation has ended too
    ]


def test_the_gates_secret_was_the_real_one_and_the_lock_is_what_holds(world: World, net: Chipotle) -> None:
    assert public_key_of(world.gate_secret) == world.container.gate
    unlocked = make_world(net, lock_key="")
    assert PLAINTEXT in set(everything_readable(unlocked, {Part.CONTAINER, Part.GATE_SECRET}))
    (inner,) = (
        found
        for found in everything_readable(world, {Part.CONTAINER, Part.GATE_SECRET})
        if found != world.container.ciphertext
    )
    lock = Secret(bytes.fromhex(world.description["locks"][world.container.lock]))
    assert world.container.unlock(inner, lock) == PLAINTEXT


def test_with_the_sessions_key_and_the_lock_it_opens(world: World) -> None:
    sealed = base64.b64decode(world.ask(world.signature(Part.CAPTURED))["sealed"])
    reply_key = reply_secret_key(world.sessions[Part.CAPTURED].key)
    inner = open_sealed(reply_key, reply_info(), sealed)
    lock = Secret(bytes.fromhex(world.description["locks"][world.container.lock]))
    assert PLAINTEXT not in inner
    assert world.container.unlock(inner, lock) == PLAINTEXT


def test_the_api_key_runs_no_action_that_gives_the_secret_away(world: World) -> None:
    for code in (
        "async function main() { return Lit.Actions.getLitActionPrivateKey(); }",
        world.text + "// \n",
        world.text.replace('"use strict";', '"use strict"; '),
    ):
        assert world.run(code, {"ask": "key"}) == {"status": 403}


def test_a_decrypting_role_without_the_lock_opens_nothing(world: World) -> None:
    """The package's own client, with everything but the lock's secret."""
    lit = LitClient({k: v for k, v in world.description.items() if k != "locks"}, timeout_s=60)
    made = lit.make_container(PLAINTEXT, Conditions.for_wallet(OWNER.address))
    session = lit.open_session(OWNER, lit.scope_of(made, made))
    with pytest.raises(LitError, match="lock"):
        lit.decrypt(made, made, session)
