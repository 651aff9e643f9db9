"""The targets' names, one a line."""

from tests.fuzz.targets import TARGETS

print("\n".join(TARGETS))  # noqa: T201 - a command's output
