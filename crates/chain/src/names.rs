//! Turning the host in an address into IP addresses, before anything is dialed.

use std::{borrow::Cow, net::IpAddr};

use gost_core::{
    addr::Addr,
    error::{Error, Phase, Result, Side, Why},
    outbound::Ask,
    policy::Family,
    routing::Names,
};

/// The addresses that the table, or else the resolver, has for the host in an address.
///
/// The table may have entries for IP addresses, too; a resolver is only asked for names. Without
/// an entry in the table and without a resolver the address stays as it is, so that whoever dials
/// it in the end, possibly a node, resolves it; the answer is never empty. A resolver that has no
/// answer is an error about the target.
pub async fn addresses(names: &Names, addr: &Addr, ask: &Ask) -> Result<Vec<Addr>> {
    let (host, port) = match addr {
        Addr::Name(name, port) if !name.is_empty() => (Cow::Borrowed(&**name), *port),
        Addr::Ip(addr) if names.hosts.is_some() => {
            let ip = addr.ip().to_canonical();
            (Cow::Owned(ip.to_string()), addr.port())
        }
        _ => return Ok(vec![addr.clone()]),
    };
    if names.hosts.is_none() && names.resolver.is_none() {
        return Ok(vec![addr.clone()]);
    }
    let asker = ask.asker();
    let with_port = |ips: Vec<IpAddr>| ips.into_iter().map(|ip| Addr::Ip((ip, port).into()));
    if let Some(hosts) = &names.hosts
        && let Some(found) = hosts.lookup(&host, Family::Any, &asker).await
        && !found.is_empty()
    {
        return Ok(with_port(found).collect());
    }
    let (Addr::Name(name, _), Some(resolver)) = (addr, &names.resolver) else {
        return Ok(vec![addr.clone()]);
    };
    let found = resolver
        .resolve(name, Family::Any, &asker)
        .await
        .map_err(|e| e.phase(Phase::Resolve).side(Side::Target))?;
    if found.is_empty() {
        return Err(
            Error::new(Why::Unresolved, format!("resolve {name}: no address"))
                .phase(Phase::Resolve)
                .side(Side::Target),
        );
    }
    Ok(with_port(found).collect())
}
