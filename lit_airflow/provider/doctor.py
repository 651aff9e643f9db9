"""Diagnosis of a Lit connection, check by check: what was found, and what to do where it is wrong.

The first thing that is wrong is named, and what does not depend on it is still checked. Keys, tokens and
seals are used, never shown.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lit_airflow import clock
from lit_airflow.errors import LitError, TicketError, VaultDeniedError, WalletKeyError
from lit_airflow.keys.secret import Secret
from lit_airflow.networks.contract import Check, Verdict
from lit_airflow.provider.settings import KEY_SIGNERS

if TYPE_CHECKING:
    from lit_airflow.provider.connection import LitConnection


_PROBE = Secret(b"doctor")


def examine(hook: LitConnection) -> Iterator[Check]:
    """Check a connection; each result comes as soon as it is known.

    Args:
        hook: The connection's hook. Nothing is stored.
    """
    try:
        settings = hook.settings
    except LitError as error:
        yield Check.failed("fields", error)
        return
    yield Check.good(
        "fields",
        f"network {settings.network}, seal {settings.seal}, sessions of {settings.session_ttl_s} s "
        f"renewed {settings.renewal_lead_s} s before they end",
    )
    for sentence in hook.unknown_fields:
        yield Check.note("fields", sentence, "Correct its name, or remove it from the connection's extra.")
    yield from _secrets(hook)
    yield from _network(hook)


def _secrets(hook: LitConnection) -> Iterator[Check]:
    """Check Vault, the wallet's key and the seal."""
    settings = hook.settings
    logged_in = not settings.uses_vault
    if settings.uses_vault:
        login = _login(hook)
        logged_in = login.verdict is not Verdict.BAD
        yield login
    else:
        yield Check.note("vault login", "not needed: neither the key nor the seal is in Vault")
    if settings.account_key_path and logged_in:
        yield _account_key(hook)
    if not settings.has_wallet:
        yield Check.note("wallet key", "none: this connection only uses sessions that others open")
    elif settings.signer not in KEY_SIGNERS:
        yield _signer(hook)
    elif logged_in or settings.signer != "key":
        yield from _wallet(hook)
    if settings.capacity_path and logged_in:
        yield _capacity(hook)
    if settings.seal != "transit":
        yield _fernet(hook)
    elif logged_in:
        yield _transit(hook)


def _login(hook: LitConnection) -> Check:
    try:
        token = hook.vault.token()
    except LitError as error:
        return Check.failed("vault login", error)
    left = f"for {token.left_s} s" if token.left_s else "without an end"
    return Check.good(
        "vault login",
        f"connection {hook.settings.vault_conn_id}: policies {', '.join(token.policies)}; the token is good {left}",
    )


def _wallet(hook: LitConnection) -> Iterator[Check]:
    where = hook.wallets.place
    try:
        wallet = hook.wallets.get()
    except WalletKeyError as error:
        yield Check.good("wallet key", f"there is a value at {where}")
        yield Check.failed("wallet", error)
    except LitError as error:
        yield Check.failed("wallet key", error)
    else:
        expected = "as expected" if hook.settings.wallet_address else "any wallet is accepted"
        yield _key_found(hook)
        yield Check.good("wallet", f"{wallet.address}, {expected}")


def _account_key(hook: LitConnection) -> Check:
    name = "account key"
    try:
        hook.api_key_rotation()
    except LitError as error:
        return Check.failed(name, error)
    return Check.good(
        name, f"there is a value at {hook.settings.account_key_path}: this role rotates API keys"
    )


def _capacity(hook: LitConnection) -> Check:
    name = "capacity delegation"
    try:
        lent = hook.lent_capacity()
        if lent is None:
            return Check.note(name, "none")
        wallet = hook.settings.wallet_address or (
            hook.wallets.get().address if hook.settings.has_wallet else ""
        )
        if wallet:
            lent.check(wallet, clock.now())
    except LitError as error:
        return Check.failed(name, error)
    ends = "without an end" if lent.expires_at is None else f"until {lent.expires_at:%Y-%m-%d %H:%M:%S} UTC"
    return Check.good(name, f"from {lent.lender}, good {ends}")


def _key_found(hook: LitConnection) -> Check:
    found = f"there is a key at {hook.wallets.place}"
    if hook.settings.signer == "connection":
        advice = "Every task that may use the connection can read it. Prefer Vault, a signer, or a file."
        return Check.note("wallet key", found, advice)
    return Check.good("wallet key", found)


