//! `listeners` and `advertised.listeners`: `NAME://host:port`, with commas between.

/// An address to listen on, or to tell clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The listener's name, in capitals.
    pub name: String,
    /// A name or an address without brackets; empty means every address (of a bound listener only).
    pub host: String,
    /// 0 means any free port of a bound listener, and the bound port of an advertised one.
    pub port: u16,
}

/// Reads a list of listeners.
pub(super) fn parse(list: &[String]) -> Result<Vec<Listener>, String> {
    list.iter().map(|text| listener(text)).collect()
}

fn listener(text: &str) -> Result<Listener, String> {
    let wrong = || format!("{text} is not of the form NAME://host:port");
    let (name, address) = text.split_once("://").ok_or_else(wrong)?;
    let (host, port) = address.rsplit_once(':').ok_or_else(wrong)?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').ok_or_else(wrong)?,
        None if host.contains(':') => return Err(wrong()),
        None => host,
    };
    if name.is_empty() {
        return Err(wrong());
    }
    Ok(Listener {
        name: name.to_ascii_uppercase(),
        host: host.into(),
        port: port.parse().map_err(|_| wrong())?,
    })
}

/// Checks what is to be bound: one listener of a name and of an address, PLAINTEXT all of them.
/// `protocols` is the text of `listener.security.protocol.map`.
pub(super) fn check_bound(bound: &[Listener], protocols: &str) -> Result<(), String> {
    if bound.is_empty() {
        return Err("there is no listener for clients".into());
    }
    for (index, listener) in bound.iter().enumerate() {
        let name = &listener.name;
        let earlier = &bound[..index];
        if earlier.iter().any(|other| other.name == *name) {
            return Err(format!("two listeners are named {name}"));
        }
        let same = |other: &Listener| other.port == listener.port && other.host == listener.host;
        if listener.port != 0 && earlier.iter().any(same) {
            return Err(format!("two listeners have port {}", listener.port));
        }
        match protocol(protocols, name) {
            Some("PLAINTEXT") => {}
            Some(other) => return Err(format!("{name}: {other} cannot be used yet")),
            None => {
                return Err(format!(
                    "{name}: no security protocol in listener.security.protocol.map"
                ));
            }
        }
    }
    Ok(())
}

/// Checks what clients are told: names of bound listeners, and addresses that lead somewhere.
pub(super) fn check_advertised(advertised: &[Listener], bound: &[Listener]) -> Result<(), String> {
    for Listener { name, host, .. } in advertised {
        if ["", "0.0.0.0", "::"].contains(&host.as_str()) {
            return Err(format!(
                "{name}: {host:?} is no address that a client can reach"
            ));
        }
        if !bound.iter().any(|listener| listener.name == *name) {
            return Err(format!("{name} is not among the listeners"));
        }
    }
    Ok(())
}

/// The protocol of a listener in `NAME:PROTOCOL,NAME:PROTOCOL`.
fn protocol<'m>(map: &'m str, name: &str) -> Option<&'m str> {
    map.split(',')
        .filter_map(|pair| pair.trim().split_once(':'))
        .find_map(|(key, protocol)| key.eq_ignore_ascii_case(name).then_some(protocol))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<Listener, String> {
        listener(text)
    }

    fn bound(texts: &[&str]) -> Vec<Listener> {
        texts.iter().map(|text| one(text).expect(text)).collect()
    }

    const MAP: &str = "PLAINTEXT:PLAINTEXT,SSL:SSL,FIELD:PLAINTEXT";

    #[test]
    fn hosts_are_names_addresses_or_nothing() {
        for (text, host, port) in [
            ("PLAINTEXT://:9092", "", 9092),
            ("plaintext://box.local:0", "box.local", 0),
            ("PLAINTEXT://[::1]:9093", "::1", 9093),
        ] {
            let listener = one(text).expect(text);
            assert_eq!(listener.name, "PLAINTEXT");
            assert_eq!((listener.host.as_str(), listener.port), (host, port));
        }
    }

    #[test]
    fn what_is_no_listener_is_refused() {
        for text in [
            "",
            "9092",
            "PLAINTEXT://box",
            "://box:1",
            "A://::1:9",
            "A://b:70000",
            "A://[::1:9",
        ] {
            assert!(one(text).is_err(), "{text}");
        }
    }

    #[test]
    fn bound_listeners_are_distinct_and_plaintext() {
        let check = |texts: &[&str]| check_bound(&bound(texts), MAP);
        assert_eq!(check(&["PLAINTEXT://:1", "FIELD://:2"]), Ok(()));
        assert_eq!(check(&["PLAINTEXT://:0", "FIELD://:0"]), Ok(()));
        assert!(check(&["PLAINTEXT://:1", "PLAINTEXT://:2"]).is_err());
        assert!(check(&["PLAINTEXT://:1", "FIELD://:1"]).is_err());
        assert!(check(&["SSL://:1"]).is_err_and(|why| why.contains("cannot be used yet")));
        assert!(check(&["OTHER://:1"]).is_err_and(|why| why.contains("protocol.map")));
        assert!(check(&[]).is_err());
    }

    #[test]
    fn advertised_addresses_lead_somewhere() {
        let check = |text| check_advertised(&bound(&[text]), &bound(&["PLAINTEXT://:1"]));
        assert_eq!(check("PLAINTEXT://box:0"), Ok(()));
        assert!(check("PLAINTEXT://0.0.0.0:1").is_err());
        assert!(check("PLAINTEXT://[::]:1").is_err());
        assert!(check("PLAINTEXT://:1").is_err());
        assert!(check("OTHER://box:1").is_err());
    }
}
