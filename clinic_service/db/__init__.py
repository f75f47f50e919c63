"""Everything that depends on the database engine.

SQLite and PostgreSQL have the same models, revisions and tests. Where their SQL differs, this package has one function for
both, and all other code calls it. To support another engine, change this package and `alembic/env.py`.
"""
