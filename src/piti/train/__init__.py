"""Training: losses, objectives and the one loop that all of them share."""
