//! The rtcp and rudp channels: listen at the far end of a chain.
