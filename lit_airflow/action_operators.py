"""Operators for networks that run actions: run one, and sign with a key that the network holds.

    score = LitActionOperator(
        task_id="score", code="actions/score.js", js_params={"day": "{{ ds }}"}, push_response=True
    )
    signed = LitSignOperator(task_id="sign", message="report {{ ds }}: {{ ti.xcom_pull('digest') }}")

Import them from :mod:`lit_airflow.operators`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lit_airflow.errors import SettingsError
from lit_airflow.hooks import LitHook
from lit_airflow.operator_base import LitOperator, fail_without_retry
from lit_airflow.provider.paths import FilePath, checked_paths, is_path, path_text
from lit_airflow.provider.spending import COSTS, last_run_s, push_costs
from lit_airflow.text import is_encodable, path_shown, quoted

if TYPE_CHECKING:
    import jinja2
    from airflow.providers.common.compat.sdk import BaseOperator, Context

    from lit_airflow.handoff.sealed_plaintext import SealedPlaintext
    from lit_airflow.keys.secret import Secret

_FILE_ENDING = ".js"


class PaidOperator(LitOperator):
    """Base of the operators whose tasks may be paid for by the run.

    Args:
        budget_cents: Refuse to start if the task is expected to cost more, US cents.
        expected_s: How long one run is expected to take, seconds. By default as long as those of this task's last
            run, or 1.
        lit_conn_id: A connection of type ``lit``.
    """

    def __init__(
        self,
        *,
        budget_cents: int | None = None,
        expected_s: float | None = None,
        lit_conn_id: str = LitHook.default_conn_name,
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow's operators take
    ) -> None:
        super().__init__(**kwargs)
        self.budget_cents = budget_cents
        self.expected_s = expected_s
        self.lit_conn_id = lit_conn_id

    def check_budget(self, hook: LitHook, context: Context) -> None:
        """Return nothing if one run is expected to cost no more than the budget.

        Raises:
            LitError: As :meth:`lit_airflow.hooks.LitHook.check_budget`.
        """
        if self.budget_cents is not None:
            hook.check_budget(self.budget_cents, self._expected_s(context))

    def check_decryption_budget(self, hook: LitHook, context: Context, *, containers: int = 1) -> None:
        """The same for decrypting containers, which costs nothing where no run is paid for.

        Raises:
            LitError: As :meth:`lit_airflow.hooks.LitHook.check_budget`.
        """
        if self.budget_cents is not None and hook.client.traits.needs_api_key:
            runs = hook.client.decryption_runs(containers)
            hook.check_budget(self.budget_cents, self._expected_s(context), runs=runs)

    def _expected_s(self, context: Context) -> float:
        return last_run_s(noted_costs(self, context)) if self.expected_s is None else self.expected_s


def noted_costs(task: BaseOperator, context: Context) -> object:
    """Return what the last run of a task noted that it spent; unchecked, since others can edit XCom."""
    instance = context["ti"]
    return instance.xcom_pull(
        task_ids=task.task_id, map_indexes=instance.map_index, key=COSTS, include_prior_dates=True
    )


class LitActionOperator(PaidOperator):
    """Run an action: a program in the network's enclave.

    The action is JavaScript that defines ``main``, which gets ``js_params`` and returns the response. Its CID
    follows from each byte of its text, so a text, or a file whose path ends in ``.js``, is sent as it is: Jinja
    renders the path, not what is in the file. Its console goes to the task's log.

    The service parses texts that an action returns as JSON, so ``"12"`` arrives as the number 12. The log warns
    where that can have happened. Actions that return an object are not affected.

    The response goes to one place, or to none:

    * ``output_path``: a file with the response as JSON, which only this user can read; in object storage, access is
      up to the store. XCom gets the path.
    * ``seal_response=True``, up to a mebibyte: XCom gets its JSON sealed as tickets are, and a later task of the
      run opens it with :meth:`lit_airflow.hooks.LitHook.open_plaintext`.
    * ``push_response=True``: XCom gets it in clear. Everybody who may read the DAG can read it in the user
      interface, and it stays in Airflow's database.

    A run is sent once. If its answer is lost, the task fails without retry (``OutcomeUnknownError``), unless
    ``repeatable`` says that running the action twice does no harm.

    Args:
        code: The text, or the path of a file that ends in ``.js``: relative to the DAG's file or in the DAG's
            ``template_searchpath``, absolute, or in object storage. Only the path is templated.
        gate: The public key of a gate that the connection's secret lists, instead of a text.
        js_params: What the action is given: any JSON. The service sees it, and so does everybody who may read the
            DAG, as rendered fields: secrets travel as ciphertexts that the action opens. Templated.
        expected_cid: Refuse any text with another CID before it is sent.
        output_path: A local path or an object-storage URL. Templated.
        seal_response: Push the response sealed instead.
        push_response: Push it in clear instead.
        repeatable: Whether the action may run again when the answer to a run was lost.
        timeout_s: Seconds to wait for the answer; the connection's by default. The service lets the action run on.
        budget_cents: Refuse to start if the run is expected to cost more, US cents.
        expected_s: How long the run is expected to take, seconds. By default as long as this task's last one, or 1.
        lit_conn_id: A connection of type ``lit`` whose API key may run the action. Templated.

    Returns:
        ``output_path``, the sealed response, the response, or nothing.
    """

    template_fields: Sequence[str] = ("code", "js_params", "output_path", "lit_conn_id")
    template_fields_renderers: ClassVar[dict[str, str]] = {"code": "js", "js_params": "json"}

    def __init__(  # noqa: PLR0913 - all optional
        self,
        *,
        code: Any = "",  # noqa: ANN401 - a text, or a reference to one
        gate: str = "",
        js_params: Any = None,  # noqa: ANN401 - JSON
        expected_cid: str = "",
        output_path: FilePath | None = None,
        seal_response: bool = False,
        push_response: bool = False,
        repeatable: bool = False,
        timeout_s: float | None = None,
        **kwargs: Any,  # noqa: ANN401 - budget, connection, and whatever Airflow's operators take
    ) -> None:
        super().__init__(**kwargs)
        if [output_path is not None, seal_response, push_response].count(True) > 1:
            raise SettingsError(
                "Give at most one of output_path, seal_response=True and push_response=True.",
                field="output_path",
            )
        self.code = _Verbatim(code) if is_path(code) or (isinstance(code, str) and code) else code
        self.gate = gate
        self.js_params = js_params
        self.expected_cid = expected_cid
        self.output_path = checked_paths(output_path)
        self.seal_response = seal_response
        self.push_response = push_response
        self.repeatable = repeatable
        self.timeout_s = timeout_s

    def render_template(
        self,
        content: Any,  # noqa: ANN401 - Airflow's interface
        context: Context,
        jinja_env: jinja2.Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> Any:  # noqa: ANN401 - the same
        """Render paths as text; not the path of an action that comes from XCom."""
        if isinstance(content, _Verbatim) and content.is_one_of(seen_oids or ()):
            return content.read(self.get_template_env())
        return super().render_template(content, context, jinja_env, seen_oids)

    def execute(self, context: Context) -> Any:  # noqa: ANN401 - JSON
        """Run the action, and write, seal or push its response."""
        hook = LitHook(self.lit_conn_id)
        with fail_without_retry(), push_costs(context["ti"], hook.spending):
            self.check_budget(hook, context)
            # Airflow has resolved it, unless somebody calls this method by hand.
            code = (
                self.code.resolve({**context, "task": self})
                if isinstance(self.code, _Verbatim)
                else self.code
            )
            run = hook.run_action(
                str(code),
                self.js_params,
                gate=self.gate,
                expected_cid=self.expected_cid,
                repeatable=self.repeatable,
                timeout_s=self.timeout_s,
            )
            if self.push_response:
                return run.response
            return self._kept(hook, _as_json(run.response))

    def _kept(self, hook: LitHook, response: Secret) -> str | SealedPlaintext | None:
        from lit_airflow.provider import files  # noqa: PLC0415 - kept out of DAG parsing

        if self.output_path is not None:
            with files.writing(self.output_path) as target:
                target.write(response.reveal())
            self.log.info("Wrote the response, %d bytes, to %s.", len(response), self.output_path)
            return path_text(self.output_path)
        if self.seal_response:
            return hook.seal_plaintext(response)
        self.log.info(
            "The response, %d bytes, is not kept: give output_path, seal_response or push_response.",
            len(response),
        )
        return None


class LitSignOperator(PaidOperator):
    """Sign with a PKP of the account, for the one chain and address that the connection names.

    What signs is an action that this package ships (:meth:`lit_airflow.LitClient.signing_code`): PKP, chain and
    address stand in its text, so an API key whose group contains only this text cannot sign for others. The
    signature is verified here against the PKP's address before it is handed on.

    Read docs/actions.md before you give a PKP anything worth stealing: today other accounts of the service may be
    able to use its key.

    Args:
        message: A text (EIP-191). Templated.
        typed_data: ``types``, ``primaryType``, ``domain``, ``message`` (EIP-712), for the connection's chain and
            address. Templated.
        transaction: The fields of a transaction of type 2 (EIP-1559), by the names that web3 and eth-account give
            them, for the connection's chain and address. It is not sent. Templated.
        budget_cents: Refuse to start if the run is expected to cost more, US cents.
        expected_s: How long the run is expected to take, seconds. By default as long as this task's last one, or 1.
        lit_conn_id: A connection of type ``lit`` with ``sign_pkp``, whose API key may run the signer. Templated.

    Returns:
        ``kind``, ``signer``, and ``signature``, or ``raw_transaction`` and ``transaction_hash``. Anybody who
        reads a signed transaction in XCom can send it.
    """

    template_fields: Sequence[str] = ("message", "typed_data", "transaction", "lit_conn_id")

    def __init__(
        self,
        *,
        message: Any = None,  # noqa: ANN401 - a text, or a reference to one
        typed_data: Any = None,  # noqa: ANN401 - an object, or a reference to one
        transaction: Any = None,  # noqa: ANN401 - the same
        **kwargs: Any,  # noqa: ANN401 - budget, connection, and whatever Airflow's operators take
    ) -> None:
        super().__init__(**kwargs)
        if [message, typed_data, transaction].count(None) != 2:  # noqa: PLR2004 - all but one
            raise SettingsError("Give one of message, typed_data and transaction.", field="message")
        self.message = message
        self.typed_data = typed_data
        self.transaction = transaction

    def execute(self, context: Context) -> dict[str, str]:
        """Sign, verify, and push the signature."""
        hook = LitHook(self.lit_conn_id)
        with fail_without_retry(), push_costs(context["ti"], hook.spending):
            self.check_budget(hook, context)
            signed = hook.sign(message=self.message, typed_data=self.typed_data, transaction=self.transaction)
            return signed.to_json()


class _Verbatim:
    """An action's text or path in a template field. Jinja would change the text, and with it the CID.

    Airflow calls :meth:`resolve` instead of rendering an object that has it, as it does for references.
    """

    def __init__(self, given: object) -> None:
        self._given = given
        self._text = _path_of_action(given) if is_path(given) else str(given)

    def is_one_of(self, ids: Collection[int]) -> bool:
        """Return whether the object that was given is one of those with these ids."""
        return id(self._given) in ids

    def resolve(self, context: Mapping[str, Any], *_: Any, **__: Any) -> str:  # noqa: ANN401 - Airflow's, by release
        """Return the text; of a file, whose path is rendered, byte for byte."""
        return self.read(context["task"].get_template_env(), context)

    def read(self, jinja: Any, context: Mapping[str, Any] | None = None) -> str:  # noqa: ANN401 - Jinja's environment
        """Return the text; of a file, byte for byte. Its path is rendered if there is a context."""
        if not self._text.endswith(_FILE_ENDING):
            return self._text
        path = self._text if context is None else str(jinja.from_string(self._text).render(**context))
        return _read_action(jinja, path)

    def __str__(self) -> str:
        return self._text

    __repr__ = __str__


def _path_of_action(path: object) -> str:
    text = path_text(path)
    if not text.endswith(_FILE_ENDING):
        raise SettingsError(
            f"The path of an action must end in {_FILE_ENDING}, unlike {path_shown(text)}.",
            field="code",
            hint="Rename the file, or give the action's text.",
        )
    return text


def _read_action(jinja: Any, path: str) -> str:  # noqa: ANN401 - Jinja's environment
    """Return an action's text; Jinja's own loader would convert line ends.

    Raises:
        SettingsError: There is no such file, or it is not UTF-8.
    """
    from lit_airflow.provider import files  # noqa: PLC0415 - kept out of DAG parsing

    if "://" in path:
        return _utf_8(files.read(path), path)
    folders = [] if Path(path).is_absolute() else list(getattr(jinja.loader, "searchpath", ()))
    places = [Path(folder, path) for folder in folders] or [Path(path)]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise SettingsError(
            f"There is no action {quoted(path)}.",
            field="code",
            hint="Give a path relative to the DAG's file, or in the DAG's template_searchpath.",
        )
    return _utf_8(found.read_bytes(), path)


def _utf_8(contents: bytes, path: str) -> str:
    try:
        return contents.decode()
    except UnicodeDecodeError:
        raise SettingsError(f"The action {quoted(path)} is not UTF-8 text.", field="code") from None


def _as_json(response: object) -> Secret:
    from lit_airflow.keys.secret import Secret  # noqa: PLC0415 - kept out of DAG parsing

    text = json.dumps(response, ensure_ascii=False)
    # An unpaired surrogate has no UTF-8; JSON writes it as an escape.
    return Secret((text if is_encodable(text) else json.dumps(response)).encode())
