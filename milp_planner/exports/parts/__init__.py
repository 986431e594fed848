"""What every kind of file is made of: pools of alike replicas, their commands, hours and names."""
