"""Operators: open a session, encrypt, decrypt, rotate the API key, verify the server; run an action and sign.

    session = LitSessionSigsOperator(task_id="session", encrypted="/data/report.lit.json")
    report = LitDecryptOperator(
        task_id="decrypt", encrypted="/data/report.lit.json", session=session.output, output_path="/data/report.csv"
    )

A task whose error is not retryable fails without retry, whatever its ``retries``.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lit_airflow import clock
from lit_airflow.action_operators import LitActionOperator, LitSignOperator, PaidOperator
from lit_airflow.assets import ENCLAVES, enclave_asset, session_asset
from lit_airflow.errors import LitError, SettingsError
from lit_airflow.handoff.names import checked_name
from lit_airflow.hooks import LitHook
from lit_airflow.operator_base import LitOperator, fail_without_retry
from lit_airflow.provider import telemetry
from lit_airflow.provider.links import LitSessionsLink
from lit_airflow.provider.paths import checked_paths, path_text
from lit_airflow.provider.spending import push_costs
from lit_airflow.provider.xcom_facts import push_node_stats, push_session_facts

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from lit_airflow.handoff.sealed_plaintext import SealedPlaintext
    from lit_airflow.handoff.ticket import Ticket
    from lit_airflow.keys.secret import Secret
    from lit_airflow.protocol.scope import Scope
    from lit_airflow.provider.files import Encrypted
    from lit_airflow.provider.paths import FilePath

__all__ = [
    "LitActionOperator",
    "LitDecryptManyOperator",
    "LitDecryptOperator",
    "LitEncryptOperator",
    "LitKeepAliveOperator",
    "LitOperator",
    "LitRotateApiKeyOperator",
    "LitSessionSigsOperator",
    "LitSignOperator",
    "LitVerifyEnclaveOperator",
    "fail_without_retry",
]

_SHA256 = re.compile(r"[0-9a-f]{64}")


class LitRotateApiKeyOperator(LitOperator):
    """Replace the API key that decrypting roles pay with, and revoke the one before it.

    Networks that are paid with an API key do not let it expire. This makes a new key, waits until it works, writes
    it to the secret that decrypting roles read, waits in the triggerer until no task can be using the old key, and
    revokes that one. Before, it revokes what earlier runs have left that failed or were killed. Tasks that still
    hold a revoked key read the secret again.

    If it fails, the key in use stays. Repeated after the new key was written, it makes another one, and revokes
    both older ones. Let one run at a time rotate: ``max_active_runs=1``.

    Args:
        drain_s: Seconds for which the old key keeps working. More than the longest call of a task: 20 minutes by
            default.
        lit_conn_id: A connection of type ``lit`` with ``account_key_path``, whose Vault role may read the account's
            key and write the secret of decrypting roles. Templated.

    Returns:
        The public names of keys: ``key`` (the new one), ``removed``, ``unsure`` (perhaps not revoked yet; the next
        run tries again), ``too_wide`` (keys of this deployment that may do more than they should; look at these).
    """

    template_fields: Sequence[str] = ("lit_conn_id",)

    def __init__(
        self,
        *,
        drain_s: float = 20 * 60,
        lit_conn_id: str = LitHook.default_conn_name,
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow's operators take
    ) -> None:
        super().__init__(**kwargs)
        self.drain_s = drain_s
        self.lit_conn_id = lit_conn_id

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Make a key and write it, then wait in the triggerer."""
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger  # noqa: PLC0415 - see above

        with fail_without_retry():
            rotated = LitHook(self.lit_conn_id).api_key_rotation().rotate(drain_s=self.drain_s)
        self.log.info(
            "The new API key is %s. The one before it drains until %s.", rotated.name, rotated.drained_at
        )
        if self.drain_s > 0:
            self.defer(trigger=DateTimeTrigger(moment=rotated.drained_at), method_name="resume")
        return self._swept()

    def resume(self, context: Context, event: object) -> dict[str, Any]:  # noqa: ARG002 - Airflow's
        """Continue after the triggerer: revoke the old key."""
        return self._swept()

    def _swept(self) -> dict[str, Any]:
        with fail_without_retry():
            swept = LitHook(self.lit_conn_id).api_key_rotation().sweep()
        self.log.info("Revoked %s.", ", ".join(swept.removed) or "no key")
        if swept.unsure:
            self.log.warning("It is not known whether these are revoked: %s.", ", ".join(swept.unsure))
        if swept.too_wide:
            self.log.error(
                "These keys may do more than they should: %s. Look at them.", ", ".join(swept.too_wide)
            )
        return {
            "key": swept.in_use,
            "removed": list(swept.removed),
            "unsure": list(swept.unsure),
            "too_wide": list(swept.too_wide),
        }


