"""Statements are compiled once for all databases of this process, as they are for all threads of a service.

SQLAlchemy keeps what it compiled with the engine, and every test has a database of its own: two thirds of the time of a
test of the stores would go into compiling the same statements again.
"""

from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import Dialect
from sqlalchemy.util import LRUCache

from service.storage import engines

# All statements that the suite knows, on both databases.
CAPACITY = 4000


def share_compiled_statements() -> None:
    """From now on, of the engines that `service.storage.engines` creates."""
    compiled: LRUCache[Any, Any] = LRUCache(CAPACITY)
    dialects: dict[tuple[str, ...], Dialect] = {}

    def create(url: Any, **options: Any) -> Engine:
        engine = create_engine(url, **options)
        engine.update_execution_options(compiled_cache=compiled)
        kind = (engine.dialect.name, engine.driver, str(options.get("isolation_level")))
        if kind in dialects:
            engine.dialect = dialects[kind]
        else:
            # Not before it has asked a server what it can do.
            event.listen(
                engine, "connect", lambda *_: dialects.setdefault(kind, engine.dialect), once=True
            )
        return engine

    engines.create_engine = create  # type: ignore[assignment]
