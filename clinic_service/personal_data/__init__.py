"""The data that is stored about one person, its export and its erasure.

`declaration.py` tells for each table how its rows relate to a person. `export.py` and `erasure.py` are derived from it, so
a new table is part of both as soon as it is declared. `documents.py` finds messages of partners that are about a person.
"""
