"""What is done before the service runs for the first time: settings are written, and the surroundings are looked at."""
