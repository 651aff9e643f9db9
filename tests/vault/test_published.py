"""Sessions under a name in Vault: who may publish, who may fetch, and how they end."""

import time
from collections.abc import Callable
from typing import Any, cast

import pytest
from hvac.api.secrets_engines.kv_v2 import KvV2

from lit_airflow import Scope, clock
from lit_airflow.errors import (
    SessionNotFoundError,
    SettingsError,
    TicketError,
    VaultDeniedError,
)
from lit_airflow.handoff.ticket import Ticket
from lit_airflow.hooks import LitHook
from lit_airflow.sandbox.vault_server import KV_PATH, POLICIES
from tests.vault.parts import KEY_READ, LOGIN, OPENED, Bao, Connections, running

pytestmark = pytest.mark.usefixtures("connections")

SCOPE = Scope.to_decrypt("0" * 64 + "/" + "1" * 64)


def made(hook: LitHook, ttl_s: float = 600, *, name: str = "reports") -> Ticket:
    with running("session", dag_id="refresh"):
        return hook.sessions.make_ticket(hook.open_session(SCOPE, ttl_s=ttl_s), name=name)


def publish(hook: LitHook, name: str, ticket: Ticket) -> None:
    hook.sessions.store().publish(name, ticket, clock.now())


def published(hook: LitHook, name: str) -> object:
    return hook.sessions.store().fetch(name)


def fetched(name: str) -> str:
    return f"secret/data/lit/sessions/{name}"


def test_the_renewer_publishes_and_the_consumer_opens(bao: Bao) -> None:
    renewer, consumer = LitHook("lit_renewer"), LitHook("lit_consumer")
    ticket = made(renewer)
    with bao.watched() as paths:
        publish(renewer, "reports", ticket)
    assert paths == [fetched("reports"), "secret/metadata/lit/sessions/reports", fetched("reports")]
    with bao.watched() as paths:
        held = consumer.hold("reports")
    assert paths == [LOGIN, fetched("reports"), OPENED]
    assert (held.name, held.made_by) == ("reports", "refresh.session")
    assert held.session.public_key == ticket["session_public_key"]


def test_the_later_one_replaces_the_earlier(bao: Bao) -> None:
    hook = LitHook("lit_renewer")
    first, second = made(hook, name="replaced"), made(hook, 300, name="replaced")
    publish(hook, "replaced", first)
    publish(hook, "replaced", second)
    assert published(hook, "replaced") == second
    versions = bao.admin.secrets.kv.v2.read_secret_metadata("lit/sessions/replaced", mount_point="secret")
    assert list(versions["data"]["versions"]) == ["2"]  # the first is not kept


def test_the_consumer_cannot_publish() -> None:
    ticket = made(LitHook("lit_renewer"))
    with pytest.raises(VaultDeniedError, match="secret/lit/sessions/reports"):
        publish(LitHook("lit_consumer"), "reports", ticket)


def test_a_role_of_another_policy_cannot_fetch(bao: Bao, connections: Connections) -> None:
    policy = 'path "transit/decrypt/lit-sessions" { capabilities = ["update"] }'
    connections.vault("vault_consumer", bao.port, bao.role("unlucky", policy))
    with pytest.raises(VaultDeniedError, match="secret/lit/sessions/reports"):
        LitHook("lit_consumer").hold("reports")


def test_what_was_never_published_is_not_found() -> None:
    with pytest.raises(SessionNotFoundError, match="No session is published as 'nobody'") as caught:
        LitHook("lit_consumer").hold("nobody")
    assert caught.value.retryable  # whoever publishes it may come later
    assert caught.value.name == "nobody"
    assert "name='nobody'" in caught.value.hint


def test_vault_deletes_it_when_the_session_ends(bao: Bao) -> None:
    hook = LitHook("lit_renewer")
    publish(hook, "brief", made(hook, ttl_s=4, name="brief"))
    while published(hook, "brief") is not None:
        time.sleep(0.5)
    with pytest.raises(SessionNotFoundError):
        LitHook("lit_consumer").hold("brief")
    publish(hook, "brief", made(hook, name="brief"))  # and the name is free again
    assert LitHook("lit_consumer").hold("brief").name == "brief"


