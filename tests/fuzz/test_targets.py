"""Whatever is read, only the package's own errors come, soon, and with little memory."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.spoiling import JUNK, bytes_like, json_like
from tests.fuzz.targets import TARGETS, Target

EXAMPLES = 40
_RELAXED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
_LONGEST_S = 20.0
_MOST_BYTES = 64 * 1024 * 1024
JSON = [name for name, target in TARGETS.items() if target.is_json]
BYTES = [name for name, target in TARGETS.items() if not target.is_json]


@pytest.mark.parametrize("name", TARGETS)
def test_good_inputs_are_read(name: str) -> None:
    """Else nothing behind the first check is ever reached."""
    target = TARGETS[name]
    refused = Counter[str]()
    for seed in target.seeds():
        try:
            target.read(seed)
        except Exception as error:  # noqa: BLE001 - counted
            refused[type(error).__name__] += 1
    # These good inputs are made without the secrets that would open them.
    allowed = {"ciphertext": 1, "report": 1, "attestation": 1, "error-body": 1, "rpc": 1}
    assert refused.total() <= allowed.get(name, 0), refused


@pytest.mark.parametrize("name", JSON)
def test_spoiled_json(name: str) -> None:
    target = TARGETS[name]

    @_RELAXED
    @given(st.one_of([*(json_like(seed) for seed in target.seeds()), JUNK]))
    def read(value: Any) -> None:  # noqa: ANN401 - JSON
        target.on(value)

    read()


@pytest.mark.parametrize("name", BYTES)
def test_spoiled_bytes(name: str) -> None:
    target = TARGETS[name]

    @_RELAXED
    @given(st.one_of([*(bytes_like(seed) for seed in target.seeds()), st.binary(max_size=200)]))
    def read(data: bytes) -> None:
        target(data)

    read()


def heavy(target: Target) -> list[bytes]:
    """What is small to send and may be dear to read: deep, long, or repeated where the good input has texts."""
    made = [
        b"[" * 20_000,
        b'{"a":' * 20_000,
        b"9" * 4000,
        b'"' + b"x" * 2**20 + b'"',
        b"\xff" * 2**20,
        b"\x80" * 2**20,
    ]
    for seed in target.seed_bytes():
        middle = len(seed) // 2
        made += [
            seed * 50,
            seed[:middle] + b"a" * 2**20 + seed[middle:],
            seed[:middle] + b"\n" * 50_000 + seed[middle:],
        ]
        if target.is_json:
            made += [
                json.dumps(_swollen(json.loads(seed), text)).encode()
                for text in ("x" * 2**17, "(((a" * 2**14, " \n-" * 2**14)
            ]
    return made


def _swollen(value: Any, text: str) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {name: _swollen(inner, text) for name, inner in value.items()}
    if isinstance(value, list):
        return [_swollen(inner, text) for inner in value] * 3
    return value + text if isinstance(value, str) else value


@pytest.mark.parametrize("name", TARGETS)
def test_time_and_memory_are_bounded(name: str) -> None:
    target = TARGETS[name]
    for seed in target.seed_bytes():
        target(seed)  # what is imported at first use is not what an input costs
    for data in heavy(target):
        tracemalloc.start()
        began = time.process_time()
        try:
            target(data)
            took, most = time.process_time() - began, tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert took < _LONGEST_S, f"{took:.1f} s for {len(data)} bytes: {data[:80]!r}"
        assert most < _MOST_BYTES, f"{most} bytes for {len(data)} bytes: {data[:80]!r}"
