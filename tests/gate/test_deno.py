"""The runner: what an action can do, what it cannot, and what becomes of a run over its limits."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lit_airflow.devnet.deno import CallError, DenoRunner, FetchReply, FetchRequest, Host, Limits
from lit_airflow.devnet.deno import ethers as ethers_file
from lit_airflow.errors import SettingsError


@pytest.fixture(scope="module")
def runner() -> Iterator[DenoRunner]:
    with DenoRunner() as runner:
        yield runner


@pytest.fixture(scope="module")
def shared() -> Iterator[DenoRunner]:
    with DenoRunner(runs_per_worker=1000) as runner:
        yield runner


def response(runner: DenoRunner, code: str, params_json: str = "null", **options: object) -> object:
    run = runner.run(code, params_json, Host(**options))
    assert run.failure is None, run.failure
    return json.loads(run.response)


def test_main_is_called_with_the_parameters(runner: DenoRunner) -> None:
    assert response(runner, "async function main(params) { return [params]; }", '{"a":[1,"x"]}') == [
        {"a": [1, "x"]}
    ]


@pytest.mark.parametrize(
    ("returned", "expected"),
    [('"text"', "text"), ("undefined", ""), ("null", "null"), ('{ a: "x" }', '{"a":"x"}'), ("1", "1")],
)
def test_a_text_is_returned_raw_and_other_values_as_json(
    shared: DenoRunner, returned: str, expected: str
) -> None:
    assert shared.run(f"async function main() {{ return {returned}; }}").response == expected


def test_set_response_counts_where_main_returns_nothing(shared: DenoRunner) -> None:
    run = shared.run('async function main() { Lit.Actions.setResponse({ response: "set" }); }')
    assert run.response == "set"


def test_parameters_stand_in_the_source_so_proto_sets_a_prototype(runner: DenoRunner) -> None:
    code = "async function main(params) { return [params.inherited, Object.keys(params)]; }"
    assert response(runner, code, '{"__proto__":{"inherited":1}}') == [1, []]


def test_the_text_is_a_script_with_its_own_directives(shared: DenoRunner) -> None:
    code = '"use strict"; async function main() { return [(function () { return this === undefined; })()]; }'
    assert response(shared, code) == [True]


def test_runs_do_not_see_each_others_declarations(shared: DenoRunner) -> None:
    for number in (1, 2):
        assert response(
            shared, f"const N = {number}; let once; async function main() {{ return [N, once]; }}"
        ) == [
            number,
            None,
        ]


def test_each_run_has_its_own_globals(runner: DenoRunner) -> None:
    code = "async function main() { globalThis.kept = (globalThis.kept ?? 0) + 1; return [globalThis.kept]; }"
    assert [response(runner, code) for _ in range(2)] == [[1], [1]]


def test_calls_are_answered_by_the_caller(shared: DenoRunner) -> None:
    code = (
        "async function main() { return [await Lit.Actions.echo({ x: 1 }), typeof LitActions.echo, "
        "typeof Lit.Actions.other]; }"
    )
    assert response(shared, code, calls={"echo": lambda argument: {"got": argument}}) == [
        {"got": {"x": 1}},
        "function",
        "undefined",
    ]


def test_a_call_error_is_an_error_inside_the_action(shared: DenoRunner) -> None:
    def refuse(argument: dict[str, object]) -> object:
        del argument
        raise CallError("not permitted")

    code = (
        "async function main() { try { await Lit.Actions.f(); } catch (error) { return [error.message]; } }"
    )
    assert response(shared, code, calls={"f": refuse}) == ["not permitted"]


def test_an_error_of_the_host_reaches_the_caller(shared: DenoRunner) -> None:
    def break_down(argument: dict[str, object]) -> object:
        raise LookupError(str(argument))

    with pytest.raises(LookupError):
        shared.run("async function main() { await Lit.Actions.f(); }", host=Host(calls={"f": break_down}))


def test_a_thrown_error_is_reported(shared: DenoRunner) -> None:
    failure = shared.run('async function main() { throw new RangeError("too far"); }').failure
    assert failure is not None
    assert (failure.kind, failure.message) == ("thrown", "RangeError: too far")


def test_ethers_is_a_global(shared: DenoRunner) -> None:
    assert response(shared, "async function main() { return [ethers.version]; }") == ["ethers/5.7.2"]


def test_console_output_is_collected_and_limited(shared: DenoRunner) -> None:
    assert shared.run('async function main() { console.log("a", { b: 1 }); console.log("c"); }').logs == (
        "a { b: 1 }\nc\n"
    )
    failure = shared.run('async function main() { console.log("x".repeat(102400)); }').failure
    assert failure is not None
    assert "console output is longer" in failure.message


def test_the_clock_can_be_set(shared: DenoRunner) -> None:
    code = "async function main() { return [Date.now(), new Date().toISOString(), new Date(5).getTime()]; }"
    assert response(shared, code, now_ms=1000) == [1000, "1970-01-01T00:00:01.000Z", 5]


def test_requests_go_to_the_caller(shared: DenoRunner) -> None:
    seen: list[FetchRequest] = []

    def answer(request: FetchRequest) -> FetchReply:
        seen.append(request)
        return FetchReply(418, b"\xffbody", {"X-Kind": "tea"})

    code = """async function main() {
        const answer = await fetch("https://a.example/p?q", { method: "POST", body: "b", redirect: "error" });
        return [answer.status, answer.headers.get("x-kind"), [...new Uint8Array(await answer.arrayBuffer())]];
    }"""
    assert response(shared, code, fetch=answer) == [418, "tea", list(b"\xffbody")]
    (request,) = seen
    assert (request.url, request.method, request.body, request.redirect) == (
        "https://a.example/p?q",
        "POST",
        "b",
        "error",
    )


def test_a_network_error_of_the_caller_is_a_type_error(shared: DenoRunner) -> None:
    def unreachable(request: FetchRequest) -> FetchReply:
        raise CallError(f"cannot reach {request.url}")

    code = """async function main() {
        try { await fetch("https://a.example/"); } catch (error) { return [error.name, error.message]; }
    }"""
    assert response(shared, code, fetch=unreachable) == ["TypeError", "cannot reach https://a.example/"]


@pytest.mark.parametrize(
    "expression",
    [
        'Deno.readTextFileSync("/etc/hostname")',
        'Deno.writeTextFileSync("/tmp/written-by-an-action", "")',
        'Deno.env.get("PATH")',
        'new Deno.Command("true").outputSync()',
        'await fetch("http://127.0.0.1:9/")',
        "Deno.listen({ port: 0 })",
        'eval("1")',
        'new Function("return 1")',
        '(await import("node:fs")).readFileSync("/etc/hostname")',
        "Deno.exit(0)",
        "new Worker()",
    ],
)
def test_what_an_action_cannot_do(shared: DenoRunner, expression: str) -> None:
    failure = shared.run(f"async function main() {{ {expression}; return 1; }}").failure
    assert failure is not None
    assert failure.kind == "thrown"


def test_allowed_hosts_are_reached() -> None:
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with DenoRunner(allow_net=[address]) as runner:
            failure = runner.run(f'async function main() {{ await fetch("http://{address}/"); }}').failure
    assert failure is not None
    assert failure.message.startswith("TypeError")


def test_requests_are_counted(shared: DenoRunner) -> None:
    code = """async function main() {
        for (let i = 0; i < 50; i++) await fetch("https://a.example/");
        try { await fetch("https://a.example/"); } catch (error) { return [error.message]; }
    }"""
    assert response(shared, code, fetch=lambda _: FetchReply(200, b"")) == ["more than 50 fetch calls"]


@pytest.mark.parametrize(
    "code",
    [
        "async function main() { for (;;); }",
        "async function main() { setTimeout(() => 0, 1e9); return 1; }",
    ],
    ids=["endless loop", "timer left behind"],
)
def test_a_run_over_its_time_is_ended(code: str) -> None:
    with DenoRunner(spare=0, limits=Limits(time_s=0.5)) as runner:
        failure = runner.run(code).failure
    assert failure is not None
    assert failure.kind == "time"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("async function main() { await new Promise(() => 0); }", "died"),
        ("const kept = []; async function main() { for (;;) kept.push({ kept }); }", "died"),
        ('async function main() { return "x".repeat(102401); }', "thrown"),
    ],
    ids=["promise never resolved", "heap", "response too long"],
)
def test_a_failed_run_does_not_affect_the_next_one(runner: DenoRunner, code: str, kind: str) -> None:
    failure = runner.run(code).failure
    assert failure is not None
    assert failure.kind == kind
    assert response(runner, "async function main() { return [1]; }") == [1]


def test_memory_outside_the_heap_is_limited() -> None:
    code = "const a = []; async function main() { for (;;) a.push(new Uint8Array(1 << 20).fill(1)); }"
    with DenoRunner() as runner:
        assert runner.run(code).failure is not None


def test_threads_run_side_by_side() -> None:
    results: list[object] = []
    meeting = threading.Barrier(2, timeout=60)

    def meet(argument: dict[str, object]) -> object:
        meeting.wait()
        return argument

    with DenoRunner(spare=2) as runner:

        def work() -> None:
            results.append(
                response(
                    runner, "async function main() { return [await Lit.Actions.f()]; }", calls={"f": meet}
                )
            )

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == [[{}], [{}]]


def test_another_file_than_the_pinned_one_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    altered = tmp_path / f"ethers-{ethers_file.VERSION}.min.mjs"
    altered.write_bytes(b"export const ethers = {};")
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9/")
    with pytest.raises(SettingsError, match="not available"):
        DenoRunner(directory=tmp_path)
