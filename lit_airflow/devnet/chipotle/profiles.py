"""How builds of the service differ: one row per profile.

Source: the published server source of 28 April 2026 (``april``); changelog, documentation and later source of
v1.1.10, 22 June 2026, and after (``june``).
"""

from __future__ import annotations

from dataclasses import dataclass

_MIB = 1024 * 1024
_UNAUTHORIZED, _PAYMENT_REQUIRED, _UNAVAILABLE = 401, 402, 503


@dataclass(frozen=True, slots=True)
class ActionLimits:
    """What one run of an action may use.

    Attributes:
        response_bytes: Longest ``response``.
        enforces_key_reads: Whether ``key_reads`` is enforced, or only announced.
        time_s: Longest run.
        memory_mb: Heap of the isolate.
        code_bytes: Longest source.
        log_bytes: Longest console output.
        fetches: Calls of ``fetch``.
        key_reads: Reads of keys; encryption and decryption do not count.
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
    """What one build does.

    Attributes:
        name: Its name here.
        version: What ``/version`` says.
        json_refusals: Refusals before an endpoint are envelopes; else the framework's HTML or JSON.
        names_reverts: Texts of contract errors have their names; else their arguments only.
        unknown_key_status: For a key of no account, on calls that cost.
        outage_status: When the billing service is down.
        charges_first: A write is paid before anything is looked at; else when it has succeeded.
        max_body_bytes: Longest request body.
        limits: Limits of an action.
        counts_params: Whether ``js_params`` counts as part of the code's length.
        posts_create_wallet: Whether ``create_wallet`` may be a POST too.
        new_account_burst: How many accounts one address may make at once, as many again per minute; ``None``
            for no limit.
        typed_signatures: ChainSecured requests are signed as EIP-712; else as EIP-191 text.
        listens_s: After how many seconds other server processes hear of a change; ``None`` for never.
        fails_on_whole_chunks: Whether a CID cannot be computed of a source of a whole number of 256 KiB.
        has_later_calls: Whether ``prepare_wallet``, ``delete_wallet`` and their like are there.
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
