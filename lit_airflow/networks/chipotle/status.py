"""What an account and Vault have of a deployment, check by check; free, and nothing is changed."""

from __future__ import annotations

from collections.abc import Iterator

from lit_airflow.errors import LitError
from lit_airflow.networks.chipotle.gates import TEMPLATES
from lit_airflow.networks.chipotle.scopes import credit, scopes, service
from lit_airflow.networks.chipotle.setup import Setup, State
from lit_airflow.networks.contract import Check

_SET_UP = "Run `lit-airflow chipotle setup`: it makes what is missing."


def status(setup: Setup) -> Iterator[Check]:
    """Yield what is there.

    Args:
        setup: The deployment's set-up.

    Raises:
        LitError: The service or Vault does not answer, or the secret there is malformed.
    """
    state = setup.look()
    deployment = state.deployment
    yield service(setup.description.api_url, state.version_answer)
    yield credit(state.credit_cents)
    if state.is_new:
        yield Check.bad("deployment", f"{deployment.where} has no gate", _SET_UP)
        return
    if deployment.pending is not None:
        yield Check.bad("deployment", f"the set-up of {deployment.where} has not finished", _SET_UP)
    for public_key, entry in deployment.gates.items():
        withdrawn = TEMPLATES[entry.version].withdrawn
        found = f"{public_key}, version {entry.version}"
        yield (
            Check.bad(
                "gate", f"{found}, which was found to be broken", "Make a new gate, and convert the data."
            )
            if withdrawn
            else Check.good("gate", found)
        )
    for public_key in deployment.locks:
        yield Check.good("lock", public_key)
    yield _group(setup, state)
    yield _key(state)
    if deployment.draining:
        ends = ", ".join(sorted(f"{until:%Y-%m-%d %H:%M} UTC" for until in deployment.draining.values()))
        yield Check.good("draining", f"{len(deployment.draining)} replaced keys, until {ends}")
    if state.left_over:
        yield Check.note(
            "left over",
            f"{len(state.left_over)} keys of this deployment that nobody uses",
            "The next rotation removes them.",
        )


def _group(setup: Setup, state: State) -> Check:
    if not state.group:
        return Check.bad("group", "there is none with the gate", _SET_UP)
    try:
        setup.manager.check_group(state.deployment, state.group)
    except LitError as error:
        return Check.failed("group", error)
    return Check.good("group", f"{state.group}, with the gate alone")


def _key(state: State) -> Check:
    if state.deployment.api_key is None:
        return Check.bad("API key", f"{state.deployment.where} has none", _SET_UP)
    if state.key is None:
        return Check.bad("API key", "the account does not list it: it was revoked", _SET_UP)
    found = scopes(state.key)
    if not state.has_key and found.advice == "":
        return Check.bad("API key", f"it may run group {state.key.groups[0]}, not the gate's", _SET_UP)
    return found
