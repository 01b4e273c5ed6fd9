"""End to end: the trainer against TRL's DistillationTrainer, in completion tokens per CPU second.

Same student, teacher, prompts, length limit, responses of an optimiser update and AdamW settings; each side
with its default objective: the sampled token with the block gate here, reverse KL there. The `same_loss` rows
run the top-K objective with K = the whole vocabulary (45 tokens), which at reuse 1 is exactly TRL's loss. TRL
runs once as it comes and once tuned for this machine; every ratio but `vs_trl_defaults` is to the faster.

Completion tokens are those that an update was made of: at reuse 4 a sampled token counts four times, since TRL
would have to sample four to make as many updates. Tokens sampled per CPU second stand beside that.
"""

import time
from collections.abc import Callable

from benchmarks.trainer.arithmetic_models import (
    CPU,
    DEMO_SPEC,
    engine_of,
    fresh_model,
    prompts,
    tokenizer,
)
from benchmarks.trainer.cpu_time import Work, interleaved_rates
from benchmarks.trainer.rows import Row, row
from benchmarks.trainer.trl_run import DEFAULTS, TUNED, TrlRun
from service.jobs.catalog import Metric
from service.jobs.loss_spec import Objective, SampledTokenObjective, TeacherTopKObjective
from service.jobs.records import UpdateRecord
from service.jobs.spec import JobSpec, ReuseSpec
from worker.training.teacher import LocalTeacher
from worker.training.trainer import Trainer

STEPS = 6
PROMPTS_PER_STEP = DEMO_SPEC.rollout.prompts_per_step
SAMPLES_PER_PROMPT = DEMO_SPEC.rollout.samples_per_prompt
WHOLE_VOCABULARY = TeacherTopKObjective(k=45)
SAMPLED = SampledTokenObjective()


def end_to_end_rows(*, repeats: int) -> list[Row]:
    rates = interleaved_rates(
        {
            "reuse1": our_run(SAMPLED, epochs=1),
            "reuse1.same_loss": our_run(WHOLE_VOCABULARY, epochs=1),
            "reuse4": our_run(SAMPLED, epochs=4),
            "trl.defaults": trl_run(DEFAULTS, steps=STEPS // 3),
            "trl.tuned": trl_run(TUNED, steps=STEPS),
        },
        repeats=repeats,
    )
    best = max(rates["trl.defaults"], rates["trl.tuned"])
    return [
        row("end_to_end.reuse1.speed_vs_trl", rates["reuse1"] / best, "ratio"),
        row("end_to_end.reuse1.same_loss.speed_vs_trl", rates["reuse1.same_loss"] / best, "ratio"),
        row(
            "end_to_end.reuse1.speed_vs_trl_defaults",
            rates["reuse1"] / rates["trl.defaults"],
            "ratio",
        ),
        row("end_to_end.reuse4.speed_vs_trl", rates["reuse4"] / best, "ratio"),
        row("end_to_end.reuse4.rollouts.speed_vs_trl", rates["reuse4"] / 4 / best, "ratio"),
        *(row(f"end_to_end.{name}.rate", rate, "tokens/CPU s") for name, rate in rates.items()),
    ]


def our_run(objective: Objective, *, epochs: int) -> Callable[[int], Work]:
    """A whole run of the library from fresh models."""

    def run(seed: int) -> Work:
        spec = spec_of(objective, epochs=epochs, seed=seed)
        student = fresh_model("student")
        trainer = Trainer(
            spec,
            student=student,
            teacher=LocalTeacher(fresh_model("teacher"), objective=spec.objective),
            tokenizer=tokenizer(),
            prompts=prompts(STEPS * PROMPTS_PER_STEP),
            engine=engine_of(student),
            device=CPU,
        )
        records: list[UpdateRecord] = []
        started = time.process_time()
        trainer.train(
            on_update=records.append, on_checkpoint=lambda _: None, should_stop=lambda: False
        )
        seconds = time.process_time() - started
        return Work(int(sum(each.metrics[Metric.NUM_TOKENS] for each in records)), seconds)

    return run


def spec_of(objective: Objective, *, epochs: int, seed: int) -> JobSpec:
    return DEMO_SPEC.model_copy(
        update={
            "objective": objective,
            "gate": DEMO_SPEC.gate.model_copy(update={"granularity": "block", "block_size": 16}),
            "steps": STEPS,
            "reuse": ReuseSpec(epochs=epochs),
            "seed": seed,
        }
    )


def trl_run(settings: dict[str, object], *, steps: int) -> Callable[[int], Work]:
    texts = [prompt.problem.problem for prompt in prompts(steps * PROMPTS_PER_STEP)]
    return TrlRun(
        texts=[text for text in texts for _ in range(SAMPLES_PER_PROMPT)],
        settings=settings,
        optimizer=DEMO_SPEC.optimizer,
        max_response_tokens=DEMO_SPEC.rollout.max_response_tokens,
    )
