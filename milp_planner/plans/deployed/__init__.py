"""What the replicas of a plan run, and when: as records, and in a plan's document."""
