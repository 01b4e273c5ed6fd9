import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import DriftgateError, ErrorCode
from service.job_commands.spec_files import read_spec


@pytest.fixture
def file_with(tmp_path):
    def write(text):
        path = tmp_path / "job.yaml"
        path.write_text(text)
        return str(path)

    return write


def test_json_is_yaml_and_dates_become_their_text(file_with):
    assert read_spec(file_with('{"steps": 5, "lora": null}')) == {"steps": 5, "lora": None}
    assert read_spec(file_with("labels: {day: 2026-01-02}")) == {"labels": {"day": "2026-01-02"}}


def test_values_are_set_by_their_path_and_read_as_yaml(file_with):
    file = file_with("steps: 5\nlora: null\nevaluation: {benchmarks: [{name: a}, {name: b}]}")
    overrides = [
        "steps=7",
        "lora.rank=4",
        "evaluation.benchmarks.1.name=c=d",
        "labels={team: x}",
        "gate.granularity=none",
    ]
    assert read_spec(file, overrides=overrides) == {
        "steps": 7,
        "lora": {"rank": 4},
        "evaluation": {"benchmarks": [{"name": "a"}, {"name": "c=d"}]},
        "labels": {"team": "x"},
        "gate": {"granularity": "none"},
    }


@pytest.mark.parametrize(
    ("text", "overrides", "message"),
    [
        ("steps: [", (), "allowed: YAML or JSON"),
        ("- a list", (), "given a list, allowed: a job spec"),
        ("", (), "given nothing, allowed: a job spec"),
        ("text", (), "given a text, allowed: a job spec"),
        ("steps: .nan", (), "allowed: what JSON can say"),
        ("a: &a [*a]", (), "allowed: what JSON can say"),
        ("!!python/object/apply:os.getcwd []", (), "allowed: YAML or JSON"),
        ("steps: 5", ("steps",), "given steps, allowed: FIELD=VALUE"),
        ("steps: 5", ("steps.more=1",), "allowed: a field that has parts"),
        ("steps: [1, 2]", ("steps.2=1",), "given 2, allowed: 0 to 1"),
        ("steps: [1, 2]", ("steps.x=1",), "given x, allowed: 0 to 1"),
    ],
)
def test_what_is_no_spec_is_refused_with_what_was_given(file_with, text, overrides, message):
    with pytest.raises(DriftgateError) as refusal:
        read_spec(file_with(text), overrides=overrides)
    assert refusal.value.code is ErrorCode.INVALID_SPEC
    assert message in refusal.value.message


@pytest.mark.parametrize(
    ("text", "line", "given"),
    [
        ("steps: 3\nseed: 1\nsteps: 5\n", 3, "steps, which is in line 1 already"),
        ('{"steps": 3,\n "steps": 3}', 2, "steps, which is in line 1 already"),
        ("gate:\n  kernel: exp\n  'kernel': hard", 3, "kernel, which is in line 2 already"),
        ("arms:\n- {name: a, name: b}", 2, "name, which is in line 2 already"),
        ("a: &a {x: 1}\nb: {<<: *a,\n <<: *a}", 3, "<<, which is in line 2 already"),
    ],
)
def test_a_field_that_is_given_twice_is_refused_with_its_file_and_line(
    file_with, text, line, given
):
    file = file_with(text)
    with pytest.raises(DriftgateError) as refusal:
        read_spec(file)
    (violation,) = refusal.value.violations
    assert refusal.value.code is ErrorCode.INVALID_SPEC
    assert (violation.field, violation.given) == (f"{file}, line {line}", given)
    assert violation.allowed == "every field once"


def test_a_field_that_is_given_twice_on_the_command_line_is_refused(file_with):
    with pytest.raises(DriftgateError, match="--set labels, line 1: given a, which is in line 1"):
        read_spec(file_with("steps: 5"), overrides=["labels={a: x, a: y}"])


def test_an_object_may_take_over_another_and_change_a_field_of_it(file_with):
    text = "a: {b: &b {x: 1, y: 2}}\nc: &c {<<: *b, x: 3}\nd: {e: {<<: *c, y: 4}}\nf: {<<: *c}"
    spec = read_spec(file_with(text))
    assert spec["d"]["e"] == {"x": 3, "y": 4}
    assert (spec["c"], spec["f"]) == ({"x": 3, "y": 2}, {"x": 3, "y": 2})


def test_files_that_cannot_be_read_are_refused(tmp_path):
    binary = tmp_path / "job.yaml"
    binary.write_bytes(b"steps: \xff")
    for file, message in (
        (tmp_path / "none", "No such file"),
        (tmp_path, "directory"),
        (binary, "UTF-8"),
    ):
        with pytest.raises(DriftgateError, match=message):
            read_spec(str(file))


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_any_text_is_a_spec_or_a_refusal(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8", newline="")
    try:
        assert isinstance(read_spec(str(path)), dict)
    except DriftgateError as refusal:
        assert refusal.code is ErrorCode.INVALID_SPEC  # noqa: PT017 both ends are legal
