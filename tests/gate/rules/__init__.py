"""One case per rule of the gate and per side of its boundary, in the shape of the vectors."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator

from tests.gate.rules import (
    chains,
    comparisons,
    conditions,
    container,
    delegation,
    functions,
    order,
    recap,
    request,
    session,
    times,
)
from tests.gate.rules.cases import BAD_INPUT, CIPHERTEXT, NOT_MET, RPC, SHAPE, VALUE, Case

# Below the number of requests that a run may make, and of items that a client puts into a batch.
_BATCH = 40
# Outcomes that one item of a batch can have beside others; None is a plaintext.
_OF_AN_ITEM = {
    None,
    BAD_INPUT,
    CIPHERTEXT,
    NOT_MET,
    RPC,
    SHAPE,
    VALUE,
    "NodeMissingAccessControlConditions",
    "NodeResourceIdNotFound",
    "NodeTooManyConditions",
}


def all_cases() -> list[Case]:
    """Return all cases. Each has its own request."""
    modules = (
        request,
        session,
        times,
        delegation,
        recap,
        container,
        conditions,
        chains,
        functions,
        comparisons,
        order,
    )
    return [
        {**case, "name": f"{module.__name__.rpartition('.')[2]}: {case['name']}"}
        for module in modules
        for case in module.cases()
    ]


def in_batches(cases: list[Case]) -> Iterator[Case]:
    """Cases of one session and the same servers as items of one request; ``names`` tells them apart."""
    groups: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        groups[_group(case)].append(case)
    for group in groups.values():
        for start in range(0, len(group), _BATCH):
            yield _batch(group[start : start + _BATCH])


def _group(case: Case) -> str:
    params, code = case.get("params"), case["expected"].get("code")
    of_one_item = isinstance(params, dict) and "authSig" in params and not {"items", "ask"} & set(params)
    if not of_one_item or code not in _OF_AN_ITEM:
        return case["name"]
    return json.dumps([params["authSig"], case["now"], case["secret"], case["reply_secret"], case["rpc"]])


def _batch(group: list[Case]) -> Case:
    if len(group) == 1:
        return {**group[0], "names": [group[0]["name"]]}
    items = [{name: value for name, value in case["params"].items() if name != "authSig"} for case in group]
    return {
        **group[0],
        "names": [case["name"] for case in group],
        "params": {"items": items, "authSig": group[0]["params"]["authSig"]},
        "expected": {"ok": True, "items": [case["expected"] for case in group]},
    }
