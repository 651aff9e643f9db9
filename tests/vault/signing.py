"""A server that signs, in the shapes of real ones: Web3Signer's REST, ``eth_sign``, and engines in Vault.

The engines stand in front of a real Vault server: logins and all else go through to it, and whether a token may use
an engine's path is what that server's policies say. (Its own plug-ins are Go programs, which are not at hand here.)
"""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import requests
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_keys.datatypes import PrivateKey
from eth_utils.crypto import keccak

from tests.vault.certificates import serving

HEX = re.compile(r"0x([0-9a-f]{2})*")


class RefusedError(Exception):
    """How this server says no: a status and, if it has one, a body."""

    def __init__(self, status: int, body: object = None) -> None:
        super().__init__(status)
        self.status, self.body = status, body


@dataclass
class Signing:
    """A running server.

    Attributes:
        port: On 127.0.0.1.
        keys: Whose wallets it holds, 32 bytes each; the first one signs for the engines.
        vault: URL of the Vault server behind it.
        altered: Changes a signature on its way out.
        refusing: Answer every request to sign with this status; 0 for none.
        seen: Method, path and body of each request for something other than the Vault server behind.
        slow: Whether a request to sign waits until ``released``.
        listed: What it says that it holds, instead of the truth.
    """

    port: int
    keys: list[bytes]
    vault: str = ""
    altered: Callable[[str], str] = str
    refusing: int = 0
    seen: list[tuple[str, str, Any]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    slow: bool = False
    listed: object = None

    @property
    def key(self) -> PrivateKey:
        return PrivateKey(self.keys[0])

    def signed(self, digest: bytes, key: PrivateKey, v_from: int) -> str:
        if self.slow:
            self.released.wait(3600)
        if self.refusing:
            raise RefusedError(self.refusing)
        raw = key.sign_msg_hash(digest).to_bytes()
        return self.altered("0x" + (raw[:64] + bytes([raw[64] + v_from])).hex())


class Handler(BaseHTTPRequestHandler):
    """Finds the answer by path."""

    protocol_version = "HTTP/1.1"
    signing: ClassVar[Signing]

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._answer(json.loads(raw) if raw else {})

    do_PUT = do_POST  # noqa: N815 - http.server's name

    def _answer(self, body: object) -> None:
        try:
            if self.path.startswith("/v1/") and not self.path.startswith(tuple(ENGINES)):
                self._pass_on(body)
                return
            self.signing.seen.append((self.command, self.path, body))
            if self.path.startswith("/v1/"):
                self._permitted()
                [engine] = [answer for start, answer in ENGINES.items() if self.path.startswith(start)]
                self._send(200, {"data": engine(self.signing, self.path, body), "request_id": "1"})
            elif self.path == "/api/v1/eth1/publicKeys":
                held = [PrivateKey(key).public_key.to_hex() for key in self.signing.keys]
                self._send(200, held if self.signing.listed is None else self.signing.listed)
            elif self.path.startswith("/api/v1/eth1/sign/"):
                self._send(200, web3signer(self.signing, self.path, body), "text/plain; charset=utf-8")
            else:
                self._send(200, {"jsonrpc": "2.0", "id": 1, **json_rpc(self.signing, body)})
        except RefusedError as refusal:
            self._send(refusal.status, refusal.body or {})

    def _pass_on(self, body: object) -> None:
        token = self.headers.get("X-Vault-Token", "")
        answer = requests.request(
            self.command,
            self.signing.vault + self.path,
            json=body,
            headers={"X-Vault-Token": token},
            timeout=300,
        )
        self._send(answer.status_code, answer.content)

    def _permitted(self) -> None:
        """As Vault does before it lets a request through to an engine."""
        path = self.path.removeprefix("/v1/")
        answer = requests.post(
            f"{self.signing.vault}/v1/sys/capabilities-self",
            json={"paths": [path]},
            headers={"X-Vault-Token": self.headers.get("X-Vault-Token", "")},
            timeout=300,
        )
        able = answer.json().get("data", {}).get(path, [])
        if not {"read" if self.command == "GET" else "update", "root"} & set(able):
            raise RefusedError(403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]})

    def _send(self, status: int, body: object, content_type: str = "application/json") -> None:
        if content_type.startswith("text/plain"):
            raw = str(body).encode()
        else:
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        pass


