"""Collateral: what Intel publishes about its platforms, from a server (PCCS) or from a file.

Everything in it is signed by Intel and verified with the quote, so its server can at most withhold it.

Source: Intel's Provisioning Certification Service API, version 4; the same paths as ``dcap-qvl`` 0.7.0 asks for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from lit_airflow.clock import Deadline
from lit_airflow.errors import (
    AttestationError,
    Failure,
    FailureKind,
    NodeError,
    NodesUnavailableError,
    SettingsError,
)
from lit_airflow.json_input import JsonInputError, parse_object
from lit_airflow.networks.chipotle.tdx import Platform
from lit_airflow.transport.http import Http, Response

INTEL = "https://api.trustedservices.intel.com"
"""Intel's own server, used where the connection names none."""

_ROOT_CRL = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"
_SGX, _TDX = "/sgx/certification/v4", "/tdx/certification/v4"
_MAX_BYTES = 1024 * 1024
_TCB_CHAINS = ("TCB-Info-Issuer-Chain", "SGX-TCB-Info-Issuer-Chain")
_CRL_CHAINS = ("SGX-PCK-CRL-Issuer-Chain",)
_QE_CHAINS = ("SGX-Enclave-Identity-Issuer-Chain",)


def is_url(source: str) -> bool:
    """Return whether a source is a server; else it is a file."""
    return "://" in source


@dataclass(frozen=True, slots=True)
class CollateralSource:
    """Where collateral comes from.

    Attributes:
        source: The https URL of a PCCS, or the path of a file; empty for Intel's own server.
        http: How to send requests.
    """

    source: str
    http: Http

    def collateral(self, platform: Platform, deadline: Deadline) -> Mapping[str, str]:
        """Return the collateral for a platform. Nothing is verified yet.

        Raises:
            AttestationError: What the server or the file has is not collateral.
            NodesUnavailableError: The server does not answer.
            SettingsError: The file cannot be read.
        """
        if self.source and not is_url(self.source):
            return _file(Path(self.source))
        return self._fetched(self.source.rstrip("/") or INTEL, platform, deadline)

    def _fetched(self, base: str, platform: Platform, deadline: Deadline) -> Mapping[str, str]:
        crl = self._get(f"{base}{_SGX}/pckcrl?ca={platform.ca}&encoding=der", deadline)
        root = self._get(_ROOT_CRL if base == INTEL else f"{base}{_SGX}/rootcacrl", deadline)
        tcb = self._get(f"{base}{_TDX}/tcb?fmspc={platform.fmspc}", deadline)
        qe = self._get(f"{base}{_TDX}/qe/identity", deadline)
        return {
            "pck_crl_issuer_chain": _chain(crl, _CRL_CHAINS),
            "root_ca_crl": _der(root).hex(),
            "pck_crl": _der(crl).hex(),
            "tcb_info_issuer_chain": _chain(tcb, _TCB_CHAINS),
            **_signed(tcb, "tcbInfo", "tcb_info"),
            "qe_identity_issuer_chain": _chain(qe, _QE_CHAINS),
            **_signed(qe, "enclaveIdentity", "qe_identity"),
        }

    def _get(self, url: str, deadline: Deadline) -> Response:
        try:
            answer = self.http.get(url, deadline=deadline, max_bytes=_MAX_BYTES)
        except NodeError as error:
            failure = Failure(error.kind, error.message)
        else:
            if answer.succeeded:
                return answer
            failure = Failure(FailureKind.REFUSED, f"HTTP {answer.status}")
        host = url.partition("?")[0]
        raise NodesUnavailableError(
            f"The collateral could not be fetched: {host} failed ({failure}).",
            needed=1,
            reached=0,
            failures={host: failure},
            hint="Check that this host reaches it, or keep the collateral in a file.",
        )


def _file(path: Path) -> Mapping[str, str]:
    try:
        found = parse_object(path.read_bytes())
    except OSError as error:
        raise SettingsError(
            f"The collateral {path} cannot be read ({error.strerror}).", field="collateral"
        ) from None
    except JsonInputError as error:
        raise AttestationError(f"{path} is not collateral: {error}", check="collateral") from None
    return found


def _chain(answer: Response, names: tuple[str, ...]) -> str:
    """Return the certificates that stand in a header, percent-encoded."""
    for name in names:
        if found := answer.headers.get(name):
            return unquote(found)
    raise _malformed()


def _der(answer: Response) -> bytes:
    """Return a revocation list; servers give DER, or its hex."""
    try:
        return bytes.fromhex(answer.body.decode("ascii"))
    except ValueError:
        return answer.body


def _signed(answer: Response, name: str, field: str) -> Mapping[str, str]:
    """Return an object as the text that is signed, and its signature."""
    try:
        found = parse_object(answer.body)
        text = json.dumps(found[name], separators=(",", ":"), ensure_ascii=False)
        return {field: text, f"{field}_signature": str(found["signature"])}
    except (KeyError, JsonInputError):
        raise _malformed() from None


def _malformed() -> AttestationError:
    return AttestationError("The PCCS answered something that is not collateral.", check="collateral")
