"""One run of TRL's DistillationTrainer on the CPU, on-policy with reverse KL (β = 1)."""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from datasets import Dataset
from transformers.trainer_callback import PrinterCallback
from trl import DistillationConfig, DistillationTrainer

from benchmarks.trainer.arithmetic_models import fresh_model, tokenizer
from benchmarks.trainer.cpu_time import Work
from service.jobs.spec import OptimizerSpec

# As it comes: bfloat16 autocast, gradient checkpointing, 8 responses a batch.
DEFAULTS: dict[str, object] = {}
# What is fastest here: plain float32, nothing recomputed, all 64 responses of an update in one batch.
TUNED: dict[str, object] = {
    "bf16": False,
    "gradient_checkpointing": False,
    "per_device_train_batch_size": 64,
}


@dataclass(frozen=True, slots=True)
class TrlRun:
    """Reads `texts` once, in order."""

    texts: Sequence[str]
    settings: dict[str, object]
    optimizer: OptimizerSpec
    max_response_tokens: int

    def __call__(self, seed: int) -> Work:
        with tempfile.TemporaryDirectory() as folder:
            trainer = CountingTrainer(
                model=fresh_model("student"),
                teacher_model=fresh_model("teacher"),
                processing_class=tokenizer(),
                train_dataset=Dataset.from_dict({"prompt": list(self.texts)}),
                args=DistillationConfig(
                    output_dir=folder,
                    use_cpu=True,
                    num_train_epochs=1,
                    shuffle_dataset=False,
                    beta=1.0,
                    temperature=1.0,
                    max_completion_length=self.max_response_tokens,
                    learning_rate=self.optimizer.learning_rate,
                    lr_scheduler_type="constant",
                    weight_decay=self.optimizer.weight_decay,
                    max_grad_norm=self.optimizer.gradient_clip_norm,
                    seed=seed + 1,
                    save_strategy="no",
                    report_to="none",
                    disable_tqdm=True,
                    **self.settings,
                ),
            )
            torch.set_num_threads(1)
            trainer.remove_callback(PrinterCallback)
            started = time.process_time()
            trainer.train()
            seconds = time.process_time() - started
        return Work(trainer.num_completion_tokens, seconds)


class CountingTrainer(DistillationTrainer):
    """Counts the tokens that it samples; each is trained on once."""

    num_completion_tokens = 0

    def _generate_single_turn(self, *args: object, **kwargs: object) -> list[list[int]]:
        completions = super()._generate_single_turn(*args, **kwargs)
        self.num_completion_tokens += sum(map(len, completions))
        return completions
