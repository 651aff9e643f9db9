from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from lit_airflow.clock import Deadline
from lit_airflow.errors import (
    AttestationError,
    Failure,
    FailureKind,
    NodeError,
    NodesUnavailableError,
    SettingsError,
)
from lit_airflow.keys.wallet import Wallet
from lit_airflow.networks.contract import SessionOptions
from lit_airflow.networks.datil import sev_snp
from lit_airflow.networks.datil.attestation import (
    AttestationVerifier,
    Evidence,
    check_binding,
    transcript,
)
from lit_airflow.networks.datil.description import DatilDescription
from lit_airflow.networks.datil.network import DatilNetwork
from lit_airflow.networks.datil.sev_snp import Report, TrustAnchors
from lit_airflow.networks.descriptions import describe
from lit_airflow.protocol.auth_method import AuthMethod, PkpAccess
from lit_airflow.protocol.conditions import Conditions
from lit_airflow.protocol.container import Container
from lit_airflow.protocol.scope import Scope
from lit_airflow.transport.http import Http
from tests.unit.sev_snp_chip import CHIP, NOW, TCB, YEAR, Form, SevSnpChip, text, versions

VECTORS = Path(__file__).parents[3] / "vectors" / "sev_snp"
REAL = Report((VECTORS / "report.bin").read_bytes())
REAL_VCEK = (VECTORS / "vcek.der").read_bytes()
HASHED = json.loads((VECTORS / "report_data.json").read_text("utf-8"))["cases"]
# What it says does not matter here, only that it can be read.
SEALED = (
    "pLift41OtGf28lGX7U+2kgO5p3KmjGNCqLRHzKtV2jVbsclgLG0wPfxDL4geIDKxLUAMjslE8Rnrcud7ADupXRthiY"
    "SSEj6fidLFQ6RBkZsgFpJyeBUxMocU1xHyerNgoNQWaVpD2qp/PwCBAI409HUC"
)
NODE = "https://203.0.113.7:8443"
ADDRESS = "203.0.113.7:8443"
CHALLENGE = bytes(range(32))
NO_PROOF = Failure(FailureKind.UNTRUSTED, "The node sent no attestation")
FIVE = b"\x05\x00\x00\x00"

# AMD numbers every chip's certificate 0; pytest undoes the filter that the package sets for itself.
pytestmark = pytest.mark.filterwarnings("ignore:Parsed a serial number")


@pytest.fixture(scope="module")
def chip() -> SevSnpChip:
    return SevSnpChip()


@contextmanager
def refused(check: str) -> Iterator[None]:
    with pytest.raises(AttestationError) as caught:
        yield
    assert caught.value.check == check
    assert not caught.value.retryable


# AMD's own.


def test_the_roots_are_amds() -> None:
    roots = sev_snp.milan()
    fingerprints = {
        name: hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
        for name, certificate in (("ark", roots.ark), ("ask", roots.ask))
    }
    assert fingerprints == {
        "ark": "69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd",
        "ask": "67d303bd3905fd38db8b20e0793699870e7fa612eaad5dec358293fd8c0bac1b",
    }
    assert roots.ark.subject == roots.ark.issuer == roots.ask.issuer
    for certificate, name in ((roots.ark, "CN=ARK-Milan,"), (roots.ask, "CN=SEV-Milan,")):
        assert certificate.subject.rfc4514_string().startswith(name)
        key = certificate.public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        assert key.key_size == 4096


