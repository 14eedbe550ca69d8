//! Components whose work a plugin does.

use gost_config::{self as config, Place, Problem};
use gost_core::{
    duration::format_go,
    registry::Kind,
    values::{Mark, Value, Values},
};

use crate::{builder::Builder, check::or, kept::Files, parts};

impl Builder<'_> {
    /// A component with a name whose work a plugin does.
    pub(crate) async fn plugin<K>(
        &self,
        name: &str,
        plugin: &config::Plugin,
    ) -> Result<K::Made, Problem>
    where
        K: Kind + ?Sized,
        K::Made: Clone + Sync,
    {
        let place = format!("{} {name}", K::NAME);
        self.plugin_at::<K>(&place, plugin).await
    }

    /// A component that only a plugin can be.
    pub(crate) async fn only_plugin<K>(
        &self,
        name: &str,
        plugin: Option<&config::Plugin>,
        place: &Place,
    ) -> Result<K::Made, Problem>
    where
        K: Kind + ?Sized,
        K::Made: Clone + Sync,
    {
        let Some(plugin) = plugin else {
            return Err(place.error(
                "plugin",
                format!("missing: there is no built-in {}", K::NAME),
            ));
        };
        self.plugin::<K>(name, plugin).await
    }

    /// What a plugin does for the object at a place.
    pub(crate) async fn plugin_at<K>(
        &self,
        place: &str,
        plugin: &config::Plugin,
    ) -> Result<K::Made, Problem>
    where
        K: Kind + ?Sized,
        K::Made: Clone + Sync,
    {
        let protocol = or(&plugin.r#type, "grpc").to_ascii_lowercase();
        if !matches!(&*protocol, "grpc" | "http") {
            let what = format!("unknown plugin type {protocol:?}: grpc or http");
            return Err(plugin.place.error("type", what));
        }
        if !self.registry.has::<K>(&protocol) {
            let what = format!("this version has no {protocol} plugin for {}", K::NAME);
            return Err(plugin.place.error("type", what));
        }
        let make = async {
            let mut build = self.build(place.into(), "");
            build.tls = parts::tls(plugin.tls.as_ref());
            let values = options(plugin);
            let made = self.registry.make::<K>(&protocol, &values, build).await;
            made.map_err(|e| plugin.place.error("", e.to_string()))
        };
        let wanted = (plugin.clone(), Files::of(None, plugin.tls.as_ref()));
        self.keeper.keep(place, wanted, &Values::new(), make).await
    }
}

/// A plugin's keys, as its component takes them.
fn options(plugin: &config::Plugin) -> Values {
    let mut values = Values::new();
    let timeout = plugin.timeout.positive().unwrap_or_default();
    for (key, text) in [
        ("addr", plugin.addr.clone()),
        ("timeout", format_go(timeout)),
        ("token", plugin.token.to_string()),
    ] {
        values.set(key, Value::Text(text), Mark::new("plugin".into(), 0));
    }
    values
}
