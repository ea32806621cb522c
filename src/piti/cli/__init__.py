"""The commands of `piti`, one a module: its arguments, and what it does with them and the configuration."""
