//! How one of several is chosen, and how it is found out whether something works.

use std::time::Duration;

use gost_chain::{
    item::Limits,
    matcher::Matcher,
    probe::{HttpProbe, ProbeKind, ProbeOptions},
    selector::{Selector, Strategy},
};
use gost_config::{self as config, Place, Problem};
use gost_core::addr::Addr;

use crate::{builder::Builder, check::or};

impl Builder<'_> {
    /// The rule of a matcher; none without a rule.
    pub(crate) fn matcher(&self, matcher: &config::Matcher) -> Result<Option<Matcher>, Problem> {
        if matcher.rule.trim().is_empty() {
            return Ok(None);
        }
        Matcher::parse(&matcher.rule, &self.named)
            .map(Some)
            .map_err(|e| matcher.place.error("rule", e.to_string()))
    }
}

/// A selector as configured; the usual one when absent.
pub(crate) fn selector(selector: Option<&config::Selector>) -> Selector {
    let Some(selector) = selector else {
        return Selector::default();
    };
    // An unknown name is reported by the configuration's own check, and means in turn.
    let strategy = Strategy::parse(&selector.strategy).unwrap_or_default();
    let max_fails = i32::try_from(selector.max_fails).unwrap_or(i32::MAX);
    let fail_timeout = selector.fail_timeout.positive().unwrap_or_default();
    Selector::new(strategy)
        .with_limits(Limits::new(max_fails, fail_timeout))
        .with_max_latency(selector.max_latency.positive().unwrap_or_default())
}

/// What to probe; nothing when the settings do not say what.
pub(crate) fn probe_options(
    probe: &config::Probe,
    place: &Place,
) -> Result<Option<ProbeOptions>, Problem> {
    let is_command = probe.r#type.eq_ignore_ascii_case("cmd");
    if (is_command && probe.command.is_empty()) || (!is_command && probe.addr.is_empty()) {
        return Ok(None);
    }
    let kind = match probe.r#type.to_ascii_lowercase().as_str() {
        "cmd" => ProbeKind::Command(probe.command.clone()),
        "http" => ProbeKind::Http(HttpProbe {
            path: or(&probe.http_path, "/").to_owned(),
            host: or(&probe.http_host, &probe.addr).to_owned(),
            headers: probe
                .http_headers
                .iter()
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
            status: u16::try_from(probe.expected_status)
                .ok()
                .filter(|s| *s > 0)
                .unwrap_or(200),
        }),
        _ => ProbeKind::Tcp,
    };
    let addr = Addr::parse(&probe.addr)
        .ok_or_else(|| place.error("probe.addr", format!("{:?} is not an address", probe.addr)))?;
    let time = |nanos: config::Nanos| nanos.positive().unwrap_or(Duration::ZERO);
    Ok(Some(ProbeOptions {
        kind,
        addr,
        interval: time(probe.interval),
        timeout: time(probe.timeout),
    }))
}
