"""Which studies are measured, what is measured of them, who gets the results, and what is waited for."""
