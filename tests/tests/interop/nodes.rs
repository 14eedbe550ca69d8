//! Configurations of nodes, and the nodes running.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use gost_testkit::{
    peers,
    process::{Launch, Process},
};
use serde_json::{Map, Value, json};

use crate::table::Program;

/// A configuration in the making. Both programs read the same.
#[derive(Default)]
pub(crate) struct Config {
    services: Vec<Value>,
    chains: Vec<Value>,
    /// Where each service listens, if the program itself binds that.
    listens: Vec<String>,
}

/// One node of a chain: what it speaks, over what, where, and as whom.
pub(crate) struct Hop<'a> {
    pub(crate) addr: &'a str,
    pub(crate) connector: &'a str,
    pub(crate) connector_metadata: Value,
    pub(crate) auth: Option<Value>,
    pub(crate) dialer: &'a str,
    pub(crate) dialer_metadata: Value,
}

/// A type with metadata and credentials: a handler or a listener.
pub(crate) fn part(name: &str, metadata: &Value, auth: Option<Value>) -> Map<String, Value> {
    let mut part = Map::new();
    part.insert("type".into(), name.into());
    part.insert("metadata".into(), metadata.clone());
    if let Some(auth) = auth {
        part.insert("auth".into(), auth);
    }
    part
}

impl Config {
    /// A chain; services use it by its name.
    pub(crate) fn chain(&mut self, name: &str, hops: &[Hop<'_>]) {
        let hops = hops.iter().enumerate().map(|(at, hop)| {
            let node = json!({
                "name": format!("node-{at}"),
                "addr": hop.addr,
                "connector": part(hop.connector, &hop.connector_metadata, hop.auth.clone()),
                "dialer": part(hop.dialer, &hop.dialer_metadata, None),
            });
            json!({"name": format!("hop-{at}"), "nodes": [node]})
        });
        self.chains
            .push(json!({"name": name, "hops": hops.collect::<Vec<_>>()}));
    }

    /// A service that the program binds itself.
    pub(crate) fn service(
        &mut self,
        addr: &str,
        handler: Map<String, Value>,
        listener: Map<String, Value>,
        target: Option<&str>,
    ) {
        self.listens.push(addr.to_owned());
        self.remote(addr, handler, listener, target);
    }

    /// A service that another node binds.
    pub(crate) fn remote(
        &mut self,
        addr: &str,
        handler: Map<String, Value>,
        listener: Map<String, Value>,
        target: Option<&str>,
    ) {
        let mut service = Map::new();
        let name = format!("service-{}", self.services.len());
        service.insert("name".into(), name.into());
        service.insert("addr".into(), addr.into());
        service.insert("handler".into(), handler.into());
        service.insert("listener".into(), listener.into());
        if let Some(target) = target {
            let nodes = json!({"nodes": [{"name": "target", "addr": target}]});
            service.insert("forwarder".into(), nodes);
        }
        self.services.push(service.into());
    }

    /// A TCP port of this machine that leads to a target through a chain.
    pub(crate) fn tcp_door(&mut self, port: u16, target: &str, chain: &str) {
        self.service(
            &format!("127.0.0.1:{port}"),
            with_chain(part("tcp", &json!({}), None), chain),
            part("tcp", &json!({}), None),
            Some(target),
        );
    }

    /// A UDP port of this machine that leads to a target through a chain.
    pub(crate) fn udp_door(&mut self, port: u16, target: &str, chain: &str) {
        self.service(
            &format!("127.0.0.1:{port}"),
            with_chain(part("udp", &json!({}), None), chain),
            part("udp", &json!({"keepalive": true}), None),
            Some(target),
        );
    }

    /// Runs a program with this configuration until all that it binds is bound.
    pub(crate) async fn run(&self, program: Program, folder: &Path, name: &str) -> Result<Process> {
        let file = folder.join(format!("{name}.json"));
        let mut text = Map::new();
        text.insert("services".into(), self.services.clone().into());
        if !self.chains.is_empty() {
            text.insert("chains".into(), self.chains.clone().into());
        }
        fs::write(&file, serde_json::to_vec_pretty(&text)?)?;
        let binary = match program {
            Program::Ours => peers::gost_bin()?,
            Program::Reference => peers::peer("gost-reference").context("no gost-reference")?,
        };
        let process = Launch::new(binary).arg("-C").arg(&file).spawn()?;
        for addr in &self.listens {
            process.line(&format!("listening on {addr}")).await?;
        }
        Ok(process)
    }
}

/// Adds the name of a chain to a handler or listener.
pub(crate) fn with_chain(mut part: Map<String, Value>, chain: &str) -> Map<String, Value> {
    part.insert("chain".into(), chain.into());
    part
}
