"""Verifying that a node runs on hardware that its host cannot look into (RFC 9334: the node is the attester).

A node answers a fresh challenge with data about itself and a report by its processor that covers both.
Checked here: the challenge is the one that was sent, the address is the one that was contacted, the report
covers challenge and data, and a genuine AMD chip signed the report
(:mod:`lit_airflow.networks.datil.sev_snp`).

This does not prove which software the node runs (no list says which ``measurement`` is right), nor that the TLS
connection ends in the attested machine (Datil's data holds no key of it).

Source: docs/protocol/handshake.md; ``@lit-protocol/crypto`` and ``@lit-protocol/wasm`` 7.4.0 and 8.1.0.
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

Fetch = Callable[[str, Deadline, threading.Event], bytes]
"""Gets what is at a URL; raises :class:`NodeError`."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A node's evidence, decoded.

    Attributes:
        nonce: The challenge it answers.
        data: Its claims, by name.
        signatures: Signatures for its software, in order; covered by the report but not verified.
        report: The processor's report.
    """

    nonce: bytes
    data: Mapping[str, bytes]
    signatures: tuple[bytes, ...]
    report: Report

    @classmethod
    def read(cls, attestation: object) -> Evidence:
        """Read ``{"type", "noonce", "data", "signatures", "report"}``, all base64.

        ``type`` is ignored: nothing covers it.

        Raises:
            AttestationError: It is missing or malformed.
        """
        if attestation is None:
            raise AttestationError("The node sent no attestation.", check="attestation")
        try:
            fields: Mapping[str, Any] = dict(attestation)  # type: ignore[call-overload]  # TypeError is caught
            data = {name: _bytes(value) for name, value in dict(fields["data"]).items()}
            signatures = tuple(_bytes(value) for value in fields["signatures"])
            nonce, raw = _bytes(fields["noonce"]), _bytes(fields["report"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise AttestationError("The node's attestation is malformed.", check="attestation") from error
        return cls(nonce, data, signatures, Report(raw))


def transcript(evidence: Evidence) -> bytes:
    """Return the bytes whose SHA-512 is the report's data.

    Names and values without lengths, names in byte order, all signatures but the last.
    """
    parts = [b"noonce", evidence.nonce, b"data"]
    for name, value in _in_byte_order(evidence.data):
        parts += [name, value]
    if evidence.signatures:
        parts += [b"signatures", *evidence.signatures[:-1]]
    return b"".join(parts)


def check_binding(evidence: Evidence, node: str, challenge: bytes) -> None:
    """Check that the evidence answers this challenge, from the node of this URL, and that the report covers both.

    Raises:
        AttestationError: It does not.
    """
    if not hmac.compare_digest(evidence.nonce, challenge):
        raise AttestationError("The attestation answers another challenge.", check="challenge")
    if evidence.data.get(_ADDRESS) != _address(node):
        raise AttestationError("The attestation is for a node at another address.", check="address")
    if not hmac.compare_digest(evidence.report.report_data, hashlib.sha512(transcript(evidence)).digest()):
        raise AttestationError("The report does not cover the node's data.", check="data")


@dataclass(slots=True)
class AttestationVerifier:
    """Verifies nodes' attestations and keeps the chips' certificates. Safe to use from many threads.

    A certificate is kept once a report has been verified with it, so only genuine chips take memory.

    Attributes:
        fetch: Gets a certificate.
        clock: Tells the time.
        trust_anchors: The certificates that chips' certificates must lead to.
    """

    fetch: Fetch
    clock: Clock
    trust_anchors: TrustAnchors = field(default_factory=sev_snp.milan)
    _kept: dict[str, bytes] = field(default_factory=dict, init=False, repr=False)

    def check(
        self, attestation: object, node: str, challenge: bytes, deadline: Deadline, cancelled: threading.Event
    ) -> None:
        """Verify one node's attestation; ask AMD for the chip's certificate if it is not kept yet.

        Args:
            attestation: As it stands in the handshake.
            node: The URL that was contacted.
            challenge: The 32 bytes that this node was sent.
            deadline: When to stop.
            cancelled: Set when the answer is no longer wanted.

        Raises:
            AttestationError: It does not verify.
            NodeError: AMD did not give the certificate.
        """
        try:
            evidence = Evidence.read(attestation)
            check_binding(evidence, node, challenge)
            sev_snp.check_report(evidence.report)
            url = sev_snp.certificate_url(evidence.report)
            vcek = self._kept.get(url) or self._fetched(url, deadline, cancelled)
            sev_snp.verify(evidence.report, vcek, self.trust_anchors, self.clock())
        except AttestationError as error:
            raise AttestationError(error.message, check=error.check, node=node) from error
        self._kept[url] = vcek

    def _fetched(self, url: str, deadline: Deadline, cancelled: threading.Event) -> bytes:
        try:
            return self.fetch(url, deadline, cancelled)
        except NodeError as error:
            raise NodeError(
                f"AMD's key service did not certify its chip: {error}",
                kind=error.kind,
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
