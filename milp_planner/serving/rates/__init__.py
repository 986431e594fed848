"""From measured rows and estimates to the rate that is planned on."""
