"""What tasks tell OpenLineage: what they read and wrote, on which network and under which conditions.

A file is a dataset under the name that OpenLineage's naming rules give it. A container in XCom is one of the
network, named by the hashes of its conditions and data. Tags say what was encrypted and what was decrypted.

Source: https://openlineage.io/docs/spec/naming, and the facet ``tags`` of its specification.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lit_airflow.errors import LitError

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from lit_airflow.protocol.container import Container

MAX_FLOWS = 100
"""Datasets of one task on each side; Airflow's own lineage has the same limit."""
_NAMESPACE = "lit"
_XCOM = "xcom"


@dataclass(frozen=True, slots=True)
class Flow:
    """One plaintext and what is encrypted of it.

    Attributes:
        plaintext: Its path; empty for XCom.
        sealed: The path of the container or envelope; empty for XCom.
        network: The network.
        conditions_hash: Hash of the conditions, hex.
        data_hash: The ``dataToEncryptHash``.
    """

    plaintext: str
    sealed: str
    network: str
    conditions_hash: str
    data_hash: str

    @property
    def facts(self) -> dict[str, str]:
        """What both datasets' tags say."""
        return {"lit.network": self.network, "lit.conditions_hash": self.conditions_hash}


@dataclass(slots=True)
class Lineage:
    """Notes what a task encrypted and decrypted; of more than :data:`MAX_FLOWS` only the first.

    Attributes:
        network: The connection's network, for containers that name none.
        container: Reads a container.
        encrypted: What was encrypted.
        decrypted: What was decrypted.
    """

    network: Callable[[], str]
    container: Callable[[Mapping[str, Any]], Container]
    encrypted: list[Flow] = field(default_factory=list)
    decrypted: list[Flow] = field(default_factory=list)

    def note_encrypted(self, plaintext: str, sealed: str, container: Mapping[str, Any]) -> None:
        """Note one encryption; an empty path stands for XCom."""
        self._note(self.encrypted, plaintext, sealed, container)

    def note_decrypted(self, sealed: str, plaintext: str, container: Mapping[str, Any]) -> None:
        """Note one decryption; an empty path stands for XCom."""
        self._note(self.decrypted, plaintext, sealed, container)

    def _note(self, flows: list[Flow], plaintext: str, sealed: str, fields: Mapping[str, Any]) -> None:
        if len(flows) >= MAX_FLOWS:
            return
        try:
            container = self.container(fields)
            conditions_hash = container.conditions.hash
        except LitError:  # lineage must not fail a task that has done its work
            return
        data_hash = str(fields.get("dataToEncryptHash", ""))
        flows.append(Flow(plaintext, sealed, container.network or self.network(), conditions_hash, data_hash))


def facets(lineage: Lineage | None, task: Any) -> OperatorLineage[Any, Any] | None:  # noqa: ANN401 - Airflow's task instance
    """Return what OpenLineage's extractor asks of an operator; ``None`` where nothing is known.

    Args:
        lineage: What the task noted; ``None`` if it did not begin.
        task: Airflow's task instance.
    """
    if lineage is None:
        return None
    try:
        from airflow.providers.openlineage.extractors import OperatorLineage  # noqa: PLC0415 - an optional package
    except ImportError:
        return None

    def sealed(flow: Flow) -> Any:  # noqa: ANN401 - OpenLineage's Dataset
        place = (
            dataset_name(flow.sealed)
            if flow.sealed
            else (f"{_NAMESPACE}://{flow.network}", f"{flow.conditions_hash}/{flow.data_hash}")
        )
        return _dataset(place, {"lit.encrypted": "true", **flow.facts})

    def plaintext(flow: Flow, tags: Mapping[str, str]) -> Any:  # noqa: ANN401 - the same
        place = (
            dataset_name(flow.plaintext)
            if flow.plaintext
            else ("airflow", f"{_XCOM}/{task.dag_id}/{task.task_id}")
        )
        return _dataset(place, tags)

    return OperatorLineage(
        inputs=[
            *(plaintext(flow, {}) for flow in lineage.encrypted),
            *(sealed(flow) for flow in lineage.decrypted),
        ],
        outputs=[
            *(sealed(flow) for flow in lineage.encrypted),
            *(plaintext(flow, {"lit.decrypted": "true", **flow.facts}) for flow in lineage.decrypted),
        ],
    )


def dataset_name(path: str) -> tuple[str, str]:
    """Return the namespace and the name of a file's dataset.

    Args:
        path: A local path, or a URL; a connection id in it is left out.
    """
    parts = urlsplit(path)
    if "://" not in path:
        return "file", str(Path(path).absolute())
    if parts.scheme == "file":
        return "file", parts.path
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}", parts.path.lstrip("/") or "/"


def _dataset(place: tuple[str, str], tags: Mapping[str, str]) -> Any:  # noqa: ANN401 - OpenLineage's
    from openlineage.client.event_v2 import Dataset  # noqa: PLC0415 - an optional package
    from openlineage.client.facet_v2 import tags_dataset  # noqa: PLC0415 - the same

    fields = [
        tags_dataset.TagsDatasetFacetFields(key=key, value=value, source="lit_airflow")
        for key, value in tags.items()
    ]
    facets: dict[str, Any] = {"tags": tags_dataset.TagsDatasetFacet(tags=fields)} if fields else {}
    return Dataset(namespace=place[0], name=place[1], facets=facets)
