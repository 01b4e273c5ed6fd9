"""Specs of jobs that were read lately: a spec never changes, and is the dearest part of a job to read."""

from collections import OrderedDict
from threading import Lock

from service.jobs.spec import AnyJobSpec

MAX_SPECS = 256
# Problems may stand in a spec: eight megabytes of them are not kept.
MAX_SPEC_BYTES = 16_384


class KnownSpecs:
    """By job id, the least recently used going first. Threads may share it."""

    def __init__(self) -> None:
        self._specs: OrderedDict[str, AnyJobSpec] = OrderedDict()
        self._lock = Lock()

    def get(self, job_id: str) -> AnyJobSpec | None:
        with self._lock:
            spec = self._specs.get(job_id)
            if spec is not None:
                self._specs.move_to_end(job_id)
            return spec

    def add(self, job_id: str, spec: AnyJobSpec) -> None:
        if len(spec.__pydantic_serializer__.to_json(spec)) > MAX_SPEC_BYTES:
            return
        with self._lock:
            self._specs[job_id] = spec
            if len(self._specs) > MAX_SPECS:
                self._specs.popitem(last=False)
