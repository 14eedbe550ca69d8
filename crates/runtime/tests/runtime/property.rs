//! After any reloads the program does what it would do had it just been started with the last
//! good configuration, and what was never changed never lost a connection.

use std::{fmt::Write as _, net::SocketAddr, time::Duration};

use gost_testkit::ports;
use proptest::prelude::*;

use crate::support::{Client, Named, config, name_at, refused, start, text};

/// One service that forwards.
#[derive(Clone, Debug, PartialEq)]
struct Forward {
    /// The last number of its address.
    host: u8,
    /// An option of the listener, without effect on what is tested.
    keepalive: bool,
    /// An option of the handler, likewise.
    idle: bool,
    /// Which server it leads to.
    target: usize,
    /// Goes through the node.
    chained: bool,
}

impl Forward {
    /// Whom it leads to.
    fn expected(&self, model: &Model) -> Option<u8> {
        let works = !self.chained || model.passwords.0 == model.passwords.1;
        works.then_some([b'A', b'B'][self.target])
    }
}

/// A configuration.
#[derive(Clone, Debug)]
struct Model {
    services: [Option<Forward>; 3],
    /// The password that the node asks for, and the one that it is told.
    passwords: (bool, bool),
    mistake: Option<Mistake>,
}

#[derive(Clone, Debug)]
enum Mistake {
    UnknownHandler,
    UnknownChain,
    TakenPort,
    DuplicateName,
    BadOption,
}

/// The world that configurations are about.
struct World {
    servers: [Named; 2],
    ports: [u16; 3],
    node: u16,
}

impl World {
    async fn new() -> Self {
        Self {
            servers: [Named::start(b'A').await, Named::start(b'B').await],
            ports: std::array::from_fn(|_| ports::tcp()),
            node: ports::tcp(),
        }
    }

    fn addr(&self, at: usize, forward: &Forward) -> SocketAddr {
        ([127, 0, 0, forward.host], self.ports[at]).into()
    }

    fn yaml(&self, model: &Model) -> String {
        let password = |is_good: bool| if is_good { "good" } else { "bad" };
        let (asked, told) = model.passwords;
        let mut yaml = format!(
            "services:
- {{name: node, addr: '127.0.0.1:{node}', handler: {{type: socks5, auther: users}}}}
",
            node = self.node
        );
        for (at, forward) in model.services.iter().enumerate() {
            let Some(forward) = forward else { continue };
            let chain = if forward.chained { ", chain: c" } else { "" };
            let idle = if forward.idle { 500 } else { 400 };
            writeln!(
                yaml,
                "- name: s{at}
  addr: '{addr}'
  handler: {{type: tcp{chain}, metadata: {{idleTimeout: {idle}s}}}}
  listener: {{type: tcp, metadata: {{keepalive: {keepalive}}}}}
  forwarder: {{nodes: [{{name: t, addr: '{target}'}}]}}",
                addr = self.addr(at, forward),
                keepalive = forward.keepalive,
                target = self.servers[forward.target].addr,
            )
            .unwrap();
        }
        let bad = match &model.mistake {
            None => String::new(),
            Some(Mistake::UnknownHandler) => service("nosuch", "127.0.0.1:0", ""),
            Some(Mistake::UnknownChain) => service("tcp", "127.0.0.1:0", ", chain: nosuch"),
            Some(Mistake::TakenPort) => service("tcp", &self.servers[0].addr.to_string(), ""),
            Some(Mistake::DuplicateName) => {
                format!("{0}{0}", service("tcp", "127.0.0.1:0", ""))
            }
            Some(Mistake::BadOption) => {
                service("tcp", "127.0.0.1:0", ", metadata: {idleTimeout: soon}")
            }
        };
        write!(
            yaml,
            "{bad}authers:
- {{name: users, auths: [{{username: u, password: {asked}}}]}}
chains:
- name: c
  hops:
  - name: h
    nodes:
    - name: n
      addr: '127.0.0.1:{node}'
      connector: {{type: socks5, auth: {{username: u, password: {told}}}}}
",
            asked = password(asked),
            told = password(told),
            node = self.node
        )
        .unwrap();
        yaml
    }

    async fn behaves(&self, model: &Model) {
        for (at, forward) in model.services.iter().enumerate() {
            if let Some(forward) = forward {
                let name = name_at(self.addr(at, forward)).await;
                assert_eq!(name, forward.expected(model), "s{at} of {model:?}");
            }
            for host in [1, 2] {
                if forward.as_ref().is_none_or(|forward| forward.host != host) {
                    refused(([127, 0, 0, host], self.ports[at]).into()).await;
                }
            }
        }
    }
}

