"""The settings of a clinic, and its numbers of patients.

Patients are counted for each request. Every write of patients and of their data sources would have to update a stored
count, and a count that is not exact would let a clinic exceed its limit.
"""