def web3signer(signing: Signing, path: str, body: dict[str, str]) -> str:
    """Consensys Web3Signer: hashes what it gets, v from 27, plain text."""
    held = {PrivateKey(key).public_key.to_hex(): key for key in signing.keys}
    key = held.get(path.rpartition("/")[2])
    if key is None:
        raise RefusedError(404)
    if not HEX.fullmatch(body.get("data", "no")):
        raise RefusedError(400)
    return signing.signed(keccak(bytes.fromhex(body["data"][2:])), PrivateKey(key), 27)


def json_rpc(signing: Signing, body: dict[str, Any]) -> dict[str, Any]:
    """``eth_accounts`` in lower case, as Web3Signer and geth write it, and ``eth_sign``, which adds the prefix."""
    held = {Account.from_key(key).address.lower(): key for key in signing.keys}
    if body["method"] == "eth_accounts":
        return {"result": list(held) if signing.listed is None else signing.listed}
    address, data = body["params"]
    if body["method"] != "eth_sign" or address not in held:
        return {"error": {"code": -32000, "message": "Signing from is not an unlocked account"}}
    account = Account.from_key(held[address])
    message = encode_defunct(hexstr=data)
    digest = keccak(b"\x19" + message.version + message.header + message.body)
    return {"result": signing.signed(digest, PrivateKey(account.key), 27)}


def vault_ethereum(signing: Signing, path: str, body: dict[str, str] | None) -> dict[str, str]:
    """immutability-io's and bliiitz's vault-ethereum: adds the prefix, v from 0."""
    address = Account.from_key(signing.keys[0]).address
    if body is None:
        return {"address": address, "inclusions": "", "exclusions": ""}
    digest = keccak(
        b"\x19Ethereum Signed Message:\n%d" % len(body["message"].encode()) + body["message"].encode()
    )
    return {"signature": signing.signed(digest, signing.key, 0), "address": address.lower()}


def quorum(signing: Signing, path: str, body: dict[str, str] | None) -> dict[str, str]:
    """Consensys' quorum-hashicorp-vault-plugin: hashes, adds no prefix, v from 0; accounts go by address."""
    address = Account.from_key(signing.keys[0]).address
    if address not in path:
        raise RefusedError(404, {"errors": []})
    if body is None:
        return {"address": address, "publicKey": signing.key.public_key.to_hex(), "namespace": ""}
    return {"signature": signing.signed(keccak(bytes.fromhex(body["data"][2:])), signing.key, 0)}


def ethsign(signing: Signing, path: str, body: dict[str, str] | None) -> dict[str, str]:
    """Kaleido's ethsign, which signs transactions only; and a fork of it with ``sign-digest``."""
    address = Account.from_key(signing.keys[0]).address.lower()
    if body is None:
        return {"name": "lit", "address": address}
    if path.endswith("/sign-digest"):
        return {"signature": signing.signed(bytes.fromhex(body["hash"][2:]), signing.key, 0)}
    return {"transaction_hash": "0x" + "11" * 32, "signed_transaction": "0x" + "22" * 100}


ENGINES: dict[str, Callable[[Signing, str, Any], dict[str, str]]] = {
    "/v1/ethereum/": vault_ethereum,
    "/v1/quorum/": quorum,
    "/v1/ethsign/": ethsign,
}


class Server(ThreadingHTTPServer):
    """One that takes a client's leaving in silence."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass


@contextmanager
def signing_server(
    *keys: bytes, vault: str = "", certificate: Path | None = None, clients: Path | None = None
) -> Iterator[Signing]:
    """Serve until the block ends.

    Args:
        keys: The wallets' keys.
        vault: URL of the Vault server behind.
        certificate: PEM file to serve TLS with.
        clients: PEM file of the root that clients' certificates must come from.
    """
    handler = type("Handler", (Handler,), {})
    server = Server(("127.0.0.1", 0), handler)
    if certificate is not None:
        context = serving(certificate)
        if clients is not None:
            context.load_verify_locations(clients)
            context.verify_mode = ssl.CERT_REQUIRED
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    handler.signing = Signing(server.server_address[1], list(keys), vault)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield handler.signing
    finally:
        handler.signing.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
