import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hvac
import pytest
from hvac.exceptions import Forbidden, InvalidRequest

from lit_airflow.keys.secret import Secret
from lit_airflow.sandbox.processes import Children
from lit_airflow.sandbox.stop_signal import StopSignal
from lit_airflow.sandbox.vault_server import (
    KV_FIELD,
    KV_MOUNT,
    KV_PATH,
    TRANSIT_KEY,
    AppRole,
    VaultServer,
)

PLAIN = "aGVsbG8="


@dataclass
class Vault:
    server: VaultServer
    key: Secret
    renewer: AppRole
    consumer: AppRole
    root_token: str

    def login(self, role: AppRole) -> hvac.Client:
        client = hvac.Client(url=self.server.address, token="")
        client.auth.approle.login(role.role_id, role.secret_id.reveal().decode())
        return client


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    home = tmp_path_factory.mktemp("home")
    key = Secret(secrets.token_bytes(32))
    seen: list[str] = []
    initialize = hvac.api.SystemBackend.initialize

    def note_token(self: object, *args: object, **kwargs: object) -> dict[str, object]:
        answer: dict[str, object] = initialize(self, *args, **kwargs)
        seen.append(str(answer["root_token"]))
        return answer

    with pytest.MonkeyPatch.context() as patch, Children(home) as children:
        patch.setattr(hvac.api.SystemBackend, "initialize", note_token)
        server = VaultServer(home, children)
        server.start()
        renewer, consumer = server.set_up(key, StopSignal())
        yield Vault(server, key, renewer, consumer, seen[0])


def read_key(client: hvac.Client) -> str:
    answer = client.secrets.kv.v2.read_secret_version(
        KV_PATH, mount_point=KV_MOUNT, raise_on_deleted_version=True
    )
    return str(answer["data"]["data"][KV_FIELD])


def seal(client: hvac.Client, key: str = TRANSIT_KEY) -> str:
    return str(client.secrets.transit.encrypt_data(key, plaintext=PLAIN)["data"]["ciphertext"])


def test_the_renewer_reads_the_key(vault: Vault) -> None:
    assert read_key(vault.login(vault.renewer)) == "0x" + vault.key.reveal().hex()


def test_the_consumer_cannot_read_the_key(vault: Vault) -> None:
    with pytest.raises(Forbidden):
        read_key(vault.login(vault.consumer))


def test_the_renewer_seals_and_the_consumer_opens(vault: Vault) -> None:
    sealed = seal(vault.login(vault.renewer))
    for role in (vault.renewer, vault.consumer):
        opened = vault.login(role).secrets.transit.decrypt_data(TRANSIT_KEY, ciphertext=sealed)
        assert opened["data"]["plaintext"] == PLAIN


def test_the_consumer_cannot_seal(vault: Vault) -> None:
    with pytest.raises(Forbidden):
        seal(vault.login(vault.consumer))


@pytest.mark.parametrize("name", ["renewer", "consumer"])
def test_neither_role_goes_beyond_its_policy(vault: Vault, name: str) -> None:
    client = vault.login(getattr(vault, name))
    kv, transit = client.secrets.kv.v2, client.secrets.transit
    for attempt in (
        lambda: kv.create_or_update_secret(KV_PATH, {KV_FIELD: "0x00"}, mount_point=KV_MOUNT),
        lambda: kv.delete_metadata_and_all_versions(KV_PATH, mount_point=KV_MOUNT),
        lambda: kv.read_secret_version("lit/other", mount_point=KV_MOUNT, raise_on_deleted_version=True),
        lambda: kv.list_secrets("lit", mount_point=KV_MOUNT),
        lambda: seal(client, "another-key"),
        lambda: transit.read_key(TRANSIT_KEY),
        lambda: transit.rotate_key(TRANSIT_KEY),
        lambda: client.sys.create_or_update_policy("lit-consumer", 'path "*" {}'),
        client.sys.list_policies,
        lambda: client.auth.approle.generate_secret_id("lit-renewer"),
    ):
        with pytest.raises(Forbidden):
            attempt()


def test_a_wrong_secret_id_does_not_log_in(vault: Vault) -> None:
    with pytest.raises(InvalidRequest):
        vault.login(AppRole("x", vault.renewer.role_id, vault.consumer.secret_id))


def test_the_root_token_is_revoked(vault: Vault) -> None:
    with pytest.raises(Forbidden):
        hvac.Client(url=vault.server.address, token=vault.root_token).auth.token.lookup_self()


def test_no_token_or_key_is_in_files_arguments_or_environments(vault: Vault) -> None:
    home = vault.server.audit_log.parent.parent
    hunted = [vault.root_token, vault.key.reveal().hex(), vault.renewer.secret_id.reveal().decode()]
    texts = [file.read_text(errors="replace") for file in home.rglob("*") if file.is_file()]
    assert len(texts) >= 3  # configuration, audit log, output
    child = vault.server._child
    assert child is not None
    texts += [*child.leader.cmdline(), *child.leader.environ().values()]
    for secret in hunted:
        assert not [text for text in texts if secret in text]


def test_the_audit_log_tells_who_was_denied_what(vault: Vault) -> None:
    with pytest.raises(Forbidden):
        read_key(vault.login(vault.consumer))
    lines = [json.loads(line) for line in vault.server.audit_log.read_text().splitlines()]
    denied = [line for line in lines if line["type"] == "response" and "error" in line]
    assert (denied[-1]["request"]["path"], denied[-1]["auth"]["token_policies"]) == (
        f"{KV_MOUNT}/data/{KV_PATH}",
        ["default", "lit-consumer"],
    )
    assert vault.server.audit_log.stat().st_mode & 0o777 == 0o600


def test_two_servers_do_not_meet(vault: Vault, tmp_path: Path) -> None:
    with Children(tmp_path) as children:
        other = VaultServer(tmp_path, children)
        other.start()
        renewer, _ = other.set_up(Secret(bytes([7]) * 32), StopSignal())
        with pytest.raises(InvalidRequest):
            vault.login(renewer)
