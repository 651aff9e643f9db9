"""A make of chips that does not exist: its root, its certificates, its reports, and what nodes make of them."""

from __future__ import annotations

import base64
import hashlib
import struct
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict, Unpack

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from lit_airflow.networks.datil.attestation import Evidence, transcript
from lit_airflow.networks.datil.sev_snp import Report, TrustAnchors

NOW = datetime(2026, 11, 1, tzinfo=UTC)
AMD = "1.3.6.1.4.1.3704.1"
CHIP = bytes(range(64))
TCB = bytes((3, 0, 0, 0, 0, 0, 22, 213))
YEAR = timedelta(days=365)

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class Form(TypedDict, total=False):
    """How a certificate differs from a good one."""

    extensions: dict[str, bytes]
    begin: datetime
    end: datetime
    digest: SHA256 | SHA384
    pss: bool


def integer(value: int) -> bytes:
    raw = value.to_bytes(value.bit_length() // 8 + 1, "big")
    return bytes((2, len(raw))) + raw


def versions(tcb: bytes = TCB) -> dict[str, bytes]:
    """The extensions of a chip's certificate."""
    named = {"3.1": tcb[0], "3.2": tcb[1], "3.3": tcb[6], "3.8": tcb[7]}
    return {"4": CHIP} | {oid: integer(value) for oid, value in named.items()}


@dataclass
class SevSnpChip:
    """Root and intermediate, both new."""

    ark_key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    ask_key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    chip_key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP384R1())
    )

    def ark(self, **changes: Unpack[Form]) -> x509.Certificate:
        return issue("ARK-Test", "ARK-Test", self.ark_key.public_key(), self.ark_key, **changes)

    def ask(self, **changes: Unpack[Form]) -> x509.Certificate:
        return issue("SEV-Test", "ARK-Test", self.ask_key.public_key(), self.ark_key, **changes)

    def roots(self) -> TrustAnchors:
        return TrustAnchors(self.ark(), self.ask())

    def vcek(
        self,
        *,
        key: PrivateKey | None = None,
        signer: rsa.RSAPrivateKey | None = None,
        issuer: str = "SEV-Test",
        **changes: Unpack[Form],
    ) -> bytes:
        subject_key = (key or self.chip_key).public_key()
        changes.setdefault("extensions", versions())
        certificate = issue("SEV-VCEK", issuer, subject_key, signer or self.ask_key, **changes)
        return certificate.public_bytes(Encoding.DER)

    def report(self, data: bytes = bytes(64), *, patches: dict[int, bytes] | None = None) -> bytes:
        """A signed report of version 2; ``patches``: offset -> bytes, put in before it is signed."""
        raw = bytearray(1184)
        struct.pack_into("<IIQ", raw, 0, 2, 0, 0x30000)
        struct.pack_into("<I", raw, 0x34, 1)
        raw[0x50:0x90], raw[0x180:0x188], raw[0x1A0:0x1E0] = data, TCB, CHIP
        for at, content in (patches or {}).items():
            raw[at : at + len(content)] = content
        r, s = decode_dss_signature(self.chip_key.sign(bytes(raw[:0x2A0]), ec.ECDSA(SHA384())))
        raw[0x2A0:0x2E8], raw[0x2E8:0x330] = r.to_bytes(72, "little"), s.to_bytes(72, "little")
        return bytes(raw)

    def attestation(
        self,
        challenge: bytes,
        address: str,
        *,
        patches: dict[int, bytes] | None = None,
    ) -> dict[str, Any]:
        """What a node at this address answers."""
        data = {"EXTERNAL_ADDR": address.encode(), "INSTANCE_ID": b"node-1", "UNIX_TIME": bytes(8)}
        signatures = (b"first", b"second")
        evidence = Evidence(challenge, data, signatures, Report(bytes(1184)))
        report = self.report(hashlib.sha512(transcript(evidence)).digest(), patches=patches)
        return {
            "type": "AMD_SEV_SNP",
            "noonce": text(challenge),
            "data": {name: text(value) for name, value in data.items()},
            "signatures": [text(signature) for signature in signatures],
            "report": text(report),
        }


def issue(
    subject: str,
    issuer: str,
    key: PublicKey,
    signer: rsa.RSAPrivateKey,
    *,
    extensions: dict[str, bytes] | None = None,
    begin: datetime = NOW - YEAR,
    end: datetime = NOW + YEAR,
    digest: SHA256 | SHA384 | None = None,
    pss: bool = True,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key)
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(end)
    )
    for oid, value in (extensions or {}).items():
        identifier = x509.ObjectIdentifier(f"{AMD}.{oid}")
        builder = builder.add_extension(x509.UnrecognizedExtension(identifier, value), critical=False)
    digest = digest or SHA384()
    scheme = padding.PSS(padding.MGF1(digest), digest.digest_size) if pss else None
    return builder.sign(signer, digest, rsa_padding=scheme)


def text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
