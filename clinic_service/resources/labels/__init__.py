"""The base of the groups `tags` and `sites`. A label is a tag or a site.

Labels have names that are unique within the clinic, and are shown with the number of patients who have them. Whatever
changes the labels of a clinic, or which patients have them, first locks the clinic's row. What is special to tags or to
sites (the order of the checks, converting a tag, merging sites) is in the folder of that group.
"""
