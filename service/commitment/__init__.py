"""Storage commitment (PS3.4 Annex J): asked of a destination, answered on the same or on a new association."""
