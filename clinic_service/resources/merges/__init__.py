"""Merging one clinic, the source, into another, the target.

`facts` are what is read of both clinics; `plan`, with `matching` and `patient_plans`, is what would happen, a pure function
of the facts; `execution` does it; `report` and `spreadsheet` show it. Clinics can have very many patients, so patients are
planned, moved and shown a batch at a time: what a merge keeps in memory does not grow with the clinics.
"""
