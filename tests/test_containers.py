"""docker-compose.yml and Dockerfile held against what they speak of; no engine runs here."""

import re
from importlib.metadata import version

import pytest
import typer.main

from service.cli import app
from service.embedded import TRANSPORT_STOP_GRACE_S, WORKER_STOP_MARGIN_S
from service.health_command import Process
from service.settings import Settings, check_bind
from tests.compose_file import CHECKOUT, PASSWORDS, compose_config, resolve

DOCKERFILE = (CHECKOUT / "Dockerfile").read_text()
STAGES = re.findall(r"^FROM (\S+) AS (\S+)$", DOCKERFILE, flags=re.MULTILINE)
OURS = ("migrate", "api", "grpc", "reconciler", "worker", "worker-cpu")
DAEMONS = OURS[1:]


@pytest.fixture(scope="module")
def services():
    return compose_config()["services"]


def test_no_password_has_a_default():
    for name in PASSWORDS:
        others = {other: value for other, value in PASSWORDS.items() if other != name}
        refused = resolve(**others)
        assert refused.returncode != 0
        assert f"{name} is missing a value: set a password" in refused.stderr


def test_without_a_profile_everything_but_a_worker_starts():
    assert compose_config("--project-name", "driftgate")["services"].keys() == {
        *("postgres", "redis", "migrate", "api", "grpc", "reconciler"),
    }


def test_every_command_is_one_of_driftgate(services):
    commands = typer.main.get_command(app).commands
    assert {name for name, service in services.items() if "build" in service} == set(OURS)
    assert {services[name]["command"][0] for name in OURS} <= commands.keys()
    assert all(len(services[name]["command"]) == 1 for name in OURS)


def test_every_process_is_asked_for_its_own_health(services):
    for name in DAEMONS:
        test = services[name]["healthcheck"]["test"]
        assert test == ["CMD", "driftgate", "healthcheck", *services[name]["command"]]
        assert test[-1] in set(Process)
    for name in ("reconciler", "worker"):
        assert services[name]["environment"]["DRIFTGATE_HEALTH_FILE"].startswith("/tmp/")
    assert {"postgres", "redis"} <= {name for name in services if "healthcheck" in services[name]}


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting_that_takes_its_value(services, name, monkeypatch):
    environment = services[name]["environment"]
    known = {f"DRIFTGATE_{field.upper()}" for field in Settings.model_fields}
    assert environment.keys() <= known
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    settings = Settings()
    assert settings.resolved_database_url() == (
        "postgresql://driftgate:p0stgres@postgres:5432/driftgate"
    )
    assert settings.resolved_broker_url() == "redis://:r3dis@redis:6379/0"
    assert settings.api_key_sha256 == ()


def test_what_is_waited_for_can_come_true(services):
    for service in services.values():
        for other, wait in service.get("depends_on", {}).items():
            if wait["condition"] == "service_healthy":
                assert "healthcheck" in services[other]
            else:
                assert wait["condition"] == "service_completed_successfully"
                assert services[other]["restart"] == "no"
    assert all("migrate" in services[name]["depends_on"] for name in DAEMONS)


def test_every_process_is_given_longer_to_stop_than_it_takes(services):
    worker_needs_s = Settings().stop_grace_s + WORKER_STOP_MARGIN_S
    assert seconds(services["worker"]["stop_grace_period"]) > worker_needs_s
    assert seconds(services["worker-cpu"]["stop_grace_period"]) > worker_needs_s
    for name in ("postgres", "redis", "api", "grpc", "reconciler"):
        assert seconds(services[name]["stop_grace_period"]) > max(25, TRANSPORT_STOP_GRACE_S)


def test_images_are_pinned_and_ours_are_of_this_version(services):
    for name in ("postgres", "redis"):
        assert re.fullmatch(r"[a-z]+:\d+(\.\d+)*", services[name]["image"])
    for name in OURS:
        repository, _, tag = services[name]["image"].partition(":")
        assert tag == version("driftgate")
        assert repository == f"driftgate-{services[name]['build']['target']}"
    bases = {base for base, _ in STAGES} - {name for _, name in STAGES}
    assert bases == {"python:${PYTHON_VERSION}-slim"}
    assert re.search(r"^ARG PYTHON_VERSION=3\.1[123]$", DOCKERFILE, flags=re.MULTILINE)


def test_our_processes_hold_no_more_rights_than_they_need(services):
    for name in OURS:
        service = services[name]
        assert (service["init"], service["read_only"], service["tmpfs"]) == (True, True, ["/tmp"])
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    # Stages above this one only add files, and those below have no other user.
    runtime = DOCKERFILE[DOCKERFILE.index("AS runtime") :]
    assert re.findall(r"^USER (.*)$", runtime, flags=re.MULTILINE) == ["driftgate"]


