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

/// What is wrong with users: a password that is empty though nobody said so may be a mistake that
/// lets everybody in.
pub(crate) fn check(config: &Config, problems: &mut Vec<Problem>) {
    let mut check = |auth: &Auth| {
        if auth.username.is_empty() || !auth.password.is_empty() || !auth.file.is_empty() {
            return;
        }
        let user = &auth.username;
        problems.push(if auth.place.has("password") {
            let what = format!("{user:?} has an empty one: whoever knows the name gets in");
            auth.place.warning("password", what)
        } else {
            let what = format!(
                "{user:?} has none; write password: \"\" (in a URL, a colon behind the name) if the \
                 empty one is meant"
            );
            auth.place.error("password", what)
        });
    };
    let authers = config.authers.iter();
    let authers = authers.filter(|auther| auther.plugin.is_none());
    authers
        .flat_map(|auther| &auther.auths)
        .for_each(&mut check);
    for service in &config.services {
        // Names of authers come first, and with them this user does not count.
        let handler = service.handler.iter();
        let handler = handler.filter(|handler| {
            !NAMES_ALONE.contains(&handler.r#type.trim())
                && handler.auther.trim().is_empty()
                && handler.authers.iter().all(String::is_empty)
        });
        let auths = handler.filter_map(|handler| handler.auth.as_ref());
        auths.for_each(&mut check);
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
