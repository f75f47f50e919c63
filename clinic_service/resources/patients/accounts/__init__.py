"""Account changes: a saga of a step at the accounts directory, a step in this database, and a compensation."""
