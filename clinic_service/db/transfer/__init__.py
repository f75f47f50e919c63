"""Moves all rows of a database: into another database, into a backup file, and back.

There is one mechanism. `rows` reads and writes the rows of a table in batches, in a form that is the same on both engines;
`digest` proves that both sides hold the same rows; `copy` fills a whole database in one transaction; `backup` makes and
opens the file. The tables are those of the models, so a new table needs no code here.
"""
