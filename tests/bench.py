"""Ratios that the documentation states, measured in one run: ``make bench``.

Every figure is the median of many repetitions, ours beside what it is compared with, alternating, so that a busy
machine slows both.
"""

from __future__ import annotations

import json
import platform
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest.mock import patch

from py_arkworks_bls12381 import GT, G1Point, G2Point
from rich.console import Console
from rich.table import Table

from lit_airflow.clock import Deadline, now
from lit_airflow.networks.base import Committee, SessionTerms
from lit_airflow.networks.datil import DatilNetwork
from lit_airflow.networks.http import Http
from lit_airflow.networks.known import NetworkDescription
from lit_airflow.session import siwe
from lit_airflow.session.authsig import sign_in
from lit_airflow.session.scope import Scope
from lit_airflow.threshold import ciphertext, group, shares
from lit_airflow.wallet import Wallet

RESULT = Path("build/bench.json")
IDENTITY = b"lit-accesscontrolcondition://bench"
SCOPE = Scope.parse(
    [f"access-control-condition-decryption=lit-accesscontrolcondition://{'a' * 64}/{'b' * 64}"]
)
MODULES = tuple(f"lit_airflow.{name}" for name in ("hooks", "operators", "decorators", "triggers"))


def medians_ms(repetitions: int, **candidates: Callable[[], object]) -> dict[str, float]:
    """Median milliseconds of each, run in turn."""
    took: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repetitions):
        for name, candidate in candidates.items():
            started = time.perf_counter()
            candidate()
            took[name].append((time.perf_counter() - started) * 1000)
    return {name: statistics.median(times) for name, times in took.items()}


def decryption() -> dict[str, float]:
    """Combine, verify and open 1 kB with threshold 2, beside one pairing of the curve library."""
    secret = [group.scalar(secrets.token_bytes(48)) for _ in range(2)]
    key = group.times_generator(secret[0]).to_compressed_bytes()
    point = group.hash_to_g2(IDENTITY)
    encoded = [
        bytes([i]) + (point * (secret[0] + secret[1] * group.scalar(bytes([i])))).to_compressed_bytes()
        for i in (1, 2)
    ]
    plaintext = secrets.token_bytes(1000)
    sealed = ciphertext.seal(key, plaintext, IDENTITY)

    def ours() -> None:
        held = [shares.Share.decode(share) for share in encoded]
        recovered = shares.recover(held, 2, key, IDENTITY)
        if recovered is None or ciphertext.unseal(recovered.signature, sealed) != plaintext:
            raise SystemExit("the decryption that was timed is wrong")

    left, right = G1Point(), G2Point()
    return medians_ms(200, ours=ours, pairing=lambda: GT.pairing(left, right))


class Stopwatch:
    """Adds up the milliseconds spent inside one function."""

    def __init__(self, timed: Callable[..., object]) -> None:
        self._timed = timed
        self.ms = 0.0

    def __call__(self, *args: object, **kwargs: object) -> object:
        started = time.perf_counter()
        try:
            return self._timed(*args, **kwargs)
        finally:
            self.ms += (time.perf_counter() - started) * 1000


def session() -> dict[str, float]:
    """Session sigs for ten nodes: the whole, and in it the wallet's signature and the reading of the SIWE text."""
    nodes = tuple(f"https://10.0.0.{i}:443" for i in range(10))
    network = DatilNetwork(NetworkDescription(network="custom", nodes=nodes, threshold=7), Http(), now)
    # Far from any age at which it would be asked for again: nothing is sent.
    network._surveyed = (time.monotonic() + 3600, Committee(nodes, 7, 1, "", "0x" + "ab" * 32))
    wallet = Wallet.from_key("11" * 32)
    terms, deadline = SessionTerms(ttl_s=600), Deadline.after(3600)
    network.open_session(partial(sign_in, signer=wallet), SCOPE, terms, deadline)
    runs = []
    for _ in range(60):
        whole, signing, reading = map(Stopwatch, (network.open_session, wallet.sign, siwe.read))
        with patch.object(Wallet, "sign", signing), patch.object(siwe, "read", reading):
            whole(partial(sign_in, signer=wallet), SCOPE, terms, deadline)
        runs.append((whole.ms, signing.ms, reading.ms, whole.ms - signing.ms - reading.ms))
    names = ("whole", "wallet", "reading", "rest")
    return {name: statistics.median(run[k] for run in runs) for k, name in enumerate(names)}


def imports() -> dict[str, dict[str, float]]:
    """What each public Airflow module adds to Airflow's own base classes: CPU milliseconds and modules."""
    program = (
        "import sys, time\n"
        "from airflow.providers.common.compat.sdk import BaseHook, BaseOperator\n"
        "before, started = len(sys.modules), time.process_time()\n"
        "__import__(sys.argv[1])\n"
        "print((time.process_time() - started) * 1000, len(sys.modules) - before)\n"
    )
    added = {}
    for module in MODULES:
        runs = [
            subprocess.run(
                [sys.executable, "-c", program, module], check=True, capture_output=True, text=True
            ).stdout.split()[-2:]
            for _ in range(5)
        ]
        added[module] = {
            "ms": statistics.median(float(run[0]) for run in runs),
            "modules": float(runs[0][1]),
        }
    return added


def main() -> None:
    """Measure, print, and keep."""
    decrypting, opening, importing = decryption(), session(), imports()
    rows = [
        (
            "decrypt 1 kB, threshold 2, cryptography only, in pairings",
            decrypting["ours"] / decrypting["pairing"],
            12,
        ),
        (
            "session sigs for 10 nodes, ms beside wallet signature and SIWE reading",
            opening["rest"],
            3,
        ),
        *(
            (f"import of {name}, ms over Airflow's base classes", added["ms"], 30)
            for name, added in importing.items()
        ),
        *(
            (f"import of {name}, modules over Airflow's base classes", added["modules"], 20)
            for name, added in importing.items()
        ),
    ]
    table = Table("what", "measured", "at most")
    for what, measured, most in rows:
        table.add_row(what, f"{measured:.1f}", str(most))
    Console(width=110).print(table)
    RESULT.parent.mkdir(exist_ok=True)
    machine = {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "date": f"{now():%Y-%m-%d}",
    }
    result = {
        **machine,
        "decryption_ms": decrypting,
        "session_ms": opening,
        "imports": importing,
        "rows": [{"what": what, "measured": measured, "at_most": most} for what, measured, most in rows],
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
