//! Tools for the tests of gost: processes, servers, impaired paths
