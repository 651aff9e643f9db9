"""Makes mutants of the gate's text: one small change each, such as a removed check or another constant.

``python -m tests.gate.mutants [FIRST [LAST]]`` runs them all, or those of the lines from FIRST to LAST, and
prints the ones that no case notices.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from lit_airflow.devnet.deno import DenoRunner, Limits
from tests.gate.engine import REQUESTS, Gate, cases, disagreements, gate_text
from tests.gate.rules import all_cases, in_batches
from tests.gate.rules.cases import Case
from tests.gate.rules.internals import INTERNALS

_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<template>`(?:[^`\\]|\\.)*`)
    |(?P<regex>(?<=[(=,:&|!?\s])/(?![/*\s])(?:\[(?:[^\]\\\n]|\\.)*\]|[^/\\\n\[]|\\.)+/)
    |(?P<number>\b(?:0x[0-9a-f]+|\d+)n?\b)
    |(?P<operator>===|!==|<=|>=|=>|&&|\|\||\?\?|\?\.|\.\.\.|\+=|\*\*|[-+*/<>!?=:;,.(){}\[\]])
    |(?P<word>[A-Za-z_$][\w$]*)""",
    re.VERBOSE,
)
_OPERATORS = {
    "===": ("!==",),
    "!==": ("===",),
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<"),
    ">=": (">", "<"),
    "+": ("-",),
    "-": ("+",),
    "*": ("+",),
    "+=": ("-=",),
    "!": ("",),
}
_WORDS = {
    "true": "false",
    "false": "true",
    "some": "every",
    "every": "some",
    "startsWith": "includes",
    "endsWith": "includes",
    "hasOwn": "is",
    "floor": "ceil",
    "asUintN": "asIntN",
    "asIntN": "asUintN",
    "and": "or",
}
# Sections of the text that only see requests whose session is good.
_AFTER_SESSIONS = {6, 7, 8, 9, 10}
_CHECKS = {"check", "invalid", "checkForm", "checkDecoded"}
_OPEN, _CLOSE = "([{", ")]}"
_LOWER = {"||", "?", ":", ",", "=>", "=", ";", "return", "if"}


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Mutant:
    """A changed text.

    Attributes:
        line: Where the change is.
        where: The line before the change.
        change: Column, old and new text.
        text: The mutant.
    """

    line: int
    where: str
    change: str
    text: str


def tokens(text: str) -> list[Token]:
    found = [
        Token(str(match.lastgroup), match[0], match.start(), match.end()) for match in _TOKEN.finditer(text)
    ]
    return [token for token in found if token.kind != "comment"]


def mutants(text: str) -> Iterator[Mutant]:
    listed = tokens(text)
    for place, token in enumerate(listed):
        for start, end, new in _changes(listed, place, token):
            line = text.count("\n", 0, start)
            old = " ".join(text[start:end].split())
            column = start - text.rfind("\n", 0, start)
            change = f"{column}: {old} -> {new}"
            yield Mutant(line + 1, text.split("\n")[line].strip(), change, text[:start] + new + text[end:])


def _changes(listed: list[Token], place: int, token: Token) -> Iterator[tuple[int, int, str]]:
    if token.kind == "operator":
        yield from _operator_changes(listed, place, token)
    elif token.kind == "word":
        if token.text in _WORDS:
            yield token.start, token.end, _WORDS[token.text]
        if token.text in _CHECKS and listed[place + 1].text == "(" and listed[place - 1].text != "function":
            yield listed[place + 1].end, listed[place + 1].end, "true || "
    elif token.kind == "number":
        for new in _numbers(token.text):
            yield token.start, token.end, new
    elif token.kind == "regex" or re.search(r"\[\^?|\(\?", token.text):  # the parts of a pattern, too
        for start, end, new in _regex_changes(token.text):
            yield token.start + start, token.start + end, new
    elif not token.text.endswith(('."', ".'")):  # any text but a message
        yield token.end - 1, token.end - 1, "X"


def _operator_changes(listed: list[Token], place: int, token: Token) -> Iterator[tuple[int, int, str]]:
    for new in _OPERATORS.get(token.text, ()):
        yield token.start, token.end, new
    if token.text in {"&&", "||"}:
        yield token.start, token.end, "||" if token.text == "&&" else "&&"
        neutral = "true" if token.text == "&&" else "false"
        for start, end in (_left(listed, place), _right(listed, place)):
            yield start, end, neutral


