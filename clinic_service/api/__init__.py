"""The HTTP edge, and with `app.py` the only place that knows Connexion and Flask.

At start-up every operation of the spec is compiled into a plan (`plan.py`); every request runs its plan in one place
(`dispatch.py`): token, access, parameters, body, handler, answer check, outbox rows, commit. Connexion's own
request-time layers are left out because they rebuild validators and decorators for each request (some hundred times the
cost) and check an answer only after the commit; a contract test compares our reading of requests with theirs.
"""
