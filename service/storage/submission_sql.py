"""The statements of a submission.

On PostgreSQL it is one, for a round trip costs more than an insert. SQLite has no inserts inside a WITH.
"""

from service.jobs.state import JobState

GIVEN = (
    *("id", "name", "kind", "model", "teacher_model", "labels", "priority", "api_key_id", "queue"),
    *("needs_device", "needs_memory_bytes", "spec", "spec_version", "warnings"),
)
FIRST = {
    "state": f"'{JobState.QUEUED}'",
    "version": "1",
    "last_event_seq": "1",
    **dict.fromkeys(
        ("step", "update_index", "evaluated_samples", "samples_to_evaluate", "lease_epoch"), "0"
    ),
    "attempts_without_progress": "0",
}
# The type is said, because a null has none.
POSTGRES_TYPES = {
    **dict.fromkeys(("labels", "spec", "warnings"), "json"),
    **dict.fromkeys(("priority", "needs_memory_bytes", "spec_version"), "bigint"),
}
FIRST_EVENT = f"1, {{at}}, 'state_changed', '{JobState.QUEUED}', 0, 'Submitted.'"
EVENT_COLUMNS = "(job_id, seq, at, type, state, attempt, message)"
KEY_COLUMNS = "(caller, key, request_sha256, job_id, created_at)"
SOMEONE_LISTENS = "EXISTS (SELECT 1 FROM webhooks WHERE enabled) AS someone_listens"

_columns = ", ".join([*GIVEN, *FIRST, "change_seq", "created_at", "updated_at"])
_first = ", ".join(FIRST.values())
_given_postgres = ", ".join(f"%({name})s::{POSTGRES_TYPES.get(name, 'text')}" for name in GIVEN)
_given_sqlite = ", ".join(f":{name}" for name in GIVEN)

# No row comes back, and nothing was written, where the key is taken; or where a webhook listens, unless
# `is_in_transaction`: what it is to be told is written in the same transaction, by a statement of its own. The clock is
# PostgreSQL's, since leases are counted by it.
SUBMIT_POSTGRES = f"""
WITH listening AS (
  SELECT {SOMEONE_LISTENS}
), idempotency AS (
  INSERT INTO idempotency_keys {KEY_COLUMNS}
  SELECT %(caller)s::text, %(key)s::text, %(request_sha256)s::text, %(id)s::text, statement_timestamp()
  FROM listening
  WHERE %(key)s::text IS NOT NULL AND (%(is_in_transaction)s OR NOT someone_listens)
  ON CONFLICT DO NOTHING
  RETURNING job_id
), job AS (
  INSERT INTO jobs ({_columns})
  SELECT {_given_postgres}, {_first},
         pg_current_xact_id()::text::bigint, statement_timestamp(), statement_timestamp()
  FROM listening
  WHERE (%(is_in_transaction)s OR NOT someone_listens)
    AND (%(key)s::text IS NULL OR EXISTS (SELECT 1 FROM idempotency))
  RETURNING id, created_at
), event AS (
  INSERT INTO job_events {EVENT_COLUMNS}
  SELECT id, {FIRST_EVENT.format(at="created_at")} FROM job
), labels AS (
  INSERT INTO job_labels (job_id, key, value)
  SELECT job.id, label.key, label.value FROM job, json_each_text(%(labels)s::json) AS label
)
SELECT created_at, someone_listens FROM job, listening
"""

# Asked while the write lock is held, so it stays so.
ASK_SQLITE = f"""
SELECT {SOMEONE_LISTENS},
       EXISTS (SELECT 1 FROM idempotency_keys WHERE caller = :caller AND key = :key) AS key_is_taken
"""
INSERT_JOB_SQLITE = f"""
INSERT INTO jobs ({_columns})
VALUES ({_given_sqlite}, {_first},
        max((SELECT coalesce(max(change_seq), 0) FROM jobs),
            (SELECT coalesce(max(change_seq), 0) FROM deleted_jobs)) + 1,
        :now, :now)
"""
INSERT_EVENT_SQLITE = f"""
INSERT INTO job_events {EVENT_COLUMNS} VALUES (:id, {FIRST_EVENT.format(at=":now")})
"""
INSERT_LABELS_SQLITE = """
INSERT INTO job_labels (job_id, key, value) SELECT :id, key, value FROM json_each(:labels)
"""
INSERT_KEY_SQLITE = f"""
INSERT INTO idempotency_keys {KEY_COLUMNS} VALUES (:caller, :key, :request_sha256, :id, :now)
"""
