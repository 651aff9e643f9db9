"""The oldest Airflow that is supported, in an environment of its own; all the others are for ``make matrix``."""

from tests.matrix.__main__ import QUICK, oldest, verdict


def test_the_provider_and_a_dag_run_on_the_oldest_airflow() -> None:
    good, lines = verdict(oldest(), QUICK)
    assert good, "\n".join(lines)
