"""What the commands of the sandbox show of an installation that they have started."""

from re import findall

from lit_airflow.sandbox import _announcement
from lit_airflow.sandbox.environment import Sandbox
from tests.sandbox.running import assert_shows_the_report


def test_the_demo_shows_the_decrypted_report(sandbox: Sandbox, shown_by_the_demo: str) -> None:
    assert_shows_the_report(shown_by_the_demo)
    silent, *others = sandbox.network.description["nodes"]
    (answered,) = findall(r"answered: (.*)", shown_by_the_demo)
    assert all(node in answered for node in others)
    assert silent not in answered
    assert f"Signed by\n  {sandbox.wallet}" in shown_by_the_demo


def test_what_the_sandbox_announces(sandbox: Sandbox) -> None:
    announced = _announcement(sandbox)
    assert announced["lit_conn_id"] == {"renewer": "lit_renewer", "consumer": "lit_consumer"}
    assert announced["wallet"] == sandbox.wallet
    assert announced["airflow_url"] == sandbox.airflow.url
