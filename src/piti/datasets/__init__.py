"""Data sets on disk as people have them: layouts, picture files, instance annotations."""
