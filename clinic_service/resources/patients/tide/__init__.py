"""The TIDE report: its categories, how patients are found for them, and the response."""