fn service(handler: &str, addr: &str, more: &str) -> String {
    format!("- {{name: bad, addr: '{addr}', handler: {{type: {handler}{more}}}}}\n")
}

fn forward() -> impl Strategy<Value = Forward> {
    (
        1..3_u8,
        any::<bool>(),
        any::<bool>(),
        0..2_usize,
        any::<bool>(),
    )
        .prop_map(|(host, keepalive, idle, target, chained)| Forward {
            host,
            keepalive,
            idle,
            target,
            chained,
        })
}

/// A change of one thing at a time, or a mistake.
#[derive(Clone, Debug)]
enum Step {
    Service(usize, Option<Forward>),
    Passwords(bool, bool),
    Mistake(Mistake, Box<Step>),
    Nothing,
}

fn step() -> impl Strategy<Value = Step> {
    let service = (0..2_usize, proptest::option::of(forward()));
    let service = service.prop_map(|(at, forward)| Step::Service(at, forward));
    let passwords = any::<(bool, bool)>().prop_map(|(a, b)| Step::Passwords(a, b));
    let good = prop_oneof![4 => service, 1 => passwords, 1 => Just(Step::Nothing)];
    let mistake = prop_oneof![
        Just(Mistake::UnknownHandler),
        Just(Mistake::UnknownChain),
        Just(Mistake::TakenPort),
        Just(Mistake::DuplicateName),
        Just(Mistake::BadOption),
    ];
    let good = good.boxed();
    let bad = (mistake, good.clone()).prop_map(|(mistake, step)| {
        // What else a bad configuration says must not come to pass.
        Step::Mistake(mistake, Box::new(step))
    });
    prop_oneof![3 => good, 1 => bad]
}

fn apply(model: &mut Model, step: &Step) {
    match step {
        Step::Service(at, forward) => model.services[*at].clone_from(forward),
        Step::Passwords(asked, told) => model.passwords = (*asked, *told),
        Step::Mistake(mistake, step) => {
            apply(model, step);
            model.mistake = Some(mistake.clone());
        }
        Step::Nothing => {}
    }
}

async fn check(first: Model, steps: Vec<Step>) {
    let world = World::new().await;
    let mut model = first;
    let mut runtime = start(&world.yaml(&model)).await;
    world.behaves(&model).await;
    // The last service never changes, and is connected to all the time.
    let last = model.services[2].clone().unwrap();
    let (mut kept, _) = Client::connect(world.addr(2, &last)).await.unwrap();
    // Connections that are there for as long as their service is.
    let mut clients: Vec<(usize, Client)> = Vec::new();
    for step in steps {
        let mut wanted = model.clone();
        apply(&mut wanted, &step);
        let yaml = world.yaml(&wanted);
        // The check for mistakes that need no components is the loader's.
        let problems = gost_config::check(&config(&yaml));
        let is_error = |p: &gost_config::Problem| p.severity > gost_config::Severity::Warning;
        let result = if problems.iter().any(is_error) {
            Err(problems)
        } else {
            runtime.reload(&config(&yaml), Duration::ZERO).await
        };
        match (result, &wanted.mistake) {
            (Ok(_), None) => model = wanted,
            (Err(problems), Some(_)) => assert!(!problems.is_empty()),
            (Ok(_), Some(mistake)) => panic!("{mistake:?} was not found\n{yaml}"),
            (Err(problems), None) => panic!("{}\n{yaml}", text(&problems)),
        }
        world.behaves(&model).await;
        assert!(kept.is_alive().await, "{step:?}");
        for (at, mut client) in std::mem::take(&mut clients) {
            if model.services[at].is_some() {
                assert!(client.is_alive().await, "s{at} after {step:?}");
                clients.push((at, client));
            } else {
                // It is ended by a task of its own.
                while client.is_alive().await {}
            }
        }
        for (at, forward) in model.services.iter().enumerate() {
            if let Some(forward) = forward {
                let (client, name) = Client::connect(world.addr(at, forward)).await.unwrap();
                clients.extend(name.map(|_| (at, client)));
            }
        }
    }
    runtime.stop(Duration::ZERO).await;
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn reloads_end_where_a_start_would(
        first in (proptest::option::of(forward()), proptest::option::of(forward()), forward()),
        steps in proptest::collection::vec(step(), 1..10),
    ) {
        let (a, b, c) = first;
        let last = Forward { chained: false, ..c };
        let model = Model { services: [a, b, Some(last)], passwords: (true, true), mistake: None };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(model, steps));
    }
}
