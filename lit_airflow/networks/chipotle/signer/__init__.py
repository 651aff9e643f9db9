"""The signer: a shipped Lit Action that signs with one PKP, for one chain and one address.

As with gates (:mod:`lit_airflow.networks.chipotle.gates`) the text names the CID: a template that was shipped is
never edited, its SHA-256 is pinned here, and a correction is a new version. Unlike a gate, a signer has no secret:
what it may sign stands in the last line of its text, and the key is the PKP's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Any

from lit_airflow.errors import AccessDeniedError, LitError, ProtocolError, SettingsError
from lit_airflow.protocol.signing import MESSAGE, TYPED_DATA, SigningPolicy, SigningRequest

NEWEST = 1
SHA_256 = {1: "7153cbaa15cad40d22104f28dc20e9e55e1eb4771af97a4decb4091c2deb39fa"}
"""Version -> the published SHA-256 of the template's bytes."""

_CODE = re.compile(r"Signer[A-Za-z]{1,40}")
_PARAMS = {MESSAGE: "message", TYPED_DATA: "typedData"}


def signer_text(policy: SigningPolicy, version: int = NEWEST) -> str:
    """Return the text of the action that signs under a policy: the template, then the policy as its last line.

    Raises:
        SettingsError: The installed template is not the published one.
    """
    content = files(__name__).joinpath(f"{version}.js").read_bytes()
    if sha256(content).hexdigest() != SHA_256[version]:
        raise SettingsError(
            f"The installed text of signer {version} is not the published one.",
            field="signer version",
            hint="Install the package again; something changed its files.",
        )
    line = {
        "address": policy.address.lower() or None,
        "chain": str(policy.chain_id) if policy.chain_id else None,
        "pkp": policy.signer.lower(),
    }
    return f"{content.decode('ascii')}const POLICY = {json.dumps(line, separators=(',', ':'))};\n"


def signer_params(request: SigningRequest) -> dict[str, Any]:
    """Return what the signer is given for a request."""
    return {_PARAMS.get(request.kind, request.kind): request.content}


def read_answer(response: object) -> str:
    """Return a signature, or a signed transaction, as the signer answered it; not verified yet.

    Raises:
        AccessDeniedError: The signer refused.
        ProtocolError: It is not a signer's answer.
    """
    fields = response if isinstance(response, Mapping) else {}
    answer, code = fields.get("answer"), fields.get("code")
    if fields.get("ok") is True and isinstance(answer, str):
        return answer
    if fields.get("ok") is False and isinstance(code, str) and _CODE.fullmatch(code):
        raise _refusal(code)
    raise ProtocolError("What the service answered is not a signer's answer.")


def _refusal(code: str) -> LitError:
    if code == "SignerTypedData":
        return SettingsError(
            "The signer cannot encode the typed data.",
            field=TYPED_DATA,
            hint="Addresses need a right checksum, or lower case; every type must be used; primaryType must be one "
            "that no other type contains.",
        )
    if code == "SignerKey":
        return AccessDeniedError(
            "The signer may not use the PKP.",
            code=code,
            hint="The API key's group must contain the PKP and the signer's CID, both in the same group.",
        )
    return AccessDeniedError(f"The signer refused: {code}.", code=code)
