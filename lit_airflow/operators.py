"""The steps of a pipeline: open a session, encrypt, decrypt.

    session = LitSessionSigsOperator(task_id="session", encrypted="/data/report.lit.json")
    report = LitDecryptOperator(
        task_id="decrypt", encrypted="/data/report.lit.json", session=session.output, output_path="/data/report.csv"
    )

A task that fails in a way that trying again cannot mend fails at once, whatever its ``retries``.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout, BaseOperator

from lit_airflow import clock
from lit_airflow.assets import session_asset
from lit_airflow.errors import LitError, SettingsError, conditions_of
from lit_airflow.handoff.ticket_store import checked_name
from lit_airflow.hooks import LitHook
from lit_airflow.provider import telemetry
from lit_airflow.provider.links import LitSessionsLink
from lit_airflow.provider.xcom_facts import push_node_stats, push_session_facts

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from lit_airflow.handoff.sealed_plaintext import SealedPlaintext
    from lit_airflow.handoff.ticket import Ticket
    from lit_airflow.protocol.scope import Scope

ENVELOPE_FROM_BYTES = 1024 * 1024

_TERMINATED = 128 + signal.SIGTERM  # the exit code that a shell shows


class LitOperator(BaseOperator):
    """What the steps have in common."""

    def on_kill(self) -> None:
        """Stop at once on SIGTERM, cleaning up: Airflow only tells the task, and kills it some seconds later."""
        if not isinstance(sys.exc_info()[1], AirflowTaskTimeout):  # which ends the task by itself
            raise SystemExit(_TERMINATED)


class _SessionOperator(LitOperator):
    """What opening a session and keeping one alive have in common."""

    template_fields: Sequence[str] = ("encrypted", "allow", "lit_conn_id")
    operator_extra_links = (LitSessionsLink(),)
    _announces = False

    def __init__(  # noqa: PLR0913 - all optional
        self,
        *,
        encrypted: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] | None = None,
        allow: Sequence[str] | None = None,
        name: str = "",
        ttl_s: float | None = None,
        lead_s: float | None = None,
        lit_conn_id: str = LitHook.default_conn_name,
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow's operators take
    ) -> None:
        super().__init__(**kwargs)
        self.encrypted = encrypted
        self.allow = allow
        self.name = name
        self.ttl_s = ttl_s
        self.lead_s = lead_s
        self.lit_conn_id = lit_conn_id
        if name and self._announces:
            self.add_outlets([session_asset(name)])

    def _current(self, hook: LitHook, context: Context) -> tuple[Ticket, bool]:
        """A ticket that will last, published if it has a name, and whether it is new."""
        scope = self._scope(hook)
        task = context["ti"]
        held = (
            hook.published(self.name)
            if self.name
            else task.xcom_pull(task_ids=self.task_id, map_indexes=task.map_index, include_prior_dates=True)
        )
        made_by = f"{task.dag_id}.{task.task_id}"
        ticket, renewed = hook.reuse_or_open(
            held, scope, ttl_s=self.ttl_s, lead_s=self.lead_s, made_by=made_by
        )
        if self.name and renewed:
            hook.publish(self.name, ticket)
        push_session_facts(task, ticket, renewed=renewed, name=self.name)
        return ticket, renewed

    def _scope(self, hook: LitHook) -> Scope:
        from lit_airflow.protocol.scope import Scope  # noqa: PLC0415 - the same
        from lit_airflow.provider import files  # noqa: PLC0415 - kept out of DAG parsing

        if (self.encrypted is None) == (self.allow is None):
            raise SettingsError(
                "A session is for something: give either encrypted or allow.",
                field="allow",
                hint='For example allow=["access-control-condition-decryption=lit-accesscontrolcondition://<id>"].',
            )
        if self.encrypted is None:
            return Scope.parse(self.allow or ())
        scopes = []
        for given in files.listed(self.encrypted):
            with conditions_of(given):
                scopes.append(hook.scope_of(files.read_container(given)))
        return Scope(tuple(dict.fromkeys(request for scope in scopes for request in scope.requests)))


class LitSessionSigsOperator(_SessionOperator):
    """Open a session and hand it on, sealed; or pass on the one of an earlier run while it is good.

    The ticket that an earlier run of this task pushed is reused if it is for the same network and wallet, covers
    what is asked for, and has more time left than the connection's renewal lead. Vault is not asked for the key
    then.

    With a name, the ticket is also published in Vault, for tasks of any DAG to ask for by that name, and each
    success is an event of the asset :func:`lit_airflow.assets.session_asset`. What is reused then is the published
    ticket. One task publishes under a name; others ask.

    Args:
        encrypted: What will be decrypted: a container, or the path of its JSON file or of an envelope, ``*`` in it
            standing for all that fit, or a list of those. The session then may do just that. Templated.
        allow: Instead: a list of ``ABILITY=RESOURCE``. Templated.
        name: Publish it as this: up to 100 letters, digits, ``_``, ``.`` and ``-``.
        ttl_s: Lifetime in seconds; the connection's by default.
        lead_s: Renew when less than this is left, seconds; the connection's by default.
        lit_conn_id: A connection of type ``lit`` whose Vault role may read the key. Templated.

    Returns:
        A ticket (a plain dict). Its public facts can be read by whoever may read the DAG; the session inside opens
        only for a role that the seal lets.
    """

    _announces = True

    def execute(self, context: Context) -> Ticket:
        """Reuse or open; see the class."""
        with fail_without_retry():
            ticket, renewed = self._current(LitHook(self.lit_conn_id), context)
            if self.name:
                facts = {key: ticket[key] for key in ("network", "wallet", "expires_at")}
                context["outlet_events"][session_asset(self.name)].extra |= {**facts, "renewed": renewed}
            return ticket


class LitKeepAliveOperator(_SessionOperator):
    """Keep a published session fresh while other tasks of the run work, and take no worker slot for it.

    Put it beside the work, after the task that publishes the session:

        session = LitSessionSigsOperator(task_id="session", name="reports", encrypted=…)
        session >> [LitKeepAliveOperator(task_id="keep_alive", name="reports", encrypted=…), work]

    It waits in the triggerer, which watches the tasks and the time and knows no secret. When the session's lead
    begins, it comes back to a worker, publishes a new one, and waits on. Tasks that use the session by its name go
    on with the new one by themselves. It ends, well, when the watched tasks have ended, well or not.

    Under ``dag.test()``, which runs one task after another, it waits for ever for those that come after it.

    Args:
        name: What the session is published as.
        encrypted: As for :class:`LitSessionSigsOperator`, and the same as there.
        allow: The same.
        until: Ids of the tasks to watch. By default all that come after what comes before this task, but not after
            this task itself.
        poll_s: Seconds between looks at their states.
        ttl_s: Lifetime of new sessions in seconds; the connection's by default.
        lead_s: Renew when less than this is left, seconds; the connection's by default.
        lit_conn_id: A connection of type ``lit`` whose Vault role may read the key. Templated.
    """

    def __init__(
        self,
        *,
        name: str,
        until: Sequence[str] | None = None,
        poll_s: float = 10.0,
        **kwargs: Any,  # noqa: ANN401 - those of a session, and whatever Airflow's operators take
    ) -> None:
        super().__init__(name=checked_name(name), **kwargs)
        self.until = until
        self.poll_s = poll_s

    def execute(self, context: Context) -> None:
        """Have a session that will last, and wait."""
        self._keep(context, ends="")

    def resume(self, context: Context, event: Mapping[str, str], ends: str = "") -> None:
        """Come back from the triggerer: to renew, or because all is done."""
        if event["status"] == "done":
            self.log.info("The tasks that need the session %r are done.", self.name)
            return
        self._keep(context, ends)

    def _keep(self, context: Context, ends: str) -> None:
        """Renew if it is due, then wait.

        Args:
            context: Airflow's.
            ends: When the present session ends, RFC 3339 text; empty if that is not known yet.
        """
        from lit_airflow.handoff.renewal import next_look  # noqa: PLC0415 - kept out of DAG parsing
        from lit_airflow.triggers import LitKeepAliveTrigger  # noqa: PLC0415 - the same

        with fail_without_retry():
            watched = self._watched()
            hook = LitHook(self.lit_conn_id)
            try:
                ends = self._current(hook, context)[0]["expires_at"]
            except LitError as error:
                if not error.retryable or not ends or clock.now() >= clock.parse_iso(ends):
                    raise
                self.log.warning("The session lasts until %s and cannot be renewed now: %s", ends, error)
            lead_s = hook.settings.renewal_lead_s if self.lead_s is None else self.lead_s
            due = next_look(clock.parse_iso(ends), clock.now(), lead_s)
        task = context["ti"]
        self.log.info("Waiting for %s; the session is looked at again at %s.", ", ".join(watched), due)
        self.defer(
            trigger=LitKeepAliveTrigger(clock.iso(due), task.dag_id, task.run_id, watched, self.poll_s),
            method_name="resume",
            kwargs={"ends": ends},
        )

    def _watched(self) -> list[str]:
        dag = self.dag
        mine = {self.task_id, *self.get_flat_relative_ids(upstream=False)}
        if self.until is None:
            beside = {
                found for task in self.upstream_list for found in task.get_flat_relative_ids(upstream=False)
            }
            watched = (beside or set(dag.task_ids)) - mine
        else:
            watched = set(self.until)
        wrong = (watched & mine) | (watched - set(dag.task_ids))
        if wrong or not watched:
            raise SettingsError(
                f"Nothing can be waited for: {', '.join(sorted(wrong)) or 'there is no task beside this one'}.",
                field="until",
                hint="Name tasks of this DAG that do not wait for this one themselves.",
            )
        return sorted(watched)


class LitDecryptOperator(LitOperator):
    """Decrypt with a session that another task opened. Needs no wallet key.

    The plaintext goes to one of three places:

    * ``output_path``, of any length. A local file is there at once and whole, and readable by this user only. In
      object storage, the store's own rules say who may read it. XCom gets the path.
    * ``seal_plaintext=True``, up to a mebibyte: XCom gets it sealed as tickets are, and the task that is handed it
      opens it with :meth:`lit_airflow.hooks.LitHook.open_plaintext`. Under Transit, this task's Vault role must be
      allowed to encrypt with the key, as ``lit-renewer`` is and ``lit-consumer`` is not; the other's, to decrypt.
    * ``push_plaintext=True``: XCom gets it as UTF-8 text, in clear. Everybody who may read the DAG reads it in the
      user interface, and it stays in Airflow's database.

    Args:
        encrypted: The container, or a path, local or in object storage: of a container's JSON, or of an envelope,
            which is decrypted piece by piece. Templated.
        session: The ticket, ``session_task.output``, opened inside :meth:`execute` only, so that what is rendered
            and stored stays sealed; or the name of a published session. Templated.
        output_path: A local path or an object-storage URL. Templated.
        seal_plaintext: Instead: push it sealed.
        push_plaintext: Instead: push it in clear.
        lit_conn_id: A connection of type ``lit`` whose Vault role may open tickets. Templated.

    Returns:
        ``output_path``, the sealed plaintext, or the plaintext.
    """

    template_fields: Sequence[str] = ("encrypted", "session", "output_path", "lit_conn_id")
    operator_extra_links = (LitSessionsLink(),)

    def __init__(  # noqa: PLR0913 - all but two optional
        self,
        *,
        encrypted: str | Mapping[str, Any],
        session: Any,  # noqa: ANN401 - a dict or a name at run time, a reference to one when the DAG is written
        output_path: str | None = None,
        seal_plaintext: bool = False,
        push_plaintext: bool = False,
        lit_conn_id: str = LitHook.default_conn_name,
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow's operators take
    ) -> None:
        super().__init__(**kwargs)
        if [output_path is not None, seal_plaintext, push_plaintext].count(True) != 1:
            raise SettingsError(
                "The plaintext has to go somewhere: give one of output_path, seal_plaintext=True and "
                "push_plaintext=True.",
                field="output_path",
            )
        self.encrypted = encrypted
        self.session = session
        self.output_path = output_path
        self.seal_plaintext = seal_plaintext
        self.push_plaintext = push_plaintext
        self.lit_conn_id = lit_conn_id

    def execute(self, context: Context) -> str | SealedPlaintext:
        """Open the ticket, ask the nodes, write, seal or push the plaintext."""
        from lit_airflow.provider import file_io  # noqa: PLC0415 - kept out of DAG parsing

        hook = LitHook(self.lit_conn_id)
        with fail_without_retry(), push_node_stats(context["ti"], hook.tally):
            session = hook.hold(self.session)
            if self.output_path is not None:
                size = file_io.decrypt_file(hook, self.encrypted, self.output_path, session)
                self.log.info("Wrote %d bytes to %s.", size, self.output_path)
                return self.output_path
            plaintext = file_io.decrypt(hook, self.encrypted, session)
            return hook.seal_plaintext(plaintext) if self.seal_plaintext else _text(plaintext)


class LitDecryptManyOperator(LitOperator):
    """Decrypt many files with one session, each into a file of its own.

    They are asked for several at once. The log says every ten seconds how far it is, and at the end what failed for
    which cause and how each node answered; each decryption's own line is at DEBUG. One that fails costs the
    others nothing: those are written, and at the end the task fails and names what failed and why. It is tried
    again if that can help one of them, and then does all of it anew.

    Args:
        encrypted: Paths, local or in object storage, of containers' JSON or of envelopes; or a text with ``*`` in
            it, which stands for all that fit. Templated.
        session: The ticket, ``session_task.output``, or the name of a published session; its scope covers them all.
            Templated.
        output_dir: Where the plaintexts go, each under the name of its file less ``.lit.json`` or ``.lit``; see
            :class:`LitDecryptOperator` for who may read them. Templated.
        lit_conn_id: A connection of type ``lit`` whose Vault role may open tickets. Templated.

    Returns:
        The paths that were written, in the order of what was given.
    """

    template_fields: Sequence[str] = ("encrypted", "session", "output_dir", "lit_conn_id")
    operator_extra_links = (LitSessionsLink(),)

    def __init__(
        self,
        *,
        encrypted: str | Sequence[str],
        session: Any,  # noqa: ANN401 - a dict or a name at run time, a reference to one when the DAG is written
        output_dir: str,
        lit_conn_id: str = LitHook.default_conn_name,
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow's operators take
    ) -> None:
        super().__init__(**kwargs)
        self.encrypted = encrypted
        self.session = session
        self.output_dir = output_dir
        self.lit_conn_id = lit_conn_id

    def execute(self, context: Context) -> list[str]:
        """Open the ticket, ask the nodes, write what opens."""
        from lit_airflow.provider import file_io, files  # noqa: PLC0415 - kept out of DAG parsing

        hook = LitHook(self.lit_conn_id)
        with fail_without_retry(), push_node_stats(context["ti"], hook.tally):
            targets = file_io.targets(files.listed(self.encrypted), self.output_dir)
            file_io.decrypt_files(hook, targets, hook.hold(self.session))
            self.log.info("Wrote %d files to %s.", len(targets), self.output_dir)
            return list(targets.values())


class LitEncryptOperator(LitOperator):
    """Encrypt a file for whoever meets the conditions. Needs neither wallet nor session.

    What is written is one of two things, and :class:`LitDecryptOperator` takes either. A *container* is Lit's own:
    a JSON object that the JavaScript SDK decrypts too, made and read in memory. An *envelope* is for files of any
    size: a data key in a container, then the file under that key, made and read piece by piece
    (:mod:`lit_airflow.envelope`).

    Args:
        input_path: What to encrypt (local or object storage). Templated.
        conditions: One of the SDK's condition lists under its own name, and ``chain``. Templated.
        output_path: Where container or envelope goes; if not given, the container is pushed to XCom. Templated.
        envelope: Whether to write an envelope; by default, if there is an ``output_path`` and the file has a
            mebibyte or more.
        lit_conn_id: A connection of type ``lit``; no Vault role is used. Templated.

    Returns:
        ``output_path``, or the container: ``ciphertext``, ``dataToEncryptHash``, the conditions, ``chain``. Nothing
        in it is secret.
    """

    template_fields: Sequence[str] = ("input_path", "conditions", "output_path", "lit_conn_id")

    def __init__(
        self,
        *,
        input_path: str,
        conditions: Mapping[str, Any],
        output_path: str | None = None,
        envelope: bool | None = None,
        lit_conn_id: str = LitHook.default_conn_name,
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow's operators take
    ) -> None:
        super().__init__(**kwargs)
        if envelope and output_path is None:
            raise SettingsError("An envelope is a file: give output_path.", field="output_path")
        self.input_path = input_path
        self.conditions = conditions
        self.output_path = output_path
        self.envelope = envelope
        self.lit_conn_id = lit_conn_id

    def execute(self, context: Context) -> str | dict[str, Any]:  # noqa: ARG002 - Airflow's interface
        """Read, encrypt, write or push."""
        from lit_airflow.provider import file_io, files  # noqa: PLC0415 - kept out of DAG parsing

        with fail_without_retry():
            hook = LitHook(self.lit_conn_id)
            large = files.size(self.input_path) >= ENVELOPE_FROM_BYTES
            if self.output_path is not None and (large if self.envelope is None else self.envelope):
                file_io.encrypt_file(hook, self.input_path, self.output_path, self.conditions)
                self.log.info("Wrote the envelope %s.", self.output_path)
                return self.output_path
            container = hook.encrypt(files.read(self.input_path), self.conditions)
            if self.output_path is None:
                return container
            files.write(self.output_path, json.dumps(container, indent=1).encode())
            self.log.info("Wrote the container %s.", self.output_path)
            return self.output_path


@contextmanager
def fail_without_retry() -> Iterator[None]:
    """What trying again cannot mend fails the task at once; the rest is raised as it is."""
    try:
        yield
    except LitError as error:
        telemetry.failed(error)
        if error.retryable:
            raise
        raise AirflowFailException(f"{type(error).__name__}: {error}") from error


def _text(plaintext: bytes) -> str:
    try:
        return plaintext.decode()
    except UnicodeDecodeError:
        raise SettingsError(
            "The plaintext is not UTF-8 text, so it cannot be pushed.",
            field="push_plaintext",
            hint="Give output_path instead.",
        ) from None
