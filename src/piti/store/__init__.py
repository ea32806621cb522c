"""Files and what is known of them: atomic writes, archives, downloads, checkpoints, provenance."""
