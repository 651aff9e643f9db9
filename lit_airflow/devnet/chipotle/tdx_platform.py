"""A made-up Intel TDX platform: its own root, certificates, quotes and collateral.

Every signature is real and verifies under :attr:`TdxPlatform.root_der`, which no verifier trusts unless a test
hands it over. Nothing here was made by Intel, so it proves that quotes are verified and nothing about hardware.

Layouts: Intel's "TDX DCAP Quoting Library API" (quote version 4), "Intel SGX PCK Certificate and Certificate
Revocation List Profile Specification" 1.5, and the TCB info of "Provisioning Certification Service" API version 4.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

_VENDOR = bytes.fromhex("939a7233f79c4ca9940a0db3957f0607")
_FMSPC = bytes.fromhex("00806f050000")
_SGX = "1.2.840.113741.1.13.1"
_PCE_SVN = 11
_QE_SIGNER = bytes.fromhex("dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5")
_QE_PRODUCT, _QE_SVN = 2, 4
_TDX_SVNS = (3, 0, 5) + (0,) * 13
_SGX_SVNS = (2, 2, 2, 2, 3, 1, 0, 3) + (0,) * 8
_YEAR = timedelta(days=365)
_AUTH_DATA = bytes(range(32))


@dataclass(frozen=True, slots=True)
class TdReport:
    """What the TDX module says of a virtual machine.

    Attributes:
        mr_td: Its first memory, 48 bytes.
        registers: RTMR0 to RTMR3, 48 bytes each.
        report_data: 64 bytes of the machine's own choice.
        attributes: 8 bytes; bit 0 of the first is set where it may be debugged.
    """

    mr_td: bytes
    registers: tuple[bytes, bytes, bytes, bytes]
    report_data: bytes = bytes(64)
    attributes: bytes = bytes.fromhex("0000001000000000")

    def encode(self) -> bytes:
        """Return the report's 584 bytes."""
        return b"".join((
            bytes(_TDX_SVNS),
            bytes(48),  # MRSEAM
            bytes(48),  # MRSIGNERSEAM, Intel's
            bytes(8),  # SEAM attributes
            self.attributes,
            bytes.fromhex("e702060000000000"),  # XFAM
            self.mr_td,
            bytes(48 * 3),  # MRCONFIGID, MROWNER, MROWNERCONFIG
            *self.registers,
            self.report_data,
        ))  # fmt: skip


