//! Nodes, selectors, hops, chains, routes and the router.
