"""The yardstick: the same two requests on FastAPI and SQLAlchemy with nothing around them.

One table, one insert, one select by key, the body as one pydantic model, the answer as FastAPI makes it. No
idempotency, no events, no checks of models, no access control.
"""

import json
import os
import uuid
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import JSON, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Table(DeclarativeBase):
    type_annotation_map = {dict[str, Any]: JSON}  # noqa: RUF012 read once by SQLAlchemy


class JobRow(Table):
    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str | None]
    state: Mapped[str]
    spec: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class Job(BaseModel):
    id: str
    name: str | None
    state: str
    spec: dict[str, Any]
    created_at: datetime


engine = create_engine(os.environ["LEAN_DATABASE_URL"])
Table.metadata.create_all(engine)
app = FastAPI()


@app.post("/v1/jobs", status_code=201)
def create_job(spec: dict[str, Any]) -> Job:
    with Session(engine, expire_on_commit=False) as session, session.begin():
        row = JobRow(
            id=uuid.uuid4().hex,
            name=spec.get("name"),
            state="queued",
            spec=json.loads(json.dumps(spec)),
            created_at=datetime.now(UTC),
        )
        session.add(row)
    return _job(row)


@app.get("/v1/jobs/{job_id}")
def get_job(job_id: str) -> Job:
    with Session(engine) as session:
        row = session.get(JobRow, job_id)
        if row is None:
            raise HTTPException(404)
        return _job(row)


def _job(row: JobRow) -> Job:
    return Job(id=row.id, name=row.name, state=row.state, spec=row.spec, created_at=row.created_at)
