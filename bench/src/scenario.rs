//! What is measured, as data.
//!
//! In command lines and files these are replaced: `{listen}` by the port that
//! the load connects to, `{hop}` by the port between the two processes of a
//! pair, `{target}` by the port of the load's own server, `{dir}` by a
//! temporary folder, `{nginx_stream}` by what nginx needs to find its module.

mod files;

use files::{
    HAPROXY, HAPROXY_GLOBAL, HAPROXY_LISTEN, HAPROXY_LISTEN_SPLICE, KCP_CLIENT, KCP_SERVER,
    KCPTUN_CLIENT, KCPTUN_SERVER, NGINX, STUNNEL_CERT, STUNNEL_CLIENT, STUNNEL_SERVER,
};

/// How a client asks for the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Not at all: the program knows it.
    Forward,
    /// SOCKS5 without authentication, by IPv4 address.
    Socks5,
    /// HTTP CONNECT.
    HttpConnect,
    /// Not at all, and with datagrams.
    Datagrams,
}

/// What listens on `{hop}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hop {
    /// There is none.
    None,
    /// TCP, or something over it.
    Tcp,
    /// UDP, or something over it.
    Udp,
}

/// One way of carrying traffic and those who can.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) entry: Entry,
    pub(crate) hop: Hop,
    /// Command lines of ours and of the reference, one for each process, the
    /// far side first.
    pub(crate) gost: &'static [&'static [&'static str]],
    /// Further programs.
    pub(crate) others: &'static [Contestant],
}

/// A program and how it is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contestant {
    /// Its name in the table.
    pub(crate) label: &'static str,
    pub(crate) program: Program,
    /// One command line for each process.
    pub(crate) commands: &'static [&'static [&'static str]],
    /// Files to be written into `{dir}`: name and content.
    pub(crate) files: &'static [(&'static str, &'static str)],
}

/// Where a program comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// The binary under test.
    Ours,
    /// Something on PATH.
    Peer(&'static str),
    /// One for the far side, another for the near one.
    Pair(&'static Self, &'static Self),
}

impl Program {
    /// The program of a process, counted from the far side.
    pub(crate) const fn of_process(self, number: usize) -> Self {
        match self {
            Self::Pair(far, _) if number == 0 => *far,
            Self::Pair(_, near) => *near,
            alone => alone,
        }
    }
}

/// kcptun's server and client.
const KCPTUN: [Program; 2] = [
    Program::Peer("kcptun-server"),
    Program::Peer("kcptun-client"),
];

/// Label of our program.
pub(crate) const OURS: &str = "ours";

impl Scenario {
    /// Ours, the reference, and the others.
    pub(crate) fn contestants(&self) -> impl Iterator<Item = Contestant> {
        let gost = [
            (OURS, Program::Ours),
            ("reference", Program::Peer("gost-reference")),
        ];
        let commands = self.gost;
        let gost = gost.map(|(label, program)| Contestant {
            label,
            program,
            commands,
            files: &[],
        });
        gost.into_iter().chain(self.others.iter().copied())
    }
}

