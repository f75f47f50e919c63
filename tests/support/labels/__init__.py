"""The rules that tags and sites share, tested by one suite for each operation that both have.

A suite is the base class of two test classes, one for tags and one for sites.
"""