def test_what_is_written_goes_to_the_volume(services):
    data_dir = re.search(r"DRIFTGATE_DATA_DIR=(\S+)", DOCKERFILE)[1]
    assert f"install -d -o driftgate -g driftgate {data_dir}" in DOCKERFILE
    for name in OURS:
        assert [volume["target"] for volume in services[name]["volumes"]] == [data_dir]


def test_only_this_host_reaches_the_ports_until_an_address_is_named(services):
    published = {
        name: [(port["host_ip"], port["published"]) for port in service["ports"]]
        for name, service in services.items()
        if "ports" in service
    }
    assert published == {
        "postgres": [("127.0.0.1", "5432")],
        "redis": [("127.0.0.1", "6379")],
        "api": [("127.0.0.1", str(Settings().http_port))],
        "grpc": [("127.0.0.1", str(Settings().grpc_port))],
    }
    # Inside they listen on every address, which keys of the database allow.
    check_bind(
        services["api"]["environment"]["DRIFTGATE_HTTP_HOST"], Settings(), has_stored_keys=True
    )


def test_the_broker_keeps_a_log_and_refuses_rather_than_forgets(services):
    command = services["redis"]["command"]
    assert command == [
        *("redis-server", "--appendonly", "yes", "--maxmemory-policy", "noeviction"),
        *("--requirepass", "r3dis"),
    ]
    assert services["redis"]["volumes"][0]["target"] == "/data"


def test_a_gpu_worker_reserves_a_device_and_a_cpu_worker_none(services):
    (device,) = services["worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["count"], device["capabilities"]) == ("nvidia", 1, ["gpu"])
    assert services["worker"]["environment"]["DRIFTGATE_WORKER_DEVICE"] == "cuda"
    assert "deploy" not in services["worker-cpu"]
    assert services["worker-cpu"]["environment"]["DRIFTGATE_WORKER_DEVICE"] == "cpu"


def test_a_worker_of_another_host_finds_servers_and_artifacts():
    worker = compose_config(
        POSTGRES_ADDRESS="10.0.0.1:5432",
        REDIS_ADDRESS="10.0.0.1:6379",
        DATA_VOLUME="/mnt/driftgate",
        TORCH_INDEX_URL="https://download.pytorch.org/whl/cu130",
    )["services"]["worker"]
    environment = worker["environment"]
    assert environment["DRIFTGATE_DATABASE_URL"].endswith("@10.0.0.1:5432/driftgate")
    assert environment["DRIFTGATE_BROKER_URL"] == "redis://:r3dis@10.0.0.1:6379/0"
    (volume,) = worker["volumes"]
    assert (volume["type"], volume["source"]) == ("bind", "/mnt/driftgate")
    assert worker["build"]["args"] == {"TORCH_INDEX_URL": "https://download.pytorch.org/whl/cu130"}


def test_every_stage_and_file_that_the_images_are_made_of_exists(services):
    names = [name for _, name in STAGES]
    assert {services[name]["build"]["target"] for name in OURS} <= set(names)
    assert set(re.findall(r"^COPY --from=(\S+)", DOCKERFILE, flags=re.MULTILINE)) <= set(names)
    copies = re.findall(r"^COPY (?!--)(.*) \S+$", DOCKERFILE, flags=re.MULTILINE)
    paths = {path for sources in copies for path in sources.split()}
    assert all((CHECKOUT / path).exists() for path in paths)
    # Nothing else reaches the builder: no data, no file of passwords.
    first, *others = [
        line
        for line in (CHECKOUT / ".dockerignore").read_text().splitlines()
        if not line.startswith("#")
    ]
    assert first == "*"
    assert {line[1:] for line in others if line.startswith("!")} == paths


def test_no_secret_goes_into_an_image():
    words = re.findall(r"^ARG (\w+)=|^(?:ENV| +)\s*([A-Z_]+)=", DOCKERFILE, flags=re.MULTILINE)
    names = {name for pair in words for name in pair if name}
    assert {"TORCH_INDEX_URL", "DRIFTGATE_DATA_DIR"} <= names
    assert not [name for name in names if re.search(r"SECRET|PASSWORD|TOKEN|KEY", name)]


def seconds(duration: str) -> float:
    """Of a duration as Compose writes it: 1m30s."""
    unit_s = {"h": 3600, "m": 60, "s": 1}
    return sum(
        float(number) * unit_s[unit] for number, unit in re.findall(r"([\d.]+)([hms])", duration)
    )
