"""Looks for rows that contradict each other; there should be none, and nothing is mended."""

import logging

from service.storage.invariants import find_violations
from service.storage.sessions import Database
from service.storage.study_invariants import find_study_violations

logger = logging.getLogger(__name__)


class Audit:
    """Counts what it has found since the process started."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.num_found = 0

    def run_once(self) -> None:
        """Every violation is a line of the log."""
        num_before = self.num_found
        for violation in find_violations(self._database):
            logger.error("job %s breaks an invariant: %s", violation.job_id, violation.invariant)
            self.num_found += 1
        for found in find_study_violations(self._database):
            logger.error("study %s breaks an invariant: %s", found.study_id, found.invariant)
            self.num_found += 1
        if self.num_found > num_before:
            logger.error("the audit has found %d violations", self.num_found - num_before)
