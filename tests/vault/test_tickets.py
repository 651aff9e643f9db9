"""Sealing a session and opening it elsewhere: who may, and what does not open."""

import dataclasses
import json
import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from airflow.providers.common.compat.sdk import BaseHook
from cryptography.fernet import Fernet

from lit_airflow import LitClient, Scope
from lit_airflow.clock import iso
from lit_airflow.devnet import Devnet
from lit_airflow.errors import (
    LitError,
    SecretNotFoundError,
    SessionExpiredError,
    SettingsError,
    TicketError,
    VaultDeniedError,
    VaultUnavailableError,
)
from lit_airflow.handoff.origin import Origin
from lit_airflow.handoff.seal import seal_with_facts
from lit_airflow.handoff.ticket import open_ticket
from lit_airflow.hooks import LitHook
from lit_airflow.keys.secret import Secret
from lit_airflow.protocol.session import Session
from lit_airflow.sandbox.processes import free_port
from lit_airflow.sandbox.vault_server import KV_PATH, POLICIES
from lit_airflow.transport.http import Http
from tests.vault.parts import KEY_READ, LOGIN, OPENED, SEALED, TOKEN, Bao, Connections, forms, running, told

pytestmark = pytest.mark.usefixtures("connections")

SCOPE = Scope.to_decrypt("0" * 64 + "/" + "1" * 64)
HERE = {"dag_id": "nightly", "run_id": "monday"}
SHAPE = {
    "v": int,
    "kind": str,
    "network": str,
    "wallet": str,
    "session_public_key": str,
    "scope": list,
    "issued_at": str,
    "expires_at": str,
    "made_by": str,
    "dag_id": str,
    "run_id": str,
    "seal": str,
    "sealed": str,
}
Ticket = dict[str, Any]


@pytest.fixture(scope="module")
def session(bao: Bao, devnet: Devnet) -> Session:
    return LitClient(devnet.description).open_session(bao.wallet, SCOPE)


@pytest.fixture(params=["transit", "fernet"])
def seal(request: pytest.FixtureRequest, connections: Connections) -> str:
    """Both roles, with this seal."""
    if request.param == "fernet":
        secret = Fernet.generate_key().decode()
        connections.lit("lit_renewer", vault_path=KV_PATH, seal="fernet", seal_secret=secret)
        connections.lit("lit_consumer", "vault_consumer", seal="fernet", seal_secret=secret)
    return str(request.param)


def through_xcom(ticket: Ticket) -> Ticket:
    """As Airflow stores it."""
    stored: Ticket = json.loads(json.dumps(ticket))
    return stored


def refused(kind: type[LitError], session: Session, action: Callable[[], object]) -> LitError:
    """The error; it tells nothing of the session."""
    with pytest.raises(kind) as caught:
        action()
    shown = told(caught.value).encode()
    assert session.key is not None
    for secret in (
        session.key.seed.reveal(),
        *(sig["sig"].encode() for sig in session.session_sigs.values()),
    ):
        assert not [form for form in forms(secret) if form in shown]
    assert not TOKEN.search(shown)
    return caught.value


def test_both_roles_open_what_the_renewer_sealed(seal: str, session: Session) -> None:
    ticket = through_xcom(LitHook("lit_renewer").make_ticket(session))
    assert ticket["seal"] == seal
    for conn_id in ("lit_renewer", "lit_consumer"):
        opened = LitHook(conn_id).open_ticket(ticket)
        assert opened == session
        assert opened.to_json() == session.to_json()


def test_the_shape_of_a_ticket(seal: str, session: Session, bao: Bao) -> None:
    with running("session", **HERE):
        ticket = LitHook("lit_renewer").make_ticket(session)
    extra = {"transit_mount": "transit", "transit_key": "lit-sessions"} if seal == "transit" else {}
    assert through_xcom(ticket) == ticket
    assert {key: type(value) for key, value in ticket.items()} == SHAPE | dict.fromkeys(extra, str)
    assert {key: ticket[key] for key in extra} == extra
    assert (ticket["v"], ticket["kind"], ticket["made_by"]) == (2, "session-sigs/1", "nightly.session")
    assert {key: ticket[key] for key in HERE} == HERE
    assert (ticket["network"], ticket["wallet"]) == ("custom", bao.wallet.address)
    assert ticket["session_public_key"] == session.public_key
    assert ticket["scope"] == [
        {"resource": r.resource.key, "ability": "access-control-condition-decryption"} for r in SCOPE.requests
    ]
    for time in ("issued_at", "expires_at"):
        assert datetime.fromisoformat(ticket[time]).utcoffset() == timedelta(0)
        assert ticket[time].endswith("Z")


