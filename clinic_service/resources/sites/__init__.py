"""A clinic's sites, and who belongs to them.

Patients show the present names of their sites, so whatever changes a site also changes its patients. As with tags, it
is done under the lock of the clinic's row.
"""
