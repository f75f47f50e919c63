"""What a clinic is configured with, and how many patients it has.

Counts are always taken anew. A stored count would have to be kept in step by every write of patients and of their
data sources, and one that is not exact lets a clinic exceed its limit.
"""
