"""AMD SEV-SNP attestation reports: verify that one comes from a genuine AMD EPYC 7003 ("Milan") processor.

Rules only: no I/O, and the time is an argument. A chip signs its report with a key (VCEK) that depends on the
versions of its firmware; AMD certifies that key on request with the ASK, which the root ARK certifies.

Not checked: whether the software that was started (``measurement``) is the right one, and whether AMD has revoked a
certificate.

Source: AMD, "SEV Secure Nested Paging Firmware ABI Specification" (document 56860), section 7.3 for the report;
"Versioned Chip Endorsement Key Certificate and KDS Interface Specification" (document 57230), section 3 for the
certificates and section 4 for their address.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING

from lit_airflow.errors import AttestationError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

REPORT_BYTES = 0x4A0
KEY_SERVICE = "https://kdsintf.amd.com/vcek/v1/Milan"

_SIGNED_BYTES = 0x2A0
_NUMBER_BYTES = 72  # r, then s: little-endian, zero-padded
_VERSIONS = range(2, 6)
# From this version on a report says which processor made it.
_NAMES_PROCESSOR = 3
_MILAN_FAMILY, _MILAN_MODELS = 0x19, range(0x10)
_ECDSA_P384_SHA384 = 1
# Bits of the guest's policy.
_MIGRATION_AGENT_ALLOWED = 1 << 18
_DEBUG_ALLOWED = 1 << 19
_VCEK_SIGNS = 0
# The key service dates a certificate when it is asked for it; this clock may be a little behind AMD's.
_CLOCK_SKEW = timedelta(minutes=5)

_AMD = "1.3.6.1.4.1.3704.1"
_HARDWARE_ID = f"{_AMD}.4"
# Parameter of the key service -> where its byte is in a TCB version, and the extension that certifies it.
_TCB_PARTS: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "blSPL": (0, f"{_AMD}.3.1"),
        "teeSPL": (1, f"{_AMD}.3.2"),
        "snpSPL": (6, f"{_AMD}.3.3"),
        "ucodeSPL": (7, f"{_AMD}.3.8"),
    }
)


@dataclass(frozen=True, slots=True)
class Report:
    """One attestation report, 1184 bytes.

    Attributes:
        raw: All of it.
    """

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != REPORT_BYTES:
            raise AttestationError(f"A report has {REPORT_BYTES} bytes, not {len(self.raw)}.", check="report")

    @property
    def version(self) -> int:
        """The version of the report's format."""
        return self._number(0x00, 4)

    @property
    def policy(self) -> int:
        """What the guest allows the host, as bits."""
        return self._number(0x08, 8)

    @property
    def privilege_level(self) -> int:
        """The VM privilege level (VMPL) that asked for the report; 0 is the highest."""
        return self._number(0x30, 4)

    @property
    def signature_algorithm(self) -> int:
        """1 for ECDSA on P-384 with SHA-384."""
        return self._number(0x34, 4)

    @property
    def signing_key(self) -> int:
        """The key that signed: 0 for VCEK."""
        return self._number(0x48, 4) >> 2 & 0b111

    @property
    def report_data(self) -> bytes:
        """64 bytes that the guest chose."""
        return self.raw[0x50:0x90]

    @property
    def measurement(self) -> bytes:
        """48 bytes: the hash of what was started."""
        return self.raw[0x90:0xC0]

    @property
    def reported_tcb(self) -> bytes:
        """8 bytes: the firmware versions that the signing key depends on."""
        return self.raw[0x180:0x188]

    @property
    def processor(self) -> tuple[int, int]:
        """Family and model; zero before version 3."""
        return self.raw[0x188], self.raw[0x189]

    @property
    def chip_id(self) -> bytes:
        """64 bytes; zero if the host hides it."""
        return self.raw[0x1A0:0x1E0]

    @property
    def signed(self) -> bytes:
        """The bytes that are signed."""
        return self.raw[:_SIGNED_BYTES]

    @property
    def signature(self) -> tuple[int, int]:
        """The numbers r and s."""
        return self._number(_SIGNED_BYTES, _NUMBER_BYTES), self._number(
            _SIGNED_BYTES + _NUMBER_BYTES, _NUMBER_BYTES
        )

    def _number(self, start: int, size: int) -> int:
        return int.from_bytes(self.raw[start : start + size], "little")


@dataclass(frozen=True, slots=True)
class TrustAnchors:
    """The certificates that a chip's certificate must lead to.

    Attributes:
        ark: The root, which signs itself.
        ask: Signed by the root; signs the chips' certificates.
    """

    ark: Certificate
    ask: Certificate


@cache
def milan() -> TrustAnchors:
    """Return AMD's own, from ``amd_milan.pem`` in this package."""
    from cryptography import x509  # noqa: PLC0415 - kept out of DAG parsing

    pem = files("lit_airflow.networks").joinpath("amd_milan.pem").read_bytes()
    ask, ark = x509.load_pem_x509_certificates(pem)
    return TrustAnchors(ark, ask)


def certificate_url(report: Report) -> str:
    """Return the URL of the certificate of the key that signed this report."""
    tcb = report.reported_tcb
    versions = "&".join(f"{name}={tcb[at]:02}" for name, (at, _) in _TCB_PARTS.items())
    return f"{KEY_SERVICE}/{report.chip_id.hex()}?{versions}"


