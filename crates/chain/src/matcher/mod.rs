//! Rules about requests: which node, chain or hop takes one.

mod function;
mod json_path;

use std::{fmt, str::FromStr, sync::Arc};

use gost_core::{build::Named, listener::BoxFuture, policy::Answer, routing::Request};

use self::function::Test;
use crate::rules::{Expr, RuleError, parse};

/// A rule that a request satisfies or not.
pub struct Matcher {
    rule: Arc<str>,
    tests: Expr<Test>,
    asks_policies: bool,
}

impl Matcher {
    /// Reads a rule; `named` has the bypasses and admissions that it names.
    ///
    /// | Function | True when |
    /// |---|---|
    /// | `ClientIP(x)` | the client's address is this IP address or in this prefix |
    /// | `Network(x)` | the network asked for begins so: `tcp`, `udp`, `unix` |
    /// | `Proto(x)` | this protocol was sniffed |
    /// | `Host(x)` | the host is this one, or for `*.x` and `.x` ends in `.x` |
    /// | `HostRegexp(re)` | the host, in lower case and without port, matches |
    /// | `Method(x)`, `Path(x)`, `PathPrefix(x)`, `PathRegexp(re)` | the HTTP request has it |
    /// | `Header(k)`, `Header(k, x)`, `Header(k, op, n)` | a header field is there, equals, compares |
    /// | `HeaderRegexp(k)`, `HeaderRegexp(k, re)` | a header field is there, matches |
    /// | `Query`, `QueryRegexp` | the same of a parameter of the query |
    /// | `BodyRegexp(re)` | the body, as far as it was read, is not empty and matches |
    /// | `BodyJSON(path, re)`, `BodyJSON(path, op, n)` | what the body has at a path matches, compares |
    /// | `Bypass(name)` | the named bypass does not keep the host out |
    /// | `Admission(name)` | the named admission admits the client |
    ///
    /// `op` is one of `gt ge lt le eq ne`. A function can also be written all in lower case, all
    /// in upper case, or with a capital first letter alone.
    pub fn parse(rule: &str, named: &Named) -> Result<Self, RuleError> {
        let mut asks_policies = false;
        let tests = parse(rule)?.try_map(&mut |call| {
            let test = Test::new(&call, named)?;
            asks_policies |= test.asks_policy();
            Ok(test)
        })?;
        Ok(Self {
            rule: rule.into(),
            tests,
            asks_policies,
        })
    }

    /// The priority of what has this rule: the configured one, or else the length of the rule,
    /// since a longer one says more.
    pub fn priority(&self, configured: i32) -> i32 {
        if configured == 0 {
            i32::try_from(self.rule.len()).unwrap_or(i32::MAX)
        } else {
            configured
        }
    }

    /// True when the request satisfies the rule.
    pub fn matches<'a>(&'a self, request: &'a Request) -> Answer<'a, bool> {
        if self.asks_policies {
            Answer::Later(ask(&self.tests, request))
        } else {
            Answer::Now(self.tests.is_true(&mut |test| test.of_request(request)))
        }
    }
}

/// The value of rules of which some must wait for a policy.
fn ask<'a>(tests: &'a Expr<Test>, request: &'a Request) -> BoxFuture<'a, bool> {
    Box::pin(async move {
        match tests {
            Expr::Leaf(test) => test.ask(request).await,
            Expr::Not(inner) => !ask(inner, request).await,
            Expr::All(parts) => {
                for part in parts {
                    if !ask(part, request).await {
                        return false;
                    }
                }
                true
            }
            Expr::Any(parts) => {
                for part in parts {
                    if ask(part, request).await {
                        return true;
                    }
                }
                false
            }
        }
    })
}

/// A rule that names no policies.
impl FromStr for Matcher {
    type Err = RuleError;

    fn from_str(rule: &str) -> Result<Self, RuleError> {
        Self::parse(rule, &Named::default())
    }
}

impl fmt::Debug for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Matcher({})", self.rule)
    }
}

#[cfg(test)]
mod tests;
