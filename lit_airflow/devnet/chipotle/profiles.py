"""Builds of the service that can be imitated.

Source: the published server source of 28 April 2026 (``april``); changelog, documentation and later source of
v1.1.10, 22 June 2026, and after (``june``).
"""

from __future__ import annotations

from dataclasses import dataclass

_MIB = 1024 * 1024
_UNAUTHORIZED, _PAYMENT_REQUIRED, _UNAVAILABLE = 401, 402, 503


@dataclass(frozen=True, slots=True)
class ActionLimits:
    """Limits of a run.

    Attributes:
        response_bytes: Maximum length of ``response``.
        enforces_key_reads: Whether ``key_reads`` is enforced or only published.
        time_s: Maximum duration.
        memory_mb: Maximum heap.
        code_bytes: Maximum length of the code.
        log_bytes: Maximum console output.
        fetches: Maximum calls of ``fetch``.
        key_reads: Maximum key reads, not counting ``Encrypt`` and ``Decrypt``.
    """

    response_bytes: int
    enforces_key_reads: bool
    time_s: float = 900.0
    memory_mb: int = 64
    code_bytes: int = 16 * _MIB
    log_bytes: int = 100 * 1024
    fetches: int = 50
    key_reads: int = 10


@dataclass(frozen=True, slots=True)
class Profile:
    """Behaviour of a build.

    Attributes:
        name: Name of the profile.
        version: ``commit_version`` in ``/version``.
        json_refusals: Guards refuse with the JSON envelope; else with the framework's HTML or JSON.
        names_reverts: Error texts contain the names of contract errors; else only their arguments.
        unknown_key_status: Status for unknown keys on billed calls.
        outage_status: Status when the billing service is down.
        charges_first: Writes are charged before they are checked; else after success.
        max_body_bytes: Maximum length of a request body.
        limits: Limits of actions.
        counts_params: ``js_params`` counts towards the code's length.
        posts_create_wallet: ``POST /create_wallet`` exists.
        new_account_burst: Accounts per client address in a burst and per minute; ``None`` for no limit.
        typed_signatures: Owners sign EIP-712 typed data; else EIP-191 text.
        listens_s: Delay after which other processes clear their caches; ``None`` for never.
        fails_on_whole_chunks: CIDs of code with a multiple of 256 KiB fail.
        has_later_calls: ``prepare_wallet``, ``delete_wallet`` and ``add_usage_api_key_with_signature`` exist.
    """

    name: str
    version: str
    json_refusals: bool
    names_reverts: bool
    unknown_key_status: int
    outage_status: int
    charges_first: bool
    max_body_bytes: int
    limits: ActionLimits
    counts_params: bool
    posts_create_wallet: bool
    new_account_burst: int | None
    typed_signatures: bool
    listens_s: float | None
    fails_on_whole_chunks: bool
    has_later_calls: bool


APRIL = Profile(
    name="april",
    version="v1.0.8",
    json_refusals=False,
    names_reverts=False,
    unknown_key_status=_PAYMENT_REQUIRED,
    outage_status=_PAYMENT_REQUIRED,
    charges_first=True,
    max_body_bytes=10 * _MIB,
    limits=ActionLimits(response_bytes=100 * 1024, enforces_key_reads=False),
    counts_params=False,
    posts_create_wallet=False,
    new_account_burst=None,
    typed_signatures=False,
    listens_s=None,
    fails_on_whole_chunks=True,
    has_later_calls=False,
)
JUNE = Profile(
    name="june",
    version="v1.1.10",
    json_refusals=True,
    names_reverts=True,
    unknown_key_status=_UNAUTHORIZED,
    outage_status=_UNAVAILABLE,
    charges_first=False,
    max_body_bytes=20 * _MIB,
    limits=ActionLimits(response_bytes=_MIB, enforces_key_reads=True),
    counts_params=True,
    posts_create_wallet=True,
    new_account_burst=30,
    typed_signatures=True,
    listens_s=10.0,
    fails_on_whole_chunks=False,
    has_later_calls=True,
)
PROFILES = {profile.name: profile for profile in (APRIL, JUNE)}
