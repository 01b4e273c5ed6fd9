"""Whole little trainings by any number of ranks, and the program that torchrun runs them in.

`torchrun … tests/worker/training/rank_runs.py FOLDER` trains every case and leaves what came of it in FOLDER.
"""

import copy
import json
import sys
from dataclasses import asdict, astuple
from pathlib import Path

import torch
from transformers import Qwen3ForCausalLM

from service.jobs.arithmetic import arithmetic_problems
from service.jobs.records import UpdateRecord
from service.jobs.spec import JobSpec
from worker.builtin_models import character_tokenizer, small_qwen3
from worker.ranks_joining import joined_ranks
from worker.rollouts.engine import RolloutRequest
from worker.rollouts.prompts import encode_prompts
from worker.rollouts.transformers_engine import TransformersEngine
from worker.training.distributed import ALONE, Ranks, Task
from worker.training.distributed_rollouts import EngineOfAll, ShardedTeacher
from worker.training.distributed_sharding import shard_model
from worker.training.models import checkpoint_layers, eos_token_ids
from worker.training.teacher import LocalTeacher
from worker.training.trainer import Trainer

CPU = torch.device("cpu")
TOP_K = {"type": "teacher_topk", "k": 4}
STRONG = {"strength": 20}

# Two updates, the second of which has drift. Micro-batches hold two responses: nine of them are two rounds for two ranks
# in one minibatch, and in the other a round in which one rank is idle.
TWICE = {"reuse": {"epochs": 2, "minibatches": 2}}
NINE_RESPONSES = {
    "rollout": {
        "prompts_per_step": 3,
        "samples_per_prompt": 3,
        "max_response_tokens": 12,
        "top_p": 1.0,
    }
}
CASES: dict[str, dict] = {
    "published block gate": {"gate": {"block_size": 4, **STRONG}, **TWICE, **NINE_RESPONSES},
    "no gate": {"gate": {"granularity": "none"}, "reuse": {"epochs": 1, "minibatches": 3}},
    "newline spans per sequence": {
        "gate": {
            "granularity": "newline_span",
            "min_span": 2,
            "max_span": 5,
            "normalization": "sequence",
            **STRONG,
        }
    },
    "adaptive token gate": {"gate": {"granularity": "token", "strength": {"adaptive": 0.5}}},
    "shuffled blocks": {
        "gate": {"block_size": 3, "direction": "shuffled", **STRONG},
        "compute": {"max_tokens_per_microbatch": 90, "layout": "packed"},
    },
    "a gate that closes": {
        "gate": {"granularity": "sequence", "kernel": "hard", "threshold": 1e-9},
    },
    "top-k with a block gate": {
        "objective": TOP_K,
        "gate": {"block_size": 4, **STRONG},
        "steps": 2,
        **TWICE,
    },
    "top-k with shuffled newline spans": {
        "objective": TOP_K,
        "gate": {"granularity": "newline_span", "min_span": 2, "direction": "shuffled", **STRONG},
        "compute": {"max_tokens_per_microbatch": 90, "gradient_checkpointing": True},
    },
    "one micro-batch for two ranks": {
        "rollout": {
            "prompts_per_step": 1,
            "samples_per_prompt": 1,
            "max_response_tokens": 12,
            "top_p": 1.0,
        },
        "reuse": {"epochs": 2, "minibatches": 1},
    },
}
# Their models have a head of its own beside the embeddings; the others' are tied.
UNTIED = frozenset({"no gate", "top-k with shuffled newline spans"})
MEASURED_CASE = "no gate"
CUT_CASE = "top-k with a block gate"
CUT_AFTER = 3  # updates: in the middle of a step of four


def spec_of(case: str) -> JobSpec:
    fields = {
        "student": {"model": "student"},
        "teacher": {"model": "teacher"},
        "prompts": {"problems": {"source": "arithmetic", "num_problems": 7}},
        "steps": 1,
        "reuse": {"epochs": 1, "minibatches": 2},
        "rollout": {
            "prompts_per_step": 3,
            "samples_per_prompt": 2,
            "max_response_tokens": 12,
            "top_p": 1.0,
        },
        "optimizer": {"learning_rate": 3e-3},
        "compute": {"max_tokens_per_microbatch": 90},
        "drift_map_block_size": 4,
    }
    return JobSpec.model_validate(fields | CASES[case])


