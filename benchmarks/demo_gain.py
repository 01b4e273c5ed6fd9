"""Does the demo's gain hold over seeds? `python benchmarks/demo_gain.py --seeds 1-20 [--objective teacher_topk]`.

Runs the demo's jobs through the trainer as a library, one process, and prints the paired difference of
each with its 95 % interval; the figures are those of the jobs that the service runs.
"""

import argparse
import json
from pathlib import Path

import torch

from service.demo.jobs import demo_specs
from service.jobs.problem_text import problem_sha256
from service.jobs.results import Estimate
from service.jobs.spec import JobSpec
from service.preflight.models import download_model
from service.preflight.problem_hashes import problems_sha256
from service.preflight.problems import load_problems
from service.settings import Settings
from service.statistics.comparison import paired_estimate
from service.statistics.counts import Counts
from worker.evaluation.evaluate import draw_samples, summarise
from worker.evaluation.grader import Grader
from worker.evaluation.plan import Benchmark, plan_batches
from worker.rollouts.prompts import encode_prompts
from worker.rollouts.transformers_engine import TransformersEngine
from worker.training.models import eos_token_ids, load_causal_lm, load_tokenizer, pad_token_id
from worker.training.teacher import LocalTeacher
from worker.training.trainer import Trainer

CPU = torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="1-20", help="first-last")
    parser.add_argument("--objective", default="teacher_topk")
    parser.add_argument("--output", type=Path, default=Path("var/bench/demo_gain.jsonl"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    first, last = map(int, options.seeds.split("-"))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    for seed in range(first, last + 1):
        for spec in demo_specs(seed):
            if spec.objective.type != options.objective:
                continue
            gains = gains_of(spec)
            print(
                f"seed {seed:3d}  {spec.name:28s}", *(text_of(k, gain) for k, gain in gains.items())
            )
            with options.output.open("a") as file:
                row = {"seed": seed, "name": spec.name}
                row |= {f"pass_at_{k}": gain.model_dump() for k, gain in gains.items()}
                file.write(json.dumps(row) + "\n")


def text_of(k: int, gain: Estimate) -> str:
    holds = "excludes 0" if gain.low > 0 or gain.high < 0 else "holds 0"
    return f"  pass@{k} {gain.estimate:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}] {holds}"


def gains_of(spec: JobSpec) -> dict[int, Estimate]:
    """After minus before, by k, on the job's benchmark."""
    settings = Settings()
    folder = download_model(spec.student, settings=settings, field="student")
    tokenizer = load_tokenizer(folder)
    student = load_causal_lm(folder, device=CPU, dtype=torch.float32)
    teacher_folder = download_model(spec.teacher, settings=settings, field="teacher")
    engine = TransformersEngine(
        student,
        eos_token_ids=eos_token_ids(student, tokenizer),
        pad_token_id=pad_token_id(tokenizer),
        device=CPU,
        max_batch_size=spec.compute.rollout_batch_size,
    )

    def prompts_of(source: object, split: str) -> tuple:
        problems = load_problems(
            source, settings=settings, split=split, field="problems", graded=split != "training"
        )
        prompts = encode_prompts(
            problems,
            source=source,
            prompt_format=spec.prompts.format,
            tokenizer=tokenizer,
            max_prompt_tokens=spec.rollout.max_prompt_tokens,
            field="problems",
        )
        return problems, prompts

    (benchmark,) = spec.evaluation.benchmarks
    held_out, held_out_prompts = prompts_of(benchmark.problems, "held-out")

    measured = Benchmark(
        spec=benchmark,
        prompts=held_out_prompts,
        problem_sha256s=tuple(map(problem_sha256, held_out)),
        problems_sha256=problems_sha256(held_out),
        sampling_sha256="",
        num_samples=spec.evaluation.samples_of(benchmark),
    )

    def counts(stage: str) -> Counts:
        with Grader() as grader:
            samples = [
                sample
                for batch in plan_batches([measured], batch_size=spec.compute.rollout_batch_size)
                for sample in draw_samples(
                    batch,
                    {measured.name: measured},
                    engine=engine,
                    tokenizer=tokenizer,
                    grader=grader,
                    spec=spec.evaluation,
                )
            ]
        record = summarise(measured, samples, stage=stage, spec=spec.evaluation)
        return Counts(
            n=tuple(problem.n for problem in record.problems),
            c=tuple(problem.c for problem in record.problems),
        )

    before = counts("baseline")
    Trainer(
        spec,
        student=student,
        teacher=LocalTeacher(
            load_causal_lm(teacher_folder, device=CPU, dtype=torch.float32),
            objective=spec.objective,
        ),
        tokenizer=tokenizer,
        prompts=prompts_of(spec.prompts.problems, "training")[1],
        engine=engine,
        device=CPU,
    ).train(on_update=lambda _: None, on_checkpoint=lambda _: None, should_stop=lambda: False)
    after = counts("final")
    return {k: paired_estimate(before, after, k) for k in spec.evaluation.k}


if __name__ == "__main__":
    main()
