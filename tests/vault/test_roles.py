"""What each of the two roles may do at a real server, asked with its own token; and what the token's end costs."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import hvac
import pytest
from hvac.exceptions import Forbidden

from lit_airflow import Scope, clock
from lit_airflow.errors import VaultDeniedError
from lit_airflow.hooks import LitHook
from lit_airflow.keys.secret import Secret
from lit_airflow.sandbox.vault_server import KV_MOUNT, KV_PATH, POLICIES, SESSIONS_PATH, AppRole
from tests.vault.parts import KEY_READ, LOGIN, OPENED, SEALED, TOKEN, Bao, Connections, told

SCOPE = Scope.to_decrypt("0" * 64 + "/" + "1" * 64)
WALLET = f"{KV_MOUNT}/data/{KV_PATH}"
SESSION = f"{KV_MOUNT}/data/{SESSIONS_PATH}/reports"
OTHER = f"{KV_MOUNT}/data/lit/another"
ENTRY = {"data": {"private_key": "11" * 32}}
SEAL = {"plaintext": "AAAA"}

Ask = Callable[[hvac.Client], Any]


def logged_in(bao: Bao, role: AppRole) -> hvac.Client:
    client = hvac.Client(url=bao.address)
    client.auth.approle.login(role.role_id, role.secret_id.reveal().decode())
    return client


@pytest.fixture
def renewer(bao: Bao) -> hvac.Client:
    return logged_in(bao, bao.renewer)


@pytest.fixture
def consumer(bao: Bao) -> hvac.Client:
    return logged_in(bao, bao.consumer)


@pytest.fixture(autouse=True)
def further_things(bao: Bao) -> None:
    """Another wallet's key, and another Transit key."""
    bao.write("lit/another", {"private_key": "22" * 32})
    bao.write("elsewhere", {"password": "secret"})
    bao.admin.secrets.transit.create_key("another")


NOT_EVEN_THE_RENEWER: dict[str, Ask] = {
    "another wallet's key": lambda c: c.adapter.get(f"/v1/{OTHER}"),
    "somebody else's secret": lambda c: c.adapter.get(f"/v1/{KV_MOUNT}/data/elsewhere"),
    "what secrets there are": lambda c: c.adapter.list(f"/v1/{KV_MOUNT}/metadata/"),
    "what keys there are": lambda c: c.adapter.list(f"/v1/{KV_MOUNT}/metadata/lit/"),
    "the history of the key": lambda c: c.adapter.get(f"/v1/{KV_MOUNT}/metadata/{KV_PATH}"),
    "another key in its place": lambda c: c.write_data(WALLET, data=ENTRY),
    "the key, deleted": lambda c: c.adapter.delete(f"/v1/{WALLET}"),
    "the key, destroyed": lambda c: c.write_data(f"{KV_MOUNT}/destroy/{KV_PATH}", data={"versions": [1]}),
    "sealing under another key": lambda c: c.write_data("transit/encrypt/another", data=SEAL),
    "the sealing key itself": lambda c: c.adapter.get("/v1/transit/export/encryption-key/lit-sessions"),
    "a newer sealing key": lambda c: c.write_data("transit/keys/lit-sessions/rotate", data={}),
    "a new secret id for the other role": lambda c: c.write_data(
        "auth/approle/role/lit-consumer/secret-id", data={}
    ),
    "a policy": lambda c: c.adapter.get("/v1/sys/policies/acl/lit-renewer"),
    "a wider policy": lambda c: c.write_data("sys/policies/acl/lit-renewer", data={"policy": ""}),
    "the mounts": lambda c: c.adapter.get("/v1/sys/mounts"),
    "sealing the server": lambda c: c.adapter.put("/v1/sys/seal"),
    "a token with more rights": lambda c: c.write_data("auth/token/create", data={"policies": ["root"]}),
}
NOT_THE_CONSUMER: dict[str, Ask] = {
    "the key": lambda c: c.adapter.get(f"/v1/{WALLET}"),
    "a ticket of its own making": lambda c: c.write_data("transit/encrypt/lit-sessions", data=SEAL),
    "a session under a known name": lambda c: c.write_data(SESSION, data={"data": {"ticket": "{}"}}),
    "the end of a published session": lambda c: c.adapter.delete(f"/v1/{SESSION}"),
    "a longer life for one": lambda c: c.write_data(
        f"{KV_MOUNT}/metadata/{SESSIONS_PATH}/reports", data={"delete_version_after": "0s"}
    ),
}


