//! Multiplexed sessions over any stream, and the pool of them.
