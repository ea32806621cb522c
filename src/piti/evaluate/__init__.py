"""What pictures are worth: features, distances, intervals, alignment, and what the scores say of the claims."""
