"""Jobs that ended long ago can be dropped."""

from alembic import op

from shared.messaging.schema import ended_jobs_v1

revision = "0006"
down_revision = "0005"

# A job that an import names is shown with it. Runs with the rights of the migrating role, as dropping the jobs does.
_LISTED = """
CREATE FUNCTION accounts.drop_listed_jobs(kept interval, most integer) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = accounts, pg_temp AS $$
    WITH dropped AS (
        DELETE FROM listed_jobs WHERE (organization_id, id) IN (
            SELECT j.organization_id, j.id FROM listed_jobs j
            WHERE j.created_at < now() - kept AND (j.job->>'finished_at')::timestamptz < now() - kept
                AND NOT EXISTS (SELECT FROM listed_imports i WHERE i.organization_id = j.organization_id
                    AND (i.job_id = j.id OR i.undo_job_id = j.id))
            ORDER BY j.created_at LIMIT most)
        RETURNING 1)
    SELECT count(*)::integer FROM dropped
$$;
CREATE INDEX listed_jobs_age ON accounts.listed_jobs (created_at);
REVOKE ALL ON FUNCTION accounts.drop_listed_jobs(interval, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION accounts.drop_listed_jobs(interval, integer) TO crossdock_accounts_system"""


def upgrade() -> None:
    for statement in ended_jobs_v1("accounts"):
        op.execute(statement)
    for statement in _LISTED.split(";\n"):
        op.execute(statement)