def _left(listed: list[Token], place: int) -> tuple[int, int]:
    depth, at = 0, place - 1
    while depth or (listed[at].text not in {*_OPEN, *_LOWER, "&&"}):
        depth += (listed[at].text in _CLOSE) - (listed[at].text in _OPEN)
        at -= 1
    return listed[at + 1].start, listed[place - 1].end


def _right(listed: list[Token], place: int) -> tuple[int, int]:
    depth, at = 0, place + 1
    while depth or (listed[at].text not in {*_CLOSE, *_LOWER, "&&"}):
        depth += (listed[at].text in _OPEN) - (listed[at].text in _CLOSE)
        at += 1
    return listed[place + 1].start, listed[at - 1].end


def _numbers(text: str) -> Iterator[str]:
    suffix = "n" if text.endswith("n") else ""
    number = int(text.removesuffix("n"), 0)
    yield f"{number + 1}{suffix}"
    if number:
        yield f"{number - 1}{suffix}"


def _regex_changes(text: str) -> Iterator[tuple[int, int, str]]:
    for match in re.finditer(r"(?<![\[\\])\^|\$(?=[/\"])", text):
        yield match.start(), match.end(), ""
    for match in re.finditer(r"(?<=[\])\w}])[*+](?![^\[]*\])", text):
        yield match.start(), match.end(), "+" if match[0] == "*" else "*"
    for match in re.finditer(r"(?<=\{)\d+|(?<=,)\d+(?=\})", text):
        for new in _numbers(match[0]):
            yield match.start(), match.end(), new
    for match in re.finditer(r"\\?[\w.]-\\?[\w?~\[]", text):  # a range of a class
        yield match.start(), match.end(), ""
    for match in re.finditer(r"(?<=\))\?", text):
        yield match.start(), match.end(), ""


class Judge:
    """Runs cases until one notices; those that noticed last are tried first."""

    def __init__(self, runner: DenoRunner) -> None:
        self._runner = runner
        listed = [case for name in REQUESTS for case in cases(name)] + list(in_batches(all_cases()))
        self._cases: list[Case] = sorted(listed, key=lambda case: -len(case.get("names", [])))

    def kills(self, text: str, *, sessions: bool = True) -> bool:
        """Whether a case notices; ``sessions``: also those that are only about sessions are run."""
        gate = Gate(self._runner, text)
        if any(self._breaks(gate, code, expected) for _, code, expected in INTERNALS):
            return True
        for place, case in enumerate(self._cases):
            if (sessions or not _is_about_sessions(case)) and self._notices(gate, case):
                self._cases.insert(0, self._cases.pop(place))
                return True
        return any(self._answers_otherwise(gate, case) for case in cases("keys")[:2])

    @staticmethod
    def _breaks(gate: Gate, code: str, expected: object) -> bool:
        try:
            return gate.evaluate(code) != expected
        except Exception:  # noqa: BLE001 (nothing was returned)
            return True

    @staticmethod
    def _notices(gate: Gate, case: Case) -> bool:
        try:
            return disagreements(gate.run_case(case), case) != []
        except Exception:  # noqa: BLE001 (an answer of another form, or none)
            return True

    @staticmethod
    def _answers_otherwise(gate: Gate, case: Case) -> bool:
        try:
            return gate.run_case(case) != case["expected"]
        except Exception:  # noqa: BLE001
            return True


def _is_about_sessions(case: Case) -> bool:
    return case["name"].partition(":")[0] in {"request", "session", "times", "delegation", "recap"}


def _section(text: str, line: int) -> int:
    """The number of the heading above a line, 0 before the first."""
    headings = re.findall(r"^// ---- (\d+)", "\n".join(text.split("\n")[:line]), re.MULTILINE)
    return int(headings[-1]) if headings else 0


def survivors(first: int = 1, last: int = 10**6) -> Iterator[Mutant]:
    """Mutants that no case notices."""
    text = gate_text()
    with DenoRunner(runs_per_worker=5000, limits=Limits(time_s=60, memory_mb=1024)) as runner:
        judge = Judge(runner)
        assert not judge.kills(text)
        for mutant in mutants(text):
            wanted = first <= mutant.line <= last
            sessions = _section(text, mutant.line) not in _AFTER_SESSIONS
            if wanted and not judge.kills(mutant.text, sessions=sessions):
                yield mutant


if __name__ == "__main__":
    for survivor in survivors(*map(int, sys.argv[1:])):
        sys.stdout.write(f"{survivor.line}: {survivor.where}\n    {survivor.change}\n")
        sys.stdout.flush()
