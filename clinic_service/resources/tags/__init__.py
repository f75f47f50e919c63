"""A clinic's tags, and who carries them.

Whoever changes which patients carry a tag holds the lock of the clinic's row, so that the statements of one operation,
each of which concerns all patients at once, agree on who carries it.
"""
