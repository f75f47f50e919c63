"""ListPatients: what is asked, the filters, the sort order, and the plan by which a page is found."""
