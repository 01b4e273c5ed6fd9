"""Threads for the answers that are asked for most.

The framework's own hand-over to a thread costs twice as much, which is as much as one of these answers.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

MAX_THREADS = 40  # as many as the framework has for the other answers

Arguments = TypeVarTuple("Arguments")
Answer = TypeVar("Answer")

_threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="answers")


async def in_thread(answer: Callable[[*Arguments], Answer], *arguments: *Arguments) -> Answer:
    """What `answer` returns or raises, while the loop stays free."""
    return await asyncio.get_running_loop().run_in_executor(_threads, answer, *arguments)