def test_nothing_of_the_session_is_in_clear(seal: str, session: Session) -> None:
    stored = json.dumps(LitHook("lit_renewer").make_ticket(session)).encode()
    assert session.key is not None
    secrets = [
        session.key.seed.reveal(),
        *(capability["sig"].encode() for capability in session.capabilities),
    ]
    secrets += [sig["sig"].encode() for sig in session.session_sigs.values()]
    assert len(secrets) == 5
    assert not [form for secret in secrets for form in forms(secret) if form in stored]


def test_a_ticket_for_100_nodes_is_small(seal: str, session: Session) -> None:
    own = next(iter(session.session_sigs.values()))
    assert session.key is not None
    many = {}
    for number in range(100):
        url = f"https://node-{number:03}.some-network.example.org:7470"
        text = json.dumps({**json.loads(own["signedMessage"]), "nodeAddress": url}, separators=(",", ":"))
        many[url] = {**own, "sig": session.key.sign(text), "signedMessage": text}
    hook = LitHook("lit_renewer")
    ticket = hook.make_ticket(dataclasses.replace(session, session_sigs=many))
    assert len(json.dumps(ticket)) < 48 * 1024
    # Not with the hook, which gives each secret to Airflow's log masker: so many keep it busy for seconds.
    load, now = hook.client.load_session, datetime.now(UTC)
    opened = open_ticket(ticket, hook.seal, load, network="custom", now=now, origin=Origin())
    assert opened.session_sigs == many


def test_the_consumer_may_not_seal(bao: Bao, session: Session) -> None:
    def seal() -> None:
        LitHook("lit_consumer").make_ticket(session)

    error = refused(VaultDeniedError, session, seal)
    assert "vault_consumer" in str(error)
    assert "transit/encrypt/lit-sessions" in str(error)
    assert not error.retryable


def altered(text: str, at: int) -> str:
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


