import json
import shutil
from pathlib import Path

import pytest

from service.errors import DriftgateError, ErrorCode
from service.jobs.spec_fields import ModelSpec
from service.preflight.model_files import ModelFacts, read_model_facts
from service.preflight.models import download_model, resolve_model
from service.settings import Settings


def refusal_of(reference, settings, *, revision=None):
    with pytest.raises(DriftgateError) as refusal:
        resolve_model(
            ModelSpec(model=reference, revision=revision), settings=settings, field="student"
        )
    return refusal.value


def test_a_folder_below_the_model_root_is_found_by_relative_and_by_absolute_path(
    settings, make_model
):
    folder = make_model("family/tiny")

    for reference in ("family/tiny", str(folder), "family/../family/tiny"):
        assert resolve_model(ModelSpec(model=reference), settings=settings, field="s") == folder
        assert download_model(ModelSpec(model=reference), settings=settings, field="s") == folder


@pytest.mark.parametrize(
    "reference", ["../elsewhere/tiny", "/etc", "link", "a/../../elsewhere/tiny"]
)
def test_a_reference_that_leaves_the_model_root_is_refused_whether_or_not_it_exists(
    settings, make_model, tmp_path, reference
):
    make_model("tiny", root=tmp_path / "elsewhere")
    (tmp_path / "models" / "link").symlink_to(tmp_path / "elsewhere" / "tiny")

    refusal = refusal_of(reference, settings)

    assert refusal.code is ErrorCode.MODEL_OUTSIDE_ROOT
    assert refusal.violations[0].field == "student.model"
    assert refusal.violations[0].given == reference


def test_a_file_of_a_model_folder_that_links_out_of_the_root_is_refused(
    settings, make_model, tmp_path
):
    (tmp_path / "secret").write_text("{}")
    folder = make_model("tiny")
    (folder / "generation_config.json").symlink_to(tmp_path / "secret")

    refusal = refusal_of("tiny", settings)

    assert refusal.code is ErrorCode.MODEL_OUTSIDE_ROOT
    assert "generation_config.json" in refusal.message


@pytest.mark.parametrize(
    "reference",
    ["nowhere", "a/b/c", "x" * 400, "~root", "Tiny/a..b", "Tiny/a--b", "Tiny/a.git", "Tiny/a-"],
)
def test_a_folder_that_does_not_exist_is_not_found(settings, reference):
    assert refusal_of(reference, settings).code is ErrorCode.MODEL_NOT_FOUND


def test_a_link_that_leads_to_itself_is_not_found(settings):
    loop = settings.resolved_model_root() / "loop"
    loop.symlink_to(loop)

    assert refusal_of("loop", settings).code is ErrorCode.MODEL_NOT_FOUND


def test_an_unknown_builtin_model_is_refused_with_the_names_of_the_known(settings, monkeypatch):
    known = settings.resolved_model_root() / "arithmetic-student"
    known.mkdir()
    (known / "config.json").write_text("{}")
    monkeypatch.setattr("service.preflight.models.BUILTIN_FOLDER", settings.resolved_model_root())

    refusal = refusal_of("builtin/../../x", settings)

    assert refusal.code is ErrorCode.MODEL_NOT_FOUND
    assert refusal.violations[0].allowed == "builtin/arithmetic-student"


def test_a_revision_of_a_local_folder_is_refused(settings, make_model):
    make_model("tiny")

    refusal = refusal_of("tiny", settings, revision="v2")

    assert refusal.code is ErrorCode.INVALID_SPEC
    assert refusal.violations[0].field == "student.revision"


def test_a_hub_id_outside_the_allow_list_is_refused_with_the_list(settings):
    refusal = refusal_of("Evil/model", settings)

    assert refusal.code is ErrorCode.MODEL_NOT_ALLOWED
    assert "Tiny/*" in refusal.violations[0].allowed


@pytest.mark.parametrize("revision", ["../../refs", "/etc/hostname"])
def test_a_revision_that_is_a_path_is_refused(settings, revision):
    refusal = refusal_of("Tiny/model", settings, revision=revision)

    assert refusal.code is ErrorCode.INVALID_SPEC
    assert refusal.violations[0].field == "student.revision"


