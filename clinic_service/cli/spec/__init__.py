"""`clinic-service spec`: the tools for editors of the YAML.

`commands.py` holds the subcommands. Each other module does the work of the subcommand that it is named after. A server
never imports this package.
"""
