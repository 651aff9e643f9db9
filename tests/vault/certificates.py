"""A private certificate authority, for servers on loopback and for clients."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Authority:
    """One root, kept in a folder.

    Attributes:
        folder: Where the files go.
        key: The root's key.
        root: Its certificate.
    """

    folder: Path
    key: ec.EllipticCurvePrivateKey
    root: x509.Certificate

    @classmethod
    def new(cls, folder: Path) -> Authority:
        folder.mkdir(exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        root = _unsigned("a private root", "a private root", key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        made = cls(folder, key, root.sign(key, hashes.SHA256()))
        made.bundle.write_bytes(made.root.public_bytes(Encoding.PEM))
        return made

    @property
    def bundle(self) -> Path:
        """The root's certificate."""
        return self.folder / "root.pem"

    def issue(self, name: str) -> Path:
        """A PEM file with a certificate for 127.0.0.1, and its key after it."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _unsigned(name, "a private root", key)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
                critical=False,
            )
            .sign(self.key, hashes.SHA256())
        )
        file = self.folder / f"{name}.pem"
        file.write_bytes(
            certificate.public_bytes(Encoding.PEM)
            + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        return file


def _unsigned(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - HOUR)
        .not_valid_after(now + 24 * HOUR)
    )


def serving(certificate: Path) -> ssl.SSLContext:
    """TLS for a server, with a file of :meth:`Authority.issue`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
