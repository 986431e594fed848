"""Which of several LLMs serves what."""
