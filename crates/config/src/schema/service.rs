//! Services: what listens, what it speaks, and where it forwards to.

use gost_core::values::Values;

use super::{Auth, HttpNode, Matcher, NodeFilter, Probe, Selector, SockOpts, Tls, TlsNode, schema};
use crate::List;

schema! {
    /// A service: a listener, a handler for what it accepts, and perhaps fixed targets.
    pub struct Service {
        /// Unique name.
        name: String => "name".always();
        /// Address to listen on.
        addr: String => "addr";
        /// Deprecated: metadata `interface`.
        interface: String => "interface";
        /// Deprecated: metadata `so_mark`.
        sockopts: Option<SockOpts> => "sockopts";
        /// An admission by name.
        admission: String => "admission";
        /// Admissions by name; all must admit.
        admissions: Vec<String> => "admissions";
        /// A bypass by name.
        bypass: String => "bypass";
        /// Bypasses by name.
        bypasses: Vec<String> => "bypasses";
        /// A resolver by name.
        resolver: String => "resolver";
        /// A host table by name.
        hosts: String => "hosts";
        /// A traffic limiter by name.
        limiter: String => "limiter";
        /// Quotas by name.
        quotas: Vec<String> => "quotas";
        /// A connection limiter by name.
        climiter: String => "climiter";
        /// A request limiter by name.
        rlimiter: String => "rlimiter";
        /// A logger by name.
        logger: String => "logger";
        /// Loggers by name.
        loggers: Vec<String> => "loggers";
        /// An observer by name.
        observer: String => "observer";
        /// A body rewriter by name.
        rewriter: String => "rewriter";
        /// What is recorded, and where.
        recorders: List<RecorderObject> => "recorders";
        /// A cache by name.
        cache: String => "cache";
        /// The protocol spoken with clients; `auto` when absent.
        handler: Option<Handler> => "handler";
        /// The channel that clients arrive on; `tcp` when absent.
        listener: Option<Listener> => "listener";
        /// Fixed targets.
        forwarder: Option<Forwarder> => "forwarder";
        /// Options of the service.
        metadata: Values => "metadata";
        /// What the web API once reported; without effect.
        status: Option<ServiceStatus> => "status";
    }

    /// The protocol that a service speaks with its clients.
    pub struct Handler {
        /// Its kind; empty for `auto`.
        r#type: String => "type".always();
        /// How often routing is tried again.
        retries: i64 => "retries";
        /// The chain to go out through, by name.
        chain: String => "chain";
        /// Several chains to choose from.
        chain_group: Option<ChainGroup> => "chainGroup";
        /// An authenticator by name.
        auther: String => "auther";
        /// Authenticators by name; any may accept.
        authers: Vec<String> => "authers";
        /// The one user, when there is no authenticator.
        auth: Option<Auth> => "auth";
        /// Certificate and TLS options.
        tls: Option<Tls> => "tls";
        /// A traffic limiter by name, applied to each client.
        limiter: String => "limiter";
        /// An observer by name, told about each client.
        observer: String => "observer";
        /// Options of the handler.
        metadata: Values => "metadata";
    }

    /// The channel that clients of a service arrive on.
    pub struct Listener {
        /// Its kind; empty for `tcp`.
        r#type: String => "type".always();
        /// The chain to bind through, by name.
        chain: String => "chain";
        /// Several chains to choose from.
        chain_group: Option<ChainGroup> => "chainGroup";
        /// An authenticator by name.
        auther: String => "auther";
        /// Authenticators by name; any may accept.
        authers: Vec<String> => "authers";
        /// The one user, when there is no authenticator.
        auth: Option<Auth> => "auth";
        /// Certificate and TLS options.
        tls: Option<Tls> => "tls";
        /// Options of the listener.
        metadata: Values => "metadata";
    }

    /// Several chains, of which rules and a selector choose one.
    pub struct ChainGroup {
        /// The chains.
        chains: List<ChainGroupEntry> => "chains";
        /// How to choose.
        selector: Option<Selector> => "selector";
    }

    /// A chain of a group.
    pub struct ChainGroupEntry {
        /// The chain, by name.
        chain: String => "chain".shorthand();
        /// Which requests it is for.
        matcher: Option<Matcher> => "matcher";
        /// How to find out whether it works.
        probe: Option<Probe> => "probe";
    }

    /// Fixed targets of a service.
    pub struct Forwarder {
        /// Deprecated: `hop`.
        name: String => "name";
        /// A hop whose nodes are the targets, by name.
        hop: String => "hop";
        /// How to choose among the nodes.
        selector: Option<Selector> => "selector";
        /// The targets.
        nodes: List<ForwardNode> => "nodes".always();
        /// Several hops to choose from.
        hop_group: Option<HopGroup> => "hopGroup";
    }

    /// Several hops, of which rules and a selector choose one.
    pub struct HopGroup {
        /// The hops.
        hops: List<HopGroupEntry> => "hops";
        /// How to choose.
        selector: Option<Selector> => "selector";
    }

    /// A hop of a group.
    pub struct HopGroupEntry {
        /// The hop, by name.
        hop: String => "hop";
        /// Which requests it is for.
        matcher: Option<Matcher> => "matcher";
        /// How to find out whether it works.
        probe: Option<Probe> => "probe";
    }

    /// A target of a service.
    pub struct ForwardNode {
        /// Name for logs.
        name: String => "name";
        /// Address.
        addr: String => "addr";
        /// Network, such as `udp` or `unix`.
        network: String => "network";
        /// A bypass by name.
        bypass: String => "bypass";
        /// Bypasses by name.
        bypasses: Vec<String> => "bypasses";
        /// Deprecated: `matcher`.
        protocol: String => "protocol";
        /// Deprecated: `matcher`.
        host: String => "host";
        /// Deprecated: `matcher`.
        path: String => "path";
        /// Deprecated: `matcher`.
        filter: Option<NodeFilter> => "filter";
        /// Which requests it is for.
        matcher: Option<Matcher> => "matcher";
        /// Deprecated: `http.auth`.
        auth: Option<Auth> => "auth";
        /// How HTTP messages are changed.
        http: Option<HttpNode> => "http";
        /// TLS toward the target.
        tls: Option<TlsNode> => "tls";
        /// How to find out whether it works.
        probe: Option<Probe> => "probe";
        /// Options of the node.
        metadata: Values => "metadata";
    }

    /// Something that a service records.
    pub struct RecorderObject {
        /// The recorder, by name.
        name: String => "name".always();
        /// What to record: `recorder.service.handler` and others.
        record: String => "record".always();
        /// Options of the recording.
        metadata: Values => "metadata";
    }

    /// What the web API reports about a service.
    pub struct ServiceStatus {
        /// When it was made, in seconds since 1970.
        create_time: i64 => "createTime".always();
        /// `running`, `ready`, `failed` or `closed`.
        state: String => "state".always();
        /// What happened last.
        events: List<ServiceEvent> => "events";
        /// Counters.
        stats: Option<ServiceStats> => "stats";
        /// True when a quota stopped it.
        stopped_by_limit: bool => "stoppedByLimit";
        /// Its quotas.
        quotas: List<ServiceQuota> => "quotas";
    }

    /// Something that happened to a service.
    pub struct ServiceEvent {
        /// When, in seconds since 1970.
        time: i64 => "time".always();
        /// What.
        msg: String => "msg".always();
    }

    /// Counters of a service.
    pub struct ServiceStats {
        /// Connections so far.
        total_conns: u64 => "totalConns".always();
        /// Connections now.
        current_conns: u64 => "currentConns".always();
        /// Failed connections so far.
        total_errs: u64 => "totalErrs".always();
        /// Bytes from clients.
        input_bytes: u64 => "inputBytes".always();
        /// Bytes to clients.
        output_bytes: u64 => "outputBytes".always();
    }

    /// The state of a quota as a service sees it.
    pub struct ServiceQuota {
        /// The quota.
        name: String => "name".always();
        /// Bytes used.
        used: u64 => "used".always();
        /// Bytes allowed.
        limit: u64 => "limit".always();
        /// Begin of its time, in seconds since 1970.
        starts_at: i64 => "startsAt";
        /// End of its time, in seconds since 1970.
        expires_at: i64 => "expiresAt";
        /// True inside its time.
        active: bool => "active".always();
        /// True after its time.
        expired: bool => "expired";
        /// True when used up.
        blocked: bool => "blocked".always();
        /// Which bytes count.
        direction: String => "direction";
    }
}
