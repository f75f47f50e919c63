"""Everything that knows which database it is.

SQLite and PostgreSQL serve the same models, revisions and tests. What the two spell differently has one name here and
is used by that name everywhere else, so supporting a further engine means reading this package and `alembic/env.py`.
"""
