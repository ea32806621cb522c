"""The steps of the workflow, one a file: what each makes, from what, and where it runs."""
