"""Which build answers, what an account can pay for, and what an API key may do, as checks.

Source: docs/protocol/chipotle.md#a-key-that-may-only-decrypt and #limits-and-prices.
"""

from __future__ import annotations

from collections.abc import Mapping

from lit_airflow.networks.chipotle.account_answers import UsageKey
from lit_airflow.networks.contract import Check
from lit_airflow.text import printable

_FEW_CENTS = 100


def service(api_url: str, version: object, more: str = "") -> Check:
    """Return the check of what the service says of its version.

    Args:
        api_url: The service.
        version: Its answer.
        more: Added to what was found.
    """
    build = version.get("version") if isinstance(version, Mapping) else None
    if not isinstance(build, str) or not build:
        advice = "Check that api_url is a service of this kind: what answers there may be something else."
        return Check.bad("service", f"{api_url} answers, and does not tell its version", advice)
    return Check.good("service", f"{api_url} answers, version {printable(build)[:40]}{more}")


def credit(cents: int) -> Check:
    """Return the check of a credit."""
    found = f"${cents / 100:.2f}; a decryption costs $0.01"
    if cents >= _FEW_CENTS:
        return Check.good("credit", found)
    if cents < 1:
        return Check.bad("credit", f"{found}: nothing is decrypted any more", "Top the account up.")
    return Check.note("credit", found, "Top the account up before it is used up: decryption stops then.")


def scopes(key: UsageKey) -> Check:
    """Return the check of what an API key may do: run the actions of one group, and nothing else."""
    name = "API key scopes"
    advice = "Revoke it at once: rotate with LitRotateApiKeyOperator, or run `lit-airflow chipotle setup`."
    if 0 in key.groups:
        return Check.bad(name, "it may run any action: 0 stands for all groups", advice)
    if not key.only_runs:
        return Check.bad(name, "it may change the account: groups, their actions, or wallets", advice)
    if len(key.groups) != 1:
        return Check.bad(name, f"it may run the actions of {len(key.groups)} groups, and needs one", advice)
    return Check.good(name, f"it may run the actions of group {key.groups[0]}, and nothing else")
