//! Policies of one line.

use gost_core::{
    addr::Addr,
    policy::{Answer, Asker, Authenticator, Bypass, BypassQuery, Credentials},
};

/// Knows one user: name and password.
#[derive(Clone, Copy, Debug)]
pub struct OneUser(pub &'static str, pub &'static str);

impl Authenticator for OneUser {
    fn authenticate<'a>(
        &'a self,
        given: &'a Credentials,
        _: &'a Asker,
    ) -> Answer<'a, Option<String>> {
        let right = given.username == self.0 && given.password == self.1;
        Answer::Now(right.then(|| given.username.clone()))
    }
}

/// Forbids the targets that a function says.
#[derive(Clone, Copy, Debug)]
pub struct Forbid(pub fn(&Addr) -> bool);

impl Bypass for Forbid {
    fn is_whitelist(&self) -> bool {
        false
    }

    fn contains<'a>(&'a self, query: &'a BypassQuery, _: &'a Asker) -> Answer<'a, bool> {
        Answer::Now((self.0)(&query.target.addr))
    }
}
