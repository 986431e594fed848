"""Units that replicas share."""
