"""A decrypting task asks the nodes that the session's opener found, and surveys them only if that fails."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from lit_airflow import LitClient, Session, clock
from lit_airflow.errors import ConditionsNotMetError, NodesUnavailableError
from lit_airflow.protocol.session import SESSION_SIGS
from lit_airflow.transport.http import Http
from tests.client.conftest import PLAINTEXT, Job, only

if TYPE_CHECKING:
    from pathlib import Path

HANDSHAKE, SHARE, CHAIN = "/web/handshake/", "/web/encryption/sign/", ""
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of all requests that a client sends."""
    seen: list[str] = []
    post = Http.post

    def noted(http: Http, url: str, body: str, **options: Any) -> Any:  # noqa: ANN401 - as the original
        seen.append(urlsplit(url).path)
        return post(http, url, body, **options)

    monkeypatch.setattr(Http, "post", noted)
    return seen


def unchanged(_committee: dict[str, Any]) -> None:
    """Leave the committee as the opener wrote it."""


def task(job: Job, change: Change = unchanged, **description: Any) -> tuple[LitClient, Session]:  # noqa: ANN401
    """A client of another process, and the session that it read from its ticket's contents."""
    contents = json.loads(json.dumps(job.session.to_json()))
    change(contents["committee"])
    lit = LitClient({**job.net.description, **description}, timeout_s=60)
    session = lit.load_session(SESSION_SIGS, contents)
    assert isinstance(session, Session)
    return lit, session


def decrypt(job: Job, change: Change = unchanged, **description: Any) -> bytes:  # noqa: ANN401 - a description's fields
    lit, session = task(job, change, **description)
    return lit.decrypt(job.sealed, job.conditions, session)


def test_neither_the_chain_nor_a_handshake_is_asked(job: Job, sent: list[str]) -> None:
    lit, session = task(job)
    assert lit.decrypt(job.sealed, job.conditions, session) == PLAINTEXT
    many = lit.decrypt_many([(job.sealed, job.conditions)] * 3, session)
    assert [each.result() for each in many] == [PLAINTEXT] * 3
    assert set(sent) == {SHARE}


def test_what_a_session_opened_from_now_on_needs_is_asked_for(job: Job, sent: list[str]) -> None:
    """A session is for the nodes of the moment, and an answer of ``health`` is one of the moment."""
    lit, _ = task(job)
    lit.open_session(job.wallet, job.session.scope)
    assert sent.count(HANDSHAKE) == 3
    sent.clear()
    task(job)[0].health()
    assert sent.count(HANDSHAKE) == 3


@pytest.mark.parametrize(
    ("change", "description"),
    [
        (unchanged, {"network_public_key": ""}),
        (lambda seen: seen.update(at=clock.iso(clock.now() - timedelta(minutes=15))), {}),
    ],
    ids=["no pinned key", "old"],
)
def test_what_may_not_be_used_is_found_out_anew(
    job: Job, sent: list[str], change: Change, description: dict[str, Any]
) -> None:
    assert decrypt(job, change, **description) == PLAINTEXT
    assert sent.count(HANDSHAKE) == 3
    assert CHAIN in sent


def test_a_description_without_a_chain_knows_its_nodes(job: Job, sent: list[str]) -> None:
    """Others than its own are not asked."""
    assert decrypt(job, rpc_url="") == PLAINTEXT
    assert set(sent) == {SHARE}
    sent.clear()
    assert decrypt(job, lambda seen: seen["nodes"].reverse(), rpc_url="") == PLAINTEXT
    assert sent.count(HANDSHAKE) == 3


def test_a_node_that_failed_the_openers_handshake_is_shown_no_session(job: Job) -> None:
    def first_failed(seen: dict[str, Any]) -> None:
        seen["absent"] = {job.url(0): ["untrusted", "another key"]}

    assert decrypt(job, first_failed) == PLAINTEXT
    assert 0 not in job.asked_for_shares()


def test_one_that_is_needed_is_asked_after_it_has_shaken_hands(job: Job, sent: list[str]) -> None:
    job.net.stop_node(2)
    assert decrypt(job, lambda seen: seen.update(absent={job.url(0): ["timeout", "no answer"]})) == PLAINTEXT
    assert HANDSHAKE in sent
    assert 0 in job.asked_for_shares()


def test_nodes_that_have_changed_since(job: Job) -> None:
    new = job.net.add_node(), job.net.add_node()
    job.net.stop_node(0)
    job.net.stop_node(1)
    assert decrypt(job) == PLAINTEXT
    assert set(new) & set(job.asked_for_shares())


def test_an_error_that_other_nodes_do_not_change(job: Job, sent: list[str]) -> None:
    """Conditions that do not hold are no reason to survey: a sensor asks about them again and again."""
    others = only(job.wallet)
    others["accessControlConditions"][0]["returnValueTest"]["value"] = "0x" + "00" * 19 + "01"
    sealed = job.lit.encrypt(PLAINTEXT, others)
    opened = job.lit.open_session(job.wallet, job.lit.scope_of(sealed, others))
    lit, session = task(replace(job, session=opened))
    sent.clear()
    with pytest.raises(ConditionsNotMetError):
        lit.decrypt(sealed, others, session)
    assert set(sent) == {SHARE}


def test_nodes_that_do_not_answer(job: Job) -> None:
    job.net.stop_node(0)
    job.net.stop_node(1)
    with pytest.raises(NodesUnavailableError) as caught:
        decrypt(job)
    assert set(caught.value.failures) == {job.url(0), job.url(1)}


TASK = """
import json, sys
from lit_airflow import LitClient
parts = json.load(open(sys.argv[1]))
lit = LitClient(parts["network"])
session = lit.load_session("session-sigs/1", parts["session"])
assert lit.decrypt(parts["sealed"], parts["conditions"], session) == parts["plaintext"].encode()
print("\\n".join(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def test_what_a_decrypting_process_imports(job: Job, tmp_path: Path) -> None:
    parts = tmp_path / "parts.json"
    given = {"network": job.net.description, "conditions": job.conditions, "sealed": job.sealed}
    parts.write_text(json.dumps({**given, "session": job.session.to_json(), "plaintext": PLAINTEXT.decode()}))
    done = subprocess.run(
        [sys.executable, "-c", TASK, str(parts)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "lit_airflow" in loaded
    heavy = {"eth_abi", "eth_utils", "eth_typing", "eth_account", "pydantic", "siwe", "web3", "airflow"}
    assert not loaded & (heavy | {"fastapi", "starlette", "tenacity", "hvac"})
