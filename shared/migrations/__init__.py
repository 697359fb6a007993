"""Runs each service's Alembic migrations in its own schema, and makes the roles they grant to."""
