"""One leader among processes that could all do the same: a row that is taken by compare-and-set, on the database's clock.

It saves work and does not make it safe: a leader that was stopped may go on beside the next, so what leaders do has to
be safe in several processes at once.
"""

from datetime import timedelta

from sqlalchemy import delete, or_, update

from service.storage.new_rows import insert_new
from service.storage.sessions import Database
from service.storage.tables import LeaderLeaseRow


class LeaderLease:
    """Of one process, that may lead or not; `name` says in what."""

    def __init__(self, database: Database, *, name: str, owner: str, lease_s: float) -> None:
        self._database = database
        self._name = name
        self._owner = owner
        self._lease_s = lease_s

    def hold(self) -> bool:
        """Whether this process leads for the next `lease_s`: it did before, or nobody does any more."""
        with self._database.transaction() as session:
            now = self._database.now(session)
            expires_at = now + timedelta(seconds=self._lease_s)
            held = session.execute(
                update(LeaderLeaseRow)
                .where(
                    LeaderLeaseRow.name == self._name,
                    or_(LeaderLeaseRow.owner == self._owner, LeaderLeaseRow.expires_at < now),
                )
                .values(owner=self._owner, expires_at=expires_at)
                .returning(LeaderLeaseRow.name)
            ).first()
            if held is not None:
                return True
            first = {"name": self._name, "owner": self._owner, "expires_at": expires_at}
            return insert_new(session, LeaderLeaseRow, [first]) == 1

    def let_go(self) -> None:
        """The next leader need not wait for the lease to expire."""
        with self._database.transaction() as session:
            session.execute(
                delete(LeaderLeaseRow).where(
                    LeaderLeaseRow.name == self._name, LeaderLeaseRow.owner == self._owner
                )
            )