/// Every scenario, in the order of the table.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "tcp",
        title: "TCP port forwarding",
        entry: Entry::Forward,
        hop: Hop::None,
        gost: &[&["-L", "tcp://127.0.0.1:{listen}/127.0.0.1:{target}"]],
        others: &[
            Contestant {
                label: "haproxy",
                program: Program::Peer("haproxy"),
                commands: HAPROXY,
                files: &[
                    ("global.cfg", HAPROXY_GLOBAL),
                    ("listen.cfg", HAPROXY_LISTEN),
                ],
            },
            Contestant {
                label: "haproxy splice",
                program: Program::Peer("haproxy"),
                commands: HAPROXY,
                files: &[
                    ("global.cfg", HAPROXY_GLOBAL),
                    ("listen.cfg", HAPROXY_LISTEN_SPLICE),
                ],
            },
            Contestant {
                label: "nginx",
                program: Program::Peer("nginx"),
                commands: &[&["-p", "{dir}", "-e", "/dev/null", "-c", "{dir}/nginx.conf"]],
                files: &[("nginx.conf", NGINX)],
            },
            Contestant {
                label: "realm",
                program: Program::Peer("realm"),
                commands: &[&["-l", "127.0.0.1:{listen}", "-r", "127.0.0.1:{target}"]],
                files: &[],
            },
        ],
    },
    Scenario {
        name: "socks5",
        title: "SOCKS5 proxy",
        entry: Entry::Socks5,
        hop: Hop::None,
        gost: &[&["-L", "socks5://127.0.0.1:{listen}"]],
        others: &[Contestant {
            label: "microsocks",
            program: Program::Peer("microsocks"),
            commands: &[&["-i", "127.0.0.1", "-p", "{listen}"]],
            files: &[],
        }],
    },
    Scenario {
        name: "policies",
        title: "SOCKS5 proxy with five policies: admission, bypass, and limits of connections, rates and bytes",
        entry: Entry::Socks5,
        hop: Hop::None,
        gost: &[&[
            "-L",
            "socks5://127.0.0.1:{listen}?admission=10.0.0.0/8&bypass=10.0.0.0/8&climiter=100000\
             &rlimiter=10000000&limiter.in=900TB&limiter.out=900TB",
        ]],
        others: &[Contestant {
            label: "ours without",
            program: Program::Ours,
            commands: &[&["-L", "socks5://127.0.0.1:{listen}"]],
            files: &[],
        }],
    },
    Scenario {
        name: "http",
        title: "HTTP proxy (CONNECT)",
        entry: Entry::HttpConnect,
        hop: Hop::None,
        gost: &[&["-L", "http://127.0.0.1:{listen}"]],
        others: &[],
    },
    Scenario {
        name: "relay",
        title: "SOCKS5 proxy through a relay, both processes",
        entry: Entry::Socks5,
        hop: Hop::Tcp,
        gost: &[
            &["-L", "relay://127.0.0.1:{hop}"],
            &[
                "-L",
                "socks5://127.0.0.1:{listen}",
                "-F",
                "relay://127.0.0.1:{hop}",
            ],
        ],
        others: &[],
    },
    Scenario {
        name: "forward-relay",
        title: "TCP port forwarding through a relay, both processes",
        entry: Entry::Forward,
        hop: Hop::Tcp,
        gost: &[
            &["-L", "relay://127.0.0.1:{hop}"],
            &[
                "-L",
                "tcp://127.0.0.1:{listen}/127.0.0.1:{target}",
                "-F",
                "relay://127.0.0.1:{hop}",
            ],
        ],
        others: &[],
    },
    Scenario {
        name: "relay-tls",
        title: "SOCKS5 proxy through a relay over TLS, both processes",
        entry: Entry::Socks5,
        hop: Hop::Tcp,
        gost: &[
            &["-L", "relay+tls://127.0.0.1:{hop}"],
            &[
                "-L",
                "socks5://127.0.0.1:{listen}",
                "-F",
                "relay+tls://127.0.0.1:{hop}",
            ],
        ],
        others: &[],
    },
    Scenario {
        name: "relay-mtls",
        title: "SOCKS5 proxy through a relay over mtls, both processes",
        entry: Entry::Socks5,
        hop: Hop::Tcp,
        gost: &[
            &["-L", "relay+mtls://127.0.0.1:{hop}"],
            &[
                "-L",
                "socks5://127.0.0.1:{listen}",
                "-F",
                "relay+mtls://127.0.0.1:{hop}",
            ],
        ],
        others: &[],
    },
    Scenario {
        name: "forward-tls",
        title: "TCP port forwarding through TLS, both processes",
        entry: Entry::Forward,
        hop: Hop::Tcp,
        gost: &[
            &["-L", "relay+tls://127.0.0.1:{hop}"],
            &[
                "-L",
                "tcp://127.0.0.1:{listen}/127.0.0.1:{target}",
                "-F",
                "relay+tls://127.0.0.1:{hop}",
            ],
        ],
        others: &[Contestant {
            label: "stunnel",
            program: Program::Peer("stunnel"),
            commands: &[&["{dir}/server.conf"], &["{dir}/client.conf"]],
            files: &[
                ("server.conf", STUNNEL_SERVER),
                ("client.conf", STUNNEL_CLIENT),
                ("cert.pem", STUNNEL_CERT),
            ],
        }],
    },
    Scenario {
        name: "relay-ws",
        title: "SOCKS5 proxy through a relay over WebSocket, both processes",
        entry: Entry::Socks5,
        hop: Hop::Tcp,
        gost: &[
            &["-L", "relay+ws://127.0.0.1:{hop}"],
            &[
                "-L",
                "socks5://127.0.0.1:{listen}",
                "-F",
                "relay+ws://127.0.0.1:{hop}",
            ],
        ],
        others: &[Contestant {
            label: "wstunnel",
            program: Program::Peer("wstunnel"),
            commands: &[
                &["server", "ws://127.0.0.1:{hop}"],
                &[
                    "client",
                    "-L",
                    "socks5://127.0.0.1:{listen}",
                    "ws://127.0.0.1:{hop}",
                ],
            ],
            files: &[],
        }],
    },
    Scenario {
        name: "relay-wss",
        title: "SOCKS5 proxy through a relay over WebSocket in TLS, both processes",
        entry: Entry::Socks5,
        hop: Hop::Tcp,
        gost: &[
            &["-L", "relay+wss://127.0.0.1:{hop}"],
            &[
                "-L",
                "socks5://127.0.0.1:{listen}",
                "-F",
                "relay+wss://127.0.0.1:{hop}",
            ],
        ],
        others: &[Contestant {
            label: "wstunnel",
            program: Program::Peer("wstunnel"),
            commands: &[
                &["server", "wss://127.0.0.1:{hop}"],
                &[
                    "client",
                    "-L",
                    "socks5://127.0.0.1:{listen}",
                    "wss://127.0.0.1:{hop}",
                ],
            ],
            files: &[],
        }],
    },
    Scenario {
        name: "relay-mws",
        title: "SOCKS5 proxy through a relay over mws, both processes",
        entry: Entry::Socks5,
        hop: Hop::Tcp,
        gost: &[
            &["-L", "relay+mws://127.0.0.1:{hop}"],
            &[
                "-L",
                "socks5://127.0.0.1:{listen}",
                "-F",
                "relay+mws://127.0.0.1:{hop}",
            ],
        ],
        others: &[],
    },
    Scenario {
        name: "relay-mwss",
        title: "SOCKS5 proxy through a relay over mwss, both processes",
        entry: Entry::Socks5,
        hop: Hop::Tcp,
        gost: &[
            &["-L", "relay+mwss://127.0.0.1:{hop}"],
            &[
                "-L",
                "socks5://127.0.0.1:{listen}",
                "-F",
                "relay+mwss://127.0.0.1:{hop}",
            ],
        ],
        others: &[],
    },
    Scenario {
        name: "relay-kcp",
        title: "SOCKS5 proxy through a relay over KCP with its defaults, both processes",
        entry: Entry::Socks5,
        hop: Hop::Udp,
        gost: &[
            &["-L", "relay+kcp://127.0.0.1:{hop}"],
            &[
                "-L",
                "socks5://127.0.0.1:{listen}",
                "-F",
                "relay+kcp://127.0.0.1:{hop}",
            ],
        ],
        others: &[],
    },
    Scenario {
        name: "forward-kcp",
        title: "TCP port forwarding through KCP as kcptun does it, both processes",
        entry: Entry::Forward,
        hop: Hop::Udp,
        gost: &[KCP_SERVER, KCP_CLIENT],
        others: &[
            Contestant {
                label: "kcptun",
                program: Program::Pair(&KCPTUN[0], &KCPTUN[1]),
                commands: &[KCPTUN_SERVER, KCPTUN_CLIENT],
                files: &[],
            },
            Contestant {
                label: "ours to kcptun",
                program: Program::Pair(&KCPTUN[0], &Program::Ours),
                commands: &[KCPTUN_SERVER, KCP_CLIENT],
                files: &[],
            },
            Contestant {
                label: "kcptun to ours",
                program: Program::Pair(&Program::Ours, &KCPTUN[1]),
                commands: &[KCP_SERVER, KCPTUN_CLIENT],
                files: &[],
            },
        ],
    },
    Scenario {
        name: "udp",
        title: "UDP port forwarding",
        entry: Entry::Datagrams,
        hop: Hop::None,
        gost: &[&[
            "-L",
            "udp://127.0.0.1:{listen}/127.0.0.1:{target}?keepalive=true",
        ]],
        others: &[Contestant {
            label: "realm",
            program: Program::Peer("realm"),
            commands: &[&[
                "-u",
                "-t",
                "-l",
                "127.0.0.1:{listen}",
                "-r",
                "127.0.0.1:{target}",
            ]],
            files: &[],
        }],
    },
    Scenario {
        name: "udp-default",
        title: "UDP port forwarding without keepalive",
        entry: Entry::Datagrams,
        hop: Hop::None,
        gost: &[&["-L", "udp://127.0.0.1:{listen}/127.0.0.1:{target}"]],
        others: &[],
    },
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_distinct_and_every_program_listens_where_it_is_asked() {
        let mut names = HashSet::new();
        for scenario in SCENARIOS {
            assert!(names.insert(scenario.name));
            let mut labels = HashSet::new();
            for contestant in scenario.contestants() {
                assert!(labels.insert(contestant.label), "{}", contestant.label);
                let words = contestant.commands.iter().copied().flatten().copied();
                let files = contestant.files.iter().map(|(_, content)| *content);
                let all: String = words.chain(files).collect();
                assert!(all.contains("{listen}"), "{} {all}", scenario.name);
                assert_eq!(all.contains("{hop}"), scenario.hop != Hop::None, "{all}");
                let names_target = matches!(scenario.entry, Entry::Forward | Entry::Datagrams);
                assert_eq!(all.contains("{target}"), names_target, "{all}");
            }
        }
    }
}
