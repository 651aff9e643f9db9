"""Every fault over real sockets: what the client receives, and whether the request was processed."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import pytest
import requests

from lit_airflow.clock import Deadline
from lit_airflow.devnet.chipotle.faults import FAULTS
from tests.devnet_chipotle.client import NO_SCOPES, TIMEOUT_S, Client, Json, payer

MB = 2**20
# Fault -> status of a read, April and June alike, with the name of June's envelope.
REFUSALS = {
    "unauthorized": (401, "unauthorized"),
    "payment-required": (402, "payment_required"),
    "forbidden": (403, "forbidden"),
    "not-found": (404, "not_found"),
    "too-large": (413, "error"),
    "unprocessable": (422, "unprocessable_entity"),
    "overloaded": (429, "too_many_requests"),
    "broken": (500, "internal_error"),
    "unavailable": (503, "service_unavailable"),
}
# Fault -> status, type and body that stand in for an answer.
REPLACEMENTS = {
    "bad-gateway": (502, "text/html; charset=utf-8", None),
    "bad-gateway-after": (502, "text/html; charset=utf-8", None),
    "gateway-timeout": (504, "text/plain", None),
    "gateway-timeout-after": (504, "text/plain", None),
    "empty-error": (500, "application/json", b""),
    "html": (200, "text/html; charset=utf-8", None),
    "empty": (200, "application/json", b""),
    "not-json": (200, "application/json", b'{"a": no'),
    "other-shape": (200, "application/json", b'["success", 7, null]'),
}
SENT = {"deep": 200_000, "huge": 50 * MB, "bomb": 50 * MB}
NO_ANSWER = {"silent", "silent-after", "lost-before", "lost-after"}
PROCESSED = {
    "silent-after",
    "lost-after",
    "bad-gateway-after",
    "gateway-timeout-after",
    "slow",
    "drip",
    "reset",
    "html",
    "empty",
    "not-json",
    "other-shape",
    "deep",
    "huge",
    "bomb",
    "missing-fields",
    "extra-fields",
    "wrong-types",
    "other-enclave",
    "another-gate-key",
}
SECONDS = {"slow": 0.01, "drip": 0.0}
NEW_GROUP: Json = {
    "group_name": "g",
    "group_description": "",
    "pkp_ids_permitted": [],
    "cid_hashes_permitted": [],
}


def raw(
    client: Client, name: str, body: Json | None = None, timeout_s: float = TIMEOUT_S, *, first: bool = False
) -> tuple[bytes, str]:
    """What comes back for a request on a socket of its own, and how it ended: ``end``, ``reset``, ``time``.

    With ``first``, only until the body begins.
    """
    parts = urlsplit(f"{client.url}/{name}")
    content = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{'GET' if body is None else 'POST'} {parts.path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        f"X-Api-Key: {client.key}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    got = bytearray()
    with socket.create_connection((str(parts.hostname), int(parts.port or 0)), timeout_s) as connection:
        connection.sendall(head.encode() + content)
        try:
            while chunk := connection.recv(MB):
                got += chunk
                if first and got.partition(b"\r\n\r\n")[2]:
                    return bytes(got), "first"
        except ConnectionResetError:
            return bytes(got), "reset"
        except TimeoutError:
            return bytes(got), "time"
    return bytes(got), "end"


def test_every_fault_is_tested() -> None:
    others = {"down", "split", *SECONDS, "reset", "missing-fields", "extra-fields", "wrong-types"}
    others |= {"other-enclave", "another-gate-key"}
    assert set(FAULTS) == {*REFUSALS, *REPLACEMENTS, *SENT, *NO_ANSWER, *others}


@pytest.mark.parametrize("name", sorted(set(FAULTS) - {"down", "split"}))
def test_effect_of_a_write(june: Client, name: str) -> None:
    june.net.set_fault(name, call="add_group", seconds=SECONDS.get(name), times=1)
    raw(june, "add_group", NEW_GROUP, timeout_s=0.5 if name.startswith("silent") else TIMEOUT_S)
    if name == "silent-after":
        # The client has left, perhaps before the request was processed.
        deadline = Deadline.after(TIMEOUT_S)
        while len(june.listed("list_groups")) == 1 and deadline.left_s():
            pass
    assert len(june.listed("list_groups")) == (2 if name in PROCESSED else 1)
    assert june.net.snapshot["in_force"] == [], "for one request only"


@pytest.mark.parametrize("name", sorted(NO_ANSWER))
def test_no_answer(june: Client, name: str) -> None:
    june.net.set_fault(name, call="version")
    expected = ("time", 0.2) if name.startswith("silent") else ("reset", TIMEOUT_S)
    assert raw(june, "version", timeout_s=expected[1]) == (b"", expected[0])
    assert june.get("list_groups", page_number=0, page_size=1).status_code == 200, "other calls are answered"


def test_lost_answers_are_logged(june: Client) -> None:
    june.net.set_fault("lost-after", times=1)
    with pytest.raises(requests.ConnectionError):
        june.group()
    june.listed("list_groups")
    assert [(seen["call"], seen["status"]) for seen in june.net.requests] == [
        ("add_group", None),
        ("list_groups", 200),
    ]


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(either: Client, name: str) -> None:
    status, code = REFUSALS[name]
    either.net.set_fault(name, call="reads")
    answer = either.get("version")
    assert answer.status_code == status
    april = either.net.snapshot["profile"] == "april"
    assert answer.json()["error"] == ({**answer.json()["error"], "code": status} if april else code)
    assert either.group() == 2, "writes are not reads"


@pytest.mark.parametrize("name", REPLACEMENTS)
def test_replaced_answers(june: Client, name: str) -> None:
    status, kind, body = REPLACEMENTS[name]
    june.net.set_fault(name, call="version")
    answer = june.get("version")
    assert (answer.status_code, answer.headers["content-type"]) == (status, kind)
    assert body is None or answer.content == body


@pytest.mark.parametrize("name", SENT)
def test_large_answers(june: Client, name: str) -> None:
    june.net.set_fault(name, call="version")
    assert len(june.get("version").content) == SENT[name]
    over_the_wire, _ = raw(june, "version")
    assert (len(over_the_wire) < 100_000) == (name == "bomb")


def test_drip_and_slow(june: Client) -> None:
    june.net.set_fault("drip", seconds=0)
    assert june.get("version").json()["name"] == "lit-api-server"
    june.net.set_fault("slow", seconds=0.01)
    assert june.get("version").json()["name"] == "lit-api-server"
    june.net.set_fault("slow", seconds=3600, call="version")
    assert raw(june, "version", timeout_s=0.2) == (b"", "time")
    june.net.set_fault("drip", seconds=3600, call="version")
    got, _ = raw(june, "version", first=True)
    assert got.partition(b"\r\n\r\n")[2] == b"{", "the first byte only"


def test_a_reset_in_the_middle(june: Client) -> None:
    june.net.set_fault("reset")
    got, ended = raw(june, "version")
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert ended == "reset"
    assert 0 <= len(body) < 100


def test_down(june: Client) -> None:
    june.net.set_fault("down")
    with pytest.raises(requests.ConnectionError, match="refused"):
        june.get("version")
    june.net.clear_faults()
    assert june.get("version").status_code == 200
    with pytest.raises(ValueError, match="must affect all calls"):
        june.net.set_fault("down", call="version")


def test_contents(june: Client) -> None:
    good = june.get("version").json()
    june.net.set_fault("missing-fields")
    assert june.get("version").json() == {"name": good["name"]}
    june.net.set_fault("extra-fields")
    assert june.get("version").json().items() > good.items()
    june.net.set_fault("wrong-types")
    assert june.get("version").json() == {
        "name": 5,
        "version": 5,
        "commit_version": 5,
        "submodule_versions": {},
    }
    assert june.get("account_exists").json() == "true"
    assert june.get("nothing").status_code == 404, "a refusal stays as it is"


def test_a_mint_that_fails_in_the_middle(either: Client) -> None:
    wallets, keys = len(either.listed("list_wallets")), len(either.listed("list_api_keys"))
    either.net.set_fault("split", call="add_usage_api_key", times=1)
    answer = either.post("add_usage_api_key", body={"name": "k", "description": "", **NO_SCOPES})
    assert answer.status_code == 500
    assert answer.json().startswith("add_usage_api_key failed: Failed to send transaction")
    assert len(either.listed("list_wallets")) == wallets + 1
    assert len(either.listed("list_api_keys")) == keys


def test_other_keys(june: Client) -> None:
    """Another enclave, another root, and an answer that names another key: three ways to get a gate wrong."""
    gate = june.net.network.account.gate.text

    def public_key() -> str:
        answer = payer(june.net).run(gate, {"ask": "key"})
        return str(answer.json()["response"]["publicKey"])

    good = june.net.description["gate_key"]
    assert public_key() == good
    june.net.set_fault("another-gate-key", times=1)
    assert public_key() == "07" * 32
    june.net.set_fault("other-enclave", times=1)
    assert public_key() not in {good, "07" * 32}
    assert public_key() == good
    june.net.change_root()
    assert public_key() != good


@pytest.mark.parametrize(
    ("name", "options", "wrong"),
    [
        ("nothing", {}, "there is no fault"),
        ("slow", {}, "takes seconds"),
        ("broken", {"seconds": 1}, "takes no seconds"),
        ("slow", {"seconds": -1}, "must be 0 or more"),
        ("broken", {"times": 0}, "must be 1 or more"),
    ],
)
def test_bad_options(june: Client, name: str, options: Json, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        june.net.set_fault(name, **options)


def test_the_newest_of_several_faults_counts(june: Client) -> None:
    june.net.set_fault("broken")
    june.net.set_fault("overloaded", call="version")
    assert june.get("version").status_code == 429
    june.net.set_fault(None, call="version")
    assert june.get("version").status_code == 500
    june.net.clear_faults()
    assert june.get("version").status_code == 200
