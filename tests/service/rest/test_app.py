import subprocess
import sys

import pytest

from service.jobs.catalog import Metric


def test_the_api_process_holds_no_torch():
    program = (
        "import sys; import service.rest.app, service.rest.server, service.reconciler; "
        "print(sorted({name.partition('.')[0] for name in sys.modules} "
        "& {'torch', 'transformers', 'vllm', 'worker'}))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "[]"


def test_the_catalogues_are_served(api):
    metrics = api.get("/v1/metrics").json()
    assert [metric["name"] for metric in metrics] == [metric.value for metric in Metric]
    assert {"name": "drift/mean_abs", "unit": "nats", "meaning": "Mean of |d|."} in metrics
    assert len(api.get("/v1/presets").json()) == 6


def test_the_page_is_served_with_its_files(api):
    page = api.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "static/main.js" in page.text
    assert "javascript" in api.get("/static/main.js").headers["content-type"]


def test_every_reference_of_the_description_resolves(api):
    description = api.get("/openapi.json").json()
    schemas = description["components"]["schemas"]
    references = list(_references(description))
    assert {"#/components/schemas/ProblemDetails", "#/components/schemas/JobSpec"} <= set(
        references
    )
    assert [one for one in references if one.rpartition("/")[2] not in schemas] == []
    operations = [one for path in description["paths"].values() for one in path.values()]
    assert all(one["summary"] for one in operations)


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_no_page_loads_scripts_from_elsewhere(api, path):
    assert api.get(path).status_code == 404


def _references(part):
    match part:
        case dict():
            yield from (value for key, value in part.items() if key == "$ref")
            for value in part.values():
                yield from _references(value)
        case list():
            for value in part:
                yield from _references(value)
