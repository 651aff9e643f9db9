"""Collateral from a PCCS and from a file; the library's own client reads the same from the same server."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote, urlsplit

import dcap_qvl
import pytest

from lit_airflow.clock import Deadline
from lit_airflow.errors import AttestationError, NodesUnavailableError, SettingsError
from lit_airflow.networks.chipotle.collateral import CollateralSource
from lit_airflow.networks.chipotle.tdx import platform_of
from lit_airflow.transport.http import Http

VECTORS = Path(__file__).parents[3] / "vectors" / "tdx"
QUOTE = (VECTORS / "tdx_quote").read_bytes()
REAL: dict[str, str] = json.loads((VECTORS / "tdx_quote_collateral.json").read_text())


@dataclass
class Pccs:
    """A PCCS that has Intel's collateral for the real quote.

    Attributes:
        url: Where it listens.
        asked: The paths and queries that were asked for.
        bodies: Path -> body that is served instead.
        status: What each answer says.
    """

    url: str
    asked: list[str] = field(default_factory=list)
    bodies: dict[str, bytes] = field(default_factory=dict)
    status: int = 200


class Handler(BaseHTTPRequestHandler):
    pccs: ClassVar[Pccs]

    def do_GET(self) -> None:
        self.pccs.asked.append(self.path)
        name = urlsplit(self.path).path.rpartition("/")[2]
        header, body = {
            "pckcrl": (("SGX-PCK-CRL-Issuer-Chain", "pck_crl_issuer_chain"), bytes.fromhex(REAL["pck_crl"])),
            "rootcacrl": (None, REAL["root_ca_crl"].encode()),
            "tcb": (("TCB-Info-Issuer-Chain", "tcb_info_issuer_chain"), signed("tcbInfo", "tcb_info")),
            "identity": (
                ("SGX-Enclave-Identity-Issuer-Chain", "qe_identity_issuer_chain"),
                signed("enclaveIdentity", "qe_identity"),
            ),
        }[name]
        body = self.pccs.bodies.get(name, body)
        self.send_response(self.pccs.status)
        if header:
            self.send_header(header[0], quote(REAL[header[1]]))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Keep the test's output clean."""


def signed(name: str, part: str) -> bytes:
    return f'{{"{name}":{REAL[part]},"signature":"{REAL[f"{part}_signature"]}"}}'.encode()


@pytest.fixture
def pccs() -> Iterator[Pccs]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {}))
    running = Pccs(f"http://127.0.0.1:{server.server_port}")
    server.RequestHandlerClass.pccs = running  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield running
    server.shutdown()
    server.server_close()
    thread.join()


def fetched(source: str) -> dict[str, str]:
    return dict(CollateralSource(source, Http()).collateral(platform_of(QUOTE), Deadline.after(20)))


def test_it_is_what_intel_signed(pccs: Pccs) -> None:
    assert fetched(f"{pccs.url}/") == REAL


def test_the_librarys_own_client_asks_for_the_same(pccs: Pccs) -> None:
    async def ask() -> object:
        return json.loads((await dcap_qvl.get_collateral(pccs.url, QUOTE)).to_json())

    fetched(pccs.url)
    ours = {each.removesuffix("&update=standard").removesuffix("?update=standard") for each in pccs.asked}
    pccs.asked.clear()
    found = asyncio.run(ask())
    theirs = {each.removesuffix("&update=standard").removesuffix("?update=standard") for each in pccs.asked}
    assert ours == theirs
    assert isinstance(found, dict)
    assert {name: found[name] for name in REAL} == REAL


@pytest.mark.parametrize("name", ["tcb", "identity"])
@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"tcbInfo":{},"enclaveIdentity":{}}'])
def test_what_is_no_collateral(pccs: Pccs, name: str, body: bytes) -> None:
    pccs.bodies[name] = body
    with pytest.raises(AttestationError) as caught:
        fetched(pccs.url)
    assert caught.value.check == "collateral"


def test_a_server_without_collateral_may_have_it_later(pccs: Pccs) -> None:
    pccs.status = 404
    with pytest.raises(NodesUnavailableError) as caught:
        fetched(pccs.url)
    assert caught.value.retryable


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "collateral.json"
    file.write_text(json.dumps(REAL))
    assert fetched(str(file)) == REAL
    file.write_text("[]")
    with pytest.raises(AttestationError):
        fetched(str(file))
    with pytest.raises(SettingsError):
        fetched(str(tmp_path / "none"))
