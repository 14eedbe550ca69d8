//! Side-by-side benchmark of gost and its peers
