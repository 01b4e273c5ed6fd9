"""An attempt at a distillation: evaluate, train on from the newest checkpoint, evaluate again."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedTokenizerBase

from service.errors import DriftgateError, ErrorCode
from service.jobs import stages
from service.jobs.records import PromptOverlapRecord, SampleRecord
from service.jobs.spec import JobSpec
from service.jobs.state import JobPhase
from service.preflight.overlap import OverlapReport, prompt_overlap, without_overlap
from service.preflight.problems import load_problems
from worker.attempt import Attempt
from worker.attempt_checkpoints import AttemptCheckpoints
from worker.attempt_end import StopRequestedError
from worker.attempt_evaluation import AttemptEvaluation, load_benchmarks, pinned_subset
from worker.attempt_models import load_models
from worker.attempt_reverse_kl import AttemptReverseKl
from worker.evaluation.grader import Grader
from worker.evaluation.plan import Benchmark
from worker.rollouts.engine import RolloutEngine
from worker.rollouts.prompts import Prompt, encode_prompts
from worker.rollouts.transformers_engine import TransformersEngine
from worker.training.device_memory import refuse_too_little_memory
from worker.training.distributed import Task
from worker.training.offload import present
from worker.training.teacher import LocalTeacher
from worker.training.trainer import Trainer


def distil(attempt: Attempt, spec: JobSpec, *, device: torch.device, dtype: torch.dtype) -> None:
    """Does what earlier attempts have not done of the job. Raises StopRequestedError when drained."""
    models = load_models(attempt, spec, device=device, dtype=dtype)
    # Another engine has memory of its own, which it gives back.
    if isinstance(models.student_engine, TransformersEngine):
        refuse_too_little_memory(models.student, device=device)
    benchmarks = attempt.outlast_store(
        lambda: load_benchmarks(
            spec.evaluation,
            tokenizer=models.tokenizer,
            max_prompt_tokens=spec.rollout.max_prompt_tokens,
            settings=attempt.settings,
        )
    )
    prompts = _training_prompts(attempt, spec, models.tokenizer, benchmarks)
    attempt.ranks.order(Task.TRAIN, prompts)
    with Grader() as grader:
        evaluation = AttemptEvaluation(
            spec=spec.evaluation,
            benchmarks=benchmarks,
            tokenizer=models.tokenizer,
            batch_size=spec.compute.rollout_batch_size,
            attempt=attempt,
            grader=grader,
        )
        baseline_samples = evaluation.run(
            stages.BASELINE, phase=JobPhase.BASELINE_EVALUATION, engine=models.student_engine
        )
        trainer = Trainer(
            spec,
            student=models.student,
            teacher=models.teacher,
            tokenizer=models.tokenizer,
            prompts=prompts,
            engine=models.training_engine,
            device=device,
            ranks=attempt.ranks,
        )
        trainer.note_evaluation(baseline_samples)
        reverse_kl = AttemptReverseKl(
            spec=spec,
            benchmarks=benchmarks,
            trainer=trainer,
            teacher=models.teacher,
            attempt=attempt,
        )
        reverse_kl.run(stages.BASELINE, phase=JobPhase.BASELINE_EVALUATION)
        _train(attempt, spec, trainer, evaluation, engine=models.student_engine)
        evaluation.run(stages.FINAL, phase=JobPhase.EVALUATING, engine=models.student_engine)
        reverse_kl.run(stages.FINAL, phase=JobPhase.EVALUATING)
        models.student_engine.rest()
        if spec.evaluation.evaluate_teacher:
            assert models.teacher_engine is not None, "refused at submission"
            assert isinstance(models.teacher, LocalTeacher)
            with present(models.teacher.model):
                evaluation.run(
                    stages.TEACHER, phase=JobPhase.EVALUATING, engine=models.teacher_engine
                )


def _train(
    attempt: Attempt,
    spec: JobSpec,
    trainer: Trainer,
    evaluation: AttemptEvaluation,
    *,
    engine: RolloutEngine,
) -> None:
    recorder, stop = attempt.recorder, attempt.stop
    checkpoints = AttemptCheckpoints(attempt, keep_last=spec.checkpoint.keep_last)
    saved_update = trainer.update

    def checkpoint(final: bool) -> None:  # noqa: FBT001 the trainer's callback
        nonlocal saved_update
        checkpoints.save(trainer, final=final)
        saved_update = trainer.update

    def evaluate(step: int) -> None:
        if _is_evaluated_after(step, spec) and not stop.is_set():
            try:
                samples = _evaluate_during_training(spec, evaluation, step=step, engine=engine)
                trainer.note_evaluation(samples)
            except StopRequestedError:
                return  # the trainer saves this step, and the next attempt goes on with its evaluation
            recorder.record_now(JobPhase.TRAINING)

    checkpoints.restore_newest(trainer)
    saved_update = trainer.update
    recorder.record_now(JobPhase.TRAINING)
    if not trainer.is_inside_step:
        evaluate(trainer.step)
    if stop.is_set():
        raise StopRequestedError  # the trainer would first make an update
    try:
        finished = trainer.train(
            on_update=recorder.record_update,
            on_step=evaluate,
            on_gradient_fidelity=recorder.record_now,
            on_checkpoint=checkpoint,
            should_stop=stop.is_set,
        )
    except (StopRequestedError, DriftgateError) as error:
        # A teacher's server that is waited for ends a step before it has begun: the steps before it are whole.
        is_cut = (
            isinstance(error, StopRequestedError) or error.code is ErrorCode.TEACHER_UNAVAILABLE
        )
        if is_cut and trainer.update > saved_update:
            checkpoint(final=False)
        raise
    finally:
        # What led to a failure is what its reader wants to see.
        recorder.flush()
    if not finished:
        raise StopRequestedError


def _is_evaluated_after(step: int, spec: JobSpec) -> bool:
    """The last step is the final evaluation's, on all problems."""
    during = spec.evaluation.during_training
    return during is not None and 0 < step < spec.steps and step % during.every_steps == 0


