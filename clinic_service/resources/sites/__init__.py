"""A clinic's sites, and which patients belong to them. Rules that sites share with tags are in `labels/`.

Patients show the current names of their sites, so a change of a site also changes its patients.
"""
