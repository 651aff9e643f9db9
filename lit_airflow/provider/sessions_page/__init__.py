"""The page "Lit sessions": from what tasks pushed to XCom to HTML. Imports no Airflow and asks no database.

Every DAG author can push anything under these keys: what does not have the expected shape is left out, texts
are cut and escaped, numbers are bounded, and so is the number of rows.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from lit_airflow.errors import FailureKind, LitError
from lit_airflow.handoff.ticket import ticket_scope
from lit_airflow.inspection.report import Permission, permissions
from lit_airflow.inspection.times import moment
from lit_airflow.networks.contract import AttestationState

_DAY = timedelta(days=1)
_STATES = tuple(AttestationState)  # what is pushed need not be hashable
_HOURS = 24
_SOON = 0.1
_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86_400
_MAX_SHOWN = 500
_MAX_PERMISSIONS = 20
_MAX_COUNT = 10**12
_MAX_TEXT_CHARS = 300
_LONG_HEX = re.compile(r"\b(0x)?([0-9a-fA-F]{6})[0-9a-fA-F]{28,}([0-9a-fA-F]{4})\b")


@dataclass(frozen=True, slots=True)
class Row:
    """What one task of one run pushed under one key.

    Attributes:
        dag_id: Its DAG.
        run_id: The run.
        task_id: The task.
        map_index: Which of a mapped task; -1 for one that is not.
        at: When (aware).
        value: The value.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    at: datetime
    value: object

    def path(self) -> str:
        """Return the path of the task in Airflow's user interface."""
        parts = (quote(part, safe="") for part in (self.dag_id, self.run_id, self.task_id))
        return "/dags/{}/runs/{}/tasks/{}".format(*parts) + (
            f"/mapped/{self.map_index}" if self.map_index >= 0 else ""
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownSession:
    """A task's session, as its last run pushed it.

    Attributes:
        row: Where it was pushed.
        name: What it is published as; empty if it is not.
        network: For which network.
        wallet: Whose.
        may: What it may do.
        made: When it was made.
        ends: When it ends.
        left: What is left of its life, from 0 to 1.
        time_left: The same in words.
        attestation: Whether the server proved its build when the session was opened; empty if that is not known.
        attestation_found: The same in a sentence.
    """

    row: Row
    name: str
    network: str
    wallet: str
    may: tuple[Permission, ...]
    made: datetime
    ends: datetime
    left: float
    time_left: str
    attestation: str = ""
    attestation_found: str = ""

    @property
    def state(self) -> str:
        """``ended``, ``soon`` (a tenth is left), or ``good``."""
        if not self.left:
            return "ended"
        return "soon" if self.left < _SOON else "good"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCost:
    """What a DAG spent in a day.

    Attributes:
        day: The day, UTC, ``2026-11-27``.
        dag_id: The DAG.
        runs: How many runs its tasks paid for.
        seconds: How long these took.
        cents: What they cost, estimated, US cents.
    """

    day: str
    dag_id: str
    runs: int
    seconds: float
    cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownNode:
    """What a node did when it was asked.

    Attributes:
        url: The node.
        answered: How often its good answer was used.
        answered_at: When the last task ended that used one; None if none did.
        mean_ms: Mean time until an answer, milliseconds.
        left_out: How often it was not waited for, because enough of the others had answered.
        failed: How often it gave nothing usable.
        failed_at: When the last task ended to which it gave nothing usable; None if there is none.
        cause: Why, the last time; empty if it never failed.
        kind: The same for programs, a ``FailureKind``.
    """

    url: str
    answered: int
    answered_at: datetime | None
    mean_ms: int
    left_out: int
    failed: int
    failed_at: datetime | None
    cause: str
    kind: str = ""

    @property
    def state(self) -> str:
        """By the last task that heard of it: ``good``, ``wrong``, or ``unproven`` (perhaps it lied, or another)."""
        if self.failed_at is None or (self.answered_at is not None and self.answered_at > self.failed_at):
            return "good"
        return "unproven" if self.kind == FailureKind.UNPROVEN else "wrong"


def render(
    sessions: Sequence[Row],
    nodes: Sequence[Row],
    *,
    now: datetime,
    costs: Sequence[Row] = (),
    airflow: str = "",
) -> str:
    """Return the page's HTML.

    Args:
        sessions: What session tasks pushed, newest first.
        nodes: What decrypting tasks pushed in the last day, newest first.
        now: The time.
        costs: What tasks spent in the last days.
        airflow: Path under which Airflow is served; empty for the root.
    """
    made = made_per_hour(sessions, now)
    return str(
        _template().render(
            sessions=shown_sessions(sessions, now),
            made=made,
            most=max(made),
            nodes=shown_nodes(nodes),
            costs=shown_costs(costs),
            now=now,
            airflow=airflow,
        )
    )


def part(name: str) -> str:
    """Return the text of the style or the script."""
    return files(__name__).joinpath(name).read_text("utf-8")


def shown_sessions(rows: Iterable[Row], now: datetime) -> list[ShownSession]:
    """Return each task's newest session, without those that ended over a day ago; the first to end comes first."""
    newest: dict[tuple[str, str, int], ShownSession] = {}
    for row in rows:
        place = (row.dag_id, row.task_id, row.map_index)
        if place not in newest and (session := _session(row, now)) is not None:
            newest[place] = session
    return sorted(
        (each for each in newest.values() if each.ends > now - _DAY),
        key=lambda each: (each.ends <= now, each.ends),
    )[:_MAX_SHOWN]


def made_per_hour(rows: Iterable[Row], now: datetime) -> list[int]:
    """Return how many sessions were opened in each of the last 24 hours, the oldest first."""
    times = {}
    for row in rows:
        facts = row.value if isinstance(row.value, Mapping) else {}
        made = moment(facts.get("issued_at"))
        if made is not None:
            times[str(facts.get("session_public_key"))] = made
    counts = [0] * _HOURS
    for made in times.values():
        if now - _DAY < made <= now:
            counts[-1 - int((now - made).total_seconds() // _HOUR_S)] += 1
    return counts


def shown_nodes(rows: Iterable[Row]) -> list[ShownNode]:
    """Return what each server did, by all rows (newest first); those that fail now come first."""
    sums: dict[str, dict[str, Any]] = {}
    for row in rows:
        for url, counts in row.value.items() if isinstance(row.value, Mapping) else ():
            known = str(url) in sums or len(sums) < _MAX_SHOWN
            if isinstance(counts, Mapping) and known and len(str(url)) <= _MAX_TEXT_CHARS:
                _add(sums.setdefault(str(url), {"cause": "", "kind": ""}), counts, row.at)
    shown = [
        ShownNode(
            url=url,
            answered=total.get("answered", 0),
            answered_at=total.get("answered_at"),
            mean_ms=round(total.get("took_ms", 0) / max(total.get("answered", 0), 1)),
            left_out=total.get("left_out", 0),
            failed=total.get("failed", 0),
            failed_at=total.get("failed_at"),
            cause=total["cause"],
            kind=total["kind"],
        )
        for url, total in sums.items()
    ]
    return sorted(shown, key=lambda node: (node.state == "good", -node.failed, -node.left_out, node.url))


def shown_costs(rows: Iterable[Row]) -> list[ShownCost]:
    """Return what each DAG spent each day, latest day first, and within a day the most expensive DAG first."""
    sums: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        facts = row.value if isinstance(row.value, Mapping) else {}
        found = [_count(facts.get(name)) for name in ("runs", "seconds", "cents")]
        place = (row.at.astimezone(UTC).date().isoformat(), row.dag_id)
        if None not in found and (place in sums or len(sums) < _MAX_SHOWN):
            total = sums.setdefault(place, [0, 0.0, 0])
            total[:] = [before + (more or 0) for before, more in zip(total, found, strict=True)]
    shown = [
        ShownCost(day=day, dag_id=dag_id, runs=int(runs), seconds=seconds, cents=int(cents))
        for (day, dag_id), (runs, seconds, cents) in sums.items()
    ]
    return sorted(
        sorted(shown, key=lambda cost: (-cost.cents, cost.dag_id)), key=lambda cost: cost.day, reverse=True
    )


def duration(seconds: float) -> str:
    """``59 s``, ``41 min``, ``3 h 20 min``, ``12 days``."""
    if seconds < _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S:.0f} min"
    if seconds < 2 * _DAY_S:
        return f"{seconds // _HOUR_S:.0f} h {seconds % _HOUR_S // _MINUTE_S:.0f} min"
    return f"{seconds // _DAY_S:.0f} days"


def short(text: str) -> str:
    """Return a text in which long hexadecimal numbers are cut to their ends."""
    return _LONG_HEX.sub(lambda found: f"{found[1] or ''}{found[2]}…{found[3]}", text)


def _session(row: Row, now: datetime) -> ShownSession | None:
    facts = row.value if isinstance(row.value, Mapping) else {}
    made, ends = moment(facts.get("issued_at")), moment(facts.get("expires_at"))
    if made is None or ends is None or made >= ends:
        return None
    try:
        may = permissions(ticket_scope(dict(facts)))[:_MAX_PERMISSIONS]
    except LitError:
        return None
    may = _named(may, facts)
    left_s = max(0.0, (ends - now).total_seconds())
    return ShownSession(
        row=row,
        name=str(facts.get("name") or "")[:_MAX_TEXT_CHARS],
        network=str(facts.get("network") or "")[:_MAX_TEXT_CHARS],
        wallet=str(facts.get("wallet") or "")[:_MAX_TEXT_CHARS],
        may=may,
        made=made,
        ends=ends,
        left=min(1.0, left_s / (ends - made).total_seconds()),
        time_left=duration(left_s),
        attestation=attestation if (attestation := facts.get("attestation")) in _STATES else "",
        attestation_found=str(facts.get("attestation_found") or "")[:_MAX_TEXT_CHARS],
    )


def _count(value: object) -> float | None:
    """Return a number within bounds, or ``None``."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MAX_COUNT
    return value if good and isinstance(value, int | float) else None


def _named(may: tuple[Permission, ...], facts: Mapping[str, Any]) -> tuple[Permission, ...]:
    """Return the permissions in the words of the DAG's author: its label, or the files that were asked for."""
    label, files = facts.get("label"), facts.get("files")
    if isinstance(label, str) and label:
        return (Permission("", "\n".join(each.resource for each in may), label[:_MAX_TEXT_CHARS]),)
    if not isinstance(files, Mapping):
        return may
    paths = {each.resource: files.get(each.resource) for each in may}
    return tuple(
        replace(each, words=f"decrypt {path[:_MAX_TEXT_CHARS]}")
        if isinstance(path := paths[each.resource], str) and path
        else each
        for each in may
    )


def _add(total: dict[str, Any], counts: Mapping[str, Any], at: datetime) -> None:
    """Add counts that are older than those added before."""
    for name in ("answered", "took_ms", "left_out", "failed"):
        count = counts.get(name)
        if isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= _MAX_COUNT:
            total[name] = total.get(name, 0) + count
            if count > 0:
                total.setdefault(f"{name}_at", at)
    if not total["cause"]:
        total.update(
            cause=str(counts.get("cause") or "")[:_MAX_TEXT_CHARS], kind=str(counts.get("kind") or "")
        )


@functools.cache
def _template() -> Any:  # noqa: ANN401 - jinja2's
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415 - where the page is shown only

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"short": short, "duration": duration}
    return environment.from_string(part("page.html"))
