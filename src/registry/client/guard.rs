//! Addresses that no registry has: link-local ones, where clouds serve the machine's credentials. A
//! configuration, or a name that is pointed there later, must not make the program ask them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Whether a URL names such an address itself.
pub(super) fn is_forbidden_host(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    address.is_ok_and(is_forbidden)
}

fn is_forbidden(address: IpAddr) -> bool {
    /// The metadata service of EC2 over IPv6.
    const METADATA: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
    match address.to_canonical() {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address == METADATA,
    }
}

/// The system's resolver, without those addresses: checked after the name is resolved, so that a
/// name cannot hide them.
pub(super) struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The port is the connector's to set.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|a| !is_forbidden(a.ip())).collect();
            if allowed.is_empty() {
                return Err("the name has no address, or link-local ones only".into());
            }
            let addresses: Addrs = Box::new(allowed.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_local_addresses_are_forbidden_in_every_spelling() {
        let forbidden = |text: &str| is_forbidden_host(&reqwest::Url::parse(text).unwrap());
        for text in [
            "http://169.254.169.254",
            "http://0xA9FEA9FE/",
            "http://2852039166",
            "http://[::ffff:169.254.169.254]:80",
            "http://[fe80::1]",
            "http://[fd00:ec2::254]",
        ] {
            assert!(forbidden(text), "{text}");
        }
        for text in ["http://127.0.0.1:8081", "http://10.0.0.1", "http://[::1]", "http://registry"]
        {
            assert!(!forbidden(text), "{text}");
        }
    }
}
