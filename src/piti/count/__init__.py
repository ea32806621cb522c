"""Count the operations and the memory traffic of networks without a GPU: where the plan's hours come from."""