def real_without_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real report is of a guest that may be debugged; look past that, and at all else."""
    monkeypatch.setattr(sev_snp, "_DEBUG_ALLOWED", 0)


def test_a_real_report_verifies_but_for_its_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    with refused("policy"):
        sev_snp.verify(REAL, REAL_VCEK, sev_snp.milan(), NOW)
    real_without_policy(monkeypatch)
    sev_snp.verify(REAL, REAL_VCEK, sev_snp.milan(), NOW)


@pytest.mark.parametrize("at", [0x50, 0x90, 0x29F, 0x2A0, 0x2E8])
def test_one_bit_of_a_real_report(at: int, monkeypatch: pytest.MonkeyPatch) -> None:
    real_without_policy(monkeypatch)
    raw = bytearray(REAL.raw)
    raw[at] ^= 1
    with refused("signature"):
        sev_snp.verify(Report(bytes(raw)), REAL_VCEK, sev_snp.milan(), NOW)


def test_a_real_certificate_under_other_roots(chip: SevSnpChip, monkeypatch: pytest.MonkeyPatch) -> None:
    real_without_policy(monkeypatch)
    with refused("certificate"):
        sev_snp.verify(REAL, REAL_VCEK, chip.roots(), NOW)


def test_where_a_real_certificate_comes_from() -> None:
    # As sevSnpGetVcekUrl of @lit-protocol/wasm 7.4.0 and 8.1.0 says.
    assert sev_snp.certificate_url(REAL) == (
        "https://kdsintf.amd.com/vcek/v1/Milan/"
        "3ac3fe21e13fb0990eb28a802e3fb6a29483a6b0753590c951bdd3b8e53786184ca39e359669a2b76a1936776b564ea4"
        "64cdce40c05f63c9b610c5068b006b5d?blSPL=02&teeSPL=00&snpSPL=05&ucodeSPL=68"
    )


@pytest.mark.parametrize("case", HASHED, ids=range(len(HASHED)))
def test_what_report_data_is_the_hash_of(case: dict[str, Any]) -> None:
    evidence = Evidence.read({**case, "noonce": case["nonce"], "report": text(REAL.raw)})
    assert hashlib.sha512(transcript(evidence)).hexdigest() == case["datil"]


# Reports.


def test_a_good_report_verifies(chip: SevSnpChip) -> None:
    sev_snp.verify(Report(chip.report()), chip.vcek(), chip.roots(), NOW)


@pytest.mark.parametrize("version", [3, 4, 5])
def test_later_versions_name_the_processor(chip: SevSnpChip, version: int) -> None:
    milan = {0: bytes((version,)), 0x188: bytes((0x19, 0x01, 0x01))}
    sev_snp.verify(Report(chip.report(patches=milan)), chip.vcek(), chip.roots(), NOW)


@pytest.mark.parametrize(
    ("patches", "check"),
    [
        ({0: b"\x00"}, "report"),
        ({0: b"\x01"}, "report"),
        ({0: b"\x06"}, "report"),
        ({0x34: b"\x00"}, "report"),
        ({0x34: b"\x02"}, "report"),
        ({0x48: b"\x04"}, "report"),
        ({0x48: b"\x1c"}, "report"),
        ({0x0A: b"\x0b"}, "policy"),
        ({0x0A: b"\x07"}, "policy"),  # a migration agent may take the machine elsewhere
        ({0x30: b"\x01"}, "policy"),
        ({0: b"\x03", 0x188: b"\x19\x11"}, "chip"),
        ({0: b"\x03", 0x188: b"\x1a\x01"}, "chip"),
        ({0x180: bytes((TCB[0] + 1,))}, "chip"),
        ({0x181: bytes((TCB[1] + 1,))}, "chip"),
        ({0x186: bytes((TCB[6] + 1,))}, "chip"),
        ({0x187: bytes((TCB[7] - 1,))}, "chip"),
        ({0x1A0: bytes(64)}, "chip"),
        ({0x1DF: b"\x00"}, "chip"),
    ],
)
def test_what_a_report_may_not_say(chip: SevSnpChip, patches: dict[int, bytes], check: str) -> None:
    with refused(check):
        sev_snp.verify(Report(chip.report(patches=patches)), chip.vcek(), chip.roots(), NOW)


@pytest.mark.parametrize("size", [0, 1183, 1185])
def test_a_report_of_another_size(size: int) -> None:
    with refused("report"):
        Report(bytes(size))


@pytest.mark.parametrize("at", [0x05, 0x50, 0x90, 0x1E0, 0x29F, 0x2A0, 0x2E8])
def test_one_bit_of_a_signed_report(chip: SevSnpChip, at: int) -> None:
    raw = bytearray(chip.report())
    raw[at] ^= 1
    with refused("signature"):
        sev_snp.verify(Report(bytes(raw)), chip.vcek(), chip.roots(), NOW)


@pytest.mark.parametrize("number", [bytes(72), b"\xff" * 72])
def test_signature_numbers_out_of_range(chip: SevSnpChip, number: bytes) -> None:
    raw = chip.report()
    for at in (0x2A0, 0x2E8):
        with refused("signature"):
            altered = Report(raw[:at] + number + raw[at + 72 :])
            sev_snp.verify(altered, chip.vcek(), chip.roots(), NOW)


# Certificates.


def judge(
    chip: SevSnpChip, vcek: bytes | None = None, roots: TrustAnchors | None = None, now: datetime = NOW
) -> None:
    sev_snp.verify(Report(chip.report()), vcek or chip.vcek(), roots or chip.roots(), now)


def test_a_certificate_that_is_none(chip: SevSnpChip) -> None:
    for content in (b"<html>", chip.vcek()[:-1]):
        with refused("certificate"):
            judge(chip, content)


def test_a_certificate_by_somebody_else(chip: SevSnpChip) -> None:
    stranger = SevSnpChip()
    for vcek in (
        chip.vcek(signer=stranger.ask_key),
        chip.vcek(signer=chip.ark_key),
        chip.vcek(issuer="ARK-Test", signer=chip.ark_key),
        chip.vcek(issuer="Somebody"),
    ):
        with refused("certificate"):
            judge(chip, vcek)


def test_a_certificate_signed_in_another_way(chip: SevSnpChip) -> None:
    for vcek in (chip.vcek(pss=False), chip.vcek(digest=SHA256())):
        with refused("certificate"):
            judge(chip, vcek)


def test_roots_that_do_not_hang_together(chip: SevSnpChip) -> None:
    stranger = SevSnpChip()
    for roots in (
        TrustAnchors(stranger.ark(), chip.ask()),
        TrustAnchors(chip.ark(), stranger.ask()),
        TrustAnchors(chip.ask(), chip.ask()),
        TrustAnchors(chip.ark(pss=False), chip.ask()),
        TrustAnchors(chip.ark(), chip.ask(digest=SHA256())),
    ):
        with refused("certificate"):
            judge(chip, roots=roots)


def test_each_certificate_has_its_time(chip: SevSnpChip) -> None:
    over: Form = {"end": NOW - timedelta(seconds=1)}
    ahead: Form = {"begin": NOW + timedelta(minutes=6)}
    for dates in (over, ahead):
        with refused("certificate"):
            judge(chip, chip.vcek(**dates))
        with refused("certificate"):
            judge(chip, roots=TrustAnchors(chip.ark(**dates), chip.ask()))
        with refused("certificate"):
            judge(chip, roots=TrustAnchors(chip.ark(), chip.ask(**dates)))
    for now in (NOW - YEAR - timedelta(minutes=6), NOW + YEAR + timedelta(seconds=1)):
        with refused("certificate"):
            judge(chip, now=now)


def test_a_certificate_dated_just_ahead_of_this_clock(chip: SevSnpChip) -> None:
    judge(chip, chip.vcek(begin=NOW + timedelta(minutes=4)))


def test_the_key_is_on_the_right_curve(chip: SevSnpChip) -> None:
    for key in (ec.generate_private_key(ec.SECP256R1()), chip.ask_key):
        with refused("certificate"):
            judge(chip, chip.vcek(key=key))


def test_another_chips_key(chip: SevSnpChip) -> None:
    with refused("signature"):
        judge(chip, chip.vcek(key=ec.generate_private_key(ec.SECP384R1())))


def test_the_chips_number_may_be_wrapped(chip: SevSnpChip) -> None:
    judge(chip, chip.vcek(extensions={**versions(), "4": b"\x04\x40" + CHIP}))


@pytest.mark.parametrize("oid", ["4", "3.1", "3.2", "3.3", "3.8"])
def test_what_a_certificate_must_say(chip: SevSnpChip, oid: str) -> None:
    good = versions()
    wrong = good[oid][:-1] + bytes((good[oid][-1] ^ 1,))
    without = {key: value for key, value in good.items() if key != oid}
    for extensions in ({**good, oid: wrong}, without):
        with refused("chip"):
            judge(chip, chip.vcek(extensions=extensions))


# What a node sends.


def test_a_good_proof_is_bound(chip: SevSnpChip) -> None:
    proof = chip.attestation(CHALLENGE, ADDRESS)
    check_binding(Evidence.read(proof), NODE, CHALLENGE)


@pytest.mark.parametrize(
    ("node", "address"),
    [("https://203.0.113.7", "203.0.113.7:443"), ("http://203.0.113.7", "203.0.113.7:80")],
)
def test_ports_that_a_url_may_leave_out(chip: SevSnpChip, node: str, address: str) -> None:
    check_binding(Evidence.read(chip.attestation(CHALLENGE, address)), node, CHALLENGE)


@pytest.mark.parametrize(
    "node",
    ["https://203.0.113.7:8444", "https://203.0.113.8:8443", "https://203.0.113.7", "https://[::1]:8443"],
)
def test_a_proof_of_another_address(chip: SevSnpChip, node: str) -> None:
    proof = Evidence.read(chip.attestation(CHALLENGE, ADDRESS))
    with refused("address"):
        check_binding(proof, node, CHALLENGE)


@pytest.mark.parametrize("challenge", [bytes(32), CHALLENGE[:-1], b""])
def test_a_proof_for_another_challenge(chip: SevSnpChip, challenge: bytes) -> None:
    with refused("challenge"):
        proof = Evidence.read(chip.attestation(challenge, ADDRESS))
        check_binding(proof, NODE, CHALLENGE)


def without_address(proof: dict[str, Any]) -> None:
    del proof["data"]["EXTERNAL_ADDR"]


def test_a_proof_without_an_address(chip: SevSnpChip) -> None:
    proof = chip.attestation(CHALLENGE, ADDRESS)
    without_address(proof)
    with refused("address"):
        check_binding(Evidence.read(proof), NODE, CHALLENGE)


def test_data_that_the_report_does_not_cover(chip: SevSnpChip) -> None:
    changes: tuple[Callable[[dict[str, Any]], object], ...] = (
        lambda proof: proof["data"].update(INSTANCE_ID=text(b"node-2")),
        lambda proof: proof["data"].update(MORE=text(b"more")),
        lambda proof: proof["data"].pop("UNIX_TIME"),
        lambda proof: proof["signatures"].insert(0, text(b"x")),
        lambda proof: proof["signatures"].clear(),
        lambda proof: proof.update(report=text(chip.report())),
    )
    for change in changes:
        proof = chip.attestation(CHALLENGE, ADDRESS)
        change(proof)
        with refused("data"):
            check_binding(Evidence.read(proof), NODE, CHALLENGE)


@pytest.mark.parametrize(
    ("address", "names"),
    [
        ("203.0.113.7:844", ("3INSTANCE_ID", "INSTANCE_ID")),
        ("203.0.113.7:84", ("43INSTANCE_ID", "INSTANCE_ID")),
        ("203.0.113.7:844", ("INSTANCE_ID", "INSTANCE_ID")),
    ],
)
def test_the_reports_bytes_are_not_those_of_another_address(
    chip: SevSnpChip, address: str, names: tuple[str, str]
) -> None:
    """The transcript has no lengths: a name that begins with the rest of the address would be cut elsewhere."""
    proof = chip.attestation(CHALLENGE, ADDRESS)
    data = proof["data"]
    data[names[0]] = data.pop(names[1])
    data["EXTERNAL_ADDR"] = text(address.encode())
    with refused("data"):
        check_binding(Evidence.read(proof), f"https://{address}", CHALLENGE)


@pytest.mark.parametrize("proof", [None, 1, "text", [], {}, [["data", 1]]])
def test_a_proof_that_is_none(proof: object) -> None:
    with refused("attestation"):
        Evidence.read(proof)


@pytest.mark.parametrize("name", ["noonce", "data", "signatures", "report"])
@pytest.mark.parametrize("wrong", [None, 5, "not base64!", "Zm9v!", {"a": None}, [b"bytes"], "absent"])
def test_a_malformed_proof(chip: SevSnpChip, name: str, wrong: object) -> None:
    proof = chip.attestation(CHALLENGE, ADDRESS)
    if wrong == "absent":
        del proof[name]
    else:
        proof[name] = wrong
    with refused("attestation"):
        Evidence.read(proof)


# Nodes, over HTTP.


@dataclass
class KeyService:
    """Hands out certificates and counts."""

    certificate: bytes
    failures: int = 0
    asked: list[str] = field(default_factory=list)

    def fetch(self, url: str, _deadline: Deadline, _cancelled: threading.Event) -> bytes:
        self.asked.append(url)
        if self.failures:
            self.failures -= 1
            raise NodeError("HTTP 429", status=429, retryable=True)
        return self.certificate


def attestor_for(chip: SevSnpChip, service: KeyService) -> AttestationVerifier:
    return AttestationVerifier(service.fetch, lambda: NOW, chip.roots())


def examine(attestor: AttestationVerifier, proof: object) -> None:
    attestor.check(proof, NODE, CHALLENGE, Deadline.after(5), threading.Event())


def test_a_certificate_is_asked_for_once(chip: SevSnpChip) -> None:
    service = KeyService(chip.vcek())
    attestor = attestor_for(chip, service)
    for _ in range(3):
        examine(attestor, chip.attestation(CHALLENGE, ADDRESS))
    assert service.asked == [
        f"https://kdsintf.amd.com/vcek/v1/Milan/{CHIP.hex()}?blSPL=03&teeSPL=00&snpSPL=22&ucodeSPL=213"
    ]


def test_a_certificate_that_proved_nothing_is_not_kept(chip: SevSnpChip) -> None:
    service = KeyService(b"<html>")
    attestor = attestor_for(chip, service)
    with refused("certificate"):
        examine(attestor, chip.attestation(CHALLENGE, ADDRESS))
    service.certificate = chip.vcek()
    examine(attestor, chip.attestation(CHALLENGE, ADDRESS))
    assert len(service.asked) == 2


def test_amd_is_not_asked_about_what_is_wrong_anyway(chip: SevSnpChip) -> None:
    service = KeyService(chip.vcek())
    attestor = attestor_for(chip, service)
    for proof, check in (
        (None, "attestation"),
        (chip.attestation(bytes(32), ADDRESS), "challenge"),
        (chip.attestation(CHALLENGE, "203.0.113.8:8443"), "address"),
        (chip.attestation(CHALLENGE, ADDRESS, patches={0x0A: b"\x0b"}), "policy"),
    ):
        with pytest.raises(AttestationError) as caught:
            examine(attestor, proof)
        assert (caught.value.check, caught.value.node) == (check, NODE)
    assert service.asked == []


def test_amd_does_not_answer(chip: SevSnpChip) -> None:
    service = KeyService(chip.vcek(), failures=1)
    attestor = attestor_for(chip, service)
    with pytest.raises(NodeError, match="AMD's key service did not certify its chip: HTTP 429") as caught:
        examine(attestor, chip.attestation(CHALLENGE, ADDRESS))
    assert caught.value.retryable
    examine(attestor, chip.attestation(CHALLENGE, ADDRESS))


Answering = Callable[[bytes, str], object]


@dataclass
class Site:
    """One node, or AMD: a server on this machine.

    Attributes:
        prove: Challenge and address -> the attestation to answer with.
        content: What GET answers with.
        challenges: Those it was sent.
    """

    prove: Answering = field(default=lambda _challenge, _address: None)
    content: bytes = b""
    status: int = 200
    challenges: list[bytes] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            site.seen.append(self.path)
            challenge = bytes.fromhex(body["challenge"]) if "challenge" in body else b""
            site.challenges.append(challenge)
            answer = {
                "subnetPublicKey": "ab" * 48,
                "latestBlockhash": "0x" + "12" * 32,
                "attestation": site.prove(challenge, site.url.removeprefix("http://")),
            }
            self.reply(json.dumps(answer).encode(), "application/json")

        def do_GET(self) -> None:
            site.seen.append(self.path)
            self.reply(site.content, "application/octet-stream")

        def reply(self, content: bytes, content_type: str) -> None:
            self.send_response(site.status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("Location", "/elsewhere")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def network_of(
    chip: SevSnpChip, *proofs: Answering, threshold: int
) -> Iterator[tuple[DatilNetwork, list[Site]]]:
    with ExitStack() as stack:
        sites = [stack.enter_context(serving(Site(prove))) for prove in proofs]
        row = DatilDescription(
            network="custom",
            nodes=tuple(site.url for site in sites),
            threshold=threshold,
            epoch=7,
            attestation=True,
        )
        attestor = attestor_for(chip, KeyService(chip.vcek()))
        yield DatilNetwork(row, Http(), lambda: NOW, attestor), sites


def test_nodes_that_prove_themselves(chip: SevSnpChip) -> None:
    with network_of(chip, *[chip.attestation] * 3, threshold=2) as (network, sites):
        committee = network.survey(Deadline.after(20))
        assert committee.absent == {}
        challenges = [challenge for site in sites for challenge in site.challenges]
    assert len(set(challenges)) == len(challenges) == 3
    assert {len(challenge) for challenge in challenges} == {32}


def test_a_node_that_does_not_is_absent(chip: SevSnpChip) -> None:
    stale = chip.attestation(CHALLENGE, ADDRESS)
    with network_of(
        chip, chip.attestation, lambda *_: None, chip.attestation, lambda *_: stale, threshold=2
    ) as (network, sites):
        committee = network.survey(Deadline.after(20))
    assert committee.nodes == tuple(site.url for site in sites)
    assert committee.absent == {
        sites[1].url: NO_PROOF,
        sites[3].url: Failure(FailureKind.UNTRUSTED, "The attestation answers another challenge"),
    }


def test_below_the_threshold_each_cause_is_named(chip: SevSnpChip) -> None:
    with (
        network_of(
            chip,
            chip.attestation,
            lambda *_: None,
            lambda challenge, _: chip.attestation(challenge, ADDRESS),
            threshold=2,
        ) as (network, sites),
        pytest.raises(NodesUnavailableError) as caught,
    ):
        network.survey(Deadline.after(20))
    assert (caught.value.needed, caught.value.reached) == (2, 1)
    assert caught.value.failures == {
        sites[1].url: NO_PROOF,
        sites[2].url: Failure(FailureKind.UNTRUSTED, "The attestation is for a node at another address"),
    }


def test_a_node_that_did_not_prove_itself_is_not_asked_to_decrypt(chip: SevSnpChip) -> None:
    conditions = Conditions.parse({"accessControlConditions": [], "chain": "ethereum"})
    sealed = {"ciphertext": SEALED, "dataToEncryptHash": "00" * 32}
    scope = Scope.to_decrypt(conditions.resource_id("00" * 32))
    wallet = Wallet.from_key("0x" + "11" * 32)
    with network_of(chip, chip.attestation, lambda *_: None, threshold=1) as (network, sites):
        session = network.open_session(
            wallet,
            scope,
            SessionOptions(ttl_s=60),
            Deadline.after(20),
        )
        with pytest.raises(NodesUnavailableError) as caught:
            network.decrypt(Container(sealed, conditions), session, Deadline.after(20))
    assert caught.value.failures[sites[1].url] == NO_PROOF
    assert "/web/encryption/sign/" in sites[0].seen
    assert "/web/encryption/sign/" not in sites[1].seen


def test_a_node_that_did_not_prove_itself_is_shown_no_token(chip: SevSnpChip) -> None:
    """Whoever has an authentication method's token can use the PKP."""
    access = PkpAccess("0x04" + "11" * 64, (AuthMethod(1, "a token"),))
    scope = Scope.parse(["pkp-signing=lit-pkp://*"])
    with (
        network_of(chip, chip.attestation, lambda *_: None, threshold=1) as (network, sites),
        pytest.raises(NodesUnavailableError) as caught,
    ):
        network.open_pkp_session(access, scope, SessionOptions(ttl_s=60), Deadline.after(20))
    assert caught.value.failures[sites[1].url] == NO_PROOF
    assert "/web/sign_session_key/v1" in sites[0].seen
    assert "/web/sign_session_key/v1" not in sites[1].seen