@pytest.fixture
def old_engine(bao: Bao, connections: Connections) -> None:
    """A KV engine of version 1, and both roles on it."""
    if "kv1/" not in bao.admin.sys.list_mounted_secrets_engines()["data"]:
        bao.admin.sys.enable_secrets_engine("kv", path="kv1", options={"version": "1"})
        bao.admin.secrets.kv.v1.create_or_update_secret(
            KV_PATH, {"private_key": bao.key.reveal().hex()}, mount_point="kv1"
        )
    for name in ("renewer", "consumer"):
        policy = POLICIES[f"lit-{name}"].replace("secret/data/", "kv1/")
        role = bao.role(f"old-{name}", policy)
        connections.vault(f"vault_{name}", bao.port, role, schema="kv1", kv_engine_version=1)


@pytest.mark.usefixtures("old_engine")
def test_kv_version_1_serves_too() -> None:
    hook = LitHook("lit_renewer")
    publish(hook, "reports", made(hook))
    assert LitHook("lit_consumer").hold("reports").session.scope == SCOPE
    publish(hook, "reports", made(hook, ttl_s=4))
    time.sleep(4.1)
    assert published(hook, "reports") is not None  # this engine deletes nothing by itself,
    with pytest.raises(SessionNotFoundError, match=r'"refresh\.session" ended at'):
        LitHook("lit_consumer").hold("reports")  # and still nobody takes it for good


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../wallet", "a/b", "a b", "ä", "x" * 101, "-x", "a\n", "%2e"]
)
def test_a_name_is_one_segment_of_a_path(bao: Bao, name: str) -> None:
    hook = LitHook("lit_renewer")
    with bao.watched() as paths, pytest.raises(SettingsError) as caught:
        published(hook, name)
    assert caught.value.field == "name"
    assert paths == []


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ({"ticket": "no JSON"}, TicketError),
        ({"ticket": "null"}, TicketError),
        ({"ticket": "[]"}, TicketError),
        ({"ticket": "{}"}, TicketError),
        ({"other": "x"}, SessionNotFoundError),
    ],
)
def test_what_lies_there_need_not_be_a_ticket(bao: Bao, entry: dict[str, str], kind: type[Exception]) -> None:
    bao.write("lit/sessions/odd", entry)
    with pytest.raises(kind):
        LitHook("lit_consumer").hold("odd")


def test_what_is_not_a_ticket_is_replaced(bao: Bao) -> None:
    hook = LitHook("lit_renewer")
    for text in ("no JSON", "[]", '{"v": 2, "expires_at": "2126-01-01T00:00:00.000Z"}'):
        bao.write("lit/sessions/odd", {"ticket": text})
        with running("session", dag_id="refresh"):
            ticket, renewed, _ = hook.sessions.reuse_or_open(published(hook, "odd"), SCOPE, name="odd")
        assert renewed
        publish(hook, "odd", ticket)
        assert LitHook("lit_consumer").hold("odd").session.public_key == ticket["session_public_key"]


def test_a_published_one_is_for_every_dag_under_its_name_alone(bao: Bao) -> None:
    hook = LitHook("lit_renewer")
    publish(hook, "payroll", made(hook, name="payroll"))
    stolen = published(hook, "payroll")
    publish(hook, "public", cast("Ticket", stolen))
    publish(hook, "unnamed", made(hook, name=""))
    for conn_id in ("lit_renewer", "lit_consumer"):
        with running("decrypt", dag_id="another", run_id="tuesday"):
            assert LitHook(conn_id).hold("payroll").session.scope == SCOPE
            with pytest.raises(TicketError, match='published as "payroll", and is not "public"'):
                LitHook(conn_id).hold("public")
            with pytest.raises(TicketError, match='not made to be published as "unnamed"'):
                LitHook(conn_id).hold("unnamed")
            assert LitHook(conn_id).hold(stolen).session.scope == SCOPE  # through XCom: it is for any DAG
    with running("session"):
        assert hook.sessions.reuse_or_open(published(hook, "public"), SCOPE, name="public")[1]


