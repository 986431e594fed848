"""Commands that turn plans into files, hold them against what came, and continue what came."""
