"""Clients that make jobs and meddle with them, each a thread with choices of its own seed, and what they saw."""

import itertools
import random
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field

from service.jobs.spec import JobSpec
from service.jobs.state import TERMINAL_STATES, JobState
from tests.chaos.audit import KEY_LABEL
from tests.chaos.history import Call, Outcome, Verb
from tests.chaos.scripted_training import PACE_LABEL
from tests.chaos.transports import Answer, Request, Transport
from tests.worker.small_jobs import small_job

MAX_OPEN_JOBS = 4
# Steps of two updates each, and how many times as long as others their updates take: the longest outlive a lease.
LENGTHS = ((3, 1), (6, 1), (12, 1), (12, 3))
PAUSE_S = 0.1
AWAY_S = 0.2
SHARE_IMPATIENT = 0.2
SHARE_CONDITIONAL = 0.3
# How often a client does what, beside making jobs.
WEIGHTS = {
    Verb.GET: 10,
    Verb.CANCEL: 1,
    Verb.PAUSE: 3,
    Verb.RESUME: 4,
    Verb.PATCH: 3,
    Verb.DELETE: 2,
}


@dataclass
class Known:
    """What all clients of a run know together; the lists only grow."""

    jobs: dict[str, JobState] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    began_s: float = field(default_factory=time.monotonic)

    def now_s(self) -> float:
        return time.monotonic() - self.began_s


class Client(threading.Thread):
    """Sends requests until it is told to stop, and then creates again what it never had an answer for."""

    def __init__(
        self,
        name: str,
        known: Known,
        connect: Callable[[], Transport],
        *,
        seed: int,
        max_jobs: int,
        stop: threading.Event,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._known = known
        self._connect = connect
        self._choices = random.Random(f"{seed} {name}")
        self._max_jobs = max_jobs
        self.stop_asked = stop
        self._numbers = itertools.count(1)
        self._own: list[str] = []
        self._seen: dict[str, tuple[int, JobState]] = {}
        self.last_call: Call | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            with closing(self._connect()) as transport:
                while not self.stop_asked.wait(PAUSE_S * self._choices.uniform(0.5, 1.5)):
                    self._act(transport)
        except BaseException as error:  # noqa: BLE001 told to the run
            self.error = error

    def _act(self, transport: Transport) -> None:
        open_jobs = [i for i in self._own if self._known.jobs[i] not in TERMINAL_STATES]
        if len(self._own) < self._max_jobs and len(open_jobs) < MAX_OPEN_JOBS:
            self._create(transport)
            return
        with self._known.lock:
            ids = list(self._known.jobs)
        job_id = self._choices.choice(ids)
        (verb,) = self._choices.choices(list(WEIGHTS), weights=WEIGHTS.values())
        if verb is Verb.PATCH:
            label = (self.name, str(next(self._numbers)))
            self._call(transport, Request(verb, job_id=job_id, label=label))
        elif verb is Verb.GET and self._choices.random() < SHARE_CONDITIONAL:
            self._call(transport, Request(verb, job_id=job_id, known=self._seen.get(job_id)))
        else:
            self._call(transport, Request(verb, job_id=job_id))
            self._call(transport, Request(Verb.GET, job_id=job_id))

    def _create(self, transport: Transport) -> None:
        """Sent until it is answered, and now and then once more."""
        key = f"{self.name}-{next(self._numbers)}"
        spec = self._spec(key)
        answer = None
        while answer is None or answer.outcome is Outcome.UNKNOWN:
            is_impatient = answer is None and self._choices.random() < SHARE_IMPATIENT
            request = Request(Verb.CREATE, key=key, spec=spec, is_impatient=is_impatient)
            answer = self._call(transport, request)
        assert answer.outcome is Outcome.ACKNOWLEDGED, f"{key} was refused: {answer.code}"
        self._own.append(answer.job_id)
        if self._choices.random() < SHARE_IMPATIENT:
            self._call(transport, Request(Verb.CREATE, key=key, spec=spec))

    def _call(self, transport: Transport, request: Request) -> Answer:
        began_s = self._known.now_s()
        answer = transport.send(request)
        call = Call(
            client=self.name,
            verb=request.verb,
            began_s=began_s,
            ended_s=self._known.now_s(),
            outcome=answer.outcome,
            job_id=answer.job_id or request.job_id,
            key=request.key,
            version=answer.version,
            state=answer.state,
            code=answer.code,
            patched=request.label and request.label[1],
        )
        with self._known.lock:
            self._known.calls.append(call)
            self.last_call = call
            if call.job_id is not None and answer.state is not None:
                self._known.jobs[call.job_id] = answer.state
        if answer.version is not None:
            self._seen[call.job_id] = (answer.version, answer.state)
        if answer.outcome is Outcome.UNKNOWN:
            time.sleep(AWAY_S * self._choices.random())
        return answer

    def _spec(self, key: str) -> JobSpec:
        steps, pace = self._choices.choice(LENGTHS)
        return small_job(
            name=key,
            labels={KEY_LABEL: key, PACE_LABEL: str(pace)},
            seed=self._choices.randrange(2**31),
            steps=steps,
            priority=self._choices.randint(-1, 1),
            checkpoint={"every_steps": self._choices.randint(1, 3), "keep_last": 2},
        )
