"""The HTTP server: it reads requests from sockets, calls the application, and writes the answers.

An event loop reads each request completely, with deadlines, before a thread works on it, and writes the answer after the
thread is free. So a client that sends or reads slowly occupies a limited amount of memory, and never a thread. httptools
parses HTTP, and is strict about framing. Measured alternatives: uvicorn with a buffering layer does the same at 1.2 to 2
times the cost of a request, and granian has none of the deadlines.

`reader` → `connection` → `gate` → `fair_queue` → the application; `process` runs one process, `supervisor` several.
"""
