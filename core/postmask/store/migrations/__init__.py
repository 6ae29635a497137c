"""Alembic's environment and versions, packaged so that they can be run without a source tree."""
