"""A committee that knows what the chain listed when it was surveyed: so it can tell whether it has aged.

Source: spec of the protocol, sections 1.1 and 1.2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lit_airflow.networks.contract import Committee
from lit_airflow.networks.datil.wire import Validators


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing(Committee):
    """A committee as surveyed.

    Attributes:
        listed: What the chain said.
    """

    listed: Validators


def at(committee: Committee, now_s: float) -> Committee:
    """The same committee later: an epoch's number is only to be named once it has settled in."""
    if not isinstance(committee, Standing):
        return committee
    epoch = committee.listed.epoch.current(now_s)
    return committee if epoch == committee.epoch else replace(committee, epoch=epoch)


def superseded(committee: Committee, listed: Validators) -> bool:
    """Whether the chain lists something else by now: other nodes, another threshold, another epoch."""
    return isinstance(committee, Standing) and committee.listed != listed
