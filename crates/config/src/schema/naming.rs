//! From names to addresses, tunnels and gateways.

use super::{FileLoader, HttpLoader, Plugin, RedisLoader, schema};
use crate::{
    List,
    scalar::{Nanos, Secret},
};

schema! {
    /// A DNS resolver.
    pub struct Resolver {
        /// Unique name.
        name: String => "name".always();
        /// Servers, asked in order.
        nameservers: List<Nameserver> => "nameservers";
        /// A plugin that resolves in place of them.
        plugin: Option<Plugin> => "plugin";
    }

    /// A DNS server.
    pub struct Nameserver {
        /// Address, with `udp://`, `tcp://`, `tls://` or `https://`.
        addr: String => "addr".always();
        /// The chain to ask it through, by name.
        chain: String => "chain";
        /// `ipv4` or `ipv6` first.
        prefer: String => "prefer";
        /// Client subnet to tell it.
        client_ip: String => "clientIP";
        /// The name that its certificate must be for; without it any will do.
        hostname: String => "hostname";
        /// How long answers are kept; 0 for what they say, negative for not at all.
        ttl: Nanos => "ttl";
        /// How long an answer may take; 0 for 5 s.
        timeout: Nanos => "timeout";
        /// Answer from old entries while asking again.
        r#async: bool => "async";
        /// `ipv4` or `ipv6` alone.
        only: String => "only";
    }

    /// A table from host names to addresses.
    pub struct Hosts {
        /// Unique name.
        name: String => "name".always();
        /// The entries.
        mappings: List<HostMapping> => "mappings";
        /// How often the loaders load again; 0 for once.
        reload: Nanos => "reload";
        /// More entries from a file.
        file: Option<FileLoader> => "file";
        /// More entries from redis.
        redis: Option<RedisLoader> => "redis";
        /// More entries from a URL.
        http: Option<HttpLoader> => "http";
        /// A plugin that decides in place of all this.
        plugin: Option<Plugin> => "plugin";
    }

    /// A host name and its address.
    pub struct HostMapping {
        /// Address.
        ip: String => "ip".always();
        /// Host name; with a leading dot, also everything under it.
        hostname: String => "hostname".always();
        /// Without effect.
        aliases: Vec<String> => "aliases";
    }

    /// A table from host names to tunnels.
    pub struct Ingress {
        /// Unique name.
        name: String => "name".always();
        /// The entries.
        rules: List<IngressRule> => "rules";
        /// How often the loaders load again; 0 for once.
        reload: Nanos => "reload";
        /// More entries from a file.
        file: Option<FileLoader> => "file";
        /// More entries from redis.
        redis: Option<RedisLoader> => "redis";
        /// More entries from a URL.
        http: Option<HttpLoader> => "http";
        /// A plugin that decides in place of all this.
        plugin: Option<Plugin> => "plugin";
    }

    /// A host name and its tunnel.
    pub struct IngressRule {
        /// Host name; with a leading dot, also everything under it.
        hostname: String => "hostname".always();
        /// Id of the tunnel.
        endpoint: String => "endpoint".always();
    }

    /// A table from networks to gateways.
    pub struct Router {
        /// Unique name.
        name: String => "name".always();
        /// The entries; the first that matches wins.
        routes: List<Route> => "routes";
        /// How often the loaders load again; 0 for once.
        reload: Nanos => "reload";
        /// More entries from a file.
        file: Option<FileLoader> => "file";
        /// More entries from redis.
        redis: Option<RedisLoader> => "redis";
        /// More entries from a URL.
        http: Option<HttpLoader> => "http";
        /// A plugin that decides in place of all this.
        plugin: Option<Plugin> => "plugin";
    }

    /// A network and its gateway.
    pub struct Route {
        /// Deprecated: `dst`.
        net: String => "net";
        /// Network, or any text to compare.
        dst: String => "dst";
        /// Gateway.
        gateway: String => "gateway".always();
    }

    /// Service discovery, by a plugin or through redis.
    pub struct Sd {
        /// Unique name.
        name: String => "name".always();
        /// The plugin that does it.
        plugin: Option<Plugin> => "plugin";
        /// The redis that does it, which the original can't.
        redis: Option<SdRedis> => "redis";
    }

    /// A redis through which services are found.
    pub struct SdRedis {
        /// Address.
        addr: String => "addr".always();
        /// Number of the database.
        db: i64 => "db";
        /// User name.
        username: String => "username";
        /// Password.
        password: Secret => "password";
        /// What keys begin with; empty for `gost:sd`.
        key: String => "key";
        /// How long a service is found that nobody renews; 0 for a minute.
        ttl: Nanos => "ttl";
    }
}
