"""Walk a Lit connection, one check after the other: what was found, and what to do where it is wrong.

Everything that the other modules do at once is done here in steps, so that the first thing wrong is named and
what does not depend on it is still looked at. Holds no secret: keys, tokens and seals are used, never shown.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from lit_airflow.clock import Deadline
from lit_airflow.errors import (
    LitError,
    NodesUnavailableError,
    ProtocolError,
    TicketError,
    VaultDeniedError,
    WalletKeyError,
)

if TYPE_CHECKING:
    from lit_airflow.hooks import LitHook
    from lit_airflow.networks.contract import Committee, Listing


class Verdict(StrEnum):
    """How a check ended."""

    GOOD = "ok"
    NOTE = "note"
    """Nothing is broken, but somebody should know; or there was nothing to check."""
    BAD = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check.

    Attributes:
        check: What was looked at, such as ``vault login``; for a node, its URL.
        verdict: How it ended.
        found: A sentence.
        mend: What to do; empty where there is nothing to do.
    """

    check: str
    verdict: Verdict
    found: str
    mend: str = ""

    def to_json(self) -> dict[str, str]:
        """For machines."""
        return asdict(self)

    def text(self) -> str:
        """For people: a line, and one more if there is something to do."""
        line = f"{self.verdict:<5}  {self.check:<16}  {self.found}"
        return f"{line}\n{'':25}-> {self.mend}" if self.mend else line


def examine(hook: LitHook) -> Iterator[Finding]:
    """Check a connection; each finding comes as soon as it is known.

    Args:
        hook: The connection's hook. Nothing but its own wallet, seal and network is used; nothing is stored.
    """
    try:
        settings = hook.settings
    except LitError as error:
        yield _wrong("fields", error)
        return
    yield _good(
        "fields",
        f"network {settings.network}, seal {settings.seal}, sessions of {settings.session_ttl_s} s "
        f"renewed {settings.renewal_lead_s} s before they end",
    )
    yield from _secrets(hook)
    yield from _network(hook)


def _secrets(hook: LitHook) -> Iterator[Finding]:
    """Vault, the wallet's key, the seal."""
    settings = hook.settings
    logged_in = not settings.uses_vault
    if settings.uses_vault:
        login = _login(hook)
        logged_in = login.verdict is not Verdict.BAD
        yield login
    else:
        yield _note("vault login", "not needed: no path for a key, and the seal is not in Vault")
    if not settings.has_wallet:
        yield _note("wallet key", "none: this connection opens no sessions, it only uses them")
    elif settings.signer != "key":
        yield _signer(hook)
    elif logged_in:
        yield from _wallet(hook)
    if settings.seal != "transit":
        yield _fernet(hook)
    elif logged_in:
        yield _transit(hook)


def _login(hook: LitHook) -> Finding:
    try:
        token = hook.vault.token()
    except LitError as error:
        return _wrong("vault login", error)
    left = f"for {token.left_s} s" if token.left_s else "without an end"
    return _good(
        "vault login",
        f"connection {hook.settings.vault_conn_id}: policies {', '.join(token.policies)}; the token is good {left}",
    )


def _wallet(hook: LitHook) -> Iterator[Finding]:
    where = f"{hook.settings.vault_path}, field {hook.settings.vault_field}"
    try:
        wallet = hook.get_wallet()
    except WalletKeyError as error:
        yield _good("wallet key", f"something lies at {where}")
        yield _wrong("wallet", error)
    except LitError as error:
        yield _wrong("wallet key", error)
    else:
        expected = "as expected" if hook.settings.wallet_address else "no other is expected"
        yield _good("wallet key", f"a key lies at {where}")
        yield _good("wallet", f"{wallet.address}, {expected}")


def _signer(hook: LitHook) -> Finding:
    try:
        wallet = hook.tried_wallet()
    except LitError as error:
        return _wrong("signer", error)
    return _good("signer", f"{hook.settings.signer} signs for {wallet.address}")


def _fernet(hook: LitHook) -> Finding:
    try:
        seal = hook.seal
        bound = secrets.token_bytes(16)
        good = seal.open(seal.seal(b"doctor", bound), bound) == b"doctor"
    except LitError as error:
        return _wrong("seal", error)
    return _good("seal", "fernet: this connection's key seals and opens") if good else _broken_seal()


def _transit(hook: LitHook) -> Finding:
    """Try both directions with the real key: which of them a role may is Vault's to say."""
    settings, seal = hook.settings, hook.seal
    where = f"{settings.transit_mount}/{settings.transit_key}"
    bound = secrets.token_bytes(16)
    try:
        sealed = seal.seal(b"doctor", bound)
    except VaultDeniedError:
        sealed = ""
    except LitError as error:
        return _wrong("seal", error)
    try:
        opened = seal.open(sealed or "vault:v1:" + "A" * 40, bound)
        may_open = True
        if opened != b"doctor":
            return _broken_seal()
    except TicketError as error:
        if sealed:
            return _wrong("seal", error)
        may_open = True  # the key was tried on a made-up ticket, and refused that, not us
    except VaultDeniedError:
        may_open = False
    except LitError as error:
        return _wrong("seal", error)
    return _rights(where, may_seal=bool(sealed), may_open=may_open, renews=settings.has_wallet)


