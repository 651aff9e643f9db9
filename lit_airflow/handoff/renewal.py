"""A session in use in a task, renewed while the task runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from lit_airflow import clock
from lit_airflow.errors import LitError, SessionNotFoundError
from lit_airflow.handoff.ticket import expired
from lit_airflow.protocol.scope import Scope

if TYPE_CHECKING:
    from lit_airflow.networks.contract import Session

log = logging.getLogger(__name__)

_MIN_WAIT = timedelta(seconds=1)

Asked = Callable[[], Scope]
"""Returns what the task's author asks for: the scope of the containers that are to be decrypted."""


class SessionSource(Protocol):
    """Where newer sessions come from."""

    def fetch(self, name: str) -> RenewableSession:
        """Return the session that is published under a name.

        Raises:
            SessionNotFoundError: There is none, or it has ended.
        """
        ...

    def renew(self, session: Session, asked: Asked) -> Session | None:
        """Open a session in place of this one; ``None`` if this connection has no wallet.

        Args:
            session: The session to replace; the same wallet must have delegated it.
            asked: What the new one may do.

        Raises:
            LitError: The wallet cannot be used, or has not delegated ``session``.
        """
        ...


@dataclass(slots=True, kw_only=True)
class RenewableSession:
    """A session, and what is needed to renew it. Safe to use from several threads.

    Attributes:
        session: The session as it is now.
        lead_s: Renew when less than this is left, seconds.
        name: The name that it is published under; empty if it came through XCom.
        made_by: The task that opened it, ``dag_id.task_id``; empty if its ticket does not say.
    """

    session: Session
    lead_s: float
    name: str = ""
    made_by: str = ""
    _due: datetime = field(init=False)
    _opened_here: bool = field(init=False, default=False)
    _renewing: threading.Lock = field(init=False, repr=False, default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._schedule(clock.now())

    def current(self, source: SessionSource, asked: Asked) -> Session:
        """Return the session to use for what is asked, renewed if it is due and can be.

        One with a name is fetched again. Otherwise, or if nothing newer is published, a new one for what is
        asked is opened where the connection has the wallet; and another for what it does not cover, when that
        is asked. A session that cannot be renewed is used until it ends. While one thread renews a session that
        still lasts, the others go on with it.

        Raises:
            SessionExpiredError: It has ended and cannot be renewed here; names the task that opened it.
            LitError: It has ended, and what would renew it does not work at the moment.
        """
        now = clock.now()
        if self._is_due(now) and self._renewing.acquire(blocking=now >= self.session.expires_at):
            try:
                now = clock.now()
                if self._is_due(now):
                    self._renew(source, asked, now)
                    self._schedule(clock.now())
            finally:
                self._renewing.release()
        session = self.session
        if not self._opened_here or session.scope.covers(asked()):
            return session
        return self._widened(source, asked)

    def _widened(self, source: SessionSource, asked: Asked) -> Session:
        """Return a session for what is asked in place of one that was opened here for less."""
        with self._renewing:
            if not self.session.scope.covers(asked()):
                self.session = source.renew(self.session, asked) or self.session
                self._schedule(clock.now())
            return self.session

    def _renew(self, source: SessionSource, asked: Asked, now: datetime) -> None:
        ended = now >= self.session.expires_at
        newer, error = None, None
        try:
            newer = self._newer(source, asked)
        except LitError as failure:
            if ended and failure.retryable:
                raise
            error = failure
            log.warning("The session ends at %s and cannot be renewed now: %s", self._ends, failure)
        if newer is not None:
            self.session = newer
        elif ended:
            raise expired(self.session.expires_at, now=now, made_by=self.made_by) from error

    def _newer(self, source: SessionSource, asked: Asked) -> Session | None:
        not_found = None
        if self.name:
            try:
                found = source.fetch(self.name).session
            except SessionNotFoundError as error:
                not_found = error
            else:
                if found.expires_at > self.session.expires_at:
                    self._opened_here = False
                    return found
        renewed = source.renew(self.session, asked)
        if renewed is None and not_found is not None:
            raise not_found
        self._opened_here = renewed is not None
        return renewed

    @property
    def _ends(self) -> str:
        return clock.iso(self.session.expires_at)

    def _is_due(self, now: datetime) -> bool:
        return now >= min(self._due, self.session.expires_at)

    def _schedule(self, now: datetime) -> None:
        self._due = next_check(self.session.expires_at, now, self.lead_s)


def next_check(ends: datetime, now: datetime, lead_s: float) -> datetime:
    """Return when to renew a session next: when its lead begins, but not before half of what is left is over.

    The half keeps a session that is shorter than the lead, or cannot be renewed, from being renewed all the
    time: between its lead and its end, that is tried a dozen times at most.
    """
    return max(ends - timedelta(seconds=lead_s), now + max((ends - now) / 2, _MIN_WAIT))
