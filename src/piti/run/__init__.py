"""How a step runs: its declaration and command line, its processes and its SLURM jobs."""
