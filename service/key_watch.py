"""Ends what stays open for long, streams and long polls, once its API key is accepted no more."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.api_keys import Authenticator
from service.errors import DriftgateError, ErrorCode

LOOK_EVERY_S = 2.0


class KeyWatch:
    """Of one event loop. While something is open its key is looked at every few seconds, once for all that it opened."""

    def __init__(self, authenticator: Authenticator, *, look_every_s: float = LOOK_EVERY_S) -> None:
        self._authenticator = authenticator
        self._look_every_s = look_every_s
        self._opened_by: dict[str | None, set[asyncio.Timeout]] = {}
        self._refusals: dict[asyncio.Timeout, DriftgateError] = {}
        self._looking: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def while_accepted(self, authorization: str | None) -> AsyncIterator[None]:
        """Raises UNAUTHENTICATED, wherever the body waits, soon after the key is revoked or has expired.

        authorization: the header that was accepted. Nothing ends while the database cannot tell.
        """
        lifetime = asyncio.timeout(None)
        try:
            async with lifetime:
                self._add(authorization, lifetime)
                try:
                    yield
                finally:
                    self._remove(authorization, lifetime)
        except TimeoutError:
            if lifetime not in self._refusals:
                raise  # the body's own
            raise self._refusals[lifetime] from None
        finally:
            self._refusals.pop(lifetime, None)

    def _add(self, authorization: str | None, lifetime: asyncio.Timeout) -> None:
        self._opened_by.setdefault(authorization, set()).add(lifetime)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())

    def _remove(self, authorization: str | None, lifetime: asyncio.Timeout) -> None:
        opened = self._opened_by[authorization]
        opened.remove(lifetime)
        if not opened:
            del self._opened_by[authorization]
        if not self._opened_by and self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(self._look_every_s)
            for authorization in tuple(self._opened_by):
                refusal = await self._refusal(authorization)
                if refusal is not None:
                    self._end(authorization, refusal)

    def _end(self, authorization: str | None, refusal: DriftgateError) -> None:
        now = asyncio.get_running_loop().time()
        for lifetime in self._opened_by.get(authorization, ()):
            self._refusals[lifetime] = refusal
            lifetime.reschedule(now)

    async def _refusal(self, authorization: str | None) -> DriftgateError | None:
        """None where the key is accepted, or nobody can tell."""
        try:
            if self._authenticator.recall(authorization) is None:
                await asyncio.to_thread(self._authenticator.authenticate, authorization)
        except DriftgateError as error:
            return error if error.code is ErrorCode.UNAUTHENTICATED else None
        return None
