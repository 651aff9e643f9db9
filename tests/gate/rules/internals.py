"""Parts of the gate whose failure the run time would hide: it checks some of the same things once more.

Each is the body of a function that stands behind the gate's text, and what it returns.
"""

from __future__ import annotations

from typing import Any

from tests.gate.ed25519 import ORDER, SMALL_ORDER

_KEY = "58" + "66" * 31  # the base point: of large order
_SIG = _KEY + "00" * 32
_POINTS = [point.hex() for point in SMALL_ORDER]


def _scalar(number: int) -> str:
    return _KEY + number.to_bytes(32, "little").hex()


_SECRETS = """
    const secrets = [
        `0x${"a1".repeat(32)}`, `0xA1${"a1".repeat(31)}`, "a1".repeat(33), `0x${"a1".repeat(31)}`,
        `0x${"a1".repeat(33)}`, `00x${"a1".repeat(32)}`, `0x${"g1".repeat(32)}`,
    ];
    return Promise.all(secrets.map((secret) => deriveKeys(secret).then(() => "good", (error) => error.code)));
"""

INTERNALS: list[tuple[str, str, Any]] = [
    (
        "keys of small order",
        f"return {_POINTS}.map((key) => isStrict(key, '{_SIG}'));",
        [False] * len(SMALL_ORDER),
    ),
    (
        "an R of small order",
        f"return {_POINTS}.map((r) => isStrict('{_KEY}', r + '00'.repeat(32)));",
        [False] * len(SMALL_ORDER),
    ),
    (
        "s below the group order",
        f"return {[_scalar(s) for s in (ORDER - 1, ORDER, 2**256 - 1)]}.map((sig) => isStrict('{_KEY}', sig));",
        [True, False, False],
    ),
    (
        "form of the action's secret",
        _SECRETS,
        ["good", "good", *["NodeSystemFault"] * 5],
    ),
    ("text", "return ['', 'a', '\\ud834\\udd1e', '\\ud834', 1, null].map(isText);", [True] * 3 + [False] * 3),
]