def _rights(where: str, *, may_seal: bool, may_open: bool, renews: bool) -> Finding:
    if may_seal and may_open:
        if renews:
            return _good("seal", f"Transit key {where}: sealed and opened again")
        return _note(
            "seal",
            f"Transit key {where}: sealed and opened again, though a role that only decrypts need not seal",
            "Take encrypt out of its policy, unless it renews elsewhere or passes plaintext on sealed.",
        )
    if renews and not may_seal:
        return _bad(
            "seal",
            f"Transit key {where}: this role may not seal, so its sessions cannot be passed on",
            _GRANT,
        )
    if not may_open and not renews:
        return _bad("seal", f"Transit key {where}: this role may not open tickets", _GRANT)
    if may_open:
        return _good(
            "seal", f"Transit key {where}: this role may open and not seal, as one that only decrypts"
        )
    return _note("seal", f"Transit key {where}: this role may seal and not open; it cannot decrypt")


_GRANT = "Compare the role's policy with those on the page about Vault."


def _broken_seal() -> Finding:
    return _bad("seal", "what was opened is not what was sealed", "Report this: it cannot happen.")


def _network(hook: LitHook) -> Iterator[Finding]:
    """The chain, the contract, the nodes, the clock, the margin."""
    description = hook.settings.description()
    if description.rpc_url:
        chain = _chain(hook)
        yield chain
        if chain.verdict is Verdict.BAD:
            return
    try:
        listing = hook.client.listing()
    except LitError as error:
        yield _wrong("staking contract", error)
        return
    what = f"{len(listing.nodes)} nodes, {listing.threshold} are needed, epoch {listing.epoch}"
    if description.rpc_url:
        yield _good("staking contract", f"lists {what}")
    else:
        yield _note("staking contract", f"not asked: the description itself names {what}")
    yield from _nodes(hook, listing)


def _chain(hook: LitHook) -> Finding:
    from lit_airflow.transport.chain import Chain  # noqa: PLC0415 - the command's --help stays quick
    from lit_airflow.transport.http import Http  # noqa: PLC0415 - the same

    description = hook.settings.description()
    chain = Chain(Http(), description.rpc_url, description.chain_id)
    try:
        number = chain.number(Deadline.after(hook.settings.timeout_s))
    except LitError as error:
        return _wrong("chain", error)
    if description.chain_id not in (0, number):
        return _bad(
            "chain",
            f"{chain.where} serves chain {number}, and the network lives on chain {description.chain_id}",
            "Check rpc_url in the Lit connection.",
        )
    return _good("chain", f"{chain.where} answers, chain {number}")


def _nodes(hook: LitHook, listing: Listing) -> Iterator[Finding]:
    try:
        committee = hook.client.survey()
    except NodesUnavailableError as error:
        for node in listing.nodes:
            if node in error.failures:
                yield _bad(node, error.failures[node], _ASK)
            else:
                yield _good(node, "answered")
        nodes = "node" if error.reached == 1 else "nodes"
        yield _bad(
            "threshold", f"{error.reached} {nodes} answered, and {error.needed} are needed", error.hint
        )
        return
    except ProtocolError as error:
        yield _wrong("network key", error)
        return
    except LitError as error:
        yield _wrong("nodes", error)
        return
    yield from _each_node(committee)
    key = f"{committee.public_key[:16]}..."
    if hook.settings.description().network_public_key:
        yield _good("network key", f"{key}, the pinned one")
    else:
        yield _note("network key", f"{key}, not pinned", "Put it into network_public_key once you trust it.")
    yield _clock(committee)
    yield _margin(committee)


_ASK = "Ask whoever runs it, or wait; see that this host may reach it."


def _each_node(committee: Committee) -> Iterator[Finding]:
    for node in committee.nodes:
        shake = committee.handshakes.get(node)
        if shake is None:
            yield _note(node, committee.absent.get(node, "no answer"), _ASK)
        elif shake.public_key != committee.public_key:
            yield _note(node, f"names another network key than the others, {shake.public_key[:16]}...", _ASK)
        else:
            proof = "proved its hardware" if committee.attested else "not asked to prove its hardware"
            yield _good(node, f"handshake in {shake.took_s * 1000:.0f} ms, {proof}")


def _clock(committee: Committee) -> Finding:
    from lit_airflow.transport.clock_skew import wrong_clock  # noqa: PLC0415 - the command's --help stays quick

    if committee.skew_s is None:
        return _note("clock", "no node told the time")
    if wrong := wrong_clock(committee.skew_s):
        return _bad("clock", wrong, "Set it by NTP: nodes refuse what is not yet good, or no more.")
    return _good("clock", "this machine's and the nodes' agree to a few seconds")


def _margin(committee: Committee) -> Finding:
    agree = sum(shake.public_key == committee.public_key for shake in committee.handshakes.values())
    found = f"{agree} of {len(committee.nodes)} nodes shook hands, {committee.threshold} are needed"
    if agree == committee.threshold:
        return _note("threshold", f"{found}: none may fail", "Nothing opens if one more node fails.")
    return _good(
        "threshold", f"{found}: {agree - committee.threshold} more may fail (shares were not asked for)"
    )


def report(conn_id: str, findings: list[Finding]) -> dict[str, Any]:
    """All findings as one object: ``conn_id``, ``good``, ``findings``."""
    return {"conn_id": conn_id, "good": good(findings), "findings": [each.to_json() for each in findings]}


def good(findings: list[Finding]) -> bool:
    """Whether nothing is wrong; there may be notes."""
    return all(each.verdict is not Verdict.BAD for each in findings)


def _good(check: str, found: str) -> Finding:
    return Finding(check, Verdict.GOOD, found)


def _note(check: str, found: str, mend: str = "") -> Finding:
    return Finding(check, Verdict.NOTE, found, mend)


def _bad(check: str, found: str, mend: str) -> Finding:
    return Finding(check, Verdict.BAD, found, mend)


def _wrong(check: str, error: LitError) -> Finding:
    return _bad(check, error.message, error.hint)