class _SessionOperator(LitOperator):
    """Base of the operators that open sessions."""

    template_fields: Sequence[str] = ("encrypted", "allow", "session_label", "lit_conn_id")
    operator_extra_links = (LitSessionsLink(),)
    _announces = False

    def __init__(  # noqa: PLR0913 - all optional
        self,
        *,
        encrypted: Encrypted | Sequence[Encrypted] | None = None,
        allow: Sequence[str] | None = None,
        name: str = "",
        label: str = "",
        ttl_s: float | None = None,
        lead_s: float | None = None,
        capacity_delegation: str | Mapping[str, Any] | None = None,
        lit_conn_id: str = LitHook.default_conn_name,
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow's operators take
    ) -> None:
        super().__init__(**kwargs)
        self.encrypted = checked_paths(encrypted)
        self.allow = allow
        self.capacity_delegation = capacity_delegation
        self.name = name
        self.session_label = label  # `label` is a property of all of Airflow's operators
        self.ttl_s = ttl_s
        self.lead_s = lead_s
        self.lit_conn_id = lit_conn_id
        if name and self._announces:
            self.add_outlets([session_asset(name)])

    def _hook(self) -> LitHook:
        return LitHook(self.lit_conn_id, capacity_delegation=self.capacity_delegation)

    def _current(self, hook: LitHook, context: Context) -> tuple[Ticket, bool]:
        """Return a ticket that will last, published if it has a name, and whether its session is new."""
        from lit_airflow.inspection.report import in_words  # noqa: PLC0415 - kept out of DAG parsing

        files: dict[str, str] = {}
        scope = self._scope(hook, files)
        task, sessions = context["ti"], hook.sessions
        published = sessions.store().read(self.name) if self.name else None
        held = (
            task.xcom_pull(task_ids=self.task_id, map_indexes=task.map_index, include_prior_dates=True)
            if published is None
            else published.ticket
        )
        ticket, renewed, why = sessions.reuse_or_open(
            held, scope, ttl_s=self.ttl_s, lead_s=self.lead_s, name=self.name
        )
        if renewed:
            self.log.info(
                "Opened a session of %s until %s: %s It may %s.%s",
                ticket["wallet"],
                ticket["expires_at"],
                why,
                in_words(scope),
                f" {attestation}" if (attestation := hook.client.attestation) else "",
            )
            if published is not None and not sessions.store().publish(
                self.name, ticket, clock.now(), replaces=published
            ):
                self.log.info("Another task has published a session as %r that lasts longer.", self.name)
        else:
            self.log.info(
                "Passing on the session of %s; it lasts until %s.", ticket["wallet"], ticket["expires_at"]
            )
            telemetry.session_reused()
        attested = hook.client.attestation if renewed else None
        push_session_facts(
            task,
            ticket,
            renewed=renewed,
            name=self.name,
            attestation=attested,
            label=self.session_label,
            files=files,
        )
        return ticket, renewed

    def _scope(self, hook: LitHook, paths: dict[str, str]) -> Scope:
        """Return what the session is for, and add to ``paths`` which file each resource is."""
        from lit_airflow.protocol.scope import Scope  # noqa: PLC0415 - kept out of DAG parsing
        from lit_airflow.provider import file_io  # noqa: PLC0415 - the same

        if (self.encrypted is None) == (self.allow is None):
            raise SettingsError(
                "Give either encrypted or allow: a session is for something.",
                field="allow",
                hint='For example allow=["access-control-condition-decryption=lit-accesscontrolcondition://<id>"].',
            )
        if isinstance(self.allow, str):
            raise SettingsError(
                "allow is a text; it must be a list.",
                field="allow",
                hint="Write allow=[…]; a template needs render_template_as_native_obj=True in the DAG.",
            )
        if self.encrypted is None:
            return Scope.parse(self.allow or ())
        return file_io.scope_of(hook, self.encrypted, paths)


