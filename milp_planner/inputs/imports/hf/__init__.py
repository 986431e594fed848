"""Reads an LLM off the files that it is published with: Hugging Face config, index and headers."""
