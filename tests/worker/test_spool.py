import math
import resource
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.jobs.catalog import Metric
from service.jobs.records import (
    AttemptEvent,
    BlockDrift,
    CheckpointRecord,
    EvaluationRecord,
    ProblemOutcome,
    PromptOverlapRecord,
    SampleBatchRecord,
    SampleRecord,
    TokenDriftRecord,
    UpdateRecord,
)
from service.jobs.state import JobPhase
from tests.worker_records import a_reverse_kl
from worker.spool import SPOOL_FILE, Spool, SpoolDamagedError, remove_spools

UPDATE = UpdateRecord(
    step=1,
    update=2,
    metrics={Metric.LOSS: 0.1 + 0.2, Metric.PEAK_MEMORY_BYTES: math.inf},
    drift_by_block=(BlockDrift(3, None, 1e-300),),
    at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    token_drift=TokenDriftRecord(1, 0, bytes(range(256)), b"\xff\xfe", b"", b"\x80"),
)
WRITES = [
    UPDATE,
    SampleBatchRecord(
        stage="baseline",
        samples=(
            SampleRecord(
                benchmark="digits",
                position=0,
                sample_index=1,
                problem_id="p",
                problem_sha256="0" * 64,
                seed=2**63 - 1,
                prompt_tokens=1,
                response_tokens=2,
                finish_reason="stop",
                is_loop=False,
                verdict="right",
                layer="exact",
                extracted=None,
                answer_key="7",
                sampling_ms=0.25,
                grading_ms=0.5,
                text="sieben\n\u2028🙂",
            ),
        ),
        evaluated_samples=1,
        samples_to_evaluate=2,
    ),
    EvaluationRecord(
        benchmark="digits",
        stage="baseline",
        problems_sha256="0" * 64,
        samples_per_problem=1,
        k=(1,),
        profile="policy",
        temperature=1.0,
        top_p=1.0,
        top_k=None,
        max_response_tokens=8,
        sampling_sha256="0" * 64,
        grader="g",
        seed=1,
        num_response_tokens=2,
        seconds=0.5,
        problems=(ProblemOutcome("p", "0" * 64, 1, 1, 0, 0, 0, 0),),
    ),
    PromptOverlapRecord("digits", 4, 1, 1, (("a", "b", 0.5),)),
    a_reverse_kl("final", None),
    CheckpointRecord(1, 2, "/checkpoints/step-1", 3, "0" * 64, final=False),
    JobPhase.EVALUATING,
    AttemptEvent("compute_chosen", "On the CPU."),
]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / SPOOL_FILE)


def test_every_kind_of_write_comes_back_as_it_was(spool: Spool, tmp_path: Path) -> None:
    for write in WRITES:
        spool.append(write)

    assert list(spool.read()) == WRITES
    spool.drop(2)
    spool.append(UPDATE)
    assert list(spool.read()) == [*WRITES[2:], UPDATE]
    spool.drop(spool.num_waiting)
    assert not (tmp_path / SPOOL_FILE).exists()
    spool.append(UPDATE)
    assert list(spool.read()) == [UPDATE]


@pytest.mark.parametrize("position", [0, 7, 40, -1])
def test_a_byte_that_changed_on_the_disk_is_noticed(
    spool: Spool, tmp_path: Path, position: int
) -> None:
    spool.append(UPDATE)
    content = bytearray((tmp_path / SPOOL_FILE).read_bytes())
    content[position] ^= 1
    (tmp_path / SPOOL_FILE).write_bytes(content)

    with pytest.raises(SpoolDamagedError, match="damaged at byte 0"):
        list(spool.read())


def test_a_write_that_did_not_fit_on_the_disk_leaves_those_before_it(
    spool: Spool, tmp_path: Path
) -> None:
    spool.append(UPDATE)
    size = (tmp_path / SPOOL_FILE).stat().st_size
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, limits[1]))
    try:
        with pytest.raises(OSError, match=r"No space left|File too large"):
            spool.append(UPDATE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    spool.append(JobPhase.TRAINING)

    assert list(spool.read()) == [UPDATE, JobPhase.TRAINING]


def test_spools_of_earlier_attempts_are_removed_and_no_later_one(tmp_path: Path) -> None:
    for epoch in ("1", "9", "10", "11", "notes"):
        (tmp_path / epoch).mkdir()
        (tmp_path / epoch / SPOOL_FILE).touch()

    remove_spools(tmp_path, before_epoch=10)

    left = sorted(path.parent.name for path in tmp_path.glob(f"*/{SPOOL_FILE}"))
    assert left == ["10", "11", "notes"]
