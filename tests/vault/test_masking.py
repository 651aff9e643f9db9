"""What Airflow's log masker is told of a session, and what a log then shows of it."""

import dataclasses
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk._shared.secrets_masker import _secrets_masker, redact

from lit_airflow.decorators import OpenSession
from lit_airflow.devnet import Devnet
from lit_airflow.handoff.renewal import RenewableSession
from lit_airflow.hooks import LitHook
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session import Session
from lit_airflow.provider.airflow_compat import mask_session
from tests.vault.parts import Bao, Connections

SCOPE = Scope.to_decrypt("0" * 64 + "/" + "1" * 64)
NODES = 100


@pytest.fixture
def session(net: Devnet, bao: Bao, connections: Connections) -> Session:
    """One for many nodes, and nothing masked yet."""
    hook = LitHook("lit_renewer")
    opened = hook.sessions.open(SCOPE)
    assert isinstance(opened, Session)
    assert opened.key is not None
    own = next(iter(opened.session_sigs.values()))
    many = {}
    for number in range(NODES):
        url = f"https://node-{number:03}.example.org:7470"
        text = json.dumps({**json.loads(own["signedMessage"]), "nodeAddress": url}, separators=(",", ":"))
        many[url] = {**own, "sig": opened.key.sign(text), "signedMessage": text}
    _secrets_masker().reset_masker()
    return dataclasses.replace(opened, session_sigs=many)


def logged(session: Session) -> str:
    """All that a task could print of it."""
    return str(redact(json.dumps(session.to_json())))


def test_of_a_session_for_very_many_nodes_nothing_usable_is_shown_and_little_is_masked(
    session: Session,
) -> None:
    """A signature for a node is verified over a text that contains the wallet's delegation, which is masked."""
    mask_session(session)
    assert len(_secrets_masker().patterns) == 2
    shown = logged(session)
    assert session.key is not None
    assert session.key.seed.reveal().hex() not in shown
    delegation = session.capabilities[-1]["sig"]
    assert all(delegation in signed["signedMessage"] for signed in session.session_sigs.values())
    assert delegation not in shown
    assert delegation.removeprefix("0x") not in shown


def test_of_a_session_for_as_many_nodes_as_networks_have_all_is_masked(session: Session) -> None:
    few = dataclasses.replace(session, session_sigs=dict([*session.session_sigs.items()][:10]))
    mask_session(few)
    shown = logged(few)
    assert [secret for secret in few.secrets() if secret in shown] == []


def hold(session: Session) -> RenewableSession:
    return RenewableSession(session=session, lead_s=0)


WAYS: dict[str, Callable[[LitHook, Session], Any]] = {
    "lit.session": lambda hook, session: OpenSession(hook, hold(session)).session,
    "hook.open_ticket": lambda hook, _: hook.open_ticket({}),
    "hook.open_session": lambda hook, _: hook.open_session(SCOPE),
    "hook.get_session_sigs": lambda hook, _: hook.get_session_sigs(SCOPE),
}


@pytest.mark.parametrize("way", WAYS)
def test_of_a_session_that_is_handed_out_all_is_masked(session: Session, way: str) -> None:
    hook = LitHook("lit_renewer")
    few = dataclasses.replace(session, session_sigs=dict([*session.session_sigs.items()][:5]))
    vars(hook)["sessions"] = cast(
        "Any", SimpleNamespace(open=lambda *_a, **_k: few, hold=lambda _: hold(few))
    )
    WAYS[way](hook, few)
    shown = logged(few)
    assert [secret for secret in few.secrets() if secret in shown] == []
    assert len([*few.secrets()]) == 2 + 5
