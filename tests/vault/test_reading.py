"""Reading the wallet's key: what works, what is refused, and what the refusal says."""

import pytest

from lit_airflow.errors import (
    LitError,
    SecretNotFoundError,
    SettingsError,
    VaultDeniedError,
    VaultUnavailableError,
    WalletKeyError,
)
from lit_airflow.hooks import LitHook
from lit_airflow.keys.secret import Secret
from lit_airflow.sandbox.processes import free_port
from lit_airflow.sandbox.vault_server import KV_MOUNT, KV_PATH, POLICIES, AppRole
from tests.vault.parts import KEY_READ, LOGIN, TOKEN, Bao, Connections, told

ANY_KEY = 'path "secret/data/lit/*" { capabilities = ["read"] }'


def refused(kind: type[LitError], bao: Bao, hook: LitHook, *named: str) -> LitError:
    """The error, which names the connection and these, and tells no secret."""
    with pytest.raises(kind) as caught:
        hook.get_wallet()
    for name in named:
        assert name in str(caught.value)
    for secret in (bao.key.reveal().hex(), bao.renewer.secret_id.reveal().decode()):
        assert secret not in told(caught.value)
    assert not TOKEN.search(told(caught.value).encode())
    return caught.value


@pytest.fixture
def reader(bao: Bao, connections: Connections) -> Connections:
    """A role that may read all keys below lit/, as connection vault_reader."""
    connections.vault("vault_reader", bao.port, bao.role("reader", ANY_KEY))
    return connections


def test_the_renewer_reads_the_key_with_one_login_and_one_read(bao: Bao, connections: Connections) -> None:
    with bao.watched() as paths:
        assert LitHook("lit_renewer").get_wallet().address == bao.wallet.address
    assert paths == [LOGIN, KEY_READ]


def test_the_consumer_is_denied_the_key(bao: Bao, connections: Connections) -> None:
    connections.lit("lit_consumer", "vault_consumer", vault_path=KV_PATH)
    error = refused(VaultDeniedError, bao, LitHook("lit_consumer"), "vault_consumer", f"{KV_MOUNT}/{KV_PATH}")
    assert not error.retryable


def test_a_connection_without_a_path_holds_no_wallet(bao: Bao, connections: Connections) -> None:
    with bao.watched() as paths:
        error = refused(SettingsError, bao, LitHook("lit_consumer"), "lit_consumer")
    assert isinstance(error, SettingsError)
    assert (error.field, paths) == ("vault_path", [])


def test_no_such_path(bao: Bao, reader: Connections) -> None:
    reader.lit("lit_reader", "vault_reader", vault_path="lit/elsewhere")
    refused(SecretNotFoundError, bao, LitHook("lit_reader"), "vault_reader", f"{KV_MOUNT}/lit/elsewhere")


def test_a_deleted_version_is_no_such_path(bao: Bao, reader: Connections) -> None:
    bao.write("lit/deleted", {"private_key": bao.key.reveal().hex()})
    bao.admin.secrets.kv.v2.delete_latest_version_of_secret("lit/deleted", mount_point=KV_MOUNT)
    reader.lit("lit_reader", "vault_reader", vault_path="lit/deleted")
    refused(SecretNotFoundError, bao, LitHook("lit_reader"), "vault_reader", f"{KV_MOUNT}/lit/deleted")


def test_no_such_mount(bao: Bao, connections: Connections) -> None:
    role = bao.role("mounts", 'path "nowhere/*" { capabilities = ["read"] }')
    connections.vault("vault_mounts", bao.port, role)
    connections.lit("lit_mounts", "vault_mounts", vault_mount="nowhere", vault_path=KV_PATH)
    refused(SecretNotFoundError, bao, LitHook("lit_mounts"), "vault_mounts", f"nowhere/{KV_PATH}")


@pytest.mark.parametrize(
    "entry", [{"other": "x"}, {"private_key": ""}, {"private_key": " \n"}, {"private_key": 7}]
)
def test_a_path_without_the_field_or_with_an_empty_one(
    bao: Bao, reader: Connections, entry: dict[str, object]
) -> None:
    bao.write("lit/odd", entry)
    reader.lit("lit_reader", "vault_reader", vault_path="lit/odd")
    refused(
        SecretNotFoundError, bao, LitHook("lit_reader"), f"{KV_MOUNT}/lit/odd", "private_key", "vault_reader"
    )


@pytest.mark.parametrize("around", ["{}", "0x{}", " {}\n", "\t0X{} "])
def test_a_key_with_or_without_0x_and_white_space(bao: Bao, reader: Connections, around: str) -> None:
    bao.write("lit/spaced", {"pk": around.format(bao.key.reveal().hex())})
    reader.lit("lit_reader", "vault_reader", vault_path="lit/spaced", vault_field="pk")
    assert LitHook("lit_reader").get_wallet().address == bao.wallet.address


