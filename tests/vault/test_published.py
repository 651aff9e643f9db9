"""Sessions under a name in Vault: who may publish, who may fetch, and how they end."""

import time
from typing import Any

import pytest

from lit_airflow import Scope
from lit_airflow.errors import (
    SessionNotFoundError,
    SettingsError,
    TicketError,
    VaultDeniedError,
)
from lit_airflow.handoff.ticket import Ticket
from lit_airflow.hooks import LitHook
from lit_airflow.sandbox.vault_server import KV_PATH, POLICIES
from tests.vault.parts import KEY_READ, LOGIN, OPENED, Bao, Connections

pytestmark = pytest.mark.usefixtures("connections")

SCOPE = Scope.to_decrypt("0" * 64 + "/" + "1" * 64)


def made(hook: LitHook, ttl_s: float = 600) -> Ticket:
    return hook.make_ticket(hook.open_session(SCOPE, ttl_s=ttl_s), made_by="refresh.session")


def fetched(name: str) -> str:
    return f"secret/data/lit/sessions/{name}"


def test_the_renewer_publishes_and_the_consumer_opens(bao: Bao) -> None:
    renewer, consumer = LitHook("lit_renewer"), LitHook("lit_consumer")
    ticket = made(renewer)
    with bao.watched() as paths:
        renewer.publish("reports", ticket)
    assert paths == ["secret/metadata/lit/sessions/reports", fetched("reports")]
    with bao.watched() as paths:
        held = consumer.hold("reports")
    assert paths == [LOGIN, fetched("reports"), OPENED]
    assert (held.name, held.made_by) == ("reports", "refresh.session")
    assert held.session.public_key == ticket["session_public_key"]


def test_the_later_one_replaces_the_earlier(bao: Bao) -> None:
    hook = LitHook("lit_renewer")
    first, second = made(hook), made(hook)
    hook.publish("replaced", first)
    hook.publish("replaced", second)
    assert hook.published("replaced") == second
    versions = bao.admin.secrets.kv.v2.read_secret_metadata("lit/sessions/replaced", mount_point="secret")
    assert list(versions["data"]["versions"]) == ["2"]  # the first is not kept


def test_the_consumer_cannot_publish() -> None:
    ticket = made(LitHook("lit_renewer"))
    with pytest.raises(VaultDeniedError, match="secret/lit/sessions/reports"):
        LitHook("lit_consumer").publish("reports", ticket)


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
    hook.publish("brief", made(hook, ttl_s=2))
    assert hook.published("brief") is not None
    time.sleep(2.1)
    assert hook.published("brief") is None
    with pytest.raises(SessionNotFoundError):
        LitHook("lit_consumer").hold("brief")
    hook.publish("brief", made(hook))  # and the name is free again
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
    hook.publish("reports", made(hook))
    assert LitHook("lit_consumer").hold("reports").session.scope == SCOPE
    hook.publish("reports", made(hook, ttl_s=1))
    time.sleep(1.1)
    assert hook.published("reports") is not None  # this engine deletes nothing by itself,
    with pytest.raises(SessionNotFoundError, match=r"refresh\.session ended at"):
        LitHook("lit_consumer").hold("reports")  # and still nobody takes it for good


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../wallet", "a/b", "a b", "ä", "x" * 101, "-x", "a\n", "%2e"]
)
def test_a_name_is_one_segment_of_a_path(bao: Bao, name: str) -> None:
    hook = LitHook("lit_renewer")
    with bao.watched() as paths, pytest.raises(SettingsError) as caught:
        hook.published(name)
    assert caught.value.field == "name"
    assert paths == []


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ({"ticket": "no JSON"}, TicketError),
        ({"ticket": "[]"}, TicketError),
        ({"ticket": "{}"}, TicketError),
        ({"other": "x"}, SessionNotFoundError),
    ],
)
def test_what_lies_there_need_not_be_a_ticket(bao: Bao, entry: dict[str, str], kind: type[Exception]) -> None:
    bao.write("lit/sessions/odd", entry)
    with pytest.raises(kind):
        LitHook("lit_consumer").hold("odd")


def test_an_altered_ticket_does_not_open(bao: Bao) -> None:
    hook = LitHook("lit_renewer")
    hook.publish("altered", {**made(hook), "made_by": "another.task"})
    with pytest.raises(TicketError, match="altered"):
        LitHook("lit_consumer").hold("altered")


def test_another_folder_and_mount(bao: Bao, connections: Connections) -> None:
    where: dict[str, Any] = {"sessions_path": "/lit/sessions/team-a/", "vault_mount": "secret"}
    connections.lit("lit_renewer", vault_path=KV_PATH, **where)
    connections.lit("lit_consumer", "vault_consumer", **where)
    hook = LitHook("lit_renewer")
    with bao.watched() as paths:
        hook.publish("reports", made(hook))
    assert paths[-1] == fetched("team-a/reports")
    assert LitHook("lit_consumer").hold("reports").name == "reports"


def test_publishing_reads_no_key(bao: Bao) -> None:
    hook = LitHook("lit_renewer")
    ticket = made(hook)
    with bao.watched() as paths:
        hook.publish("reports", ticket)
        hook.published("reports")
    assert KEY_READ not in paths
