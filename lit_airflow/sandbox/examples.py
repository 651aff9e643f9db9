"""The example DAGs, and the encryption of their dataset."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lit_airflow.sandbox.processes import SandboxError

if TYPE_CHECKING:
    from collections.abc import Mapping

DAG_ID: Final = "lit_decrypt_report"
"""The example DAG that the demo runs."""


def example_dags() -> Path:
    """Return the folder of the example DAGs: inside an installed wheel, or next to the package in a clone.

    Raises:
        SandboxError: There is no such folder.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "example_dags", package.parent / "dags"):
        if (folder / f"{DAG_ID}.py").is_file():
            return folder
    raise SandboxError("The example DAGs are not installed.", hint="Install lit-airflow from its wheel.")


def example_action() -> str:
    """Return the text of the action that an example DAG runs; importing the DAG would need Airflow.

    Raises:
        SandboxError: The example DAGs are not installed.
    """
    tree = ast.parse((example_dags() / "lit_run_action.py").read_text("utf-8"))
    (text,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["SCORE"]
    )
    return str(ast.literal_eval(text))


def encrypt_for_wallet(dataset: Path, folder: Path, network: str | Mapping[str, object], wallet: str) -> Path:
    """Encrypt a file so that only one wallet can decrypt it.

    Args:
        dataset: The file.
        folder: The folder for the container.
        network: The network's name or description.
        wallet: The wallet's address.

    Returns:
        The path of the container, ``NAME.lit.json`` in the folder.
    """
    from lit_airflow import LitClient  # noqa: PLC0415 - imported while the servers start
    from lit_airflow.protocol.conditions import Conditions  # noqa: PLC0415 - the same

    container = LitClient(network).make_container(dataset.read_bytes(), Conditions.for_wallet(wallet))
    file = folder / f"{dataset.name}.lit.json"
    file.write_text(json.dumps(container))
    return file
