from typer.testing import CliRunner

from service.cli import app
from service.job_commands.display import print_page
from service.job_commands.gradient_tables import EMPTY, gradient_page
from service.jobs.gradient_fidelity import (
    GradientFidelity,
    GradientMeasurement,
    WeightingAlignment,
)
from tests.worker_records import a_gradient_fidelity

SPEC = {
    "student": {"model": "builtin/arithmetic-student"},
    "teacher": {"model": "builtin/arithmetic-teacher"},
    "prompts": {"problems": {"source": "arithmetic", "num_problems": 20}},
    "rollout": {"max_prompt_tokens": 64, "max_response_tokens": 128},
}


def a_measurement(step: int, depth: int, *, half: float, **cosines: float | None):
    return GradientMeasurement(
        step=step,
        update=2 * step - 1,
        attempt=1,
        depth=depth,
        num_tokens=10,
        num_fresh_tokens=10,
        reverse_kl_nats=0.1,
        half_cosine=half,
        weightings=tuple(
            WeightingAlignment(weighting=name, cosine=cosine, norm_ratio=1.0)
            for name, cosine in cosines.items()
        ),
    )


def printed(capsys, fidelity: GradientFidelity) -> list[list[str]]:
    print_page(gradient_page(fidelity))
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_a_line_is_a_weighting_a_column_a_depth_and_a_cell_the_mean_over_steps(capsys):
    lines = printed(
        capsys,
        GradientFidelity(
            job_id="1",
            measurements=(
                a_measurement(3, 2, half=0.5, job=0.25, other=None),
                a_measurement(3, 8, half=0.4, job=-0.125, other=0.5),
                a_measurement(9, 2, half=0.7, job=0.75, other=None),
                a_measurement(9, 8, half=0.6, job=-0.375, other=None),
            ),
        ),
    )
    assert lines[0][-3:] == ["steps", "3,", "9."]
    assert lines[1] == ["weighting", "depth", "2", "depth", "8"]
    assert lines[2] == ["job", "+0.500", "-0.250"]
    # Of one step there is none: the mean is over the others.
    assert lines[3] == ["other", "–", "+0.500"]
    assert lines[4][-2:] == ["+0.600", "+0.500"]


def test_a_job_that_measures_nothing_says_how_to(capsys):
    print_page(gradient_page(GradientFidelity(job_id="1", measurements=())))
    assert capsys.readouterr().out.strip() == EMPTY


def test_the_command_prints_the_table_or_the_answer_of_the_service(rest_service, rest_client):
    job_id = rest_client.submit(SPEC).id
    lease = rest_service.jobs.claim(queue="default", owner="w", lease_s=60).lease
    rest_service.results.resume_from(lease, update=0)
    rest_service.results.record_gradient_fidelity(lease, a_gradient_fidelity(depth=4))

    def run(*arguments: str) -> str:
        command = ["gradient-fidelity", job_id, "--url", rest_service.url, *arguments]
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
        return result.stdout

    answer = GradientFidelity.model_validate_json(run("--json"))
    assert answer == rest_client.gradient_fidelity(job_id)
    assert [(one.depth, one.half_cosine) for one in answer.measurements] == [(4, 0.6)]
    assert ["job", "+0.500"] in [line.split() for line in run().splitlines()]