CHANGES: dict[str, Callable[[Ticket], Mapping[str, Any]]] = {
    "ciphertext": lambda t: {"sealed": altered(t["sealed"], len(t["sealed"]) // 2)},
    "cut short": lambda t: {"sealed": t["sealed"][: len(t["sealed"]) // 2]},
    "empty": lambda _: {"sealed": ""},
    "no base64": lambda t: {"sealed": t["sealed"][:20] + "§" + t["sealed"][21:]},
    "half a character": lambda t: {"sealed": t["sealed"][:20] + "\ud800" + t["sealed"][21:]},
    "wallet": lambda _: {"wallet": "0x" + "11" * 20},
    "session key": lambda _: {"session_public_key": "22" * 32},
    "wider scope": lambda t: {"scope": [{**t["scope"][0], "resource": "lit-accesscontrolcondition://*"}]},
    "issued later": lambda _: {"issued_at": iso(datetime.now(UTC))},
    "longer life": lambda _: {"expires_at": iso(datetime.now(UTC) + timedelta(days=9))},
    "a further fact": lambda _: {"note": "x"},
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_altered_ticket_does_not_open(seal: str, session: Session, change: str) -> None:
    ticket = LitHook("lit_renewer").make_ticket(session)
    changed = ticket | CHANGES[change](ticket)
    error = refused(TicketError, session, lambda: LitHook("lit_consumer").open_ticket(changed))
    assert error.hint
    assert not error.retryable


@pytest.mark.parametrize(
    ("change", "told_of"),
    [
        ({"v": 3}, "version 3"),
        ({"v": "2"}, 'version "2"'),
        ({"v": True}, "version True"),
        ({"v": 10**4400}, "Unknown ticket version;"),
        ({"kind": None}, "incomplete"),
        ({"network": "datil-dev"}, "datil-dev"),
        ({"seal": "plain"}, "plain"),
        ({"expires_at": "soon"}, "expires_at is not a time"),
        ({"expires_at": "2030-01-01T00:00:00"}, "expires_at is not a time"),
        ({"sealed": None}, "incomplete"),
        ({"wallet": 1}, "incomplete"),
        ({"dag_id": 1}, "incomplete"),
        ({"note": 10**4400}, "altered"),
    ],
)
def test_a_ticket_of_another_kind_is_refused_without_asking_vault(
    bao: Bao, session: Session, change: Ticket, told_of: str
) -> None:
    ticket = LitHook("lit_renewer").make_ticket(session)
    with bao.watched() as paths:
        error = refused(TicketError, session, lambda: LitHook("lit_consumer").open_ticket(ticket | change))
    assert told_of in str(error)
    assert paths == []


@pytest.mark.parametrize(
    ("nothing", "hint"),
    [
        (None, "session_task.output"),
        ([], "A mapped session task has one for each instance"),
        (1, "session_task.output"),
        (b"ticket", "session_task.output"),
    ],
)
def test_no_ticket_at_all(session: Session, nothing: object, hint: str) -> None:
    error = refused(TicketError, session, lambda: LitHook("lit_consumer").open_ticket(nothing))
    assert hint in error.hint


def test_an_expired_ticket_names_both_times(bao: Bao, session: Session) -> None:
    hook = LitHook("lit_renewer")
    ticket = hook.make_ticket(session)
    later = session.expires_at

    def opened(now: datetime) -> object:
        load = hook.client.load_session
        return open_ticket(ticket, hook.seal, load, network="custom", now=now, origin=Origin())

    with bao.watched() as paths:
        error = refused(SessionExpiredError, session, lambda: opened(later))
    assert isinstance(error, SessionExpiredError)
    assert error.now == later
    assert ticket["expires_at"] in str(error)
    assert iso(error.expired_at) == ticket["expires_at"]
    assert paths == []
    assert opened(later - timedelta(milliseconds=1)) == session


def test_a_ticket_that_has_ended_has_ended_for_who_has_the_wallet_too(
    bao: Bao, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = LitHook("lit_renewer")
    ticket = hook.make_ticket(hook.open_session(SCOPE, ttl_s=60))
    later = datetime.now(UTC) + timedelta(seconds=61)
    monkeypatch.setattr("lit_airflow.clock.now", lambda: later)
    with bao.watched() as paths:
        for conn_id in ("lit_renewer", "lit_consumer"):
            with pytest.raises(SessionExpiredError):
                LitHook(conn_id).hold(ticket)
    assert paths == []  # nobody takes the key from Vault for it


@pytest.mark.parametrize(
    ("change", "told_of"),
    [({"dag_id": "payroll"}, "the DAG nightly, not"), ({"run_id": "tuesday"}, "run monday of")],
)
def test_a_ticket_is_for_its_run(bao: Bao, session: Session, change: dict[str, str], told_of: str) -> None:
    with running("session", **HERE):
        ticket = LitHook("lit_renewer").make_ticket(session)
    for conn_id in ("lit_renewer", "lit_consumer"):
        with running("decrypt", **HERE):
            assert LitHook(conn_id).open_ticket(ticket) == session
        with bao.watched() as paths, running("decrypt", **(HERE | change)):
            error = refused(TicketError, session, lambda: LitHook(conn_id).open_ticket(ticket))  # noqa: B023
        assert told_of in str(error).replace('"', "")
        assert "with a name" in error.hint
        assert paths == []


def test_a_ticket_of_version_1_is_still_read(seal: str, session: Session) -> None:
    """It was made while an earlier version of this package ran, and says of no run."""
    hook = LitHook("lit_renewer")
    with running("session", **HERE):
        ticket = hook.make_ticket(session)
    facts = {key: ticket[key] for key in SHAPE if key not in ("kind", "dag_id", "run_id", "sealed", "seal")}
    contents = Secret(zlib.compress(json.dumps(session.to_json()).encode()))
    old = seal_with_facts(facts | {"v": 1}, contents, hook.seal)
    assert set(old) - set(hook.seal.facts) == {*facts, "sealed"}
    with running("decrypt", **HERE):
        assert LitHook("lit_consumer").open_ticket(old) == session
        refused(TicketError, session, lambda: LitHook("lit_consumer").open_ticket(old | {"v": 2}))
        refused(TicketError, session, lambda: LitHook("lit_consumer").open_ticket(old | {"made_by": "me"}))


# Names that occur in Vault's error texts too: the reason must come from the reason, not from the URL.
@pytest.mark.parametrize("name", ["lit-sessions-2", "login-role", "admin"])
def test_a_ticket_sealed_under_another_transit_key(
    bao: Bao, connections: Connections, session: Session, name: str
) -> None:
    bao.admin.secrets.transit.create_key(name)
    policy = f'path "transit/+/{name}" {{ capabilities = ["update"] }}'
    connections.vault("vault_other", bao.port, bao.role("other", policy))
    connections.lit("lit_other", "vault_other", transit_key=name)
    ticket = LitHook("lit_renewer").make_ticket(session)

    error = refused(TicketError, session, lambda: LitHook("lit_other").open_ticket(ticket))
    assert "under another key, which this connection does not open" in str(error)
    relabelled = ticket | {"transit_key": name}
    error = refused(TicketError, session, lambda: LitHook("lit_other").open_ticket(relabelled))
    assert "altered, or sealed under another key" in str(error)


def test_a_role_that_may_not_open_is_told_so(connections: Connections, session: Session) -> None:
    ticket = LitHook("lit_renewer").make_ticket(session)
    connections.lit("lit_consumer", "vault_consumer", transit_key="another")
    elsewhere = ticket | {"transit_key": "another"}
    error = refused(VaultDeniedError, session, lambda: LitHook("lit_consumer").open_ticket(elsewhere))
    assert "transit/decrypt/another" in str(error)
    assert "vault_consumer" in str(error)


@pytest.mark.parametrize(("mount", "key"), [("transit", "unknown"), ("nowhere", "lit-sessions")])
def test_an_unknown_transit_key_or_mount(
    bao: Bao, connections: Connections, session: Session, mount: str, key: str
) -> None:
    policy = f'path "{mount}/+/{key}" {{ capabilities = ["update"] }}'
    connections.vault("vault_lost", bao.port, bao.role("lost", policy))
    connections.lit("lit_lost", "vault_lost", transit_mount=mount, transit_key=key)
    ticket = LitHook("lit_renewer").make_ticket(session) | {"transit_mount": mount, "transit_key": key}
    error = refused(SecretNotFoundError, session, lambda: LitHook("lit_lost").open_ticket(ticket))
    assert f"{mount}/decrypt/{key}" in str(error)
    assert "vault_lost" in str(error)


def test_rotation_keeps_old_tickets_until_vault_is_told_otherwise(
    bao: Bao, connections: Connections, session: Session
) -> None:
    transit = bao.admin.secrets.transit
    transit.create_key("rotated")
    policy = POLICIES["lit-renewer"].replace("lit-sessions", "rotated")
    connections.vault("vault_rotated", bao.port, bao.role("rotated", policy))
    connections.lit("lit_rotated", "vault_rotated", transit_key="rotated")
    hook = LitHook("lit_rotated")
    ticket = hook.make_ticket(session)
    transit.rotate_key("rotated")
    assert hook.open_ticket(ticket) == session
    transit.update_key_configuration("rotated", min_decryption_version=2)
    error = refused(TicketError, session, lambda: hook.open_ticket(ticket))
    assert "below the minimum" in str(error)


def test_a_ticket_sealed_under_another_fernet_key(connections: Connections, session: Session) -> None:
    for conn_id in ("lit_renewer", "lit_consumer"):
        secret = Fernet.generate_key().decode()
        connections.lit(conn_id, vault_path=KV_PATH, seal="fernet", seal_secret=secret)
    ticket = LitHook("lit_renewer").make_ticket(session)
    refused(TicketError, session, lambda: LitHook("lit_consumer").open_ticket(ticket))


@pytest.mark.parametrize("secret", ["", "short", "§" * 43 + "="])
def test_a_fernet_key_that_is_none(connections: Connections, session: Session, secret: str) -> None:
    connections.lit("lit_renewer", seal="fernet", seal_secret=secret)
    error = refused(SettingsError, session, lambda: LitHook("lit_renewer").make_ticket(session))
    assert isinstance(error, SettingsError)
    assert error.field == "seal_secret"
    assert not secret or secret not in told(error)


def test_opening_with_fernet_needs_no_vault(bao: Bao, connections: Connections, session: Session) -> None:
    secret = Fernet.generate_key().decode()
    connections.lit("lit_renewer", vault_path=KV_PATH, seal="fernet", seal_secret=secret)
    connections.lit("lit_consumer", "no_such_connection", seal="fernet", seal_secret=secret)
    ticket = LitHook("lit_renewer").make_ticket(session)
    with bao.watched() as paths:
        assert LitHook("lit_consumer").open_ticket(ticket) == session
    assert paths == []


def test_an_unreachable_or_sealed_vault_is_worth_a_retry(
    bao: Bao, connections: Connections, session: Session
) -> None:
    ticket = LitHook("lit_renewer").make_ticket(session)
    connections.vault("vault_consumer", free_port(), bao.consumer)
    error = refused(VaultUnavailableError, session, lambda: LitHook("lit_consumer").open_ticket(ticket))
    assert error.retryable
    assert "vault_consumer" in str(error)


def test_a_refused_login_is_not_taken_for_an_altered_ticket(
    bao: Bao, connections: Connections, session: Session
) -> None:
    ticket = LitHook("lit_renewer").make_ticket(session)
    bao.admin.sys.enable_auth_method("userpass")
    for extra in ({"auth_type": "userpass"}, {"auth_mount_point": "gone"}):
        connections.vault("vault_consumer", bao.port, bao.consumer, **extra)
        error = refused(VaultDeniedError, session, lambda: LitHook("lit_consumer").open_ticket(ticket))
        assert "vault_consumer" in str(error)
        assert "login" in str(error)


def test_a_renewal_is_one_login_and_one_key_read(bao: Bao, connections: Connections) -> None:
    with bao.watched() as paths:
        hook = LitHook("lit_renewer")
        ticket = hook.make_ticket(hook.open_session(SCOPE))
    assert paths == [LOGIN, KEY_READ, SEALED]
    with bao.watched() as paths:
        LitHook("lit_consumer").open_ticket(ticket)
    assert paths == [LOGIN, OPENED]


def test_what_a_decrypting_task_asks_for(
    bao: Bao,
    net: Devnet,
    container: dict[str, Any],
    connections: Connections,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One login, one more request to Vault, the nodes' shares. Each connection is read once."""
    connections.lit(
        "lit_consumer", "vault_consumer", network_public_key=net.description["network_public_key"]
    )
    renewer = LitHook("lit_renewer")
    ticket = through_xcom(renewer.make_ticket(renewer.open_session(renewer.scope_of(container))))
    asked, read, masked = list[str](), list[str](), list[object]()
    post, get_connection = Http.post, BaseHook.get_connection

    def noted_post(http: Http, url: str, body: str, **options: Any) -> Any:  # noqa: ANN401 - as the original
        asked.append(urlsplit(url).path)
        return post(http, url, body, **options)

    def noted_connection(conn_id: str) -> Any:  # noqa: ANN401 - Airflow's
        read.append(conn_id)
        return get_connection(conn_id)

    monkeypatch.setattr(Http, "post", noted_post)
    monkeypatch.setattr(BaseHook, "get_connection", staticmethod(noted_connection))
    monkeypatch.setattr("airflow.sdk.log.mask_secret", lambda secret, _name=None: masked.append(secret))
    with bao.watched() as paths:
        hook = LitHook("lit_consumer")
        assert hook.decrypt(container, hook.hold(ticket)) == b"the plaintext"
    assert paths == [LOGIN, OPENED]
    assert set(asked) == {"/web/encryption/sign/"}
    assert read == ["lit_consumer", "vault_consumer"]
    assert [len(each) for each in masked if isinstance(each, list)] == [2 + 3]  # one message for all secrets


def test_a_token_that_ends_between_read_and_seal_costs_one_more_login(
    bao: Bao, connections: Connections
) -> None:
    hook = LitHook("lit_renewer")
    session = hook.open_session(SCOPE)
    bao.revoke_logins()
    with bao.watched() as paths:
        hook.make_ticket(session)
    assert paths[-2:] == [LOGIN, SEALED]
    assert paths[:-2] in ([], [SEALED])


def test_the_opened_session_decrypts(
    net: Devnet, container: dict[str, Any], connections: Connections
) -> None:
    renewer, consumer = LitHook("lit_renewer"), LitHook("lit_consumer")
    ticket = renewer.make_ticket(renewer.open_session(renewer.scope_of(container)))
    assert consumer.decrypt(container, consumer.open_ticket(ticket)) == b"the plaintext"
    sigs = renewer.get_session_sigs(renewer.scope_of(container))
    assert list(sigs) == net.description["nodes"]
    bare = Session.from_session_sigs(sigs)
    assert LitClient(net.description).decrypt(container, container, bare) == b"the plaintext"
