"""The server: what stands between a socket and the application.

An event loop takes each request in whole, with deadlines, before a thread works on it, and writes the answer after the
thread is free. So a client that sends or reads slowly occupies memory within bounds, and never a thread. httptools parses
HTTP; it is strict about framing. Measured beside it, in the same hours: uvicorn with a buffering layer does the same at
1.2 to 2 times the cost of a request, and granian keeps none of the deadlines.

`reader` → `connection` → `gate` → the application; `process` runs one process, `supervisor` several.
"""
