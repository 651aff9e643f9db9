"""Does a node run on hardware that keeps its host out, and is it the node that was talked to?

A node answers a fresh challenge with data about itself and a report by its processor that covers both. Of that,
what is checked here: the challenge is ours, the address is the one talked to, the report covers challenge and
data, and a genuine AMD chip made the report (:mod:`lit_airflow.networks.datil.sev_snp`).

What this does not prove: which software the node runs (nothing says which ``measurement`` is right), and that the
TLS connection ends in the attested machine (Datil's data holds no key of it).

Source: spec of the protocol, section 3.2; ``@lit-protocol/crypto`` and ``@lit-protocol/wasm`` 7.4.0 and 8.1.0.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from lit_airflow.clock import Clock, Deadline
from lit_airflow.errors import AttestationError, NodeError
from lit_airflow.networks.datil import sev_snp
from lit_airflow.networks.datil.sev_snp import Report, TrustAnchors

_ADDRESS = "EXTERNAL_ADDR"
_PORTS = {"https": 443, "http": 80}
_LENGTH_BYTES = 8

Fetch = Callable[[str, Deadline, threading.Event], bytes]
"""What gets the bytes behind a URL; raises :class:`NodeError`."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a node offers as proof, decoded.

    Attributes:
        nonce: The challenge it answers.
        data: What it says of itself.
        signatures: By those who vouch for its software, in order; covered by the report but not looked at.
        report: The processor's report.
    """

    nonce: bytes
    data: Mapping[str, bytes]
    signatures: tuple[bytes, ...]
    report: Report

    @classmethod
    def read(cls, attestation: object) -> Evidence:
        """Read ``{"type", "noonce", "data", "signatures", "report"}``, all base64.

        ``type`` is not looked at: nothing covers it, and the report must hold whatever it says.

        Raises:
            AttestationError: There is none, or it is malformed.
        """
        if attestation is None:
            raise AttestationError("The node offers no proof of its hardware.", check="attestation")
        try:
            fields: Mapping[str, Any] = dict(attestation)  # type: ignore[call-overload]  # TypeError is caught
            data = {name: _bytes(value) for name, value in dict(fields["data"]).items()}
            signatures = tuple(_bytes(value) for value in fields["signatures"])
            nonce, raw = _bytes(fields["noonce"]), _bytes(fields["report"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise AttestationError("The node's proof is malformed.", check="attestation") from error
        return cls(nonce, data, signatures, Report(raw))


Transcript = Callable[[Evidence], bytes]
"""What a report's data is the SHA-512 of; differs between the network's generations."""


def concatenated(evidence: Evidence) -> bytes:
    """Datil's: names and values without lengths, names in byte order, all signatures but the last."""
    parts = [b"noonce", evidence.nonce, b"data"]
    for name, value in _in_byte_order(evidence.data):
        parts += [name, value]
    if evidence.signatures:
        parts += [b"signatures", *evidence.signatures[:-1]]
    return b"".join(parts)


def length_prefixed(evidence: Evidence) -> bytes:
    """Naga's: each item after its length, each list after its count, and all signatures."""
    parts = [b"noonce", _sized(evidence.nonce), b"data", _count(len(evidence.data))]
    for name, value in _in_byte_order(evidence.data):
        parts += [_sized(name), _sized(value)]
    if evidence.signatures:
        parts += [b"signatures", _count(len(evidence.signatures)), *map(_sized, evidence.signatures)]
    return b"".join(parts)


def check_binding(evidence: Evidence, node: str, challenge: bytes, transcript: Transcript) -> None:
    """Check that the proof answers this challenge, by the node of this URL, and that the report covers both.

    Raises:
        AttestationError: It does not.
    """
    if not hmac.compare_digest(evidence.nonce, challenge):
        raise AttestationError("The proof is for another challenge.", check="challenge")
    if evidence.data.get(_ADDRESS) != _address(node):
        raise AttestationError("The proof is of a node at another address.", check="address")
    if not hmac.compare_digest(evidence.report.report_data, hashlib.sha512(transcript(evidence)).digest()):
        raise AttestationError("The report does not cover the node's data.", check="data")


@dataclass(slots=True)
class AttestationVerifier:
    """Checks nodes' proofs, and keeps the chips' certificates. Safe to use from many threads.

    A certificate is kept once a report has been verified with it, so nothing but genuine chips takes room.

    Attributes:
        fetch: How to get a certificate.
        clock: What tells the time.
        transcript: How this generation computes a report's data.
        roots: Whom to trust.
    """

    fetch: Fetch
    clock: Clock
    transcript: Transcript
    roots: TrustAnchors = field(default_factory=sev_snp.milan)
    _kept: dict[str, bytes] = field(default_factory=dict, init=False, repr=False)

    def check(
        self, attestation: object, node: str, challenge: bytes, deadline: Deadline, cancelled: threading.Event
    ) -> None:
        """Check one node's proof; ask AMD for the chip's certificate if it is not kept yet.

        Args:
            attestation: As it stands in the handshake.
            node: The URL that was talked to.
            challenge: The 32 bytes that this node was sent.
            deadline: By when.
            cancelled: Set when the answer is no longer wanted.

        Raises:
            AttestationError: The proof does not hold.
            NodeError: AMD did not give the certificate.
        """
        try:
            evidence = Evidence.read(attestation)
            check_binding(evidence, node, challenge, self.transcript)
            sev_snp.check_report(evidence.report)
            url = sev_snp.certificate_url(evidence.report)
            vcek = self._kept.get(url) or self._fetched(url, deadline, cancelled)
            sev_snp.verify(evidence.report, vcek, self.roots, self.clock())
        except AttestationError as error:
            raise AttestationError(error.message, check=error.check, node=node) from error
        self._kept[url] = vcek

    def _fetched(self, url: str, deadline: Deadline, cancelled: threading.Event) -> bytes:
        try:
            return self.fetch(url, deadline, cancelled)
        except NodeError as error:
            raise NodeError(
                f"AMD's key service did not certify its chip: {error}",
                status=error.status,
                retryable=error.retryable,
                retry_after_s=error.retry_after_s,
            ) from error


def _bytes(text: object) -> bytes:
    if not isinstance(text, str):
        raise TypeError("not a text")
    return base64.b64decode(text, validate=True)


def _address(node: str) -> bytes:
    parts = urlsplit(node)
    return f"{parts.hostname}:{parts.port or _PORTS[parts.scheme]}".encode()


def _in_byte_order(data: Mapping[str, bytes]) -> list[tuple[bytes, bytes]]:
    return sorted((name.encode(), value) for name, value in data.items())


def _count(number: int) -> bytes:
    return number.to_bytes(_LENGTH_BYTES, "big")


def _sized(item: bytes) -> bytes:
    return _count(len(item)) + item
