"""Gateways to other systems: user accounts (accounts), session tokens (tokens), credentials of partners (openid), mail,
orders of health record systems (xealth), messages to them (redox), reports and tokens for them (reports,
restricted_tokens).

A gateway has an embedded implementation, which needs no other system, and one that calls another system; the config
chooses. A call to another system has a timeout of five seconds, of more where the module says so, or of the time left for
the request when that is less. A call is repeated at most once, and only when that is harmless. It follows no redirects and
reads at most 1 MiB, of a report 32 MiB. All data of an answer is checked before it is used. A system that does not answer
several times in a row is not called for a while (see `breaker`). No lock is held during a call. A failure is BadGateway (an
invalid answer, or a refusal) or Unavailable (no answer), so that a caller never mistakes an outage for a refusal. Where the
spec says something else for an operation, the gateway documents it.

Gateways are never called inside an open transaction. Only the embedded ones use the database.
"""
