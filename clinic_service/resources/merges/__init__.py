"""Merging one clinic, the source, into another, the target.

`facts` is the data that is read from both clinics. `plan`, with `matching` and `patient_plans`, computes what the merge
would do, as a pure function of the facts; `planning` reads the facts for it. `execution` carries the plan out, with
`moving` and `belongings`. `report` shows the plan as JSON, `spreadsheet` as a workbook.

Clinics can have very many patients, so patients are planned, moved and shown in batches: the memory does not grow with the
clinics.
"""
