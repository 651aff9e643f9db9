"""A Solidity set (OpenZeppelin's EnumerableSet): order of removal, and what deletion leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field

from lit_airflow.devnet.chipotle.reverts import ARITHMETIC, OUT_OF_BOUNDS, RevertError


@dataclass(slots=True)
class EnumerableSet:
    """Values in a list, and the position of each, from 1, in a mapping.

    ``contains`` asks the mapping only. Deleting a struct that holds a set empties the list and leaves the
    mapping, since Solidity does not delete mappings: values that no list shows are then still contained.
    """

    values: list[int] = field(default_factory=list)
    _positions: dict[int, int] = field(default_factory=dict)

    def __contains__(self, value: int) -> bool:
        return value in self._positions

    def add(self, value: int) -> bool:
        """Add a value; whether it was new."""
        if value in self._positions:
            return False
        self.values.append(value)
        self._positions[value] = len(self.values)
        return True

    def remove(self, value: int) -> bool:
        """Remove a value; whether it was there. The last value takes its place.

        Raises:
            RevertError: The position is one that a deletion has left behind.
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
        """Remove every listed value."""
        for value in self.values:
            del self._positions[value]
        self.values.clear()

    def erase(self) -> None:
        """What ``delete`` of the struct around it does."""
        self.values.clear()
