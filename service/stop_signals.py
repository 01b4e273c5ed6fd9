"""An event that signals set, whatever the main thread is doing.

Python runs a handler between two bytecodes of the main thread, which goes wrong in two ways where that
thread waits for the event: a signal that comes just before it blocks is not seen until something else
wakes it, and one that comes while it holds the event's own lock would set the event into a deadlock. So the
handlers do nothing, and a thread reads the signals from the file descriptor that the C level writes
them to.
"""

import os
import signal
import threading
from collections.abc import Callable, Sequence


def stop_on_signals(
    numbers: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGINT),
    *,
    on_second: Callable[[int], None] | None = None,
) -> threading.Event:
    """Set by the first of the signals; `on_second` is called, in a thread, with every later one.

    Once a process, from its main thread.
    """
    stop = threading.Event()

    def take(number: int) -> None:
        if stop.is_set() and on_second is not None:
            on_second(number)
        stop.set()

    watch_signals(numbers, take)
    for each in numbers:
        signal.signal(each, lambda *_: None)
    return stop


def watch_signals(numbers: Sequence[signal.Signals], take: Callable[[int], None]) -> None:
    """Calls `take`, in a thread, with each of the signals that this process has any Python handler for.

    Once a process, from its main thread.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)

    def watch() -> None:
        while number := os.read(reading, 1):
            if number[0] in numbers:
                take(number[0])

    threading.Thread(target=watch, name="stop-signals", daemon=True).start()
