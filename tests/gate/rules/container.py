"""The container: data hash, ciphertext, lists of conditions, RPCs."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

from tests.gate.building import Container, Json, Session, compact, is_wallet
from tests.gate.rules.cases import BAD_INPUT, CIPHERTEXT, URL, Case, decrypt


def cases() -> Iterator[Case]:
    yield from _containers()
    yield from _rpcs()


def _containers() -> Iterator[Case]:
    body = Container().body()
    for value in (
        None,
        1,
        "x",
        body["dataToEncryptHash"].upper(),
        body["dataToEncryptHash"][1:],
        [body["dataToEncryptHash"]],
    ):
        yield decrypt(f"dataToEncryptHash {value!r:.10}", BAD_INPUT, dataToEncryptHash=value)
    yield decrypt("no dataToEncryptHash", BAD_INPUT, dataToEncryptHash=...)
    sealed = body["ciphertext"]
    shifted = base64.b64encode(base64.b64decode(sealed) + b"x").decode()
    for name, value in {
        "null": None,
        "a list": [sealed],
        "empty": "",
        "without padding": sealed.rstrip("="),
        "base64url": sealed.replace("+", "-").replace("/", "_") if set(sealed) & set("+/") else "-" * 64,
        "with a blank": " " + sealed[:-1],
        "with blanks in place of a group": sealed[:4] + "    " + sealed[4:],
        "padding too long": shifted[:-1] + "=" * 5,
        "padding in the middle": "AA==" + sealed,
        "three padding digits": "A" * 65 + "===",
        "47 bytes": base64.b64encode(bytes(47)).decode(),
    }.items():
        yield decrypt(f"ciphertext {name}", BAD_INPUT, ciphertext=value)
    yield decrypt("ciphertext of 48 bytes", CIPHERTEXT, ciphertext=base64.b64encode(bytes([7]) * 48).decode())
    raw = base64.b64decode(sealed)
    for place in (0, 31, 32, len(raw) - 1):
        flipped = bytearray(raw)
        flipped[place] ^= 0x80
        yield decrypt(
            f"ciphertext flipped at {place}", CIPHERTEXT, ciphertext=base64.b64encode(flipped).decode()
        )
    for name, value in {"cut": raw[:-1], "longer": raw + b"\0"}.items():
        yield decrypt(f"ciphertext {name}", CIPHERTEXT, ciphertext=base64.b64encode(value).decode())
    for point in (
        0,
        1,
        2**255 - 19,
        2**255 - 20,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
    ):
        enc = point.to_bytes(32, "little")
        yield decrypt(
            f"enc of small order {point % 1000}",
            CIPHERTEXT,
            ciphertext=base64.b64encode(enc + raw[32:]).decode(),
        )
    yield decrypt("sealed with another label", CIPHERTEXT, container=Container(label="lit_airflow gate 2"))
    yield decrypt(
        "sealed to another key", CIPHERTEXT, ciphertext=Container().body("09" + "00" * 31)["ciphertext"]
    )
    yield decrypt("sealed for a longer text", CIPHERTEXT, dataToEncryptHash="00" * 32)
    small = Session(reply_key="00" * 32)
    yield decrypt("reply key of small order", "NodeSystemFault", session=small)
    yield decrypt(
        "large plaintext",
        {"ok": True, "plaintext": base64.b64encode(bytes(50_000)).decode()},
        container=Container(plaintext=bytes(50_000)),
    )
    yield from _fields()


def _fields() -> Iterator[Case]:
    field, missing = "accessControlConditions", "NodeMissingAccessControlConditions"
    others = ("evmContractConditions", "solRpcConditions", "unifiedAccessControlConditions")
    yield decrypt("no conditions", missing, **{field: ...})
    yield decrypt("null conditions", missing, **{field: None})
    yield decrypt("empty list", missing, **{field: []})
    yield decrypt("null beside", **dict.fromkeys(others), rpc=None)
    for other in others:
        yield decrypt(f"{other} beside", BAD_INPUT, **{other: []})
    for value in ({}, "x", 1, False, {"length": 1, "0": is_wallet()}):
        yield decrypt(f"conditions are {value!r:.8}", BAD_INPUT, **{field: value})
    yield decrypt("Solana", BAD_INPUT, **{field: ..., "solRpcConditions": [{}]})
    yield decrypt("Solana, empty", BAD_INPUT, **{field: ..., "solRpcConditions": []})


GOOD_URLS = (
    "https://a",
    "https://a.example:8545/path?key=abc#x",
    "https://" + "a" * 500,
    "https://!~?[",
    "http://127.0.0.1:8545",
    "http://127.0.0.1/x",
    "http://localhost:8545",
    "http://localhost/" + "a" * 500,
)
BAD_URLS = (
    "",
    "https://",
    "http://a.example",
    "HTTPS://a.example",
    "ftp://a.example",
    "//a.example",
    " https://a.example",
    "https://a.example ",
    "https://a.example\n",
    "https://a b",
    "https://user@a.example",
    "https://a.example\\x",
    "https://a\u00e9",
    "https://a\x7f",
    "https://" + "a" * 501,
    "http://127.0.0.1",
    "http://127.0.0.1:",
    "http://127.0.0.1/",
    "http://127.0.0.1.example/",
    "http://127x0.0.1/x",
    "http://127.0.0.2:8545",
    "http://localhost",
    "http://localhost.example/",
    "http://localhosts/x",
    "http://localhost@a.example/",
)


def _rpcs() -> Iterator[Case]:
    for url in GOOD_URLS:
        yield decrypt(f"URL {url[:30]}", container=Container(rpc={"x": [url]}))
    for url in BAD_URLS:
        yield decrypt(f"URL {url[:30]!r} refused", BAD_INPUT, rpc={"x": [url]})
    for value in (
        [],
        "x",
        1,
        False,
        {"x": []},
        {"x": None},
        {"x": URL},
        {"x": {}},
        {"x": [URL] * 5},
        {"x": [[URL]]},
        {"x": [URL, 1]},
        {"x": [URL], "y": []},
        {"\ud800": [URL]},
    ):
        yield decrypt(f"rpc {json.dumps(value)} refused", BAD_INPUT, rpc=value)
    yield decrypt("rpc empty", rpc={})
    yield decrypt("rpc null", rpc=None)
    yield decrypt(
        "four URLs, and chains that are not read", container=Container(rpc={"b": [URL] * 4, "a": [URL]})
    )
    names = {"\ufffd": [URL], "\U0001d11e": [URL], "10": [URL], "9": [URL], "a": [URL]}
    info_order = sorted(names, key=lambda name: name.encode("utf-16-be"))
    assert info_order != sorted(names)
    yield decrypt("chain names are sorted by code units", container=_sorted_by_units(names))


def _sorted_by_units(rpc: Json) -> Container:
    """Sealed with chain names in the order of UTF-16 code units, which Python's own order is not."""
    ordered = {name: rpc[name] for name in sorted(rpc, key=lambda name: name.encode("utf-16-be"))}
    return Container(rpc=ordered, rpc_text=compact(ordered))
