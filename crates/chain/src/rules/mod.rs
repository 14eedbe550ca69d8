//! The language of rules: calls, `&&`, `||`, `!` and parentheses.
//!
//! `Host("example.com") && (Path("/a") || !Method("GET"))`. It is the part of Go's expression
//! syntax that the configurations use; arguments are Go's string literals, quoted or back-quoted.
//! `&&` binds closer than `||`, `!` closer than both. White space and Go's comments separate.
//!
//! What the calls mean is the business of [`matcher`](crate::matcher).

mod ast;
mod lexer;
mod parser;

pub use ast::{Call, Expr};
pub use parser::parse;

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The text is not in the language.
    #[error("{what} at byte {at}")]
    Syntax {
        /// What is wrong.
        what: &'static str,
        /// Where, counted from 0.
        at: usize,
    },
    /// There is no such function.
    #[error("unknown function {0}")]
    Unknown(String),
    /// The function does not take these arguments.
    #[error("{name}: {what}")]
    Arguments {
        /// The function.
        name: &'static str,
        /// What is wrong.
        what: String,
    },
}

#[cfg(test)]
mod tests;
