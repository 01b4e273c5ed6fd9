# Two images from one wheel: `api` (REST, gRPC, reconciler, migrations; no torch) and `worker`.
# What changes rarely comes first: torch, then the pinned packages, then the wheel.
ARG PYTHON_VERSION=3.11

FROM python:${PYTHON_VERSION}-slim AS wheel
WORKDIR /source
RUN pip install --no-cache-dir build==1.6.1 hatchling==1.33.0
COPY pyproject.toml README.md ./
COPY service service
COPY worker worker
COPY migrations migrations
RUN python -m build --wheel --no-isolation --outdir /wheels

# The packages that each extra names, without the code, so that a change of code installs nothing anew.
FROM python:${PYTHON_VERSION}-slim AS packages
WORKDIR /packages
COPY pyproject.toml .
RUN python -c "import tomllib; \
project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
[open(extra + '.txt', 'w').write('\n'.join(project['dependencies'] + project['optional-dependencies'][extra])) \
 for extra in ('api', 'worker')]"

FROM python:${PYTHON_VERSION}-slim AS api-environment
RUN python -m venv /opt/driftgate
COPY requirements/main.txt /requirements.txt
COPY --from=packages /packages/api.txt /packages.txt
RUN /opt/driftgate/bin/pip install --no-cache-dir --constraint /requirements.txt --requirement /packages.txt
COPY --from=wheel /wheels /wheels
RUN /opt/driftgate/bin/pip install --no-cache-dir --no-deps /wheels/*.whl

FROM python:${PYTHON_VERSION}-slim AS worker-environment
# The index decides for which devices torch is built: pip's own unless one is named, such as
# https://download.pytorch.org/whl/cu130 or https://download.pytorch.org/whl/cpu.
ARG TORCH_INDEX_URL=
RUN python -m venv /opt/driftgate
COPY requirements/main.txt /requirements.txt
RUN /opt/driftgate/bin/pip install --no-cache-dir ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} \
    "$(grep '^torch==' /requirements.txt)"
COPY --from=packages /packages/worker.txt /packages.txt
RUN /opt/driftgate/bin/pip install --no-cache-dir --constraint /requirements.txt --requirement /packages.txt
COPY --from=wheel /wheels /wheels
RUN /opt/driftgate/bin/pip install --no-cache-dir --no-deps /wheels/*.whl

# Whatever it writes goes below /var/lib/driftgate or to /tmp; the rest may be read-only.
FROM python:${PYTHON_VERSION}-slim AS runtime
RUN useradd --system --uid 10001 --home-dir /var/lib/driftgate driftgate \
 && install -d -o driftgate -g driftgate /var/lib/driftgate
ENV PATH=/opt/driftgate/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    OMP_NUM_THREADS=1 \
    HF_HOME=/var/lib/driftgate/hub \
    DRIFTGATE_DATA_DIR=/var/lib/driftgate
WORKDIR /var/lib/driftgate
USER driftgate
ENTRYPOINT ["driftgate"]

FROM runtime AS api
COPY --from=api-environment /opt/driftgate /opt/driftgate

FROM runtime AS worker
COPY --from=worker-environment /opt/driftgate /opt/driftgate
