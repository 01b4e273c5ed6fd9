import shutil

import pytest

from service.catalogues import list_benchmarks, list_models
from service.preflight.folder_signature import BUILTIN_FOLDER


@pytest.fixture
def model_root(settings_factory):
    settings = settings_factory()
    settings.resolved_model_root().mkdir(parents=True)
    return settings, settings.resolved_model_root()


def test_builtin_models_come_with_their_sizes(settings_factory):
    catalogue = list_models(settings_factory())
    by_name = {model.model: model for model in catalogue.models}
    student = by_name["builtin/arithmetic-student"]
    assert student.origin == "builtin"
    assert student.problem is None
    assert student.num_parameters > 50_000
    assert student.vocab_size > 10
    assert "Qwen/*" in catalogue.hub_allow


def test_a_folder_below_the_root_is_listed_and_one_without_a_config_is_not(model_root):
    settings, root = model_root
    shutil.copytree(BUILTIN_FOLDER / "arithmetic-student", root / "copied")
    (root / "an-organisation").mkdir()
    (root / "note.txt").touch()
    local = [model for model in list_models(settings).models if model.origin == "local"]
    assert [(model.model, model.problem) for model in local] == [("copied", None)]


def test_a_model_that_a_job_could_not_use_says_why(model_root):
    settings, root = model_root
    shutil.copytree(BUILTIN_FOLDER / "arithmetic-student", root / "broken")
    (root / "broken" / "model.safetensors").unlink()
    (broken,) = [model for model in list_models(settings).models if model.origin == "local"]
    assert "model.safetensors" in broken.problem
    assert broken.num_parameters is None


def test_benchmarks_say_where_their_problems_come_from(settings_factory, tmp_path):
    (tmp_path / "math500.jsonl").touch()
    settings = settings_factory(benchmarks_dir=tmp_path)
    benchmarks = {one.name: one for one in list_benchmarks(settings).benchmarks}
    assert benchmarks["math500"].origin == "folder"
    assert benchmarks["aime24"].origin == "hub"
    assert benchmarks["aime25"].origin == "nowhere"
    assert benchmarks["gsm8k"].is_benchmark is False
