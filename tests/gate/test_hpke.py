"""The gate's HPKE against RFC 9180's own values, the vectors' values on the way, and Python's library."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tests.gate.engine import SUITE, VECTORS, Gate, cases

# Inside Deno: the gate's own functions, with keys from outside.
OPEN = """
    const privateKey = await importX25519(fromHex(params.secret));
    const publicKey = await x25519(privateKey, BASE_POINT);
    const plaintext = await hpkeOpen({ privateKey, publicKey }, utf8(params.info), fromBase64(params.sealed));
    return { plaintext: toBase64(plaintext), publicKey: toHex(publicKey) };
"""
SEAL = """
    const sealed = await hpkeSeal(fromHex(params.publicKey), utf8(params.info), fromBase64(params.plaintext));
    return { sealed: toBase64(sealed) };
"""
STEPS = """
    const [enc, publicKey] = [fromHex(params.enc), fromHex(params.publicKey)];
    const dh = fromHex(params.dh);
    const context = concat(enc, publicKey);
    const shared = await labeledDerive(KEM_SUITE, EMPTY, ["eae_prk", dh], ["shared_secret", context], 32);
    const { iv } = await keySchedule(dh, enc, publicKey, utf8(params.info));
    return { shared_secret: toHex(shared), base_nonce: toHex(iv) };
"""
REPLY_KEYS: list[dict[str, Any]] = json.loads((VECTORS / "keys.json").read_bytes())["reply_keys"]


@pytest.mark.parametrize("case", cases("keys"), ids=lambda case: case["name"])
def test_derive_key_pair(gate: Gate, case: dict[str, Any]) -> None:
    code = (
        "const keys = await deriveKeys(`0x${params.secret}`); return [toHex(keys.publicKey), keys.audience];"
    )
    assert gate.evaluate(code, case) == [case["public_key"], case["audience"]]
    secret = X25519PrivateKey.from_private_bytes(bytes.fromhex(case["x25519_secret"]))
    assert secret.public_key().public_bytes_raw().hex() == case["public_key"]


@pytest.mark.parametrize("case", cases("seal"), ids=lambda case: case["name"])
def test_sealed_with_a_known_ephemeral_key(gate: Gate, case: dict[str, Any]) -> None:
    opened = gate.evaluate(OPEN, {**case, "secret": case["x25519_secret"]})
    assert opened == {"plaintext": case["plaintext"], "publicKey": case["public_key"]}
    steps = case["steps"]
    values = gate.evaluate(STEPS, {**case, **steps, "publicKey": case["public_key"]})
    assert values == {name: steps[name] for name in ("shared_secret", "base_nonce")}


@pytest.mark.parametrize("case", REPLY_KEYS, ids=lambda case: case["name"])
def test_reply_keys_follow_from_the_session_seed(gate: Gate, case: dict[str, Any]) -> None:
    derivation = HKDF(hashes.SHA256(), 32, salt=None, info=b"lit_airflow gate 1 reply key")
    secret = derivation.derive(bytes.fromhex(case["session_seed"]))
    assert secret.hex() == case["reply_secret"]
    params = {"publicKey": case["reply_key"], "info": "", "plaintext": "YQ=="}
    sealed = base64.b64decode(gate.evaluate(SEAL, params)["sealed"])
    assert SUITE.decrypt(sealed, X25519PrivateKey.from_private_bytes(secret), b"") == b"a"


@pytest.mark.parametrize("size", [0, 1, 48, 50_000])
@pytest.mark.parametrize("info", ["", "lit_airflow gate 1\nx\n{}", "\u00e9\U0001d11e"])
def test_python_opens_what_the_gate_seals_and_the_gate_what_python_seals(
    gate: Gate, size: int, info: str
) -> None:
    plaintext = bytes(range(256)) * (size // 256) + bytes(size % 256)
    text = base64.b64encode(plaintext).decode()
    secret = X25519PrivateKey.generate()
    public = secret.public_key().public_bytes_raw()
    sealed = base64.b64decode(
        gate.evaluate(SEAL, {"publicKey": public.hex(), "info": info, "plaintext": text})["sealed"]
    )
    assert len(sealed) == size + 48
    assert SUITE.decrypt(sealed, secret, info.encode()) == plaintext

    sealed = SUITE.encrypt(plaintext, X25519PublicKey.from_public_bytes(public), info.encode())
    params = {
        "secret": secret.private_bytes_raw().hex(),
        "info": info,
        "sealed": base64.b64encode(sealed).decode(),
    }
    assert gate.evaluate(OPEN, params)["plaintext"] == text


def test_each_sealing_has_another_ephemeral_key(gate: Gate) -> None:
    public = X25519PrivateKey.generate().public_key().public_bytes_raw().hex()
    params = {"publicKey": public, "info": "", "plaintext": "YQ=="}
    sealed = [base64.b64decode(gate.evaluate(SEAL, params)["sealed"])[:32] for _ in range(3)]
    assert len(set(sealed)) == 3


def test_the_top_bit_of_enc_is_bound(gate: Gate) -> None:
    """X25519 ignores it, the context of HPKE does not."""
    secret = X25519PrivateKey.generate()
    sealed = bytearray(SUITE.encrypt(b"a", secret.public_key(), b""))
    sealed[31] ^= 0x80
    code = OPEN.replace("(params.sealed));", "(params.sealed)).catch(() => EMPTY);")
    params = {
        "secret": secret.private_bytes_raw().hex(),
        "info": "",
        "sealed": base64.b64encode(sealed).decode(),
    }
    assert gate.evaluate(code, params)["plaintext"] == ""
