"""A clinic's sites, and which patients belong to them. The rules that tags have as well are in `labels/`.

Patients show the present names of their sites, so a change of a site also changes its patients.
"""
