"""A session at hand in a task, and where it came from, so that it can be renewed while the task runs."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from lit_airflow import clock
from lit_airflow.errors import LitError, SessionNotFoundError
from lit_airflow.handoff.ticket import expired
from lit_airflow.protocol.scope import Scope
from lit_airflow.protocol.session import Session

log = logging.getLogger(__name__)

_SOONEST = timedelta(seconds=1)


class Source(Protocol):
    """Where sessions come from; a hook."""

    @property
    def has_wallet(self) -> bool:
        """Whether it may open sessions."""
        ...

    def open_session(self, scope: Scope, *, ttl_s: float | None = None) -> Session:
        """A new one; ``ttl_s`` is its lifetime in seconds."""
        ...

    def open_published(self, name: str) -> RenewableSession:
        """The one that is published under a name.

        Raises:
            SessionNotFoundError: There is none, or no longer.
        """
        ...


@dataclass(slots=True, kw_only=True)
class RenewableSession:
    """A session that is looked after.

    Attributes:
        session: The session as it is now.
        lead_s: Look after it when less than this is left, seconds.
        name: What it is published as; empty if it came by itself.
        made_by: The task that made it, ``dag_id.task_id``; empty if its ticket does not say.
    """

    session: Session
    lead_s: float
    name: str = ""
    made_by: str = ""
    _due: datetime = field(init=False)
    _lock: threading.Lock = field(init=False, repr=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._wait(clock.now())

    def fresh(self, source: Source) -> Session:
        """The session, renewed if it is due and can be; from several threads, by one of them.

        One with a name is fetched again. Else, or if nothing newer is published, a new one of the same scope and
        lifetime is opened if the source has the wallet. What cannot be renewed is used to its end.

        Raises:
            SessionExpiredError: It is over and cannot be renewed here; names the task that made it.
            LitError: It is over, and what would renew it does not work at the moment.
        """
        if self._is_due(clock.now()):
            with self._lock:
                now = clock.now()
                if self._is_due(now):
                    self._renew(source, now)
                    self._wait(clock.now())
        return self.session

    def _renew(self, source: Source, now: datetime) -> None:
        over = now >= self.session.expires_at
        newer, error = None, None
        try:
            newer = self._newer(source)
        except LitError as failure:
            if over and failure.retryable:
                raise
            error = failure
            log.warning("The session ends at %s and cannot be renewed now: %s", self._ends, failure)
        if newer is not None:
            self.session = newer
        elif over:
            raise expired(self.session.expires_at, now=now, made_by=self.made_by) from error

    def _newer(self, source: Source) -> Session | None:
        if self.name:
            try:
                found = source.open_published(self.name).session
            except SessionNotFoundError:
                if not source.has_wallet:
                    raise
            else:
                if found.expires_at > self.session.expires_at:
                    return found
        if source.has_wallet:
            log.info("The session ends at %s; opening another.", self._ends)
            lifetime = self.session.expires_at - clock.parse_iso(self.session.issued_at)
            return source.open_session(self.session.scope, ttl_s=lifetime.total_seconds())
        return None

    @property
    def _ends(self) -> str:
        return clock.iso(self.session.expires_at)

    def _is_due(self, now: datetime) -> bool:
        return now >= min(self._due, self.session.expires_at)

    def _wait(self, now: datetime) -> None:
        self._due = next_look(self.session.expires_at, now, self.lead_s)


def next_look(ends: datetime, now: datetime, lead_s: float) -> datetime:
    """When to look after a session next: when its lead begins, but not before half of what is left is over.

    The half keeps a session that is shorter than the lead, or cannot be renewed, from being looked after all the
    time: between its lead and its end, that is done a dozen times at most.
    """
    return max(ends - timedelta(seconds=lead_s), now + max((ends - now) / 2, _SOONEST))
