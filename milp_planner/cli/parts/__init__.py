"""What the commands share: streams, loading, parameters, exit codes."""
