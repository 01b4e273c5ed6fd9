"""The catalogue of metrics: every name the recorder may write, with unit and meaning."""

from enum import StrEnum
from typing import Self


class Metric(StrEnum):
    """Metric names, `group/name`, one value per optimiser update unless said otherwise."""

    unit: str
    meaning: str

    def __new__(cls, name: str, unit: str, meaning: str) -> Self:
        member = str.__new__(cls, name)
        member._value_ = name
        member.unit = unit
        member.meaning = meaning
        return member

    LOSS = ("train/loss", "nats", "Gated token-mean loss of the update.")
    GRADIENT_NORM = ("train/gradient_norm", "1", "Global gradient norm before clipping.")
    LEARNING_RATE = ("train/learning_rate", "1", "Learning rate of the update.")
    NUM_TOKENS = ("train/num_tokens", "tokens", "Valid response tokens of the update.")
    SKIPPED = ("train/skipped", "1", "1 where the update had no valid token and was skipped.")
    CLIP_FRACTION = (
        "objective/clip_fraction",
        "1",
        "Share of valid tokens whose gradient the PPO or dual clip zeroed (sampled token).",
    )
    TEACHER_LOG_RATIO = (
        "objective/teacher_log_ratio",
        "nats",
        "Mean of log pi_old − log q over sampled tokens: the sampled reverse KL to the teacher.",
    )
    SUPPORT_MASS = (
        "objective/support_mass",
        "1",
        "Mean student probability inside the teacher's top-K support.",
    )
    DRIFT_MEAN = ("drift/mean", "nats", "Mean of d = log pi_cur − log pi_old, valid tokens.")
    DRIFT_MEAN_ABS = ("drift/mean_abs", "nats", "Mean of |d|.")
    DRIFT_K3 = ("drift/k3", "nats", "Mean of e^d − 1 − d.")
    GATE_STD = ("gate/std", "1", "Standard deviation of the normalised gate over valid tokens.")
    GATE_MIN = ("gate/min", "1", "Smallest normalised gate.")
    GATE_MAX = ("gate/max", "1", "Largest normalised gate.")
    GATE_EFFECTIVE_SAMPLE_SIZE = (
        "gate/effective_sample_size",
        "1",
        "(Σ w)² / (n Σ w²): 1 where the gate does nothing.",
    )
    GATE_STRENGTH = ("gate/strength", "1/nat", "Strength τ in force, also where adaptive.")
    GATE_SCOPES_CLOSED = (
        "gate/scopes_closed",
        "1",
        "Normalisation scopes whose mean gate was below 1e-8.",
    )
    ROLLOUT_SECONDS = ("rollout/seconds", "s", "Generation; on the first update of a step.")
    ROLLOUT_RESPONSE_TOKENS = (
        "rollout/response_tokens",
        "tokens",
        "Sampled tokens of the step; on its first update.",
    )
    ROLLOUT_MEAN_LENGTH = (
        "rollout/mean_length",
        "tokens",
        "Mean response length of the step; on its first update.",
    )
    ROLLOUT_FRACTION_TRUNCATED = (
        "rollout/fraction_truncated",
        "1",
        "Responses that ran into the length limit; on the first update of a step.",
    )
    SYNC_SECONDS = (
        "rollout/sync_seconds",
        "s",
        (
            "Handing the student's weights to a rollout engine that holds a copy, and the parity probe; on the "
            "first update of a step."
        ),
    )
    PARITY_GAP = (
        "rollout/parity_gap",
        "nats",
        (
            "Largest difference between the log-probs that trainer and rollout engine give the tokens of the "
            "parity probe, after the last sync; on the first update of a step."
        ),
    )
    ROLLOUT_TOKENS_PER_SECOND = (
        "rollout/tokens_per_second",
        "tokens/s",
        "Response tokens sampled a second of generation; on the first update of a step.",
    )
    ROLLOUT_MFU = (
        "rollout/mfu",
        "1",
        (
            "Model FLOPs of generation (2 a parameter and token, and attention) over its seconds and the measured peak "
            "of the job's devices; on the first update of a step."
        ),
    )
    SCORE_SECONDS = (
        "score/seconds",
        "s",
        "Scoring by teacher and behaviour policy; on the first update of a step.",
    )
    SCORE_TOKENS_PER_SECOND = (
        "score/tokens_per_second",
        "tokens/s",
        "Prompt and response tokens that the teacher scored a second of scoring; on the first update of a step.",
    )
    SCORE_MFU = (
        "score/mfu",
        "1",
        (
            "Model FLOPs of scoring (2 a parameter and token, and attention), teacher and student, over its seconds "
            "and the measured peak; on the first update of a step, absent where a server scores."
        ),
    )
    UPDATE_SECONDS = ("train/update_seconds", "s", "Forward, backward and optimiser.")
    UPDATE_TOKENS_PER_SECOND = (
        "train/tokens_per_second",
        "tokens/s",
        "Prompt and response tokens of the update, without padding, a second of it.",
    )
    UPDATE_MFU = (
        "train/mfu",
        "1",
        (
            "Model FLOPs of the update (6 a parameter and token, 4 where it is frozen, and attention; what is computed "
            "twice counts once) over its seconds and the measured peak of the job's devices."
        ),
    )
    EVALUATION_TOKENS_PER_SECOND = (
        "evaluation/tokens_per_second",
        "tokens/s",
        "Response tokens sampled a second of the last evaluation; on the first update after it.",
    )
    EVALUATION_MFU = (
        "evaluation/mfu",
        "1",
        (
            "Model FLOPs of the last evaluation's sampling over its seconds and the measured peak; on the first update "
            "after it."
        ),
    )
    TOTAL_TOKENS = ("train/total_tokens", "tokens", "Response tokens sampled so far.")
    PEAK_MEMORY_BYTES = ("system/peak_memory", "bytes", "Peak memory of the training process.")
