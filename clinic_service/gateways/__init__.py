"""Gateways to other systems: user accounts (accounts), session tokens (tokens), credentials of partners (openid), mail,
orders of health record systems (xealth), messages to them (redox), reports and tokens for them (reports,
restricted_tokens).

A gateway has an embedded implementation, which needs no other system, and an implementation that calls another system; the
config chooses. The timeout of a call is five seconds, unless the module sets a longer one, and never longer than the time
left for the request. A call is repeated at most once, and only when the repetition is harmless. A call follows no redirects
and reads at most 1 MiB (32 MiB for a report). All data of an answer is checked before it is used. After several calls
without an answer, a system is not called for a while (see `breaker`). No lock is held during a call. A failure is
BadGateway (an invalid answer, or a refusal) or Unavailable (no answer), so that a caller never mistakes an outage for a
refusal. Where the spec defines another error for an operation, the gateway documents it.

Gateways are never called inside an open transaction. Only the embedded implementations use the database.
"""
