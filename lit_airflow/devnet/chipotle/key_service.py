"""The enclave's key service.

Secrets of wallets and of actions share one namespace: the derivation path alone determines the key, not its
purpose (dstack ``getKey``; lit-api-server ``dstack/v1``, April 2026).
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, EllipticCurvePublicKey, derive_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from eth_utils.crypto import keccak

from lit_airflow.devnet.chipotle.identifiers import keccak_number

_KEY_BYTES = 32
_ADDRESS_BYTES = 20


class KeyService:
    """Derives all secrets of an enclave from one root.

    Args:
        root: 32 bytes.
    """

    def __init__(self, root: bytes) -> None:
        self._root = root

    def wallet_secret(self, path: int) -> bytes:
        """Return the secret of the wallet (PKP) with a derivation path, 32 bytes."""
        return self._secret(f"v1/{path:064x}")

    def action_secret(self, cid: str) -> bytes:
        """Return the secret of the action with a CID, 32 bytes."""
        return self._secret(f"v1/{action_path(cid):064x}")

    def payer_secret(self, name: str) -> bytes:
        """Return the secret of a signer of the service: ``payer_1``, …, ``admin_api_payer``."""
        return self._secret(f"v1/{name}")

    def _secret(self, path: str) -> bytes:
        derived = HKDF(SHA256(), _KEY_BYTES, salt=None, info=path.encode()).derive(self._root)
        return keccak(derived)


def action_path(cid: str) -> int:
    """Return the derivation path of an action's key, a number like a wallet's."""
    return keccak_number(b"lit_action_" + cid.encode())


def public_key(secret: bytes) -> bytes:
    """Return the compressed secp256k1 public key, 33 bytes."""
    return _public(secret).public_bytes(Encoding.X962, PublicFormat.CompressedPoint)


def address(secret: bytes) -> int:
    """Return the Ethereum address of a secret."""
    point = _public(secret).public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return int.from_bytes(keccak(point[1:])[-_ADDRESS_BYTES:])


def _public(secret: bytes) -> EllipticCurvePublicKey:
    return derive_private_key(int.from_bytes(secret), SECP256K1()).public_key()
