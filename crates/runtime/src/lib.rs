//! Configuration and registry to running services.
