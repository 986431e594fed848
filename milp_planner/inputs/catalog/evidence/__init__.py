"""What a row tells of the deployment that it measured."""
