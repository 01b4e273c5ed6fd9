"""vLLM for real: what a sync takes over, and what the probe finds where one is made wrong on purpose."""

from importlib.util import find_spec

import pytest
import torch

from service.errors import DriftgateError, ErrorCode
from service.jobs.catalog import Metric
from service.jobs.spec import LoraSpec
from tests.worker.rollouts.engine_subjects import Subject, make_subject, small_qwen3
from tests.worker.training.tiny_models import tiny_qwen3
from worker.rollouts.engine import RolloutRequest, SamplingParams
from worker.training.adapter import add_adapter
from worker.training.student_files import plain_tensors

pytestmark = pytest.mark.skipif(
    find_spec("vllm") is None, reason="vLLM is not installed; `make test-vllm` installs it"
)

REQUEST = RolloutRequest((5, 6, 7), (1, 2, 3))
PLAIN = SamplingParams(temperature=1.0, top_p=1.0, max_response_tokens=8)


@pytest.fixture(scope="module")
def running() -> Subject:
    return make_subject("vllm")


@pytest.fixture
def subject(running: Subject) -> Subject:
    running.lent = None
    running.take_weights_of(small_qwen3(1))
    running.engine.synchronize()
    return running


def nudge(subject: Subject) -> None:
    """A change as small as an update's."""
    with torch.no_grad():
        for parameter in subject.model.parameters():
            parameter.mul_(1.02)
    subject.engine.weights_changed()


def test_a_sync_reports_its_time_and_its_gap_once(subject: Subject) -> None:
    nudge(subject)

    report = subject.engine.synchronize()

    assert report.keys() == {Metric.SYNC_SECONDS, Metric.PARITY_GAP}
    assert report[Metric.SYNC_SECONDS] > 0
    assert 0 < report[Metric.PARITY_GAP] < 1e-4
    assert subject.engine.synchronize() == {}


def test_a_sync_that_responses_caused_is_reported_when_asked(subject: Subject) -> None:
    nudge(subject)
    subject.engine.generate([REQUEST], sampling=PLAIN)
    assert subject.engine.synchronize().keys() == {Metric.SYNC_SECONDS, Metric.PARITY_GAP}


def test_weights_of_an_update_before_fail_with_the_gap_and_nothing_is_sampled(
    subject: Subject,
) -> None:
    before = {name: tensor.clone() for name, tensor in subject.model.state_dict().items()}
    nudge(subject)
    subject.lent = before

    for _ in range(2):  # it is no better at the second try
        with pytest.raises(DriftgateError, match=r"vLLM differs .* stale or wrong") as refusal:
            subject.engine.generate([REQUEST], sampling=PLAIN)
        assert refusal.value.code is ErrorCode.ENGINE_OUT_OF_SYNC

    subject.lent = None
    assert len(subject.engine.generate([REQUEST], sampling=PLAIN)[0]) == 3


def test_one_matrix_that_was_left_out_is_found(subject: Subject) -> None:
    nudge(subject)
    subject.lent = {
        name: tensor / 1.02 if name.endswith("layers.1.mlp.down_proj.weight") else tensor
        for name, tensor in subject.model.state_dict().items()
    }
    with pytest.raises(DriftgateError, match="vLLM differs"):
        subject.engine.synchronize()


def test_a_prefix_cache_of_earlier_weights_is_found(subject: Subject, monkeypatch) -> None:
    nudge(subject)
    monkeypatch.setattr(subject.engine._vllm, "reset_prefix_cache", lambda: True)
    with pytest.raises(DriftgateError, match="vLLM differs"):
        subject.engine.synchronize()


def test_a_head_that_is_not_tied_follows_too() -> None:
    subject = make_subject("vllm", tied=False)
    subject.engine.synchronize()
    subject.take_weights_of(small_qwen3(2, tied=False))
    assert subject.engine.synchronize()[Metric.PARITY_GAP] < 1e-4


def test_adapters_are_sampled_from_merged() -> None:
    from worker.rollouts.vllm_engine import VllmEngine  # noqa: PLC0415 where it is installed

    student = small_qwen3(1)
    add_adapter(student, spec=LoraSpec(rank=4), seed=0)
    engine = VllmEngine(
        student,
        plain_tensors=lambda: plain_tensors(student),
        eos_token_ids=frozenset({1}),
        device=torch.device("cpu"),
        max_batch_size=4,
        max_sequence_tokens=64,
    )
    engine.synchronize()
    with torch.no_grad():
        for parameter in student.parameters():
            if parameter.requires_grad:
                parameter.add_(0.01)
    engine.weights_changed()
    assert engine.synchronize()[Metric.PARITY_GAP] < 1e-4


def test_a_model_that_vllm_has_no_kernels_for_is_refused_with_its_reason() -> None:
    subject = make_subject("vllm", model=tiny_qwen3(3, dtype=torch.float32))
    with pytest.raises(DriftgateError, match=r"head_dim=8.*'transformers'") as refusal:
        subject.engine.synchronize()
    assert refusal.value.code is ErrorCode.MODEL_INVALID


@pytest.mark.parametrize("temperature", [0.001, 2.5])
def test_temperatures_that_vllm_would_change_or_refuse_are_refused(
    subject: Subject, temperature: float
) -> None:
    sampling = SamplingParams(temperature=temperature, top_p=1.0, max_response_tokens=1)
    with pytest.raises(DriftgateError, match=r"from 0\.01 to 2") as refusal:
        subject.engine.generate([REQUEST], sampling=sampling)
    assert refusal.value.code is ErrorCode.INVALID_SPEC
