"""Alembic's entry: migrates one service's schema over the connection it is handed."""

from alembic import context

configuration = context.config
connection = configuration.attributes["connection"]
service = configuration.attributes["service"]

context.configure(
    connection=connection, target_metadata=None, version_table="alembic_version", version_table_schema=service
)
with context.begin_transaction():
    context.run_migrations()
