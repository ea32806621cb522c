"""`make bench`: this project's ways against the straightforward ones, with the same numbers, on the same machine."""
