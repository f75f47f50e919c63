"""Summaries of patients' glucose data, which the data service computes and every clinic of a patient keeps.

A summary is stored as the text that will be sent. What lists filter and sort by is copied out of it into columns, which
can be made again from the text at any time.
"""
