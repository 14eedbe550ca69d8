//! The keys that services, hops and nodes themselves have, whatever they are made of.

use std::{collections::BTreeMap, time::Duration};

use gost_chain::item::ItemOptions;
use gost_core::options;

use crate::{commands::Commands, limits::LimiterKeys, observing::ObservingKeys};

options! {
    /// Metadata of a service.
    pub struct ServiceOptions {
        /// Expect a PROXY header, of either version, in front of each connection.
        proxy_protocol: u8 = 0, "proxyProtocol";
        /// Interfaces or addresses to send from; `auto` for the one the client came in on.
        interface: String = String::new(), "interface";
        /// `SO_MARK` of outgoing sockets.
        so_mark: u32 = 0, "so_mark";
        /// The network namespace to listen in.
        netns: Option<String> = None, "netns";
        /// The network namespace to dial in.
        netns_out: Option<String> = None, "netns.out";
        /// How long each attempt to open something may take.
        dial_timeout: Duration = Duration::from_secs(15), "dialTimeout";
        /// Go direct, whatever chain handler and listener name.
        ignore_chain: bool = false, "ignoreChain";
        /// Text in every record of the service.
        labels: BTreeMap<String, String> = BTreeMap::new(), "labels";
        /// Count connections and bytes.
        stats: bool = false, "enableStats";
        /// Commands to run once the sockets are open.
        pre_up: Commands = Commands::default(), "preUp";
        /// Commands to run when it begins to serve.
        post_up: Commands = Commands::default(), "postUp";
        /// Commands to run before it stops.
        pre_down: Commands = Commands::default(), "preDown";
        /// Commands to run when its sockets are closed.
        post_down: Commands = Commands::default(), "postDown";
        ..observing: ObservingKeys;
        ..limiter: LimiterKeys;
    }
}

options! {
    /// Metadata of a hop, inherited by its nodes.
    pub struct HopOptions {
        /// Interfaces or addresses to send from.
        interface: Option<String> = None, "interface";
        /// `SO_MARK` of sockets to the nodes.
        so_mark: Option<u32> = None, "so_mark";
        /// Send a PROXY header of this version to the nodes.
        proxy_protocol: Option<u8> = None, "proxyProtocol";
        /// The network namespace to dial in.
        netns: Option<String> = None, "netns";
    }
}

options! {
    /// Metadata of a node.
    pub struct NodeOptions {
        ..sockets: HopOptions;
        ..item: ItemOptions;
    }
}
