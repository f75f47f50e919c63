"""Merging one clinic, the source, into another, the target.

`facts` are what is read of both clinics. `plan`, `matching` and `patient_plans` are what would happen, a pure function of
the facts; `planning` reads the facts for them. `execution` does it, with `moving` and `belongings`. `report` shows the plan
as JSON, `spreadsheet` as a workbook. Clinics can have very many patients, so patients are planned, moved and shown a batch
at a time: what a merge has in memory does not grow with the clinics.
"""
