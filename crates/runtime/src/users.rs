//! Users, from configuration to objects.

use std::{collections::BTreeMap, sync::Arc};

use gost_config::{self as config, Auth, Config, Problem};
use gost_core::{
    policy::Authenticator,
    values::{Mark, Value, Values},
};

use crate::{builder::Builder, loaded::loaders, policies::Fields};

/// Handlers of protocols in which a name is all that a client can say.
const NAMES_ALONE: &[&str] = &["socks4", "socks4a"];

/// What is wrong with users: a password that is empty though nobody said so, or that belongs to
/// nobody, may be a mistake that lets everybody in.
pub(crate) fn check(config: &Config, problems: &mut Vec<Problem>) {
    let mut check = |auth: &Auth, needs_password: bool| {
        if !auth.file.is_empty() {
            return;
        }
        let user = &auth.username;
        problems.push(match (user.is_empty(), auth.password.is_empty()) {
            (true, true) | (false, false) => return,
            (false, true) if !needs_password => return,
            (true, false) => {
                let what = "is nobody's: there is no username, and everybody would be served";
                auth.place.error("password", what)
            }
            (false, true) if auth.place.has("password") => {
                let what = format!("{user:?} has an empty one: whoever knows the name gets in");
                auth.place.warning("password", what)
            }
            (false, true) => {
                let what = format!(
                    "{user:?} has none; write password: \"\" (in a URL, a colon behind the name) if \
                     the empty one is meant"
                );
                auth.place.error("password", what)
            }
        });
    };
    let authers = config.authers.iter();
    let authers = authers.filter(|auther| auther.plugin.is_none());
    for auth in authers.flat_map(|auther| &auther.auths) {
        check(auth, true);
    }
    for handler in config.services.iter().filter_map(|s| s.handler.as_ref()) {
        // Names of authers come first, and with them this user does not count.
        let is_used =
            handler.auther.trim().is_empty() && handler.authers.iter().all(String::is_empty);
        if let Some(auth) = handler.auth.as_ref().filter(|_| is_used) {
            check(auth, !NAMES_ALONE.contains(&handler.r#type.trim()));
        }
    }
    let inline = config.chains.iter().flat_map(|chain| &chain.hops);
    for node in config.hops.iter().chain(inline).flat_map(|hop| &hop.nodes) {
        let connector = node.connector.as_ref().and_then(|c| c.auth.as_ref());
        let dialer = node.dialer.as_ref().and_then(|d| d.auth.as_ref());
        for auth in [connector, dialer].into_iter().flatten() {
            if auth.username.is_empty() && !auth.password.is_empty() && auth.file.is_empty() {
                let what = "is not sent: there is no username";
                problems.push(auth.place.warning("password", what));
            }
        }
    }
}

impl Builder<'_> {
    pub(crate) async fn auther(
        &self,
        auther: &config::Auther,
    ) -> Result<Arc<dyn Authenticator>, Problem> {
        if let Some(plugin) = &auther.plugin {
            return self.plugin::<dyn Authenticator>(&auther.name, plugin).await;
        }
        let users = auther.auths.iter();
        let users = users.map(|auth| user(&auth.username, &auth.password));
        let fields = Fields::default()
            .set("auths", Value::List(users.collect()))
            .loaders(loaders!(auther));
        self.policy::<dyn Authenticator>(&auther.name, auther.clone(), &auther.place, fields)
            .await
    }

    /// An authenticator that knows these users.
    pub(crate) async fn users(
        &self,
        users: &[(String, String)],
        name: &str,
    ) -> gost_core::Result<Arc<dyn Authenticator>> {
        let list = users.iter().map(|(name, password)| user(name, password));
        let mut values = Values::new();
        let list = Value::List(list.collect());
        values.set("auths", list, Mark::new("auther".into(), 0));
        let build = self.build(format!("auther {name}").into(), "");
        self.registry
            .make::<dyn Authenticator>("table", &values, build)
            .await
    }
}

fn user(name: &str, password: &str) -> Value {
    let text = |text: &str| Value::Text(text.to_owned());
    Value::Map(BTreeMap::from([
        ("username".to_owned(), text(name)),
        ("password".to_owned(), text(password)),
    ]))
}