def test_a_network_that_does_not_demand_it_looks_at_nothing() -> None:
    with serving(Site(lambda *_: "nonsense")) as site:
        row = DatilDescription(network="custom", nodes=(site.url,), threshold=1, epoch=7)
        network = DatilNetwork(row, Http(), lambda: NOW)
        assert network.survey(Deadline.after(20)).absent == {}


@pytest.mark.parametrize("name", ["datil-test", "datil"])
def test_the_known_networks_are_held_to_amds_roots(name: str) -> None:
    network = DatilNetwork(describe(name), Http(), lambda: NOW)  # type: ignore[arg-type]
    assert network.verifier is not None
    assert network.verifier.trust_anchors == sev_snp.milan()


def test_what_a_description_says_of_attestation() -> None:
    custom = {"nodes": ["http://127.0.0.1:7470"], "threshold": 1}
    assert not describe(custom).attestation
    assert describe({**custom, "attestation": True}).attestation
    assert describe({"network": "datil"}).attestation
    assert describe({"network": "datil-dev", "attestation": True}).attestation
    assert describe({**custom, "attestation": "require"}).attestation  # as a connection says it
    assert not describe({**custom, "attestation": "off"}).attestation
    for wrong in (
        {"network": "datil", "attestation": False},
        {"network": "datil", "attestation": "off"},
        {**custom, "attestation": "yes"},
        {**custom, "attestation": "report"},
    ):
        with pytest.raises(SettingsError) as caught:
            describe(wrong)
        assert caught.value.field == "attestation"