@pytest.mark.parametrize("what", NOT_EVEN_THE_RENEWER)
def test_neither_role_gets(renewer: hvac.Client, consumer: hvac.Client, what: str) -> None:
    for client in (renewer, consumer):
        with pytest.raises(Forbidden):
            NOT_EVEN_THE_RENEWER[what](client)


@pytest.mark.parametrize("what", NOT_THE_CONSUMER)
def test_the_consumer_does_not_get(consumer: hvac.Client, what: str) -> None:
    with pytest.raises(Forbidden):
        NOT_THE_CONSUMER[what](consumer)


def test_the_refusals_above_are_for_the_roles_sake(bao: Bao) -> None:
    """Somebody who may, can: the requests themselves are sound."""
    for what in ("another wallet's key", "somebody else's secret", "what keys there are", "the mounts"):
        assert NOT_EVEN_THE_RENEWER[what](bao.admin)["data"]


def test_a_token_whose_time_is_over_logs_in_once_more(
    bao: Bao, connections: Connections, tally: Counter[tuple[str, str]]
) -> None:
    role = bao.role("brief", POLICIES["lit-renewer"], token_ttl="3s", token_max_ttl="3s")
    connections.vault("vault_renewer", bao.port, role)
    hook = LitHook("lit_renewer")
    hook.get_wallet()
    clock.sleep(3.5)
    with bao.watched() as paths:
        assert hook.get_wallet().address == bao.wallet.address
    assert paths[-2:] == [LOGIN, KEY_READ]
    assert paths[:-2] in ([], [KEY_READ])
    tally["Vault: token expired", "one more login"] += 1


def test_a_token_that_was_revoked_logs_in_once_more(
    bao: Bao, connections: Connections, tally: Counter[tuple[str, str]]
) -> None:
    """Between reading the key and sealing; and again, as often as it happens, once each time."""
    hook = LitHook("lit_renewer")
    session = hook.open_session(SCOPE)
    for _ in range(3):
        bao.revoke_logins()
        with bao.watched() as paths:
            ticket = hook.make_ticket(session)
        assert paths.count(LOGIN) == 1
        assert LitHook("lit_consumer").open_ticket(ticket) == session
        tally["Vault: token revoked", "one more login"] += 1


def test_many_renewals_are_as_many_logins_and_key_reads(bao: Bao, connections: Connections) -> None:
    """Each with a hook of its own, as tasks have it; a ticket that fits costs a login and no key."""
    with bao.watched() as paths:
        for _ in range(3):
            hook = LitHook("lit_renewer")
            ticket = hook.make_ticket(hook.open_session(SCOPE))
            assert LitHook("lit_renewer").sessions.reuse_or_open(ticket, SCOPE)[1] is False
    assert paths == [LOGIN, KEY_READ, SEALED, LOGIN, OPENED, SEALED] * 3


def test_a_plain_token_that_ended_cannot_log_in_again(bao: Bao, connections: Connections) -> None:
    made = bao.admin.auth.token.create(policies=["lit-renewer"], ttl="10m")["auth"]
    token = AppRole("token", "", Secret(made["client_token"].encode()))
    connections.vault("vault_renewer", bao.port, token, auth_type="token")
    hook = LitHook("lit_renewer")
    assert hook.get_wallet().address == bao.wallet.address
    bao.admin.auth.token.revoke_accessor(made["accessor"])
    with bao.watched() as paths, pytest.raises(VaultDeniedError, match="vault_renewer") as caught:
        hook.get_wallet()
    assert paths in ([], [KEY_READ] * 2)
    assert not caught.value.retryable
    assert made["client_token"] not in told(caught.value)
    assert not TOKEN.search(told(caught.value).encode())
