"""Every long command under Ctrl-C and SIGTERM, and what must be so afterwards."""
