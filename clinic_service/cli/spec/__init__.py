"""`clinic-service spec`: what editors of the YAML ask for.

`commands.py` holds the subcommands; the other modules are named after the subcommand that they work for. A server never
imports this package.
"""
