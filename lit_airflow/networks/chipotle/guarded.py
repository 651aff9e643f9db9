"""The service as a description wants it guarded: the one place where its API is opened."""

from __future__ import annotations

from lit_airflow.clock import Clock
from lit_airflow.networks.chipotle.api import Api
from lit_airflow.networks.chipotle.collateral import CollateralSource
from lit_airflow.networks.chipotle.description import ChipotleDescription, Policy
from lit_airflow.networks.chipotle.enclave import EnclaveVerifier, Guard, Pins
from lit_airflow.networks.chipotle.tdx import QuoteVerifier, check_installed
from lit_airflow.transport.http import Http


def open_guard(
    description: ChipotleDescription, http: Http, clock: Clock, root_ca: bytes | None = None
) -> Guard:
    """Return what verifies the service. Sends nothing yet.

    Args:
        description: Which service, and what is demanded of it.
        http: How to ask for collateral.
        clock: Tells the time.
        root_ca: What quotes must lead to, DER; ``None`` for Intel's own. Only tests give another.
    """
    quotes = QuoteVerifier(description.tcb_accepted, root_ca)
    collateral = CollateralSource(description.collateral, http)
    verifier = EnclaveVerifier(description.api_url, quotes, collateral, clock)
    pins = Pins(description.compose_hash, description.machine_hash)
    return Guard(description.attestation, pins, verifier, clock)


def open_api(description: ChipotleDescription, http: Http, guard: Guard) -> Api:
    """Return the service's API, on connections of its own where attestation is asked for. Sends nothing yet.

    Raises:
        SettingsError: Attestation is asked for, and the extra is missing.
    """
    if description.attestation is Policy.OFF:
        return Api(description.api_url, http)
    check_installed()
    return Api(description.api_url, Http(check_certificate=guard.check_certificate), guard)