class LitSessionSigsOperator(_SessionOperator):
    """Open a session and pass it on, sealed; or pass on the session of an earlier run while it is good.

    The session of an earlier run of this task is reused if its ticket opens, it is for the same network, this
    connection's wallet has delegated it, it covers what is asked for, and more time is left than the renewal
    lead. Set ``wallet_address`` in the connection, and Vault is then not asked for the key.

    With a name, the ticket is also published in Vault, where tasks of any DAG use it by that name, and each
    success is an event of the asset :func:`lit_airflow.assets.session_asset`. Then the published session is
    the one that is reused. Let one task publish under a name.

    Args:
        encrypted: What will be decrypted: a container, the path of a file with one or of an envelope, a path
            with ``*`` for all files that match, or a list of containers and paths. The session may decrypt just
            these. Of the files that match, those that cannot be read are logged and left out. Templated.
        allow: A list of ``ABILITY=RESOURCE`` instead. Templated.
        name: Publish it under this name: up to 100 letters, digits, ``_``, ``.`` and ``-``.
        label: What the session is for, in your words; the page "Lit sessions" shows it in place of the files.
            Templated.
        ttl_s: Lifetime in seconds; the connection's by default.
        lead_s: Renew when less than this is left, seconds; the connection's by default.
        capacity_delegation: The path of a secret in Vault with a capacity delegation, for networks that require
            capacity credits, instead of the connection's ``capacity_path``; or the delegation itself, an authSig.
        lit_conn_id: A connection of type ``lit`` whose Vault role may read the key. Templated.

    Returns:
        A ticket (a plain dict). Everybody who may read the DAG can read its public facts; only roles that may
        use the seal can open the session inside, and only in tasks of the same DAG run.
    """

    _announces = True

    def execute(self, context: Context) -> Ticket:
        """Reuse or open a session."""
        with fail_without_retry():
            ticket, renewed = self._current(self._hook(), context)
            if self.name:
                facts = {key: ticket[key] for key in ("network", "wallet", "expires_at")}
                context["outlet_events"][session_asset(self.name)].extra |= {**facts, "renewed": renewed}
            return ticket


