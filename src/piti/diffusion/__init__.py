"""The mathematics of diffusion: schedules, the process, guidance and samplers. No network is here."""