def broken(folder: Path, breakage: str) -> None:
    """One way each of spoiling a model folder."""
    breakages = {
        "no config": (folder / "config.json").unlink,
        "no tokenizer": (folder / "tokenizer.json").unlink,
        "no weights": (folder / "model.safetensors").unlink,
        "pickled": lambda: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
        "lfs pointer": lambda: (folder / "model.safetensors").write_text(
            "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
        ),
        "not json": lambda: (folder / "config.json").write_text("{"),
        "remote code": lambda: edit(folder / "config.json", auto_map={"AutoModel": "m.M"}),
        "remote tokenizer": lambda: edit(folder / "tokenizer_config.json", auto_map={"A": "t.T"}),
        "encoder": lambda: edit(folder / "config.json", architectures=["BertForMaskedLM"]),
        "no vocab_size": lambda: edit(folder / "config.json", vocab_size=None),
        "vocab_size too small": lambda: edit(folder / "config.json", vocab_size=8),
        "no vocabulary": lambda: edit(
            folder / "tokenizer.json", model={"vocab": {}}, added_tokens=[]
        ),
        "shard outside": lambda: shard(folder, "../other/model.safetensors"),
        "shard missing": lambda: shard(folder, "model-00001-of-00002.safetensors"),
    }
    breakages[breakage]()


def read_checked(settings: Settings) -> ModelFacts:
    folder = resolve_model(ModelSpec(model="tiny"), settings=settings, field="student")
    return read_model_facts(folder, reference="tiny", field="student")


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def shard(folder: Path, name: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": name}}))


@pytest.mark.parametrize(
    ("breakage", "reason"),
    [
        ("no config", "config.json is missing"),
        ("no tokenizer", "tokenizer.json is missing"),
        ("no weights", "neither model.safetensors nor"),
        ("pickled", "pickled (pytorch_model.bin)"),
        ("lfs pointer", "git-lfs pointer"),
        ("not json", "config.json is not JSON"),
        ("remote code", "config.json has an auto_map"),
        ("remote tokenizer", "tokenizer_config.json has an auto_map"),
        ("encoder", "not a causal language model"),
        ("no vocab_size", "names no vocab_size"),
        ("vocab_size too small", "vocab_size 8"),
        ("no vocabulary", "empty vocabulary"),
        ("shard outside", "'../other/model.safetensors', not a file beside it"),
        ("shard missing", "model-00001-of-00002.safetensors cannot be read"),
    ],
)
def test_a_model_folder_that_cannot_be_used_is_refused_with_the_reason(
    settings, make_model, breakage, reason
):
    broken(make_model("tiny"), breakage)

    with pytest.raises(DriftgateError) as refusal:
        read_checked(settings)

    assert refusal.value.code is ErrorCode.MODEL_INVALID
    assert reason in refusal.value.message


def test_facts_hold_added_tokens_and_every_eos_token(make_model):
    folder = make_model("tiny", symbols=["<pad>", "<eos>", "a"], config={"vocab_size": 9})
    edit(folder / "tokenizer.json", added_tokens=[{"id": 7, "content": "<end>"}])
    (folder / "generation_config.json").write_text('{"eos_token_id": [7]}')

    facts = read_model_facts(folder, reference="tiny", field="student")

    assert facts.token_ids == {"<pad>": 0, "<eos>": 1, "a": 2, "<end>": 7}
    # 7 by the generation config, which stands before the config, and 1 by the tokenizer.
    assert facts.eos_token_ids == {1, 7}
    assert (facts.vocab_size, facts.max_positions) == (9, 256)
    assert not facts.tokenizer.has_newline_token()


def test_an_eos_token_may_be_an_object_and_the_configs_may_name_none(make_model):
    folder = make_model("tiny", config={"eos_token_id": None})
    edit(folder / "tokenizer_config.json", eos_token={"content": "a"})
    tokens = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]

    facts = read_model_facts(folder, reference="tiny", field="s")

    assert facts.eos_token_ids == {tokens["a"]}


def test_a_unigram_vocabulary_numbers_its_tokens_in_order(make_model):
    folder = make_model("tiny")
    edit(folder / "tokenizer.json", model={"vocab": [["<unk>", 0.0], ["a", -1.5]]})

    assert read_model_facts(folder, reference="tiny", field="s").token_ids == {"<unk>": 0, "a": 1}


def test_weights_in_shards_are_accepted(settings, make_model):
    folder = make_model("tiny")
    shutil.copy(folder / "model.safetensors", folder / "model-1.safetensors")
    shard(folder, "model-1.safetensors")

    assert resolve_model(ModelSpec(model="tiny"), settings=settings, field="s") == folder


def test_a_tokenizer_that_is_written_anew_is_read_anew(make_model):
    folder = make_model("tiny")
    assert "<new>" not in read_model_facts(folder, reference="tiny", field="s").token_ids

    edit(folder / "tokenizer.json", added_tokens=[{"id": 5, "content": "<new>"}])

    assert read_model_facts(folder, reference="tiny", field="s").token_ids["<new>"] == 5
