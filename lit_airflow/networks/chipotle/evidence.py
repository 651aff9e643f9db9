"""What the service serves about itself, fetched, and compared with itself: the links between quotes and files.

Nothing that is fetched here is secret, and nothing of it is believed before a quote binds it.

Source: docs/attestation.md; upstream's verification guide, docs/protocol/chipotle.md#attestation.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

from lit_airflow.clock import Deadline
from lit_airflow.errors import AttestationError, Failure, FailureKind, NodeError, NodesUnavailableError
from lit_airflow.json_input import JsonInputError, parse_object
from lit_airflow.networks.chipotle.tdx import Quote, read_quote
from lit_airflow.text import is_encodable, quoted
from lit_airflow.transport.http import BUSY_STATUSES, Http

_MAX_BYTES = 1024 * 1024
_SUM = re.compile(r"([0-9a-f]{64})[ ][ *](.+)")
_DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the service serves about itself.

    Attributes:
        quote: The quote of ``/attestation``.
        event_log: The event log beside it.
        app_compose: The compose text that ``/info`` shows.
        compose_hash: The hash that ``/info`` gives for it, 64 hex digits.
        sums: The text of ``sha256sum.txt``.
        sums_quote: The quote over it.
        certificate_name: The name of the certificate's file.
        certificate: That file, PEM.
    """

    quote: bytes = field(repr=False)
    event_log: object = field(repr=False)
    app_compose: str = field(repr=False)
    compose_hash: str
    sums: bytes = field(repr=False)
    sums_quote: bytes = field(repr=False)
    certificate_name: str
    certificate: bytes = field(repr=False)


def fetch(http: Http, api_url: str, deadline: Deadline) -> Evidence:
    """Return what the service serves about itself.

    Args:
        http: How to send requests.
        api_url: The service's base URL; evidence lies at the root of its host.
        deadline: When to stop.

    Raises:
        AttestationError: It serves no evidence, or something else.
        NodesUnavailableError: It does not answer.
    """
    parts = urlsplit(api_url)
    root = f"{parts.scheme}://{parts.netloc}"
    name = f"cert-{parts.hostname}.pem"

    def get(path: str) -> bytes:
        try:
            answer = http.get(root + path, deadline=deadline, max_bytes=_MAX_BYTES)
        except NodeError as error:
            cause, kind, retryable = error.message, error.kind, error.retryable
        else:
            if answer.succeeded:
                return answer.body
            cause, kind = f"HTTP {answer.status}", FailureKind.REFUSED
            retryable = answer.status in BUSY_STATUSES
        _failed(root, path, cause, kind, retryable=retryable)

    attestation, info = _object(get("/attestation")), _object(get("/info"))
    sums = get("/evidences/sha256sum.txt")
    sums_quote = _object(get("/evidences/quote.json"))
    certificate = get(f"/evidences/{quote(name)}")
    details = info.get("tcb_info")
    details = _object(details) if isinstance(details, str) else details
    app_compose = details.get("app_compose") if isinstance(details, Mapping) else None
    if not isinstance(app_compose, str) or not is_encodable(app_compose):
        raise AttestationError("/info shows no compose text.", check="compose-hash")
    return Evidence(
        quote=read_quote(attestation.get("quote")),
        event_log=attestation.get("event_log"),
        app_compose=app_compose,
        compose_hash=str(info.get("compose_hash", "")).removeprefix("0x").lower(),
        sums=sums,
        sums_quote=read_quote(sums_quote.get("quote")),
        certificate_name=name,
        certificate=certificate,
    )


def check_same_machine(first: Quote, second: Quote) -> None:
    """Return nothing if two quotes measure the same machine: MRTD and RTMR0 to RTMR3.

    Raises:
        AttestationError: They do not.
    """
    if (first.mr_td, first.registers) != (second.mr_td, second.registers):
        raise AttestationError("The two quotes are of different machines or builds.", check="measurements")


def check_compose(app_compose: str, shown: str, measured: str) -> None:
    """Return nothing if a compose text is the one that was measured, and pins all its images by digest.

    Args:
        app_compose: The text that ``/info`` shows.
        shown: The hash that ``/info`` shows.
        measured: The hash in the event log.

    Raises:
        AttestationError: ``check`` is ``compose-hash`` or ``images``.
    """
    computed = hashlib.sha256(app_compose.encode()).hexdigest()
    if not computed == shown == measured:
        raise AttestationError(
            "The compose text that the service shows is not the one that was measured.", check="compose-hash"
        )
    for service, image in _images(app_compose).items():
        if not isinstance(image, str) or not _DIGEST.fullmatch(image):
            raise AttestationError(
                f"The image of {quoted(service)} is not pinned by a digest, so it can be exchanged.",
                check="images",
            )


def check_certificate(evidence: Evidence, quote_of_sums: Quote) -> str:
    """Return SHA-256 of the attested certificate's DER, 64 hex digits.

    Args:
        evidence: What the service serves.
        quote_of_sums: The verified quote over ``sha256sum.txt``.

    Raises:
        AttestationError: ``check`` is ``evidence``.
    """
    digest = hashlib.sha256(evidence.sums).digest()
    if not hmac.compare_digest(quote_of_sums.report_data[: len(digest)], digest):
        raise AttestationError("The evidence's quote does not cover sha256sum.txt.", check="evidence")
    lines = evidence.sums.decode("utf-8", errors="replace").splitlines()
    rows = [found.groups() for line in lines if (found := _SUM.fullmatch(line))]
    listed = [sha256 for sha256, name in rows if name == evidence.certificate_name]
    if listed != [hashlib.sha256(evidence.certificate).hexdigest()]:
        raise AttestationError(
            f"sha256sum.txt does not list {evidence.certificate_name} as it is served.", check="evidence"
        )
    return _leaf_sha256(evidence.certificate)


def _leaf_sha256(pem: bytes) -> str:
    from cryptography import x509  # noqa: PLC0415 - brings a library that sessions without attestation do without
    from cryptography.hazmat.primitives.serialization import Encoding  # noqa: PLC0415 - the same

    try:
        leaf = x509.load_pem_x509_certificates(pem)[0]
    except (IndexError, ValueError):
        raise AttestationError("The attested certificate cannot be read.", check="evidence") from None
    return hashlib.sha256(leaf.public_bytes(Encoding.DER)).hexdigest()


def _images(app_compose: str) -> Mapping[str, object]:
    """Return service -> image of a compose text."""
    import yaml  # noqa: PLC0415 - only attestation reads YAML

    try:
        compose = yaml.safe_load(parse_object(app_compose)["docker_compose_file"])
        images = {str(name): service["image"] for name, service in compose["services"].items()}
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, RecursionError, yaml.YAMLError):
        raise AttestationError(
            "The compose text does not say which images it starts.", check="images"
        ) from None
    if not images:
        raise AttestationError("The compose text starts no image.", check="images")
    return images


def _object(body: bytes | str) -> Mapping[str, Any]:
    try:
        return parse_object(body, max_length=_MAX_BYTES)
    except JsonInputError as error:
        raise AttestationError(f"The service's evidence cannot be read: {error}", check="evidence") from None


def _failed(root: str, path: str, cause: str, kind: FailureKind, *, retryable: bool) -> NoReturn:
    if not retryable and kind is FailureKind.REFUSED:
        raise AttestationError(f"{root} does not serve {path} ({cause}).", check="evidence", node=root)
    failures = {root: Failure(kind, cause)}
    message = f"{root} could not be asked for its evidence ({path}: {cause})."
    raise NodesUnavailableError(message, needed=1, reached=0, failures=failures)