# Getting a certificate.


def get(url: str) -> bytes:
    network = DatilNetwork(describe("datil-dev"), Http(), lambda: NOW)  # type: ignore[arg-type]
    return network._certificate(url, Deadline.after(5), threading.Event())


def test_a_small_file_is_got() -> None:
    with serving(Site(content=REAL_VCEK)) as site:
        assert get(f"{site.url}/vcek?blSPL=02") == REAL_VCEK
        assert site.seen == ["/vcek?blSPL=02"]


def test_a_large_file_is_not_got() -> None:
    with serving(Site(content=bytes(16 * 1024))) as site:
        assert len(get(site.url)) == 16 * 1024
        site.content = bytes(16 * 1024 + 1)
        with pytest.raises(NodeError, match="longer than 16384 bytes"):
            get(site.url)


@pytest.mark.parametrize(("status", "attempts"), [(404, 1), (302, 1), (429, 3), (500, 3)])
def test_a_file_that_is_refused(status: int, attempts: int) -> None:
    with serving(Site(status=status)) as site:
        with pytest.raises(NodeError, match=re.escape(f"HTTP {status}")) as caught:
            get(site.url + "/vcek")
        kind = FailureKind.BUSY if attempts > 1 else FailureKind.REFUSED
        assert (caught.value.status, caught.value.kind) == (status, kind)
        assert caught.value.retryable == (attempts > 1)
        assert site.seen == ["/vcek"] * attempts
