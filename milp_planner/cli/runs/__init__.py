"""What several commands run: sheets, sweeps, and solving until a replay keeps the wishes."""
