//! The relay protocol: a handler and a connector.
