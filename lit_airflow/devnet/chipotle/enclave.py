"""What the service serves of its enclave: quotes, event log, compose text and TLS certificate, on made-up hardware.

Give one to :class:`lit_airflow.devnet.chipotle.Settings`, and the service speaks TLS with the attested certificate.
Its quotes verify under a root that no client trusts; a test hands :attr:`LocalEnclave.root_der` to the verifier.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from lit_airflow.devnet.chipotle.tdx_platform import TdReport, TdxPlatform

COMPOSE = {
    "manifest_version": 2,
    "name": "lit-api-server",
    "runner": "docker-compose",
    "docker_compose_file": (
        "services:\n"
        f"  api:\n    image: litptcl/lit-api-server@sha256:{'1a' * 32}\n"
        f"  ingress:\n    image: dstacktee/dstack-ingress@sha256:{'2b' * 32}\n"
    ),
}
"""The compose file that runs at first."""

_EVENT = (0x08000001).to_bytes(4, "little")
_ACME_ACCOUNT = b'{"status":"valid"}'
_WEEK = timedelta(days=7)


def digest_of(name: str, payload: bytes) -> bytes:
    """Return what a runtime event extends RTMR3 with."""
    return hashlib.sha384(b":".join((_EVENT, name.encode(), payload))).digest()


@dataclass
class LocalEnclave:
    """One enclave. Change its attributes to change what is served from then on.

    Attributes:
        platform: What signs its quotes.
        host: The name or address that its certificate is for.
        compose: The compose file that runs.
        mr_td: The measurement of the machine's first memory.
        boot: RTMR0 to RTMR2.
        attributes: The machine's TD attributes.
        with_digests: Whether events carry their digests, as older guests give them.
        instead: Path -> body that is served in place of the true one.
    """

    platform: TdxPlatform
    host: str = "127.0.0.1"
    compose: Mapping[str, object] = field(default_factory=lambda: COMPOSE)
    mr_td: bytes = b"\x01" * 48
    boot: tuple[bytes, bytes, bytes] = (b"\x02" * 48, b"\x03" * 48, b"\x04" * 48)
    attributes: bytes = bytes.fromhex("0000001000000000")
    with_digests: bool = False
    instead: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ca_key = ec.generate_private_key(ec.SECP256R1())
        self._ca = _issue("Local CA", self._ca_key, "Local CA", self._ca_key, self.platform.now, None)
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.certificate = b""
        self.attested_certificate = b""
        self.renew_certificate()

    @classmethod
    def certified(cls, now: datetime) -> LocalEnclave:
        """Return an enclave on a new platform that was certified at a time."""
        return cls(TdxPlatform(now))

    @property
    def root_der(self) -> bytes:
        """The root that its quotes lead to."""
        return self.platform.root_der

    @property
    def ca_pem(self) -> bytes:
        """The authority that its TLS certificate comes from."""
        return self._ca.public_bytes(Encoding.PEM)

    @property
    def compose_text(self) -> str:
        """The compose file as it is measured."""
        return json.dumps(self.compose)

    @property
    def compose_hash(self) -> str:
        """The build that runs, 64 hex digits."""
        return hashlib.sha256(self.compose_text.encode()).hexdigest()

    @property
    def machine_hash(self) -> str:
        """SHA-256 of MRTD and RTMR0 to RTMR2."""
        return hashlib.sha256(b"".join((self.mr_td, *self.boot))).hexdigest()

    def renew_certificate(self, *, attested: bool = True) -> None:
        """Serve a new TLS certificate on connections that are made from now on.

        Args:
            attested: Whether the evidence is of the new one; else it stays of the old one.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        issued = _issue(self.host, key, "Local CA", self._ca_key, self.platform.now, self.host)
        chain = issued.public_bytes(Encoding.PEM)
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        with tempfile.TemporaryDirectory() as folder:  # the ssl module takes keys from files only
            file = Path(folder, "tls.pem")
            file.touch(mode=0o600)
            file.write_bytes(private + chain)
            self.tls.load_cert_chain(file)
        self.certificate = chain
        if attested:
            self.attested_certificate = chain

    def events(self) -> list[tuple[str, bytes]]:
        """Return the runtime events, in order."""
        return [
            ("system-preparing", b""),
            ("app-id", bytes.fromhex(self.compose_hash)[:20]),
            ("compose-hash", bytes.fromhex(self.compose_hash)),
            ("instance-id", bytes(20)),
            ("boot-mr-done", b""),
            ("key-provider", b'{"name":"kms"}'),
            ("system-ready", b""),
        ]

    def body(self, path: str) -> bytes | None:
        """Return what is served under a path; ``None`` for nothing."""
        if path in self.instead:
            return self.instead[path]
        served: dict[str, Callable[[], bytes]] = {
            "/attestation": self._attestation,
            "/info": self._info,
            "/evidences/sha256sum.txt": self._sums,
            "/evidences/quote.json": self._sums_quote,
            f"/evidences/cert-{self.host}.pem": lambda: self.attested_certificate,
            "/evidences/acme-account.json": lambda: _ACME_ACCOUNT,
        }
        return served[path]() if path in served else None

    def quote(self, report_data: bytes = b"") -> str:
        """Return a quote in hex, over report data that zeros fill up to 64 bytes."""
        register = bytes(48)
        for name, payload in self.events():
            register = hashlib.sha384(register + digest_of(name, payload)).digest()
        report = TdReport(self.mr_td, (*self.boot, register), report_data.ljust(64, b"\0"), self.attributes)
        return self.platform.quote(report).hex()

    def _attestation(self) -> bytes:
        log = [
            {
                "imr": 3,
                "event_type": 0x08000001,
                "digest": digest_of(name, payload).hex() if self.with_digests else "",
                "event": name,
                "event_payload": payload.hex(),
            }
            for name, payload in self.events()
        ]
        machine = {"imr": 0, "event_type": 0x80000001, "digest": "00" * 48, "event": "", "event_payload": ""}
        return _json(
            {
                "quote": self.quote(),
                "event_log": json.dumps([machine, *log]),
                "vm_config": json.dumps({"cpu_count": 1}),
            }
        )

    def _info(self) -> bytes:
        return _json({
            "app_id": self.compose_hash[:40],
            "instance_id": "00" * 20,
            "compose_hash": self.compose_hash,
            "tcb_info": json.dumps({"app_compose": self.compose_text, "compose_hash": self.compose_hash}),
        })  # fmt: skip

    def _sums(self) -> bytes:
        files = {"acme-account.json": _ACME_ACCOUNT, f"cert-{self.host}.pem": self.attested_certificate}
        return "".join(
            f"{hashlib.sha256(body).hexdigest()}  {name}\n" for name, body in files.items()
        ).encode()

    def _sums_quote(self) -> bytes:
        return _json({"quote": "0x" + self.quote(hashlib.sha256(self._sums()).digest())})


def _issue(  # noqa: PLR0913, PLR0917 - one certificate
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    now: datetime,
    host: str | None,
) -> x509.Certificate:
    """Return a certificate for a host, or an authority's own."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _WEEK)
        .not_valid_after(now + 50 * _WEEK)
        .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    if host is None:
        usage = x509.KeyUsage(
            digital_signature=False,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        builder = builder.add_extension(usage, critical=True)
    else:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=False)
    return builder.sign(issuer_key, SHA256())


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value).encode()
