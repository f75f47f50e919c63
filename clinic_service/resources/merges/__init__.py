"""Merging one clinic, the source, into another, the target.

`facts` is the data that is read from both clinics. `plan`, with `matching` and `patient_plans`, computes what the merge
would do, as a pure function of the facts. `execution` carries the plan out; `report` and `spreadsheet` show it. Clinics can
have very many patients, so patients are planned, moved and shown in batches: the memory does not grow with the clinics.
"""
