# Two images from one wheel: `api` (REST, gRPC, reconciler, migrations; no torch) and `worker`.
FROM python:3.11-slim AS wheel
WORKDIR /source
RUN pip install --no-cache-dir build==1.6.1
COPY . .
RUN python -m build --wheel --outdir /wheels

FROM python:3.11-slim AS api
COPY requirements/main.txt /requirements.txt
COPY --from=wheel /wheels /wheels
RUN pip install --no-cache-dir --constraint /requirements.txt "$(ls /wheels/*.whl)[api]" \
 && useradd --create-home driftgate && install -d -o driftgate /var/lib/driftgate
USER driftgate
ENV DRIFTGATE_DATA_DIR=/var/lib/driftgate
ENTRYPOINT ["driftgate"]

FROM python:3.11-slim AS worker
COPY requirements/main.txt /requirements.txt
COPY --from=wheel /wheels /wheels
RUN pip install --no-cache-dir "$(grep '^torch==' /requirements.txt)" \
 && pip install --no-cache-dir --constraint /requirements.txt "$(ls /wheels/*.whl)[worker]" \
 && useradd --create-home driftgate && install -d -o driftgate /var/lib/driftgate
USER driftgate
ENV DRIFTGATE_DATA_DIR=/var/lib/driftgate
ENTRYPOINT ["driftgate", "worker"]
