"""Intel TDX quotes: verify that a genuine processor vouches for what a virtual machine is made of.

``dcap-qvl`` verifies signatures, certificates, revocation lists and the times of the collateral, and refuses
machines that may be debugged. Here: what it needs is given to it, its verdict is compared with the policy, and
each failure gets the name of its check.

Source: ``dcap-qvl`` 0.7.0; Intel's TDX DCAP Quoting Library API; docs/attestation.md.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from typing import Any

from lit_airflow.clock import parse_iso
from lit_airflow.errors import AttestationError, SettingsError
from lit_airflow.json_input import JsonInputError, parse_object
from lit_airflow.text import listed, printable

UP_TO_DATE = "UpToDate"
INSTALL = "pip install 'lit-airflow[attestation]'"

_MAX_REASON_CHARS = 120
_MAX_QUOTE_BYTES = 64 * 1024
_OF_STATE = (
    "TCB level",
    "TCB status",
)  # in dcap-qvl's words: no level of Intel's list fits, or it is revoked
_DATED = (("TCB info", "tcb_info"), ("QE identity", "qe_identity"))
_REVOCATIONS = (("root CA's revocation list", "root_ca_crl"), ("platform CA's revocation list", "pck_crl"))


def check_installed() -> None:
    """Return nothing if quotes can be verified here.

    Raises:
        SettingsError: The extra is missing.
    """
    if find_spec("dcap_qvl") is None:
        raise SettingsError(
            "Attestation is set, and the package dcap-qvl, which verifies it, is not installed.",
            field="attestation",
            hint=f"Install the extra on every worker: {INSTALL}.",
        )


@dataclass(frozen=True, slots=True)
class Platform:
    """What names the collateral of a quote.

    Attributes:
        fmspc: The processor's family, model and stepping, 12 hex digits.
        ca: Which authority certified it: ``processor`` or ``platform``.
    """

    fmspc: str
    ca: str


@dataclass(frozen=True, slots=True)
class Quote:
    """A quote that was verified.

    Attributes:
        mr_td: The measurement of the machine's first memory, 48 bytes.
        registers: RTMR0 to RTMR3, 48 bytes each.
        report_data: The machine's own 64 bytes.
        tcb_status: How current the platform is, in Intel's words.
        advisories: Intel's advisories that apply to it.
        expires_at: When the collateral that it was verified with expires.
    """

    mr_td: bytes
    registers: tuple[bytes, bytes, bytes, bytes]
    report_data: bytes
    tcb_status: str
    advisories: tuple[str, ...]
    expires_at: datetime


def platform_of(raw: bytes) -> Platform:
    """Return which collateral a quote needs. Nothing is verified yet.

    Raises:
        AttestationError: It is not a quote of a TDX machine.
    """
    import dcap_qvl  # noqa: PLC0415 - an extra

    try:
        parsed = dcap_qvl.Quote.parse(raw)
        if not parsed.is_tdx():
            raise AttestationError("The quote is not of a TDX machine.", check="quote")
        return Platform(parsed.fmspc(), parsed.ca())
    except ValueError as error:
        raise AttestationError(f"The quote cannot be read: {_reason(error)}.", check="quote") from None


@dataclass(frozen=True, slots=True)
class QuoteVerifier:
    """Verifies quotes.

    Attributes:
        accepted: TCB statuses and Intel advisories that are accepted beside ``UpToDate`` without any.
        root_ca: The certificate that all must lead to, DER; ``None`` for Intel's own, which ``dcap-qvl`` contains.
            No setting reaches it: only tests give another.
    """

    accepted: Collection[str] = ()
    root_ca: bytes | None = field(default=None, repr=False)

    def verify(self, raw: bytes, collateral: Mapping[str, str], now: datetime) -> Quote:
        """Return what a quote says, once it is proved.

        Args:
            raw: The quote.
            collateral: The fields of ``dcap-qvl``'s ``QuoteCollateralV3``; bytes as hex.
            now: The time.

        Raises:
            AttestationError: ``check`` is ``collateral`` (unreadable, expired or not valid yet), ``quote`` (not
                signed by certified hardware, or the machine may be debugged) or ``tcb`` (its state is refused).
        """
        import dcap_qvl  # noqa: PLC0415 - an extra

        platform_of(raw)
        check_dates(collateral, now)
        seconds = int(now.timestamp())
        try:
            given = dcap_qvl.QuoteCollateralV3.from_json(json.dumps(dict(collateral)))
        except ValueError as error:
            raise AttestationError(
                f"The collateral cannot be read: {_reason(error)}.", check="collateral"
            ) from None
        try:
            verifier = dcap_qvl.QuoteVerifier(self.root_ca)
            policy = dcap_qvl.QuotePolicy.claims_only(seconds)
            claims = json.loads(verifier.verify_with_policy(raw, given, seconds, policy).to_json())
            report = dcap_qvl.Quote.parse(raw).report
        except ValueError as error:
            reason = _reason(error)
            check = "tcb" if any(words in reason for words in _OF_STATE) else "quote"
            raise AttestationError(f"The quote does not verify: {reason}.", check=check) from None
        quote = _quote(claims, report)
        self._check_state(quote)
        return quote

    def _check_state(self, quote: Quote) -> None:
        found = [] if quote.tcb_status == UP_TO_DATE else [quote.tcb_status]
        refused = [each for each in (*found, *quote.advisories) if each not in self.accepted]
        if refused:
            raise AttestationError(
                f"The platform's state is {listed([quote.tcb_status, *quote.advisories])}, and the connection does "
                f"not accept {listed(refused)}.",
                check="tcb",
                hint="Read what Intel says of these; accept them by name in tcb_accepted, or wait for an update.",
            )


def check_dates(collateral: Mapping[str, str], now: datetime) -> None:
    """Return nothing if collateral is valid now. The signatures over its dates are verified later.

    Raises:
        AttestationError: It is unreadable, not valid yet, or has expired.
    """
    for name, begin, end in _dates(collateral):
        if now >= end:
            message = f"The collateral has expired: the {name} was good until {end:%Y-%m-%d %H:%M} UTC."
            raise AttestationError(
                message,
                check="collateral",
                hint="Fetch it anew, or let the connection name a PCCS instead of a file.",
            )
        if now < begin:
            message = f"The collateral is not valid yet: the {name} is of {begin:%Y-%m-%d %H:%M} UTC."
            raise AttestationError(message, check="collateral", hint="Check this machine's clock.")


def _dates(collateral: Mapping[str, str]) -> list[tuple[str, datetime, datetime]]:
    """Return name, beginning and end of each part that has dates."""
    from cryptography import x509  # noqa: PLC0415 - brings a library that sessions without attestation do without

    if not all(isinstance(text, str) for text in collateral.values()):
        raise AttestationError("The collateral cannot be read: each field is a text.", check="collateral")
    try:
        found = []
        for name, part in _DATED:
            dated = parse_object(collateral[part])
            found.append((name, parse_iso(dated["issueDate"]), parse_iso(dated["nextUpdate"])))
        for name, part in _REVOCATIONS:
            revocations = x509.load_der_x509_crl(bytes.fromhex(collateral[part]))
            end = revocations.next_update_utc
            if end is None:
                raise AttestationError(f"The {name} has no end.", check="collateral")
            found.append((name, revocations.last_update_utc, end))
    except (KeyError, TypeError, ValueError, JsonInputError) as error:
        raise AttestationError(
            f"The collateral cannot be read ({type(error).__name__}).", check="collateral"
        ) from None
    return found


def _quote(claims: Mapping[str, Any], report: Any) -> Quote:  # noqa: ANN401 - dcap_qvl's, by quote version
    expiry = min(claims["earliest_expiration_date"], claims["qe_iden_earliest_expiration_date"])
    return Quote(
        mr_td=bytes(report.mr_td),
        registers=(
            bytes(report.rt_mr0),
            bytes(report.rt_mr1),
            bytes(report.rt_mr2),
            bytes(report.rt_mr3),
        ),
        report_data=bytes(report.report_data),
        tcb_status=claims["tcb"]["status"],
        advisories=tuple(claims["tcb"]["advisory_ids"]),
        expires_at=datetime.fromtimestamp(expiry, UTC),
    )


def read_quote(text: object) -> bytes:
    """Return the bytes of a quote in hex, maybe with ``0x``.

    Raises:
        AttestationError: It is not hex, or too long for a quote.
    """
    try:
        raw = bytes.fromhex(str(text).removeprefix("0x"))
    except ValueError:
        raw = b""
    if not 0 < len(raw) <= _MAX_QUOTE_BYTES:
        raise AttestationError("The quote is not the hex of a quote.", check="quote")
    return raw


def _reason(error: Exception) -> str:
    """Return the first line of what the library says."""
    line = str(error).partition("\n")[0].removeprefix("Verification failed: ")
    return printable(line)[:_MAX_REASON_CHARS]
