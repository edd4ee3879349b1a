"""The operator's page: what happened to every study, and what can be done about it."""