@dataclass
class TdxPlatform:
    """One platform and the authority that certifies it.

    Attributes:
        now: When it was certified; certificates are valid for a year from the day before.
        status: The TCB status that the authority gives it.
        advisories: The advisories that go with that.
    """

    now: datetime
    status: str = "UpToDate"
    advisories: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self._root_key, self._ca_key, self._tcb_key, self._pck_key, self._quoting_key = (
            ec.generate_private_key(ec.SECP256R1()) for _ in range(5)
        )
        self._root = self._issue(
            "Test SGX Root CA", self._root_key, "Test SGX Root CA", self._root_key, ca=True
        )
        self._ca = self._issue(
            "Intel SGX PCK Platform CA", self._ca_key, "Test SGX Root CA", self._root_key, ca=True
        )
        self._tcb = self._issue("Test SGX TCB Signing", self._tcb_key, "Test SGX Root CA", self._root_key)
        self._pck = self._issue(
            "Intel SGX PCK Certificate",
            self._pck_key,
            "Intel SGX PCK Platform CA",
            self._ca_key,
            extra=x509.UnrecognizedExtension(x509.ObjectIdentifier(_SGX), _sgx_extension()),
        )

    @property
    def root_der(self) -> bytes:
        """The root certificate that all else leads to."""
        return self._root.public_bytes(Encoding.DER)

    def quote(self, report: TdReport) -> bytes:
        """Return a quote of version 4 over a report."""
        header = struct.pack("<HHI4x16s20x", 4, 2, 0x81, _VENDOR)
        signed = header + report.encode()
        public = _raw_public(self._quoting_key)
        bound = hashlib.sha256(public + _AUTH_DATA).digest() + bytes(32)
        enclave = _enclave_report(bound)
        chain = b"".join(each.public_bytes(Encoding.PEM) for each in (self._pck, self._ca, self._root))
        certified = b"".join((
            enclave,
            _signature(self._pck_key, enclave),
            struct.pack("<H", len(_AUTH_DATA)) + _AUTH_DATA,
            struct.pack("<HI", 5, len(chain)) + chain,
        ))  # fmt: skip
        proof = b"".join((
            _signature(self._quoting_key, signed),
            public,
            struct.pack("<HI", 6, len(certified)) + certified,
        ))  # fmt: skip
        return signed + struct.pack("<I", len(proof)) + proof

    def collateral(self, *, now: datetime | None = None, days: int = 30) -> dict[str, str]:
        """Return what a verifier needs beside a quote, issued at a time and good for some days.

        Args:
            now: When it was issued; by default when the platform was certified.
            days: How long it is good for.

        Returns:
            The fields of ``dcap-qvl``'s ``QuoteCollateralV3``, bytes as hex.
        """
        begin = now or self.now
        end = begin + timedelta(days=days)
        tcb, qe = _json(self._tcb_info(begin, end)), _json(self._qe_identity(begin, end))
        root = self._root.public_bytes(Encoding.PEM).decode()
        signing_chain = self._tcb.public_bytes(Encoding.PEM).decode() + root
        return {
            "pck_crl_issuer_chain": self._ca.public_bytes(Encoding.PEM).decode() + root,
            "root_ca_crl": self._revocations("Test SGX Root CA", self._root_key, begin, end).hex(),
            "pck_crl": self._revocations("Intel SGX PCK Platform CA", self._ca_key, begin, end).hex(),
            "tcb_info_issuer_chain": signing_chain,
            "tcb_info": tcb,
            "tcb_info_signature": _signature(self._tcb_key, tcb.encode()).hex(),
            "qe_identity_issuer_chain": signing_chain,
            "qe_identity": qe,
            "qe_identity_signature": _signature(self._tcb_key, qe.encode()).hex(),
        }

    def _tcb_info(self, begin: datetime, end: datetime) -> Mapping[str, object]:
        level = {
            "tcb": {
                "sgxtcbcomponents": [{"svn": svn} for svn in _SGX_SVNS],
                "pcesvn": _PCE_SVN,
                "tdxtcbcomponents": [{"svn": svn} for svn in _TDX_SVNS],
            },
            "tcbDate": _moment(begin - _YEAR),
            "tcbStatus": self.status,
            "advisoryIDs": list(self.advisories),
        }
        module = {"mrsigner": "00" * 48, "attributes": "00" * 8, "attributesMask": "FF" * 8}
        return {
            "id": "TDX",
            "version": 3,
            "issueDate": _moment(begin),
            "nextUpdate": _moment(end),
            "fmspc": _FMSPC.hex().upper(),
            "pceId": "0000",
            "tcbType": 0,
            "tcbEvaluationDataNumber": 17,
            "tdxModule": module,
            "tdxModuleIdentities": [],
            "tcbLevels": [level],
        }

    @staticmethod
    def _qe_identity(begin: datetime, end: datetime) -> Mapping[str, object]:
        level = {"tcb": {"isvsvn": _QE_SVN}, "tcbDate": _moment(begin - _YEAR), "tcbStatus": "UpToDate"}
        return {
            "id": "TD_QE",
            "version": 2,
            "issueDate": _moment(begin),
            "nextUpdate": _moment(end),
            "tcbEvaluationDataNumber": 17,
            "miscselect": "00000000",
            "miscselectMask": "FFFFFFFF",
            "attributes": "11000000000000000000000000000000",
            "attributesMask": "FBFFFFFFFFFFFFFF0000000000000000",
            "mrsigner": _QE_SIGNER.hex().upper(),
            "isvprodid": _QE_PRODUCT,
            "tcbLevels": [level],
        }

    def _issue(  # noqa: PLR0913 - one certificate
        self,
        subject: str,
        key: ec.EllipticCurvePrivateKey,
        issuer: str,
        issuer_key: ec.EllipticCurvePrivateKey,
        *,
        ca: bool = False,
        extra: x509.UnrecognizedExtension | None = None,
    ) -> x509.Certificate:
        usage = x509.KeyUsage(
            digital_signature=not ca,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=ca,
            crl_sign=ca,
            encipher_only=False,
            decipher_only=False,
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - timedelta(days=1))
            .not_valid_after(self.now + _YEAR)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
            )
        )
        if extra is not None:
            builder = builder.add_extension(extra, critical=False)
        return builder.sign(issuer_key, SHA256())

    @staticmethod
    def _revocations(issuer: str, key: ec.EllipticCurvePrivateKey, begin: datetime, end: datetime) -> bytes:
        return (
            x509.CertificateRevocationListBuilder()
            .issuer_name(_name(issuer))
            .last_update(begin)
            .next_update(end)
            .add_extension(x509.CRLNumber(1), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
            )
            .sign(key, SHA256())
            .public_bytes(Encoding.DER)
        )


def _raw_public(key: ec.EllipticCurvePrivateKey) -> bytes:
    point = key.public_key().public_numbers()
    return point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big")


def _signature(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _enclave_report(report_data: bytes) -> bytes:
    """Return the quoting enclave's own report, 384 bytes."""
    return b"".join((
        bytes(16),  # CPUSVN
        bytes(4),  # MISCSELECT
        bytes(28),
        bytes.fromhex("1500000000000000e700000000000000"),
        bytes(32),  # MRENCLAVE
        bytes(32),
        _QE_SIGNER,
        bytes(96),
        struct.pack("<HH", _QE_PRODUCT, _QE_SVN),
        bytes(60),
        report_data,
    ))  # fmt: skip


def _sgx_extension() -> bytes:
    """Return the platform's own extension of a PCK certificate, in DER."""
    svns = [_entry(f"{_SGX}.2.{i}", _integer(svn)) for i, svn in enumerate(_SGX_SVNS, 1)]
    tcb = _sequence(
        *svns,
        _entry(f"{_SGX}.2.17", _integer(_PCE_SVN)),
        _entry(f"{_SGX}.2.18", _octets(bytes(_SGX_SVNS))),
    )
    return _sequence(
        _entry(f"{_SGX}.1", _octets(bytes(16))),
        _entry(f"{_SGX}.2", tcb),
        _entry(f"{_SGX}.3", _octets(bytes(2))),
        _entry(f"{_SGX}.4", _octets(_FMSPC)),
        _entry(f"{_SGX}.5", b"\x0a\x01\x01"),
    )


def _entry(oid: str, value: bytes) -> bytes:
    return _sequence(_oid(oid), value)


def _sequence(*parts: bytes) -> bytes:
    return _der(0x30, b"".join(parts))


def _octets(value: bytes) -> bytes:
    return _der(4, value)


def _integer(value: int) -> bytes:
    return _der(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _oid(text: str) -> bytes:
    first, second, *rest = map(int, text.split("."))
    encoded = bytearray([40 * first + second])
    for number in rest:
        groups = [number & 127]
        while number := number >> 7:
            groups.append(number & 127 | 128)
        encoded += bytes(reversed(groups))
    return _der(6, bytes(encoded))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 128:  # noqa: PLR2004 - the short form's limit
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 128 | len(octets))) + octets + content


def _moment(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, separators=(",", ":"))
