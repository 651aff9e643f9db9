"""Coverage-guided fuzzing of one reader: ``python -m tests.fuzz NAME [libFuzzer's options]``.

``make fuzz`` runs all of them in turn. What crashes is written to the working folder as libFuzzer does it, and read
again by ``python -m tests.fuzz NAME FILE``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["lit_airflow", "siwe", "eth_abi"]):
    from tests.fuzz.targets import TARGETS


def main(arguments: list[str]) -> None:
    """Run libFuzzer on a target, beginning with its good inputs."""
    if not arguments or arguments[0] not in TARGETS:
        sys.exit(f"usage: python -m tests.fuzz NAME [options], where NAME is one of {', '.join(TARGETS)}")
    name, *options = arguments
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(TARGETS[name].seed_bytes()):
            Path(corpus, str(number)).write_bytes(seed)
        given = [] if any(not option.startswith("-") for option in options) else [corpus]
        atheris.Setup([sys.argv[0], "-rss_limit_mb=2048", "-timeout=20", *options, *given], TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1:])