def check_report(report: Report) -> None:
    """Check everything in a report but its signature.

    Raises:
        AttestationError: It is not from a Milan chip, not signed with VCEK, not asked for at VMPL 0, or from
            a guest that may be debugged or migrated.
    """
    if report.version not in _VERSIONS:
        raise AttestationError(f"The report has the unknown version {report.version}.", check="report")
    if report.signature_algorithm != _ECDSA_P384_SHA384:
        raise AttestationError(
            f"The report is signed with the unknown algorithm {report.signature_algorithm}.", check="report"
        )
    if report.signing_key != _VCEK_SIGNS:
        raise AttestationError("The report is not signed with the chip's own key.", check="report")
    if report.policy & _DEBUG_ALLOWED:
        raise AttestationError("The host may debug this node, and so read its memory.", check="policy")
    if report.policy & _MIGRATION_AGENT_ALLOWED:
        raise AttestationError(
            "A migration agent may be attached to this node, and so read its memory.", check="policy"
        )
    if report.privilege_level != 0:
        raise AttestationError(
            f"The report was asked for at VMPL {report.privilege_level}, not at 0.", check="policy"
        )
    family, model = report.processor
    if report.version >= _NAMES_PROCESSOR and (family != _MILAN_FAMILY or model not in _MILAN_MODELS):
        raise AttestationError(
            f"The report is from a processor of family {family:#x} and model {model:#x}, not from a Milan.",
            check="chip",
        )


def verify(report: Report, vcek: bytes, trust_anchors: TrustAnchors, now: datetime) -> None:
    """Verify that a genuine chip made this report.

    Args:
        report: The report.
        vcek: The certificate of the chip's key, DER.
        trust_anchors: Normally :func:`milan`.
        now: The time, aware; all three certificates must be valid then.

    Raises:
        AttestationError: It does not verify; ``check`` says why.
    """
    check_report(report)
    certificate = _load(vcek)
    _check_chain(certificate, trust_anchors, now)
    _check_same_chip(certificate, report)
    _check_signature(certificate, report)


def _load(vcek: bytes) -> Certificate:
    from cryptography import x509  # noqa: PLC0415 - kept out of DAG parsing

    # AMD numbers every chip's certificate 0, which RFC 5280 does not allow and the library complains about.
    warnings.filterwarnings("ignore", "Parsed a serial number which wasn't positive", module=__name__)
    try:
        return x509.load_der_x509_certificate(vcek)
    except ValueError as error:
        raise AttestationError("The chip's certificate cannot be parsed.", check="certificate") from error


def _check_chain(certificate: Certificate, trust_anchors: TrustAnchors, now: datetime) -> None:
    ark, ask = trust_anchors.ark, trust_anchors.ask
    links = (("root", ark, ark), ("ASK", ask, ark), ("chip", certificate, ask))
    for name, issued, issuer in links:
        if not _issued_by(issued, issuer):
            raise AttestationError(f"AMD did not sign the certificate ({name}).", check="certificate")
        if not issued.not_valid_before_utc - _CLOCK_SKEW <= now <= issued.not_valid_after_utc:
            raise AttestationError(f"The certificate ({name}) is not valid now.", check="certificate")


def _issued_by(issued: Certificate, issuer: Certificate) -> bool:
    """Return whether it has the issuer's name and RSA-PSS signature with SHA-384, the only one that AMD uses."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - kept out of DAG parsing
    from cryptography.hazmat.primitives.hashes import SHA384  # noqa: PLC0415 - the same
    from cryptography.x509.oid import SignatureAlgorithmOID  # noqa: PLC0415 - the same

    try:
        if issued.signature_algorithm_oid != SignatureAlgorithmOID.RSASSA_PSS or not isinstance(
            issued.signature_hash_algorithm, SHA384
        ):
            return False
        issued.verify_directly_issued_by(issuer)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def _check_same_chip(certificate: Certificate, report: Report) -> None:
    from cryptography.x509 import UnrecognizedExtension  # noqa: PLC0415 - kept out of DAG parsing

    try:
        extensions = certificate.extensions
    except ValueError as error:
        raise AttestationError("The chip's certificate cannot be parsed.", check="certificate") from error
    said = {
        extension.oid.dotted_string: extension.value.value
        for extension in extensions
        if isinstance(extension.value, UnrecognizedExtension)
    }
    # Bare in some certificates, in an OCTET STRING in others.
    if said.get(_HARDWARE_ID) not in (report.chip_id, b"\x04\x40" + report.chip_id):
        raise AttestationError("The certificate belongs to another chip.", check="chip")
    for name, (at, oid) in _TCB_PARTS.items():
        if said.get(oid) != _der_integer(report.reported_tcb[at]):
            raise AttestationError(f"The certificate is for another {name} than reported.", check="chip")


def _der_integer(byte: int) -> bytes:
    """Return the DER encoding of a number below 256."""
    return bytes((2, 1, byte)) if byte < 0x80 else bytes((2, 2, 0, byte))  # noqa: PLR2004 - the sign bit


def _check_signature(certificate: Certificate, report: Report) -> None:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - kept out of DAG parsing
    from cryptography.hazmat.primitives.asymmetric import ec, utils  # noqa: PLC0415 - the same
    from cryptography.hazmat.primitives.hashes import SHA384  # noqa: PLC0415 - the same

    try:
        key = certificate.public_key()
    except ValueError as error:
        raise AttestationError("The chip's certificate has no usable key.", check="certificate") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise AttestationError("The chip's certificate has no P-384 key.", check="certificate")
    try:
        key.verify(utils.encode_dss_signature(*report.signature), report.signed, ec.ECDSA(SHA384()))
    except InvalidSignature as error:
        raise AttestationError("The chip did not sign this report.", check="signature") from error
