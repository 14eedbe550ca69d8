//! Chains that need themselves: a resolver that asks through a chain, to find the nodes of which
//! that resolver is needed.

use std::collections::{HashMap, HashSet};

use crate::{Config, Hop, Nameserver, Problem};

pub(super) fn check(config: &Config, problems: &mut Vec<Problem>) {
    let needs = Needs::of(config);
    let mut known = HashSet::new();
    for chain in &config.chains {
        let mut way = vec![&*chain.name];
        needs.follow(&mut way, &mut known, problems);
    }
}

/// What each chain needs: other chains, through which its resolvers ask.
struct Needs<'a>(HashMap<&'a str, Vec<(&'a str, &'a Nameserver)>>);

impl<'a> Needs<'a> {
    fn of(config: &'a Config) -> Self {
        let hops: HashMap<&str, &Hop> = config.hops.iter().map(|hop| (&*hop.name, hop)).collect();
        let mut asking: HashMap<&str, Vec<&Nameserver>> = HashMap::new();
        for resolver in &config.resolvers {
            let servers = resolver.nameservers.iter();
            let through = servers.filter(|server| !server.chain.is_empty());
            asking.entry(&resolver.name).or_default().extend(through);
        }
        let needs = config.chains.iter().map(|chain| {
            let mut needed = Vec::new();
            for hop in &chain.hops {
                let hop = if hop.nodes.is_given() {
                    Some(hop)
                } else {
                    hops.get(&*hop.name).copied()
                };
                let Some(hop) = hop else { continue };
                let of_nodes = hop.nodes.iter().map(|node| &*node.resolver);
                let resolvers: HashSet<&str> = of_nodes.chain([&*hop.resolver]).collect();
                let servers = resolvers.into_iter().filter_map(|name| asking.get(name));
                needed.extend(servers.flatten().map(|server| (&*server.chain, *server)));
            }
            needed.sort_by_key(|(name, _)| *name);
            needed.dedup_by_key(|(name, _)| *name);
            (&*chain.name, needed)
        });
        Self(needs.collect())
    }

    /// Follows what the last chain of `way` needs; each chain once.
    fn follow(
        &self,
        way: &mut Vec<&'a str>,
        known: &mut HashSet<&'a str>,
        problems: &mut Vec<Problem>,
    ) {
        let Some(last) = way.last().copied() else {
            return;
        };
        if !known.insert(last) {
            return;
        }
        for (next, server) in self.0.get(last).into_iter().flatten() {
            if let Some(start) = way.iter().position(|name| name == next) {
                let circle = way[start..].join(", which needs chain ");
                let message = format!("a circle: chain {circle}, whose nodes need this nameserver");
                problems.push(server.place.error("chain", message));
            } else {
                way.push(next);
                self.follow(way, known, problems);
                way.pop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FileFormat, read_document};

    fn said(yaml: &str) -> Vec<String> {
        let read = read_document("a.yaml", FileFormat::Yaml, yaml.as_bytes());
        let mut problems = Vec::new();
        check(&read.expect("yaml").0, &mut problems);
        problems.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn a_chain_that_needs_itself_is_said_once() {
        let chain = |name: &str, resolver: &str| {
            format!(
                "- name: {name}\n  hops:\n  - {{name: h, nodes: [{{name: n, resolver: {resolver}}}]}}\n"
            )
        };
        let resolver = |name: &str, chain: &str| {
            format!("- name: {name}\n  nameservers: [{{addr: 1.1.1.1, chain: {chain}}}]\n")
        };
        let of = |chains: &[String], resolvers: &[String]| {
            said(&format!(
                "chains:\n{}resolvers:\n{}",
                chains.concat(),
                resolvers.concat()
            ))
        };
        let itself = of(&[chain("a", "r")], &[resolver("r", "a")]);
        assert_eq!(
            itself,
            [
                "a.yaml:7: resolvers[0].nameservers[0].chain: a circle: chain a, whose nodes need \
              this nameserver"
            ]
        );
        let both = of(
            &[chain("a", "r"), chain("b", "s")],
            &[resolver("r", "b"), resolver("s", "a")],
        );
        assert_eq!(both.len(), 1, "{both:?}");
        assert!(both[0].contains("chain a, which needs chain b"), "{both:?}");
        let line = of(
            &[chain("a", "r"), chain("b", "s"), chain("c", "none")],
            &[resolver("r", "b"), resolver("s", "c")],
        );
        assert_eq!(line, [""; 0]);
        let hop = "chains:\n- {name: a, hops: [{name: h}]}\nhops:\n- {name: h, resolver: r, \
                   nodes: [{name: n}]}\nresolvers:\n- name: r\n  nameservers: [{chain: a}]\n";
        assert_eq!(said(hop).len(), 1);
    }
}
