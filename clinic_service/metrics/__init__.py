"""Metrics for Prometheus: `counters` for what is counted at work, `collectors` for what is read on request."""
