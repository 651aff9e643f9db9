"""The DAGs that pages show, as they stand there: those of docs/recipes.md and docs/quickstart.md are run."""

import importlib.util
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from lit_airflow.devnet import Devnet
from lit_airflow.operators import LitKeepAliveOperator
from tests.airflow.running import Run, run_dag
from tests.vault.parts import KEY_READ, Bao, Connections

pytestmark = pytest.mark.usefixtures("database", "connections")

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
RUN = (DOCS / "recipes.md", DOCS / "quickstart.md")
IMPORTED = (ROOT / "README.md", DOCS / "large-files.md")
PLAINTEXT = "the plaintext"


def snippets(*pages: Path) -> dict[str, str]:
    """Name of the DAG -> the block of code that holds it."""
    found = {}
    for page in pages:
        for block in re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
            if name := re.search(r"^@dag\(.*\n*def (\w+)\(", block, re.MULTILINE):
                found[name[1]] = block
    return found


def made(name: str, file: Path, code: str) -> DAG:
    """Write the code there, import it, and make the DAG of that name."""
    file.write_text(code)
    spec = importlib.util.spec_from_file_location(f"recipe_{name}", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    dag: DAG = getattr(module, name)()
    return dag


@pytest.fixture
def load(tmp_path: Path, container: dict[str, Any]) -> Callable[[str], DAG]:
    """Makes the DAG of that snippet; what is encrypted lies where it looks for it."""
    for name in ("report", "other"):
        (tmp_path / f"{name}.lit.json").write_text(json.dumps(container))

    def load(name: str) -> DAG:
        """Only its paths lead elsewhere."""
        return made(name, tmp_path / f"{name}.py", snippets(*RUN)[name].replace("/data", str(tmp_path)))

    return load


@pytest.fixture
def recipe(load: Callable[[str], DAG]) -> Callable[[str], Run]:
    """Runs the snippet of that name."""
    return lambda name: run_dag(load(name))


def test_every_recipe_is_run() -> None:
    # Those that need a network that runs actions are run there.
    sources = Path(__file__).read_text() + (DOCS.parent / "tests/pipelines/test_actions.py").read_text()
    found = snippets(*RUN)
    assert found
    assert [name for name in found if f'"{name}"' not in sources] == []


README_TASKS = {
    "nightly_report": {"session": ["decrypt"], "decrypt": []},
    "counting": {"session": ["count"], "count": []},
    "consumer": {"decrypt": []},
}
"""DAG -> task -> what comes after it."""


def test_those_of_the_readme_are_known() -> None:
    assert snippets(ROOT / "README.md").keys() == README_TASKS.keys()


@pytest.mark.parametrize("name", sorted(snippets(*IMPORTED)))
def test_others_can_be_imported(name: str, tmp_path: Path) -> None:
    code = snippets(*IMPORTED)[name]
    after = {
        task.task_id: sorted(task.downstream_task_ids)
        for task in made(name, tmp_path / f"{name}.py", code).tasks
    }
    assert len(after) == code.count("task_id=") + code.count("@task")
    assert after == README_TASKS.get(name, after)


def test_nightly(recipe: Callable[[str], Run], tmp_path: Path) -> None:
    assert recipe("nightly").states() == {"session": "success", "decrypt": "success"}
    assert (tmp_path / "report.csv").read_text() == PLAINTEXT


def test_publish(recipe: Callable[[str], Run], tmp_path: Path) -> None:
    (tmp_path / "report.csv").write_text("rows")
    assert recipe("publish").state == "success"
    assert json.loads((tmp_path / "report.lit.json").read_text())["ciphertext"]


def test_mapped(recipe: Callable[[str], Run], bao: Bao) -> None:
    with bao.watched() as paths:
        assert recipe("mapped").state == "success"
    assert paths.count(KEY_READ) == 1


def test_shared(recipe: Callable[[str], Run]) -> None:
    assert recipe("refresh").state == "success"
    reader = recipe("reader")
    assert (reader.state, reader.xcom("lines")) == ("success", 1)


def test_long_work(load: Callable[[str], DAG]) -> None:
    """It does not end under ``dag.test()``; tests/installation runs such a DAG under a scheduler."""
    keep_alive = load("long_work").get_task("keep_alive")
    assert isinstance(keep_alive, LitKeepAliveOperator)
    assert keep_alive._watched() == ["lines"]
    assert keep_alive.upstream_task_ids == {"session"}


def test_many(recipe: Callable[[str], Run], tmp_path: Path) -> None:
    assert recipe("many").state == "success"
    assert [file.read_text() for file in (tmp_path / "plain").iterdir()] == [PLAINTEXT] * 2


def test_large(recipe: Callable[[str], Run], tmp_path: Path) -> None:
    (tmp_path / "large.parquet").write_bytes(b"not so large")
    assert recipe("large").state == "success"
    assert (tmp_path / "large.copy.parquet").read_bytes() == b"not so large"
    assert not (tmp_path / "large.parquet.lit").read_bytes().startswith(b"{")


def test_locked(recipe: Callable[[str], Run], tmp_path: Path) -> None:
    assert recipe("locked").states() == {"session": "success", "wait": "success", "decrypt": "success"}
    assert (tmp_path / "report.csv").read_text() == PLAINTEXT


def test_quick_start(recipe: Callable[[str], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_LIT_ORDERS_ENCRYPTED", str(tmp_path / "report.lit.json"))
    orders = recipe("orders")
    assert (orders.state, orders.xcom("lines")) == ("success", 1)


def test_quick_start_encrypts(
    recipe: Callable[[str], Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, container: dict[str, Any]
) -> None:
    wallet = container["accessControlConditions"][0]["returnValueTest"]["value"]
    monkeypatch.setenv("AIRFLOW_VAR_LIT_WALLET", wallet)
    (tmp_path / "orders.csv").write_text("rows")
    assert recipe("seal").state == "success"
    sealed = json.loads((tmp_path / "orders.lit.json").read_text())
    assert sealed["accessControlConditions"][0]["returnValueTest"]["value"] == wallet


def test_a_network_of_ones_own(
    net: Devnet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    connections: Connections,
) -> None:
    (block,) = (
        block
        for block in re.findall(
            r"^```python\n(.*?)^```$", (DOCS / "recipes.md").read_text(), re.MULTILINE | re.DOTALL
        )
        if "mine.json" in block
    )
    (tmp_path / "network.json").write_text(json.dumps(net.description))
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "recipe", "exec"), {})
    assert capsys.readouterr().out == "3 nodes\n"
