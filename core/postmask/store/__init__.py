"""The truth: one SQL database, SQLite or Postgres. Nothing outside this package knows SQLAlchemy."""
