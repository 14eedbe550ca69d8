//! What a rule says, as a tree.

use std::fmt;

/// A truth value made of others; `L` is what stands for one that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr<L> {
    /// One that can be asked for.
    Leaf(L),
    /// The opposite.
    Not(Box<Expr<L>>),
    /// True when all are; two or more.
    All(Vec<Expr<L>>),
    /// True when one is; two or more.
    Any(Vec<Expr<L>>),
}

impl<L> Expr<L> {
    /// The value, asking `ask` for as few leaves as decide it, from left to right.
    pub fn is_true(&self, ask: &mut impl FnMut(&L) -> bool) -> bool {
        match self {
            Self::Leaf(leaf) => ask(leaf),
            Self::Not(inner) => !inner.is_true(ask),
            Self::All(parts) => parts.iter().all(|part| part.is_true(ask)),
            Self::Any(parts) => parts.iter().any(|part| part.is_true(ask)),
        }
    }

    /// The same tree with other leaves.
    pub fn try_map<M, E>(self, map: &mut impl FnMut(L) -> Result<M, E>) -> Result<Expr<M>, E> {
        let all = |parts: Vec<Self>, map: &mut _| -> Result<Vec<Expr<M>>, E> {
            parts.into_iter().map(|part| part.try_map(map)).collect()
        };
        Ok(match self {
            Self::Leaf(leaf) => Expr::Leaf(map(leaf)?),
            Self::Not(inner) => Expr::Not(Box::new(inner.try_map(map)?)),
            Self::All(parts) => Expr::All(all(parts, map)?),
            Self::Any(parts) => Expr::Any(all(parts, map)?),
        })
    }
}

/// A function with its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The name as written.
    pub name: String,
    /// The arguments; at least one, none of them empty.
    pub args: Vec<String>,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.name)?;
        for (i, arg) in self.args.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            quote(arg, f)?;
        }
        f.write_str(")")
    }
}

/// Writes a Go string literal.
fn quote(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' | '\\' => write!(f, "\\{c}")?,
            c if c.is_control() => write!(f, "\\U{:08x}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

/// The rule in its own language, with all parentheses.
impl<L: fmt::Display> fmt::Display for Expr<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |parts: &[Self], with: &str, f: &mut fmt::Formatter<'_>| {
            f.write_str("(")?;
            for (i, part) in parts.iter().enumerate() {
                if i > 0 {
                    f.write_str(with)?;
                }
                part.fmt(f)?;
            }
            f.write_str(")")
        };
        match self {
            Self::Leaf(leaf) => leaf.fmt(f),
            Self::Not(inner) => write!(f, "!{inner}"),
            Self::All(parts) => joined(parts, " && ", f),
            Self::Any(parts) => joined(parts, " || ", f),
        }
    }
}
