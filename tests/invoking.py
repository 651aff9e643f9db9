"""Typer's runner for commands in this process, without building them anew for each run."""

from functools import cache

from typer import testing
from typer.testing import CliRunner, Result

__all__ = ["CliRunner", "Result"]

# From the signatures of all commands: 40 ms, which is more than most runs take.
testing._get_command = cache(testing._get_command)
