"""OpenZeppelin's EnumerableSet, including its order and what Solidity's ``delete`` leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field

from lit_airflow.devnet.chipotle.reverts import ARITHMETIC, OUT_OF_BOUNDS, RevertError


@dataclass(slots=True)
class EnumerableSet:
    """A list of values and a mapping from each value to its position, counted from 1.

    ``contains`` looks only at the mapping. Solidity's ``delete`` of the enclosing struct clears the list but not
    the mapping, so the set still contains values that are no longer listed.
    """

    values: list[int] = field(default_factory=list)
    _positions: dict[int, int] = field(default_factory=dict)

    def __contains__(self, value: int) -> bool:
        return value in self._positions

    def add(self, value: int) -> bool:
        """Add a value; return whether it was new."""
        if value in self._positions:
            return False
        self.values.append(value)
        self._positions[value] = len(self.values)
        return True

    def remove(self, value: int) -> bool:
        """Remove a value; return whether it was present. The last value takes its place.

        Raises:
            RevertError: The position is stale after ``erase``.
        """
        position = self._positions.get(value)
        if position is None:
            return False
        if not self.values:
            raise RevertError("Panic", (ARITHMETIC,))
        if position > len(self.values):
            raise RevertError("Panic", (OUT_OF_BOUNDS,))
        last = self.values[-1]
        self.values[position - 1] = last
        self._positions[last] = position
        self.values.pop()
        del self._positions[value]
        return True

    def clear(self) -> None:
        """Remove all listed values."""
        for value in self.values:
            del self._positions[value]
        self.values.clear()

    def erase(self) -> None:
        """Do what ``delete`` of the enclosing struct does."""
        self.values.clear()
