"""Whether the service is the enclave it says it is: the chain of checks, and the policy that acts on them.

Source: docs/attestation.md; upstream's verification guide, docs/protocol/chipotle.md#attestation.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from lit_airflow.clock import Clock, Deadline, iso
from lit_airflow.errors import AttestationError, LitError, SettingsError
from lit_airflow.networks.chipotle import event_log, evidence, tdx
from lit_airflow.networks.chipotle.collateral import CollateralSource
from lit_airflow.networks.chipotle.description import Policy
from lit_airflow.networks.chipotle.tdx import QuoteVerifier
from lit_airflow.networks.contract import Attestation, AttestationState
from lit_airflow.transport.http import Http

log = logging.getLogger(__name__)

GOOD_FOR = timedelta(hours=6)
"""How long an outcome is used before the service is asked again."""

_SHOWN_DIGITS = 16


@dataclass(frozen=True, slots=True)
class Proof:
    """What all checks together have proved.

    Attributes:
        build: SHA-256 of the compose text that runs, 64 hex digits.
        machine: SHA-256 of MRTD and RTMR0 to RTMR2, 64 hex digits: firmware, kernel, image and size.
        certificate: SHA-256 of the TLS certificate's DER, 64 hex digits.
        platform: The TCB status, and the advisories that apply.
        at: When.
        expires_at: When the collateral that it rests on expires.
    """

    build: str
    machine: str
    certificate: str
    platform: tuple[str, ...]
    at: datetime
    expires_at: datetime

    @property
    def software(self) -> tuple[str, str]:
        """What runs, and on what."""
        return self.build, self.machine

    def current(self, now: datetime) -> bool:
        """Whether it may still be used."""
        return self.at <= now < min(self.at + GOOD_FOR, self.expires_at)


@dataclass(frozen=True, slots=True)
class EnclaveVerifier:
    """Runs the checks.

    Attributes:
        api_url: The service's base URL.
        quotes: Verifies quotes.
        collateral: Where the collateral is.
        clock: Tells the time.
    """

    api_url: str
    quotes: QuoteVerifier
    collateral: CollateralSource
    clock: Clock

    def prove(self, deadline: Deadline) -> Proof:
        """Ask the service for its evidence and check each link, the connection that brought it included.

        Raises:
            AttestationError: A link is broken; ``check`` names it.
            NodesUnavailableError: The service, or the server of the collateral, does not answer.
            SettingsError: The extra is missing, or the collateral's file cannot be read.
        """
        tdx.check_installed()
        try:
            return self._proved(deadline)
        except AttestationError as error:
            raise AttestationError(
                error.message, check=error.check, node=self.api_url, hint=error.hint
            ) from None

    def _proved(self, deadline: Deadline) -> Proof:
        certificates: list[str] = []
        with closing(Http(check_certificate=lambda der: certificates.append(fingerprint(der)))) as http:
            found = evidence.fetch(http, self.api_url, deadline)
        now = self.clock()
        platform = tdx.platform_of(found.quote)
        collateral = self.collateral.collateral(platform, deadline)
        machine = self.quotes.verify(found.quote, collateral, now)
        if (other := tdx.platform_of(found.sums_quote)) != platform:
            collateral = self.collateral.collateral(other, deadline)
        sums = self.quotes.verify(found.sums_quote, collateral, now)
        evidence.check_same_machine(machine, sums)
        events = event_log.read_events(found.event_log)
        event_log.check_replay(events, machine.registers[3])
        build = event_log.compose_hash(events)
        evidence.check_compose(found.app_compose, found.compose_hash, build)
        attested = evidence.check_certificate(found, sums)
        if set(certificates) != {attested}:
            raise AttestationError(
                "The TLS connection does not end in the attested machine: the server has another certificate.",
                check="certificate",
            )
        return Proof(
            build=build,
            machine=hashlib.sha256(b"".join((machine.mr_td, *machine.registers[:3]))).hexdigest(),
            certificate=attested,
            platform=(machine.tcb_status, *machine.advisories),
            at=now,
            expires_at=min(machine.expires_at, sums.expires_at),
        )


@dataclass(frozen=True, slots=True)
class Pins:
    """What the operator accepts; empty for anything.

    Attributes:
        builds: Hashes of compose texts.
        machines: Hashes of machines.
    """

    builds: tuple[str, ...] = ()
    machines: tuple[str, ...] = ()

    def refusal(self, proof: Proof) -> AttestationError | None:
        """Return why a proof is not of what is pinned; ``None`` if it is."""
        if proof.build not in self.builds:
            found = "is not pinned" if self.builds else "is proven, and the connection pins none"
            return AttestationError(
                f"The build {proof.build} {found}.",
                check="compose-hash",
                hint="If you trust it, set compose_hash to it, or add it there.",
            )
        if self.machines and proof.machine not in self.machines:
            return AttestationError(
                f"The machine {proof.machine} is not pinned.",
                check="machine",
                hint="If you trust it, add it to machine_hash.",
            )
        return None


@dataclass(slots=True)
class Guard:
    """Acts on the policy. Safe to use from several threads.

    Attributes:
        policy: What the connection demands.
        pins: What it accepts.
        verifier: Runs the checks.
        clock: Tells the time.
    """

    policy: Policy
    pins: Pins
    verifier: EnclaveVerifier
    clock: Clock
    _proof: Proof | None = field(default=None, init=False, repr=False)
    _attestation: Attestation = field(init=False, repr=False)
    _asked_at: datetime | None = field(default=None, init=False, repr=False)
    _verifying: threading.RLock = field(default_factory=threading.RLock, init=False, repr=False)

    def __post_init__(self) -> None:
        found = {
            Policy.OFF: "The service's build was not verified: attestation is off.",
            Policy.REPORT: "The service's build was not verified yet.",
            Policy.REQUIRE: "The service's build was not verified yet; nothing is sent to it before.",
        }[self.policy]
        self._attestation = Attestation(state=AttestationState.UNVERIFIED, found=found)

    @property
    def attestation(self) -> Attestation:
        """What this process knows."""
        return self._attestation

    def attest(self, deadline: Deadline) -> Attestation:
        """Verify now, whatever the policy.

        Raises:
            LitError: As :meth:`EnclaveVerifier.prove`.
        """
        with self._verifying:
            self._asked_at = self.clock()
            try:
                proof = self.verifier.prove(deadline)
            except LitError as error:
                self._proof, self._attestation = None, _failed(error, self._asked_at)
                raise
            self._attestation = self._verified(proof, self._proof)
            self._proof = proof
            return self._attestation

    def session_opens(self, deadline: Deadline) -> None:
        """Verify where the policy says so and the last outcome is too old, and log the outcome.

        Raises:
            LitError: The policy is ``require``, and it failed; see :meth:`admit`.
            SettingsError: The policy is ``report``, and the extra or the collateral's file is missing.
        """
        if self.policy is Policy.REQUIRE:
            self.admit(deadline)
            log.info("%s", self._attestation)
        elif self.policy is Policy.REPORT:
            with self._verifying:
                if self._due():
                    self._report(Deadline.after(deadline.left_s() / 2))  # the session needs the rest

    def admit(self, deadline: Deadline, *, instead_of: str = "") -> None:
        """Return nothing if something may be sent to the service.

        Args:
            deadline: When to stop.
            instead_of: The certificate that a connection was refused for not being; asks anew while it is still
                the attested one, since certificates are renewed.

        Raises:
            AttestationError: The policy is ``require``, and a check failed, or build or machine are not pinned.
            LitError: It is, and the service could not be asked; or the extra is missing.
        """
        if self.policy is not Policy.REQUIRE:
            return
        with self._verifying:
            proof = self._proof
            if proof is None or not proof.current(self.clock()) or proof.certificate == instead_of:
                self.attest(deadline)
                proof = self._proof
        if proof is not None and (refusal := self.pins.refusal(proof)) is not None:
            raise refusal

    def check_certificate(self, der: bytes) -> None:
        """Check the certificate of a new connection to the service: it must be the attested one.

        Args:
            der: The certificate.

        Raises:
            CertificateChangedError: It is not, and the policy is ``require``.
        """
        proof = self._proof
        if proof is not None and fingerprint(der) == proof.certificate:
            return
        if self.policy is Policy.REQUIRE:
            raise CertificateChangedError(proof.certificate if proof else "", self.verifier.api_url)
        if proof is not None:
            error = CertificateChangedError(proof.certificate, self.verifier.api_url)
            self._attestation = _failed(error, self.clock())
            log.warning("%s", self._attestation)

    def _due(self) -> bool:
        now = self.clock()
        if self._proof is not None:
            return not self._proof.current(now)
        return self._asked_at is None or not self._asked_at <= now < self._asked_at + GOOD_FOR

    def _report(self, deadline: Deadline) -> None:
        before = self._proof
        try:
            self.attest(deadline)
        except SettingsError:  # the extra or the collateral's file is missing, here and on every other day
            raise
        except LitError:
            log.warning("%s", self._attestation)
            return
        proof = self._proof
        changed = before is not None and proof is not None and before.software != proof.software
        refused = bool(self.pins.builds) and not self._attestation.accepted
        log.log(logging.WARNING if changed or refused else logging.INFO, "%s", self._attestation)

    def _verified(self, proof: Proof, before: Proof | None) -> Attestation:
        refusal = self.pins.refusal(proof)
        words = [
            f"The service proved that it runs build {proof.build} on machine {proof.machine}.",
            f"Platform {', '.join(proof.platform)}; certificate {proof.certificate[:_SHOWN_DIGITS]}...",
        ]
        if before is not None and before.software != proof.software:
            words.append(f"It was build {before.build} on machine {before.machine} before.")
        if refusal is not None:
            words.append(refusal.message if self.pins.builds else "No build is pinned.")
        elif not self.pins.machines:
            words.append("No machine is pinned.")
        return Attestation(
            state=AttestationState.VERIFIED,
            found=" ".join(words),
            build=proof.build,
            machine=proof.machine,
            accepted=refusal is None,
            platform=proof.platform,
            certificate=proof.certificate,
            at=iso(proof.at),
        )


class CertificateChangedError(AttestationError):
    """A new connection ends somewhere else than the attested machine.

    Attributes:
        attested: The attested certificate's fingerprint.
    """

    def __init__(self, attested: str, node: str) -> None:
        super().__init__(
            "The TLS connection does not end in the attested machine: the server has another certificate.",
            check="certificate",
            node=node,
        )
        self.attested = attested


def fingerprint(der: bytes) -> str:
    """Return SHA-256 of a certificate, 64 hex digits."""
    return hashlib.sha256(der).hexdigest()


def _failed(error: LitError, at: datetime) -> Attestation:
    check = error.check if isinstance(error, AttestationError) else ""
    label = f"check {check!r} failed" if check else "it could not be asked"
    return Attestation(
        state=AttestationState.FAILED,
        found=f"The service did not prove its build, {label}: {error.message}",
        check=check,
        at=iso(at),
    )
