"""The storage SCP: a process of its own, without torch, that keeps what peers send."""
