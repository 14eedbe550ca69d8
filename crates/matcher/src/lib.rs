//! Lists of addresses, networks, names and wildcards, as bypasses and admissions have them.
//!
//! A list is made once and then only asked: addresses are sorted ranges, names a hash table that
//! is asked once for each label, so that a hundred thousand rules cost hardly more than ten.
//!
//! ```
//! use gost_core::addr::Addr;
//! use gost_matcher::{Pattern, PatternSet};
//!
//! let patterns = ["10.0.0.0/8", ".example.com:443", "ads*.net"];
//! let set: PatternSet = patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect();
//! let matches = |text| set.matches(&Addr::parse(text).unwrap());
//! assert!(matches("10.1.2.3:80") && matches("www.example.com:443") && matches("ads7.net:80"));
//! assert!(!matches("www.example.com:80"));
//! ```

mod glob;
mod ips;
mod names;
mod pattern;
mod ports;
mod set;

pub use glob::Glob;
pub use ips::{IpRange, IpSet};
pub use pattern::{Pattern, PatternError};
pub use ports::Ports;
pub use set::{PatternSet, normalized};
