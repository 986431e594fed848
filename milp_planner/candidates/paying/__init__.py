"""What several units cost together, or before they serve: commitments, volume, start-up."""
