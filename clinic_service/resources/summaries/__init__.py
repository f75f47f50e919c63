"""Summaries of patients' glucose data. The data service computes them, and every clinic of a patient stores a copy.

A summary is stored as the JSON text that responses contain. The values that lists filter and sort by are also stored in
columns, a projection that can be computed again from the text at any time.
"""
