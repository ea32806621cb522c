"""The user study: pairs of pictures, a page that asks people which is more realistic, and the count of their votes."""
