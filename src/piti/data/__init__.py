"""Shards: packing data sets into them, and the batches that trainings read out of them."""