def test_a_published_one_is_passed_on_as_it_is(bao: Bao, connections: Connections) -> None:
    hook = LitHook("lit_renewer")
    publish(hook, "kept", made(hook, name="kept"))
    before = published(hook, "kept")
    with bao.watched() as paths, running("session", dag_id="another"):
        ticket, renewed, _ = hook.sessions.reuse_or_open(before, SCOPE, name="kept", lead_s=60)
    assert (ticket, renewed) == (before, False)
    assert paths == [OPENED]


@pytest.fixture(params=["before the first request", "between the two requests"])
def meanwhile(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[], object]], None]:
    """Has another publisher do its work at this moment of the next publication."""
    method = "update_metadata" if request.param.startswith("before") else "create_or_update_secret"
    original = getattr(KvV2, method)

    def arrange(act: Callable[[], object]) -> None:
        def interrupted(*args: object, **kwargs: object) -> object:
            monkeypatch.setattr(KvV2, method, original)
            act()
            return original(*args, **kwargs)

        monkeypatch.setattr(KvV2, method, interrupted)

    return arrange


def test_of_two_that_publish_at_once_the_longer_stays_and_lasts(
    bao: Bao, meanwhile: Callable[[Callable[[], object]], None]
) -> None:
    """Two runs of the publishing task, one of them with a session that lasts two seconds."""
    hook, other = LitHook("lit_renewer"), LitHook("lit_renewer")
    store, long, short = hook.sessions.store(), made(hook, 600, name="raced"), made(hook, 2, name="raced")
    for first, second in ((long, short), (short, long)):
        seen = store.read("raced")  # by both, before either opened its session
        meanwhile(
            lambda: other.sessions.store().publish("raced", second, clock.now(), replaces=seen)  # noqa: B023
        )
        assert store.publish("raced", first, clock.now(), replaces=seen) == (first is long)
        assert published(hook, "raced") == long
        versions = bao.admin.secrets.kv.v2.read_secret_metadata("lit/sessions/raced", mount_point="secret")
        (kept,) = versions["data"]["versions"].values()
        life = clock.parse_iso(kept["deletion_time"]) - clock.parse_iso(kept["created_time"])
        assert life.total_seconds() >= 590
        assert LitHook("lit_consumer").hold("raced").session.public_key == long["session_public_key"]


def test_an_engine_that_keeps_nothing_that_long(
    bao: Bao, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    hook = LitHook("lit_renewer")
    bao.admin.secrets.kv.v2.configure(mount_point="secret", delete_version_after="60s")
    try:
        assert hook.sessions.store().publish("capped", made(hook, name="capped"), clock.now())
    finally:
        bao.admin.secrets.kv.v2.configure(mount_point="secret", delete_version_after="0s")
    assert 'Vault deletes the session "capped"' in "".join(capsys.readouterr()) + caplog.text
    assert LitHook("lit_consumer").hold("capped").name == "capped"


def test_an_altered_ticket_does_not_open(bao: Bao) -> None:
    hook = LitHook("lit_renewer")
    publish(hook, "altered", {**made(hook, name="altered"), "made_by": "another.task"})
    with pytest.raises(TicketError, match="altered"):
        LitHook("lit_consumer").hold("altered")


def test_another_folder_and_mount(bao: Bao, connections: Connections) -> None:
    where: dict[str, Any] = {"sessions_path": "/lit/sessions/team-a/", "vault_mount": "secret"}
    connections.lit("lit_renewer", vault_path=KV_PATH, **where)
    connections.lit("lit_consumer", "vault_consumer", **where)
    hook = LitHook("lit_renewer")
    with bao.watched() as paths:
        publish(hook, "reports", made(hook))
    assert paths[-1] == fetched("team-a/reports")
    assert LitHook("lit_consumer").hold("reports").name == "reports"


def test_publishing_reads_no_key(bao: Bao) -> None:
    hook = LitHook("lit_renewer")
    ticket = made(hook)
    with bao.watched() as paths:
        publish(hook, "reports", ticket)
        published(hook, "reports")
    assert KEY_READ not in paths