def _signer(hook: LitConnection) -> Check:
    try:
        wallet = hook.wallets.tried()
    except LitError as error:
        return Check.failed("signer", error)
    return Check.good("signer", f"{hook.settings.signer} signs for {wallet.address}")


def _fernet(hook: LitConnection) -> Check:
    try:
        seal = hook.seal
        bound = secrets.token_bytes(16)
        good = seal.open(seal.seal(_PROBE, bound), bound) == _PROBE
    except LitError as error:
        return Check.failed("seal", error)
    return Check.good("seal", "fernet: this connection's key seals and opens") if good else _broken_seal()


def _transit(hook: LitConnection) -> Check:
    """Try both directions with the real key: only Vault knows which of them this role may use."""
    settings, seal = hook.settings, hook.seal
    where = f"{settings.transit_mount}/{settings.transit_key}"
    bound = secrets.token_bytes(16)
    try:
        sealed = seal.seal(_PROBE, bound)
    except VaultDeniedError:
        sealed = ""
    except LitError as error:
        return Check.failed("seal", error)
    try:
        opened = seal.open(sealed or "vault:v1:" + "A" * 40, bound)
        may_open = True
        if opened != _PROBE:
            return _broken_seal()
    except TicketError as error:
        if sealed:
            return Check.failed("seal", error)
        may_open = True  # Vault refused a made-up ticket, not this role
    except VaultDeniedError:
        may_open = False
    except LitError as error:
        return Check.failed("seal", error)
    if settings.account_key_path and not (sealed or may_open or settings.has_wallet):
        return Check.note(
            "seal",
            f"Transit key {where}: this role may neither seal nor open, and needs neither to rotate API keys",
        )
    return _rights(where, may_seal=bool(sealed), may_open=may_open, renews=settings.has_wallet)


def _rights(where: str, *, may_seal: bool, may_open: bool, renews: bool) -> Check:
    if may_seal and may_open:
        if renews:
            return Check.good("seal", f"Transit key {where}: sealed and opened again")
        return Check.note(
            "seal",
            f"Transit key {where}: sealed and opened again, but a role that only decrypts need not seal",
            "Remove encrypt from its policy, unless it renews elsewhere or passes on sealed plaintext.",
        )
    if renews and not may_seal:
        return Check.bad(
            "seal",
            f"Transit key {where}: this role may not seal, so its sessions cannot be passed on",
            _GRANT,
        )
    if not may_open and not renews:
        return Check.bad("seal", f"Transit key {where}: this role may not open tickets", _GRANT)
    if may_open:
        return Check.good(
            "seal", f"Transit key {where}: this role may open and not seal, as one that only decrypts"
        )
    return Check.note("seal", f"Transit key {where}: this role may seal and not open; it cannot decrypt")


_GRANT = "Compare the role's policy with those on the page about Vault."


def _broken_seal() -> Check:
    return Check.bad("seal", "what was opened is not what was sealed", "Report this as a bug.")


def _network(hook: LitConnection) -> Iterator[Check]:
    try:
        client = hook.client
    except LitError as error:
        yield Check.failed("network", error)
        return
    yield from client.diagnose()
    if hook.settings.sign_pkp:
        yield _signer_of_network(hook)


def _signer_of_network(hook: LitConnection) -> Check:
    try:
        policy = hook.settings.signing_policy()
        _, cid = hook.client.signing_code(policy)
    except LitError as error:
        return Check.failed("signing", error)
    what = f"and for {policy.address} on chain {policy.chain_id}" if policy.chain_id else "only"
    return Check.note(
        "signing",
        f"{policy.signer} signs messages {what}; the signer's CID is {cid}",
        "The API key's group must contain this CID and this PKP; that is not tried, since it costs $0.01.",
    )


def to_json(check: Check) -> dict[str, str]:
    """Return a check for machines."""
    return {"check": check.name, "verdict": check.verdict, "found": check.found, "mend": check.advice}


def text(check: Check) -> str:
    """Return a check for people: one line, and another if there is something to do."""
    line = f"{check.verdict:<5}  {check.name:<16}  {check.found}"
    return f"{line}\n{'':25}-> {check.advice}" if check.advice else line


def report(conn_id: str, checks: list[Check]) -> dict[str, Any]:
    """Return all checks as one object: ``conn_id``, ``good``, ``findings``."""
    return {"conn_id": conn_id, "good": good(checks), "findings": [to_json(each) for each in checks]}


def good(checks: list[Check]) -> bool:
    """Return whether nothing is wrong; there may be notes."""
    return all(each.verdict is not Verdict.BAD for each in checks)
