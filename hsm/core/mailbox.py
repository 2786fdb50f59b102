"""A mailbox: many put, one takes everything at once."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """An unbounded queue that is emptied as a whole; what bounds it is how much work is handed out."""

    def __init__(self) -> None:
        self._items: list[T] = []
        self._filled = asyncio.Event()

    def put(self, item: T) -> None:
        """Add an item."""
        self._items.append(item)
        self._filled.set()

    def drain(self) -> list[T]:
        """Take everything there is, which may be nothing."""
        items, self._items = self._items, []
        self._filled.clear()
        return items

    async def take(self) -> list[T]:
        """Wait until there is something and take everything."""
        await self._filled.wait()
        return self.drain()

    async def take_some(self, most: int) -> list[T]:
        """Wait until there is something and take the first of it, `most` at most. For one taker."""
        await self._filled.wait()
        if len(self._items) <= most:
            return self.drain()
        taken, self._items = self._items[:most], self._items[most:]
        return taken

    async def take_one(self) -> T:
        """Wait until there is something and take the first of it."""
        await self._filled.wait()
        item = self._items.pop(0)
        if not self._items:
            self._filled.clear()
        return item

    async def wait(self) -> None:
        """Wait until there is something."""
        await self._filled.wait()

    def holds(self, kinds: tuple[type, ...]) -> bool:
        """Tell whether an item of one of these kinds waits."""
        return any(isinstance(item, kinds) for item in self._items)

    def __len__(self) -> int:
        return len(self._items)