@pytest.mark.parametrize(
    "key",
    [
        "0x12",
        "zz" * 32,
        "00" * 32,
        "ff" * 32,
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141",
    ],
)
def test_what_is_no_key_is_refused_and_not_shown(bao: Bao, reader: Connections, key: str) -> None:
    bao.write("lit/bad", {"private_key": key})
    reader.lit("lit_reader", "vault_reader", vault_path="lit/bad")
    assert key not in told(refused(WalletKeyError, bao, LitHook("lit_reader")))


def test_the_key_of_another_wallet_is_refused(bao: Bao, connections: Connections) -> None:
    other = "0x" + "12" * 20
    connections.lit("lit_renewer", vault_path=KV_PATH, wallet_address=other)
    refused(WalletKeyError, bao, LitHook("lit_renewer"), other, bao.wallet.address)


def test_kv_version_1_and_a_mount_of_the_lit_connection(bao: Bao, connections: Connections) -> None:
    bao.admin.sys.enable_secrets_engine("kv", path="old", options={"version": "1"})
    bao.admin.secrets.kv.v1.create_or_update_secret(
        "lit/key", {"private_key": bao.key.reveal().hex()}, mount_point="old"
    )
    role = bao.role("old", 'path "old/lit/key" { capabilities = ["read"] }')
    connections.vault("vault_old", bao.port, role, schema="old", kv_engine_version=1)
    connections.lit("lit_old", "vault_old", vault_path="lit/key")
    assert LitHook("lit_old").get_wallet().address == bao.wallet.address

    connections.vault("vault_old", bao.port, role, kv_engine_version="1")
    connections.lit("lit_old", "vault_old", vault_path="lit/key", vault_mount="old")
    assert LitHook("lit_old").get_wallet().address == bao.wallet.address

    connections.lit("lit_old", "vault_old", vault_path="lit/other", vault_mount="old")
    refused(VaultDeniedError, bao, LitHook("lit_old"), "old/lit/other", "vault_old")


def test_an_unreachable_server(bao: Bao, connections: Connections) -> None:
    connections.vault("vault_renewer", free_port(), bao.renewer)
    error = refused(VaultUnavailableError, bao, LitHook("lit_renewer"), "vault_renewer")
    assert error.retryable


def test_a_denied_login(bao: Bao, connections: Connections) -> None:
    for role in (
        AppRole("x", bao.renewer.role_id, Secret(b"no such secret id")),
        AppRole("x", "no such role", bao.renewer.secret_id),
    ):
        connections.vault("vault_renewer", bao.port, role)
        with bao.watched() as paths:
            error = refused(VaultDeniedError, bao, LitHook("lit_renewer"), "vault_renewer")
        assert not error.retryable
        assert "no such secret id" not in told(error)
        assert paths == [LOGIN]


def test_a_vault_connection_that_cannot_be_right(bao: Bao, connections: Connections) -> None:
    for extra in ({"auth_type": "handshake"}, {"kv_engine_version": "two"}):
        connections.vault("vault_renewer", bao.port, bao.renewer, **extra)
        refused(VaultDeniedError, bao, LitHook("lit_renewer"), "vault_renewer")


def test_after_a_revoked_token_it_logs_in_once_more(bao: Bao, connections: Connections) -> None:
    hook = LitHook("lit_renewer")
    hook.get_wallet()
    bao.revoke_logins()
    with bao.watched() as paths:
        assert hook.get_wallet().address == bao.wallet.address
    assert paths[-2:] == [LOGIN, KEY_READ]
    assert paths[:-2] in ([], [KEY_READ])


def test_after_a_token_that_ran_out_it_logs_in_once_more(bao: Bao, connections: Connections) -> None:
    role = bao.role("short", POLICIES["lit-renewer"], token_num_uses=3)
    connections.vault("vault_renewer", bao.port, role)
    hook = LitHook("lit_renewer")
    hook.get_wallet()
    with bao.watched() as paths:
        for _ in range(3):
            assert hook.get_wallet().address == bao.wallet.address
    assert LOGIN in paths


def test_it_does_not_log_in_again_and_again(bao: Bao, connections: Connections) -> None:
    role = bao.role("losing", POLICIES["lit-renewer"])
    connections.vault("vault_renewer", bao.port, role)
    hook = LitHook("lit_renewer")
    hook.get_wallet()
    bao.admin.sys.create_or_update_policy("losing", POLICIES["lit-consumer"])
    bao.revoke_logins()
    with bao.watched() as paths:
        refused(VaultDeniedError, bao, hook, f"{KV_MOUNT}/{KV_PATH}")
    # Older releases of Airflow's provider log in before they are refused, and are refused twice then.
    assert paths in ([KEY_READ, LOGIN, KEY_READ], [LOGIN, KEY_READ, KEY_READ])
