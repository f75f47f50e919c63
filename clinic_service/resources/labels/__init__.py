"""The base of the groups `tags` and `sites`. A label is a tag or a site.

Labels have names that are unique within the clinic, and the API shows them with the number of patients who have them.
Code that changes the labels of a clinic, or the patients who have them, first locks the clinic's row. Rules that only
tags or only sites have (the order of the checks, converting a tag, merging sites) are in the folder of that group.
"""
