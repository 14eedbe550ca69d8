//! Several authenticators, of which any may let a client in.

use std::sync::Arc;

use gost_core::policy::{Answer, Asker, Authenticator, Credentials};

/// Lets in whom any of its members lets in; nobody when it has none.
pub struct AnyOf(pub Vec<Arc<dyn Authenticator>>);

impl Authenticator for AnyOf {
    fn authenticate<'a>(
        &'a self,
        given: &'a Credentials,
        asker: &'a Asker,
    ) -> Answer<'a, Option<String>> {
        Answer::later(async move {
            for member in &self.0 {
                if let Some(id) = member.authenticate(given, asker).await {
                    return Some(id);
                }
            }
            None
        })
    }
}
