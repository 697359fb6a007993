"""What rows were before: one JSON difference per change, with its cause, kept by triggers so that no path forgets it.

A service's migration makes the tables with `history_v1` and puts tables under watch:

* every UPDATE and DELETE of a watched table leaves a row in `changes` for each row whose values differ;
* a table that is filled in bulk only remembers in each row the cause that made it (`born=True`: the column
  `created_cause`), because the row itself says what it was; small tables leave a row for each INSERT as well.

History, undo and snapshots all read these. `version` and `updated_at` are no values. Rows can only be added.
"""

from collections.abc import Sequence

from shared.messaging.schema import TENANT, guard

_NO_VALUES = "'{organization_id,version,updated_at}'::text[]"


def history_v1(service: str) -> Sequence[str]:
    """Statements that make a service's history."""
    return [
        *(statement.replace("{s}", service) for statement in _TABLES),
        *guard(service, "causes", grants="SELECT, INSERT"),
        *guard(service, "changes", grants="SELECT, INSERT"),
        # Rows that go with the row they hang on go in their owner's name, in the same transaction and tenant.
        *(
            f"CREATE POLICY owner ON {service}.{table} TO CURRENT_USER USING (organization_id = {TENANT})"
            f" WITH CHECK (organization_id = {TENANT})"
            for table in ("causes", "changes")
        ),
    ]


_TABLES = (
    """
CREATE TABLE {s}.causes (
    organization_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text NOT NULL,
    actor json NOT NULL,
    request_id text,
    occurred_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (organization_id, id)
)""",
    """
CREATE TABLE {s}.changes (
    organization_id uuid NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    cause_id uuid NOT NULL,
    occurred_at timestamptz NOT NULL DEFAULT now(),
    entity text NOT NULL,
    key jsonb NOT NULL,
    subject_id uuid NOT NULL,
    before jsonb,
    after jsonb,
    PRIMARY KEY (organization_id, number),
    FOREIGN KEY (organization_id, cause_id) REFERENCES {s}.causes,
    CHECK (num_nonnulls(before, after) > 0)
)""",
    "CREATE INDEX changes_subject ON {s}.changes (organization_id, subject_id, number)",
    "CREATE INDEX changes_ends ON {s}.changes (organization_id, subject_id, entity) WHERE after IS NULL",
    "CREATE INDEX changes_cause ON {s}.changes (organization_id, cause_id, number)",
    # Once per statement. A transaction that does not say why it writes is a defect, and writes nothing.
    """
CREATE FUNCTION {s}.keep_cause() RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    said jsonb := nullif(current_setting('crossdock.cause', true), '');
    cause uuid := nullif(current_setting('crossdock.cause_id', true), '');
BEGIN
    IF said IS NULL OR cause IS NULL THEN
        RAISE EXCEPTION 'this transaction does not say why it writes';
    END IF;
    INSERT INTO {s}.causes (organization_id, id, kind, actor, request_id)
    SELECT current_setting('crossdock.organization_id')::uuid, cause, said->>'kind', said->'actor', said->>'request_id'
    ON CONFLICT DO NOTHING;
    RETURN cause;
END $$""",
    """
CREATE FUNCTION {s}.keep_cause_of_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM {s}.keep_cause();
    RETURN NULL;
END $$""",
)


def watch_v1(
    service: str, table: str, *, entity: str, key: Sequence[str], subject: str, born: bool = False
) -> Sequence[str]:
    """Statements that put a table under watch.

    `key` are its key's columns beside the tenant, `subject` is an expression over the row `r`: whose history it is.
    """
    name = f"{service}.{table}"
    named = ", ".join(f"'{column}', r.{column}" for column in key)
    same = " AND ".join(f"o.{column} = r.{column}" for column in ("organization_id", *key))
    kinds = ["update", "delete"] if born else ["update", "delete", "insert"]
    statements = [
        _FUNCTION.format(
            s=service,
            kind=kind,
            table=table,
            rows=_ROWS[kind],
            entity=entity,
            key=f"jsonb_build_object({named})",
            subject=subject,
            values=_VALUES[kind].format(same=same, no_values=_NO_VALUES),
        )
        for kind in kinds
    ]
    for kind in kinds:
        statements.append(
            f"CREATE TRIGGER keep_{kind} AFTER {kind.upper()} ON {name} REFERENCING {_SEEN[kind]}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {service}.keep_{kind}_of_{table}()"
        )
    if born:
        statements += [
            f"ALTER TABLE {name} ADD COLUMN created_cause uuid",
            f"ALTER TABLE {name} ALTER COLUMN created_cause"
            " SET DEFAULT nullif(current_setting('crossdock.cause_id', true), '')::uuid",
            f"CREATE TRIGGER keep_insert AFTER INSERT ON {name}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {service}.keep_cause_of_rows()",
        ]
    return statements


_SEEN = {
    "update": "OLD TABLE AS old_rows NEW TABLE AS new_rows",
    "delete": "OLD TABLE AS old_rows",
    "insert": "NEW TABLE AS new_rows",
}
# EXECUTE plans for the rows at hand; a plan kept for the session was made for a few. Whoever writes may have told the
# planner what suits its own statement, which does not hold in here.
_FUNCTION = """
CREATE FUNCTION {s}.keep_{kind}_of_{table}() RETURNS trigger LANGUAGE plpgsql
SET enable_hashjoin = on SET enable_seqscan = on AS $$
BEGIN
    IF EXISTS (SELECT FROM {rows}) THEN
        EXECUTE $statement$
        INSERT INTO {s}.changes (organization_id, cause_id, entity, key, subject_id, before, after)
        SELECT r.organization_id, $1, '{entity}', {key}, {subject}, {values}
        $statement$ USING {s}.keep_cause();
    END IF;
    RETURN NULL;
END $$"""
_ROWS = {"update": "new_rows", "delete": "old_rows", "insert": "new_rows"}
_VALUES = {
    "update": """d.before, d.after
        FROM old_rows o JOIN new_rows r ON {same} CROSS JOIN LATERAL (
            SELECT jsonb_object_agg(n.key, b.value) AS before, jsonb_object_agg(n.key, n.value) AS after
            FROM jsonb_each(to_jsonb(r) - {no_values}) n JOIN jsonb_each(to_jsonb(o)) b ON b.key = n.key
            WHERE n.value <> b.value
        ) d WHERE d.before IS NOT NULL""",
    "delete": "to_jsonb(r) - {no_values}, NULL FROM old_rows r",
    "insert": "NULL, to_jsonb(r) - {no_values} FROM new_rows r",
}
