//! The http protocol: a proxy handler and a connector.
