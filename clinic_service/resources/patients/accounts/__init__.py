"""Changes at the accounts directory that belong to a change here: a saga of two steps, and what undoes the first one."""
