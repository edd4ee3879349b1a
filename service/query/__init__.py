"""What an archive has and shows: C-FIND and C-MOVE, QIDO-RS and WADO-RS."""