class LitKeepAliveOperator(_SessionOperator):
    """Renew a published session while other tasks of the run work, without a worker slot.

    Put it beside the work, after the task that publishes the session:

        session = LitSessionSigsOperator(task_id="session", name="reports", encrypted=…)
        session >> [LitKeepAliveOperator(task_id="keep_alive", name="reports", encrypted=…), work]

    It waits in the triggerer, which watches the tasks and the time and knows no secret. When the renewal lead
    begins, it returns to a worker, publishes a new session, and waits again. Tasks that use the session by
    its name continue with the new one. It succeeds when the watched tasks have finished, in whatever state.

    ``dag.test()`` runs one task after another, so there it waits forever for tasks that come after it.

    Args:
        name: The name that the session is published under.
        encrypted: The same as for the :class:`LitSessionSigsOperator` that publishes the session.
        allow: The same.
        label: The same.
        until: Ids of the tasks to watch. By default all tasks downstream of this task's upstream tasks,
            except those downstream of this task.
        poll_s: Seconds between two checks of their states.
        ttl_s: Lifetime of new sessions in seconds; the connection's by default.
        lead_s: Renew when less than this is left, seconds; the connection's by default.
        capacity_delegation: See :class:`LitSessionSigsOperator`.
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
        """Publish a session that will last, and wait."""
        self._keep(context, ends="")

    def resume(self, context: Context, event: Mapping[str, str], ends: str = "") -> None:
        """Continue after the triggerer: renew, or end because all tasks have finished."""
        if event["status"] == "done":
            self.log.info("The tasks that use the session %r have finished.", self.name)
            return
        self._keep(context, ends)

    def _keep(self, context: Context, ends: str) -> None:
        """Renew the session if it is due, then wait.

        Args:
            context: Airflow's.
            ends: When the present session ends, RFC 3339 text; empty if that is not known yet.
        """
        from lit_airflow.handoff.renewal import next_check  # noqa: PLC0415 - kept out of DAG parsing
        from lit_airflow.triggers import LitKeepAliveTrigger  # noqa: PLC0415 - the same

        with fail_without_retry():
            watched = self._watched()
            hook = self._hook()
            try:
                ends = self._current(hook, context)[0]["expires_at"]
            except LitError as error:
                if not error.retryable or not ends or clock.now() >= clock.parse_iso(ends):
                    raise
                self.log.warning("The session lasts until %s and cannot be renewed now: %s", ends, error)
            lead_s = hook.settings.renewal_lead_s if self.lead_s is None else self.lead_s
            due = next_check(clock.parse_iso(ends), clock.now(), lead_s)
        task = context["ti"]
        self.log.info("Waiting for %s; the session is checked again at %s.", ", ".join(watched), due)
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
                f"These tasks cannot be watched: {', '.join(sorted(wrong)) or 'there is no task beside this one'}.",
                field="until",
                hint="Name tasks of this DAG that are not downstream of this one.",
            )
        return sorted(watched)


class LitDecryptOperator(PaidOperator):
    """Decrypt with a session that another task opened. Needs no wallet key.

    The plaintext goes to one of three places:

    * ``output_path``, of any length. A local file appears whole, and only this user can read it. In object storage,
      access is up to the store. XCom gets the path.
    * ``seal_plaintext=True``, up to a mebibyte: XCom gets it sealed as tickets are, and a later task of the run
      opens it with :meth:`lit_airflow.hooks.LitHook.open_plaintext`. With Transit, this task's Vault role needs to
      encrypt with the key, as ``lit-renewer`` may and ``lit-consumer`` may not; the later task's role needs to
      decrypt.
    * ``push_plaintext=True``: XCom gets it in clear, as UTF-8 text. Everybody who may read the DAG can read it in
      the user interface, and it stays in Airflow's database.

    Args:
        encrypted: The container, or the path of a file with one, or of an envelope, which is decrypted piece
            by piece; local or in object storage. Templated.
        session: The ticket, ``session_task.output``, or the name of a published session. A ticket is opened inside
            :meth:`execute` only, so that rendered fields stay sealed. Templated.
        output_path: A local path or an object-storage URL. Templated.
        seal_plaintext: Push it sealed instead.
        push_plaintext: Push it in clear instead.
        budget_cents: Refuse to start if decryption is expected to cost more, US cents. Where it is not paid by the
            run, it costs nothing.
        expected_s: How long one run is expected to take, seconds. By default as long as those of this task's last
            run, or 1.
        lit_conn_id: A connection of type ``lit`` whose Vault role may open tickets. Templated.

    Returns:
        ``output_path``, the sealed plaintext, or the plaintext.
    """

    template_fields: Sequence[str] = ("encrypted", "session", "output_path", "lit_conn_id")
    operator_extra_links = (LitSessionsLink(),)

    def __init__(
        self,
        *,
        encrypted: Encrypted,
        session: Any,  # noqa: ANN401 - a dict or a name at run time, a reference to one when the DAG is written
        output_path: FilePath | None = None,
        seal_plaintext: bool = False,
        push_plaintext: bool = False,
        **kwargs: Any,  # noqa: ANN401 - budget, connection, and whatever Airflow's operators take
    ) -> None:
        super().__init__(**kwargs)
        if [output_path is not None, seal_plaintext, push_plaintext].count(True) != 1:
            raise SettingsError(
                "Give one of output_path, seal_plaintext=True and push_plaintext=True, for the plaintext to go to.",
                field="output_path",
            )
        self.encrypted = checked_paths(encrypted)
        self.session = session
        self.output_path = checked_paths(output_path)
        self.seal_plaintext = seal_plaintext
        self.push_plaintext = push_plaintext

    def execute(self, context: Context) -> str | SealedPlaintext:
        """Open the ticket, decrypt, and write, seal or push the plaintext."""
        from lit_airflow.provider import file_io  # noqa: PLC0415 - kept out of DAG parsing

        hook = LitHook(self.lit_conn_id)
        self._lineage = hook.lineage
        with (
            fail_without_retry(),
            push_costs(context["ti"], hook.spending),
            push_node_stats(context["ti"], hook.node_stats),
        ):
            self.check_decryption_budget(hook, context)
            session = hook.hold(self.session)
            if self.output_path is not None:
                size = file_io.decrypt_file(hook, self.encrypted, self.output_path, session)
                self.log.info("Wrote the plaintext, %d bytes, to %s.", size, self.output_path)
                return path_text(self.output_path)
            plaintext, data_hash = file_io.decrypt_and_hash(hook, self.encrypted, session)
            return (
                hook.seal_plaintext(plaintext, data_hash=data_hash)
                if self.seal_plaintext
                else _text(plaintext)
            )


class LitDecryptManyOperator(PaidOperator):
    """Decrypt many files with one session, each into a file of its own.

    Several are decrypted at a time. The log reports progress every ten seconds, and at the end the failures
    by cause and how each server answered; each decryption has a line at DEBUG. One that fails costs the
    others nothing: they are written, then the task fails and names what failed and why. It is retried if one
    of the errors is retryable, and then decrypts all files again. A file fails too if its name leaves none for its
    plaintext, or if its plaintext would replace one of the files or another plaintext.

    Args:
        encrypted: Paths of files with containers, or of envelopes, local or in object storage; or a path with
            ``*`` for all files that match. Templated.
        session: The ticket, ``session_task.output``, or the name of a published session; its scope covers them all.
            Templated.
        output_dir: Where the plaintexts go, each under its file's name without ``.lit.json`` or ``.lit``;
            :class:`LitDecryptOperator` says who can read them. Templated.
        processes: How many processes decrypt: the task's own by default, else so many that it starts. They pay from
            hundreds of files on, where the worker has idle cores; see :meth:`lit_airflow.LitClient.decrypt_many`.
        budget_cents: Refuse to start if decryption is expected to cost more, US cents. Where it is not paid by the
            run, it costs nothing.
        expected_s: How long one run is expected to take, seconds. By default as long as those of this task's last
            run, or 1.
        lit_conn_id: A connection of type ``lit`` whose Vault role may open tickets. Templated.

    Returns:
        The paths that were written, in order.
    """

    template_fields: Sequence[str] = ("encrypted", "session", "output_dir", "lit_conn_id")
    operator_extra_links = (LitSessionsLink(),)

    def __init__(
        self,
        *,
        encrypted: FilePath | Sequence[FilePath],
        session: Any,  # noqa: ANN401 - a dict or a name at run time, a reference to one when the DAG is written
        output_dir: FilePath,
        processes: int = 1,
        **kwargs: Any,  # noqa: ANN401 - budget, connection, and whatever Airflow's operators take
    ) -> None:
        super().__init__(**kwargs)
        self.encrypted = checked_paths(encrypted)
        self.session = session
        self.output_dir = checked_paths(output_dir)
        self.processes = processes

    def execute(self, context: Context) -> list[str]:
        """Open the ticket, decrypt, and write."""
        from lit_airflow.provider import file_io, files  # noqa: PLC0415 - kept out of DAG parsing

        hook = LitHook(self.lit_conn_id)
        self._lineage = hook.lineage
        with (
            fail_without_retry(),
            push_costs(context["ti"], hook.spending),
            push_node_stats(context["ti"], hook.node_stats),
        ):
            refused: dict[str, LitError] = {}
            targets = file_io.output_paths(files.listed(self.encrypted), self.output_dir, refused)
            self.check_decryption_budget(hook, context, containers=len(targets))
            file_io.decrypt_files(
                hook, targets, hook.hold(self.session), refused=refused, processes=self.processes
            )
            self.log.info("Wrote %d files to %s.", len(targets), self.output_dir)
            return list(targets.values())


class LitEncryptOperator(LitOperator):
    """Encrypt a file for wallets that meet the conditions. Needs neither wallet nor session.

    It writes a container or an envelope; :class:`LitDecryptOperator` takes either. A *container* is a JSON
    object that the JavaScript SDK decrypts too, made and read in memory. An *envelope* is for files of any
    size: a container with a data key, then the file under that key, made and read piece by piece
    (:mod:`lit_airflow.envelope`).

    Args:
        input_path: What to encrypt (local or object storage). Templated.
        conditions: One of the SDK's condition lists under its own name, and ``chain``. Templated.
        output_path: Where container or envelope goes; if not given, the container is pushed to XCom. Templated.
        envelope: Whether to write an envelope; by default if there is an ``output_path`` and the file has a
            mebibyte or more, or more than one container of the network may hold.
        lit_conn_id: A connection of type ``lit``; Vault is not used. Templated.

    Returns:
        ``output_path``, or the container: ``ciphertext``, ``dataToEncryptHash``, the conditions, ``chain``,
        ``network``. Nothing in it is secret.
    """

    template_fields: Sequence[str] = (
        *("input_path", "conditions", "conditions_in_words", "output_path", "lit_conn_id"),
    )

    def __init__(
        self,
        *,
        input_path: FilePath,
        conditions: Mapping[str, Any],
        output_path: FilePath | None = None,
        envelope: bool | None = None,
        lit_conn_id: str = LitHook.default_conn_name,
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow's operators take
    ) -> None:
        super().__init__(**kwargs)
        if envelope and output_path is None:
            raise SettingsError("An envelope needs output_path: it is a file.", field="output_path")
        self.input_path = checked_paths(input_path)
        self.conditions = conditions
        self.conditions_in_words = _InWords()
        self.output_path = checked_paths(output_path)
        self.envelope = envelope
        self.lit_conn_id = lit_conn_id

    def execute(self, context: Context) -> str | dict[str, Any]:  # noqa: ARG002 - Airflow's interface
        """Encrypt, and write or push."""
        from lit_airflow.envelope import ENVELOPE_FROM_BYTES  # noqa: PLC0415 - kept out of DAG parsing
        from lit_airflow.provider import file_io, files  # noqa: PLC0415 - the same

        with fail_without_retry():
            hook = LitHook(self.lit_conn_id)
            self._lineage = hook.lineage
            longest = min(ENVELOPE_FROM_BYTES - 1, hook.client.traits.max_plaintext_bytes)
            large = files.size(self.input_path) > longest
            if self.output_path is not None and (large if self.envelope is None else self.envelope):
                file_io.encrypt_file(hook, self.input_path, self.output_path, self.conditions)
                self.log.info("Wrote the envelope %s.", self.output_path)
                return path_text(self.output_path)
            container = hook.encrypt(files.read(self.input_path), self.conditions)
            if self.output_path is None:
                hook.lineage.note_encrypted(path_text(self.input_path), "", container)
                return container
            files.write_container(self.output_path, container)
            hook.lineage.note_encrypted(path_text(self.input_path), path_text(self.output_path), container)
            self.log.info("Wrote the container %s.", self.output_path)
            return path_text(self.output_path)


class LitVerifyEnclaveOperator(LitOperator):
    """Have the network's server prove which software it runs; announce when that changes. Needs no wallet.

    Run it daily. It verifies whatever the connection's field ``attestation`` says, and fails without retry where a
    check fails; the error names the check. A build that is proven and that ``compose_hash`` does not name ends in
    success, a warning and an event: tasks whose connection requires attestation refuse it until it is pinned.

    An event of :func:`lit_airflow.assets.enclave_asset` is added when build or machine differ from those that the
    last run of this task returned; in the first run, when the connection does not accept them.

    Args:
        lit_conn_id: A connection of type ``lit``; Vault is not used. Templated.

    Returns:
        Public facts: ``build``, ``machine``, ``accepted``, ``platform``, ``certificate``, ``verified_at``,
        ``changed``, ``previous_build`` and ``previous_machine``.
    """

    template_fields: Sequence[str] = ("lit_conn_id",)

    def __init__(
        self,
        *,
        lit_conn_id: str = LitHook.default_conn_name,
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow's operators take
    ) -> None:
        super().__init__(**kwargs)
        self.lit_conn_id = lit_conn_id
        self.add_outlets([ENCLAVES])

    def execute(self, context: Context) -> dict[str, Any]:
        """Verify, compare with the last run, and announce a change."""
        task = context["ti"]
        with fail_without_retry():
            asset = enclave_asset(self.lit_conn_id)
            with LitHook(self.lit_conn_id) as hook:
                found = hook.client.attest()
            last = task.xcom_pull(task_ids=self.task_id, map_indexes=task.map_index, include_prior_dates=True)
            # Others can edit XCom: what stands there decides about an announcement, and nothing else.
            before = last if isinstance(last, Mapping) else {}
            previous = tuple(_digest(before.get(key)) for key in ("build", "machine"))
            changed = previous != (found.build, found.machine) if any(previous) else not found.accepted
            self.log.log(logging.INFO if found.accepted else logging.WARNING, "%s", found)
            if changed:
                self.log.warning("The server runs other software than before; announced as %s.", asset.uri)
                extra: dict[str, Any] = {
                    "build": found.build,
                    "machine": found.machine,
                    "accepted": found.accepted,
                }
                context["outlet_events"][ENCLAVES].add(asset, extra={**extra, "previous_build": previous[0]})
        return {
            "build": found.build,
            "machine": found.machine,
            "accepted": found.accepted,
            "platform": list(found.platform),
            "certificate": found.certificate,
            "verified_at": found.at,
            "changed": changed,
            "previous_build": previous[0],
            "previous_machine": previous[1],
        }


def _digest(found: object) -> str:
    """Return a SHA-256 as hex; empty for anything else."""
    return found if isinstance(found, str) and _SHA256.fullmatch(found) else ""


class _InWords:
    """The conditions as a sentence, among the rendered fields that a task shows.

    Airflow calls :meth:`resolve` in place of rendering, after it has rendered ``conditions``.
    """

    def resolve(self, context: Mapping[str, Any], *_: Any, **__: Any) -> str:  # noqa: ANN401 - Airflow's, by release
        """Return the sentence, or why there is none."""
        from lit_airflow.protocol.conditions import Conditions  # noqa: PLC0415 - kept out of DAG parsing
        from lit_airflow.protocol.humanize import humanize  # noqa: PLC0415 - the same

        try:
            return humanize(Conditions.parse(context["task"].conditions, default_chain="ethereum"))
        except LitError as error:  # what is wrong fails the task when it runs
            return str(error)

    def __repr__(self) -> str:
        return "The conditions in words"


def _text(plaintext: Secret) -> str:
    text = _decoded(plaintext)
    if text is None:
        raise SettingsError(
            "The plaintext is not UTF-8 text and cannot be pushed.",
            field="push_plaintext",
            hint="Give output_path instead.",
        )
    return text


def _decoded(plaintext: Secret) -> str | None:
    try:
        return plaintext.reveal().decode()
    except UnicodeDecodeError:
        return None
