"""Run a Lit Action every day: a program in the network's enclave that scores a day's figures.

The action is the text below. ``expected_cid`` names it: with another byte, nothing is sent. It returns an object,
since the service parses texts as JSON. The response is meant to be read, so it is pushed to XCom; ``output_path``
or ``seal_response=True`` keep it out of there.

It needs a connection of type Lit, ``lit_actions``, to a network that runs actions. Its API key may run this one:
see docs/actions.md. ``budget_cents`` refuses to start if the last run took so long that another would cost more.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag

from lit_airflow.operators import LitActionOperator

SCORE = """async function main(params) {
  const total = params.figures.reduce((sum, figure) => sum + figure, 0);
  console.log(`${params.figures.length} figures of ${params.run}`);
  return { run: params.run, mean: total / params.figures.length };
}
"""
CID = "QmbD6zorc7p5Dny53Tm1tmGTSVrCG2Sw6NsFSZRQjV481e"


@dag(
    schedule="@daily",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    doc_md=__doc__,
    tags=["lit"],
)
def lit_run_action() -> None:
    """Run one action."""
    LitActionOperator(
        task_id="score",
        code=SCORE,
        js_params={"run": "{{ run_id }}", "figures": [3, 5, 10]},
        expected_cid=CID,
        push_response=True,
        budget_cents=5,
        lit_conn_id="lit_actions",
    )


lit_run_action()