def make_trainer(case: str, *, ranks: Ranks = ALONE, dtype: torch.dtype = torch.float64) -> Trainer:
    """In float64, where sums in another order differ by next to nothing."""
    spec, tokenizer = spec_of(case), character_tokenizer()
    student, teacher = (
        small_model(seed, tokenizer, is_tied=case not in UNTIED).to(dtype).eval() for seed in (1, 2)
    )
    teacher.requires_grad_(requires_grad=False)
    engine = TransformersEngine(
        student,
        eos_token_ids=eos_token_ids(student, tokenizer),
        pad_token_id=0,
        device=CPU,
        max_batch_size=64,
    )
    if spec.compute.gradient_checkpointing:
        checkpoint_layers(student)
    make_teacher = LocalTeacher
    if ranks.num_ranks > 1:
        make_teacher = ShardedTeacher
        for model in (student, teacher):
            shard_model(model, ranks=ranks, device=CPU)
    prompts = encode_prompts(
        arithmetic_problems(spec.prompts.problems, split="training"),
        source=spec.prompts.problems,
        prompt_format=spec.prompts.format,
        tokenizer=tokenizer,
        max_prompt_tokens=64,
        field="prompts",
    )
    return Trainer(
        spec,
        student=student,
        teacher=make_teacher(teacher, objective=spec.objective),
        tokenizer=tokenizer,
        prompts=prompts,
        engine=EngineOfAll(engine, model=student, ranks=ranks),
        device=CPU,
        ranks=ranks,
    )


def small_model(seed: int, tokenizer: object, *, is_tied: bool) -> Qwen3ForCausalLM:
    model = small_qwen3(tokenizer, seed=seed)
    if is_tied:
        return model
    config = copy.deepcopy(model.config)
    config.tie_word_embeddings = False
    torch.manual_seed(seed)
    return Qwen3ForCausalLM(config)


def train(
    trainer: Trainer, folder: Path, *, ranks: Ranks = ALONE, stop_after: int = 10**9
) -> list[UpdateRecord]:
    """The records of the updates; the last checkpoint is in the folder."""
    records: list[UpdateRecord] = []
    if ranks.rank > 0:
        follow(trainer, ranks=ranks)
        return records
    trainer.train(
        on_update=records.append,
        on_checkpoint=lambda _: trainer.save(folder),
        should_stop=lambda: trainer.update >= stop_after,
    )
    ranks.order(Task.END)
    return records


def follow(trainer: Trainer, *, ranks: Ranks) -> None:
    while (order := ranks.next_order()).task is not Task.END:
        trainer.follow(order.task, order.argument)


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    with joined_ranks() as ranks:
        for case in CASES:
            records = train(make_trainer(case, ranks=ranks), folder / case, ranks=ranks)
            if ranks.rank == 0:
                (folder / f"{case}.json").write_text(
                    json.dumps([asdict(each) for each in records], default=bytes.hex)
                )
        measure(folder, ranks=ranks)
        cut_off(folder, ranks=ranks)
        go_on(folder, ranks=ranks)


def measured_requests(trainer: Trainer) -> list[RolloutRequest]:
    """Five of other lengths, so that of two ranks one has more to do."""
    return [
        RolloutRequest(prompt.token_ids, seeds=(seed,))
        for seed, prompt in enumerate(trainer._prompts[:5])
    ]


def measure(folder: Path, *, ranks: Ranks = ALONE) -> None:
    """The distance to the teacher, response by response."""
    trainer = make_trainer(MEASURED_CASE, ranks=ranks)
    if ranks.rank > 0:
        follow(trainer, ranks=ranks)
        return
    found = sorted(astuple(each) for each in trainer.reverse_kl(measured_requests(trainer)))
    (folder / "reverse KL.json").write_text(json.dumps(found))
    ranks.order(Task.END)


def cut_off(folder: Path, *, ranks: Ranks) -> None:
    """Two ranks stop inside a step."""
    trainer = make_trainer(CUT_CASE, ranks=ranks)
    train(trainer, folder / "cut by two", ranks=ranks, stop_after=CUT_AFTER)


def go_on(folder: Path, *, ranks: Ranks) -> None:
    """Two ranks go on from where one process stopped inside a step."""
    trainer = make_trainer(CUT_CASE, ranks=ranks)
    if ranks.rank == 0:
        trainer.restore(folder / "cut by one")
    train(trainer, folder / "gone on by two", ranks=ranks)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