def _evaluate_during_training(
    spec: JobSpec, evaluation: AttemptEvaluation, *, step: int, engine: RolloutEngine
) -> Sequence[SampleRecord]:
    during = spec.evaluation.during_training
    assert during is not None
    return evaluation.run(
        stages.during_training(step),
        phase=JobPhase.EVALUATING,
        engine=engine,
        benchmarks=[
            pinned_subset(benchmark, max_problems=during.max_problems)
            for benchmark in evaluation.benchmarks
        ],
    )


def _training_prompts(
    attempt: Attempt,
    spec: JobSpec,
    tokenizer: PreTrainedTokenizerBase,
    benchmarks: Sequence[Benchmark],
) -> tuple[Prompt, ...]:
    """The prompts to train on, without those that overlap with a benchmark unless the spec keeps them."""
    source, field = spec.prompts.problems, "prompts.problems"
    problems = attempt.outlast_store(
        lambda: load_problems(
            source, settings=attempt.settings, split="training", field=field, graded=False
        )
    )
    report = prompt_overlap(
        problems,
        {each.name: [prompt.problem for prompt in each.prompts] for each in benchmarks},
    )
    if spec.prompts.drop_overlapping:
        problems = without_overlap(problems, report, field=field)
    _record_overlap(attempt, report, is_dropped=spec.prompts.drop_overlapping)
    return encode_prompts(
        problems,
        source=source,
        prompt_format=spec.prompts.format,
        tokenizer=tokenizer,
        max_prompt_tokens=spec.rollout.max_prompt_tokens,
        field=field,
    )


def _record_overlap(attempt: Attempt, report: OverlapReport, *, is_dropped: bool) -> None:
    for each in report.by_benchmark:
        attempt.recorder.record_now(
            PromptOverlapRecord(
                benchmark=each.benchmark,
                num_prompts=each.num_prompts,
                num_overlapping=each.num_overlapping,
                num_dropped=each.num_overlapping if is_dropped else 0,
                examples=tuple(
                    (example.prompt_id, example.problem_id, example.share)
                    for example in each.examples
                ),
            )
        )
