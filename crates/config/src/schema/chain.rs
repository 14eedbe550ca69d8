//! Chains, hops and nodes.

use std::collections::BTreeMap;

use gost_core::values::Values;

use super::{
    Auth, FileLoader, HttpLoader, Plugin, RedisLoader, Selector, SockOpts, Tls, TlsOptions, schema,
};
use crate::{List, scalar::Nanos};

schema! {
    /// Hops passed in order.
    pub struct Chain {
        /// Unique name.
        name: String => "name".always();
        /// The hops: written out, or by name.
        hops: List<Hop> => "hops".always();
        /// Options of the chain.
        metadata: Values => "metadata";
    }

    /// Nodes of which one is passed.
    pub struct Hop {
        /// Name; unique among the top-level hops.
        name: String => "name".always();
        /// Deprecated: metadata `interface`.
        interface: String => "interface";
        /// Deprecated: metadata `so_mark`.
        sockopts: Option<SockOpts> => "sockopts";
        /// How to choose a node.
        selector: Option<Selector> => "selector";
        /// A bypass by name: when it matches, the hop gives no node.
        bypass: String => "bypass";
        /// Bypasses by name.
        bypasses: Vec<String> => "bypasses";
        /// A resolver by name, for nodes without.
        resolver: String => "resolver";
        /// A host table by name, for nodes without.
        hosts: String => "hosts";
        /// The nodes.
        nodes: List<Node> => "nodes";
        /// How often the loaders load again; 0 for once.
        reload: Nanos => "reload";
        /// More nodes from a file.
        file: Option<FileLoader> => "file";
        /// More nodes from redis.
        redis: Option<RedisLoader> => "redis";
        /// More nodes from a URL.
        http: Option<HttpLoader> => "http";
        /// A plugin that selects in place of all this.
        plugin: Option<Plugin> => "plugin";
        /// Options of the hop.
        metadata: Values => "metadata";
    }

    /// A proxy on the way.
    pub struct Node {
        /// Name for logs.
        name: String => "name".always();
        /// Address.
        addr: String => "addr";
        /// Network, such as `tcp`.
        network: String => "network";
        /// A bypass by name: when it matches, the node is not chosen.
        bypass: String => "bypass";
        /// Bypasses by name.
        bypasses: Vec<String> => "bypasses";
        /// A resolver for its address, by name.
        resolver: String => "resolver";
        /// A host table for its address, by name.
        hosts: String => "hosts";
        /// The protocol spoken with it; `http` when absent.
        connector: Option<Connector> => "connector";
        /// The channel to reach it; `tcp` when absent.
        dialer: Option<Dialer> => "dialer";
        /// Deprecated: metadata `interface`.
        interface: String => "interface";
        /// Deprecated: metadata `netns`.
        netns: String => "netns";
        /// Deprecated: metadata `so_mark`.
        sockopts: Option<SockOpts> => "sockopts";
        /// Deprecated: `matcher`.
        filter: Option<NodeFilter> => "filter";
        /// Which requests it is for.
        matcher: Option<Matcher> => "matcher";
        /// How HTTP messages are changed.
        http: Option<HttpNode> => "http";
        /// TLS toward the target.
        tls: Option<TlsNode> => "tls";
        /// How to find out whether it works.
        probe: Option<Probe> => "probe";
        /// Options of the node.
        metadata: Values => "metadata";
    }

    /// The protocol spoken with a node.
    pub struct Connector {
        /// Its kind; empty for `http`.
        r#type: String => "type".always();
        /// The user to log in as.
        auth: Option<Auth> => "auth";
        /// TLS of the protocol itself.
        tls: Option<Tls> => "tls";
        /// Options of the connector.
        metadata: Values => "metadata";
    }

    /// The channel to reach a node.
    pub struct Dialer {
        /// Its kind; empty for `tcp`.
        r#type: String => "type".always();
        /// The user to log in as, where the channel has users (ssh).
        auth: Option<Auth> => "auth";
        /// TLS of the channel.
        tls: Option<Tls> => "tls";
        /// Options of the dialer.
        metadata: Values => "metadata";
    }

    /// Deprecated form of a matcher.
    pub struct NodeFilter {
        /// Host name or `*.` pattern.
        host: String => "host";
        /// Exact protocol.
        protocol: String => "protocol";
        /// Path prefix.
        path: String => "path";
    }

    /// Which requests a node, chain or hop is for.
    pub struct Matcher {
        /// A rule such as ``Host(`a.test`) && PathPrefix(`/x`)``.
        rule: String => "rule";
        /// Higher wins; 0 stands for the length of the rule.
        priority: i64 => "priority";
        /// How many bytes of a request body rules look at; 0 for the default.
        body_size: i64 => "bodySize".yaml("bodysize");
    }

    /// How to find out whether something works.
    pub struct Probe {
        /// `tcp`, `http` or `cmd`.
        r#type: String => "type".always();
        /// What to connect to.
        addr: String => "addr".always_in_yaml();
        /// Time from one probe to the next; 0 for 30 s.
        interval: Nanos => "interval".always();
        /// How long one probe may take; 0 for 10 s.
        timeout: Nanos => "timeout".always();
        /// Path of an HTTP probe.
        http_path: String => "httpPath";
        /// Host of an HTTP probe.
        http_host: String => "httpHost";
        /// Headers of an HTTP probe.
        http_headers: BTreeMap<String, String> => "httpHeaders";
        /// The status that an HTTP probe must get; 0 for 200.
        expected_status: i64 => "expectedStatus";
        /// The shell command of a `cmd` probe.
        command: String => "command";
    }

    /// How HTTP messages to and from a node are changed.
    pub struct HttpNode {
        /// The `Host` to send.
        host: String => "host";
        /// Deprecated: `requestHeader`.
        header: BTreeMap<String, String> => "header";
        /// Headers added to requests.
        request_header: BTreeMap<String, String> => "requestHeader";
        /// Headers added to responses.
        response_header: BTreeMap<String, String> => "responseHeader";
        /// Deprecated: `rewriteURL`.
        rewrite: List<UrlRewrite> => "rewrite";
        /// How paths are rewritten.
        rewrite_url: List<UrlRewrite> => "rewriteURL";
        /// Deprecated: `rewriteResponseBody`.
        rewrite_body: List<BodyRewrite> => "rewriteBody";
        /// How request bodies are rewritten.
        rewrite_request_body: List<BodyRewrite> => "rewriteRequestBody";
        /// How response bodies are rewritten.
        rewrite_response_body: List<BodyRewrite> => "rewriteResponseBody";
        /// Statuses that mark the node as failed, such as `429,5xx`.
        fail_codes: String => "failCodes";
        /// The user that clients must log in as.
        auth: Option<Auth> => "auth";
    }

    /// A rewriting of URL paths.
    pub struct UrlRewrite {
        /// Regular expression.
        r#match: String => "match".json("Match").always();
        /// What to put in its place.
        replacement: String => "replacement".json("Replacement").always();
    }

    /// A rewriting of bodies.
    pub struct BodyRewrite {
        /// MIME types it is for.
        r#type: String => "type".json("Type").always();
        /// Regular expression, or `json:` path.
        r#match: String => "match".json("Match").always();
        /// What to put in its place.
        replacement: String => "replacement".json("Replacement").always();
        /// A rewriter by name.
        rewriter: String => "rewriter";
        /// The most bytes rewritten at a time.
        max_chunk_size: i64 => "maxChunkSize";
    }

    /// TLS toward a target.
    pub struct TlsNode {
        /// Name to ask for and to verify.
        server_name: String => "serverName";
        /// Verify the certificate.
        secure: bool => "secure";
        /// Versions, suites and protocols.
        options: Option<TlsOptions> => "options";
    }
}

impl Hop {
    /// True for a hop of a chain that only names one of the section `hops`.
    pub fn is_reference(&self) -> bool {
        let is_loaded = self.file.is_some() || self.redis.is_some() || self.http.is_some();
        !self.nodes.is_given() && !is_loaded && self.plugin.is_none()
    }
}
