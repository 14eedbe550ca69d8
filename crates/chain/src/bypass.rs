//! Bypasses of hops and nodes.

use gost_core::{
    build::Ref,
    policy::{Answer, Asker, Bypass, BypassQuery},
};

/// A named bypass where a match means "around this hop" or "not this node".
///
/// What a shut bypass answers for a service, "keep it out", would lead traffic around the proxies
/// here. So for hops and nodes it keeps nothing out: the traffic stays on the chain.
pub struct DetourBypass(pub Ref<dyn Bypass>);

impl Bypass for DetourBypass {
    fn is_whitelist(&self) -> bool {
        self.0.is_whitelist()
    }

    fn contains<'a>(&'a self, query: &'a BypassQuery, asker: &'a Asker) -> Answer<'a, bool> {
        match self.0.get() {
            Ok(bypass) if !bypass.is_shut() => {
                if let Answer::Now(known) = bypass.leads_around(query, asker) {
                    return Answer::Now(known);
                }
                Answer::later(async move { bypass.leads_around(query, asker).await })
            }
            _ => Answer::Now(false),
        }
    }
}
