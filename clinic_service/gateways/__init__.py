"""The outside world: who is who (accounts), whose token this is (tokens), whose credentials these are (openid), mail,
orders of health record systems (xealth), messages to them (redox), reports and tokens for them (reports,
restricted_tokens).

Each gateway has a form that needs nothing but this program, and one that talks to another system; the configuration
chooses. A call to another system has five seconds, more where its module says so, or what is left of the time for the
request when that is less. It is repeated once at most, when that is harmless; it follows no redirect and reads at most
1 MiB, of a report 32 MiB. An answer is checked before anything in it is believed. A system that keeps giving no answer is
not called for a while (see `breaker`), and no lock is held during a call. Failures are BadGateway (nonsense, or a
refusal) and Unavailable (no answer), so that a caller never mistakes an outage for a "no"; where the spec promises
otherwise for an operation, the gateway says so.

Gateways never run inside an open transaction. Only the embedded ones touch the database.
"""
