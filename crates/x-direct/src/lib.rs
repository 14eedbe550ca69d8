//! The direct and virtual nodes: dial from here.
