//! The proxies that the environment names, chosen as Docker chooses them (Go,
//! golang.org/x/net/http/httpproxy): `HTTP_PROXY`, `HTTPS_PROXY`, `NO_PROXY`,
//! in capital or small letters; and `ALL_PROXY`, as curl has it, for both.

use std::{env, net::IpAddr};

use reqwest::Url;
use tandem_model::{OutsideKind, OutsideSetting};

use super::{RegistryError, host};

/// Which way to which host.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proxies {
    /// For `http`.
    plain: Option<Url>,
    /// For `https`.
    secure: Option<Url>,
    /// Hosts that want none.
    without: Vec<Without>,
}

/// One entry of `NO_PROXY`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Without {
    Everything,
    /// An address and how many of its bits count.
    Network(IpAddr, u32),
    Address(IpAddr, Option<u16>),
    /// `.example.org`, and whether `example.org` itself counts.
    Domain {
        suffix: String,
        itself: bool,
        port: Option<u16>,
    },
}

impl Proxies {
    pub(crate) fn of_environment() -> Result<Self, RegistryError> {
        Self::of(|name| env::var(name).ok())
    }

    fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Self, RegistryError> {
        let proxy = |name: &str| match wanted(&variable, name) {
            None => Ok(None),
            Some((name, value)) => match parse_proxy(value.trim()) {
                Some(url) => Ok(Some(url)),
                None => Err(RegistryError::ProxySetting { variable: name }),
            },
        };
        let without = set(&variable, "NO_PROXY").map(|(_, value)| value).unwrap_or_default();
        Ok(Self {
            plain: proxy("HTTP_PROXY")?,
            secure: proxy("HTTPS_PROXY")?,
            without: without.split([',', ' ', '\t']).filter_map(Without::parse).collect(),
        })
    }

    /// The proxy for a URL; `None` for the straight way. A proxy's loopback is
    /// another machine's, so this machine never wants one.
    pub(crate) fn to(&self, url: &Url) -> Option<&Url> {
        let proxy = if url.scheme() == "https" { &self.secure } else { &self.plain };
        let proxy = proxy.as_ref()?;
        let host = url.host_str()?.trim_matches(['[', ']']).to_lowercase();
        let port = url.port_or_known_default();
        let exempt = host::is_loopback(url.host_str()?)
            || self.without.iter().any(|entry| entry.covers(&host, port));
        (!exempt).then_some(proxy)
    }

    /// The same for the HTTP library, in whose words `socks5` would look names
    /// up here, and not where the proxy is.
    pub(crate) fn chooser(&self) -> reqwest::Proxy {
        let proxies = self.clone();
        reqwest::Proxy::custom(move |url| {
            let mut proxy = proxies.to(url).cloned()?;
            if proxy.scheme() == "socks5" {
                // Both are no schemes of the web: this does not fail.
                let _ = proxy.set_scheme("socks5h");
            }
            Some(proxy)
        })
    }
}

/// A variable in capital or small letters that is not empty: the name that it
/// has, and its value.
fn set(variable: &impl Fn(&str) -> Option<String>, name: &str) -> Option<(String, String)> {
    let small = name.to_lowercase();
    // A web server hands a client's header over under this name.
    let cgi = name == "HTTP_PROXY" && variable("REQUEST_METHOD").is_some();
    let names = if cgi { vec![small.as_str()] } else { vec![name, small.as_str()] };
    let found = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    names.into_iter().find_map(|name| Some((name.to_owned(), found(name)?)))
}

/// The variable that says which proxy is for what `name` is for.
fn wanted(variable: &impl Fn(&str) -> Option<String>, name: &str) -> Option<(String, String)> {
    set(variable, name).or_else(|| set(variable, "ALL_PROXY"))
}

/// The environment's settings for people to look at.
pub(crate) fn told(variable: impl Fn(&str) -> Option<String>) -> Vec<OutsideSetting> {
    let mut told = Vec::new();
    for (name, scheme) in [("HTTPS_PROXY", "https"), ("HTTP_PROXY", "http")] {
        let Some((source, value)) = wanted(&variable, name) else { continue };
        let proxy = parse_proxy(value.trim());
        let problem = proxy
            .is_none()
            .then(|| RegistryError::ProxySetting { variable: source.clone() }.to_string());
        told.push(OutsideSetting {
            kind: OutsideKind::Proxy,
            of: Some(scheme.to_owned()),
            // What cannot be read may hold a password anywhere.
            value: proxy.as_ref().map(shown).unwrap_or_default(),
            source,
            problem,
        });
    }
    told.extend(set(&variable, "NO_PROXY").map(|(source, value)| OutsideSetting {
        kind: OutsideKind::WithoutProxy,
        of: None,
        value,
        source,
        problem: None,
    }));
    told
}

/// A proxy as messages name it: without its password.
pub(crate) fn shown(proxy: &Url) -> String {
    format!("{}://{}", proxy.scheme(), host::of_url(proxy))
}

fn parse_proxy(value: &str) -> Option<Url> {
    let whole = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
    let url = Url::parse(&whole).ok()?;
    let known = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];
    (known.contains(&url.scheme()) && url.host_str().is_some_and(|it| !it.is_empty()))
        .then_some(url)
}

impl Without {
    fn parse(entry: &str) -> Option<Self> {
        let entry = entry.trim().to_lowercase();
        if entry.is_empty() {
            return None;
        }
        if entry == "*" {
            return Some(Self::Everything);
        }
        if let Some((address, bits)) = entry.split_once('/')
            && let (Ok(address), Ok(bits)) = (address.parse::<IpAddr>(), bits.parse())
        {
            return Some(Self::Network(address, bits));
        }
        let bare = entry.trim_matches(['[', ']']);
        if let Ok(address) = bare.parse() {
            return Some(Self::Address(address, None));
        }
        let (name, port) = match entry.rsplit_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok()?)),
            None => (entry.as_str(), None),
        };
        if let Ok(address) = name.trim_matches(['[', ']']).parse() {
            return Some(Self::Address(address, port));
        }
        let name = name.strip_prefix('*').filter(|it| it.starts_with('.')).unwrap_or(name);
        let itself = !name.starts_with('.');
        let suffix = if itself { format!(".{name}") } else { name.to_owned() };
        Some(Self::Domain { suffix, itself, port })
    }

    fn covers(&self, host: &str, port: Option<u16>) -> bool {
        let same_port = |wanted: &Option<u16>| wanted.is_none() || *wanted == port;
        let address = host.parse::<IpAddr>().ok();
        match self {
            Self::Everything => true,
            Self::Network(network, bits) => address.is_some_and(|it| shares(*network, it, *bits)),
            Self::Address(wanted, at) => address == Some(*wanted) && same_port(at),
            Self::Domain { suffix, itself, port: at } => {
                (host.ends_with(suffix) || *itself && host == &suffix[1..]) && same_port(at)
            }
        }
    }
}

/// Whether the first bits of two addresses are the same.
fn shares(network: IpAddr, address: IpAddr, bits: u32) -> bool {
    let (one, other, width): (u128, u128, u32) = match (network, address) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            (u32::from(one).into(), u32::from(other).into(), 32)
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.into(), other.into(), 128),
        _ => return false,
    };
    match width.checked_sub(bits) {
        None => false,
        Some(rest) => bits == 0 || one >> rest == other >> rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(set: &[(&str, &str)]) -> Proxies {
        let find =
            |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, it)| (*it).into());
        Proxies::of(find).unwrap()
    }

    fn way(proxies: &Proxies, url: &str) -> Option<String> {
        proxies.to(&Url::parse(url).unwrap()).map(shown)
    }

    #[test]
    fn each_scheme_has_its_own_and_all_is_for_the_rest() {
        let both = proxies(&[("HTTP_PROXY", "plain:1"), ("https_proxy", "http://a:b@safe:2")]);
        assert_eq!(way(&both, "http://r.example/").unwrap(), "http://plain:1");
        assert_eq!(way(&both, "https://r.example/").unwrap(), "http://safe:2");
        let all = proxies(&[("all_proxy", "socks5://s:3"), ("HTTP_PROXY", "plain:1")]);
        assert_eq!(way(&all, "https://r.example/").unwrap(), "socks5://s:3");
        assert_eq!(way(&all, "http://r.example/").unwrap(), "http://plain:1");
        let mut far = Url::parse("socks5://me:p@s:3").unwrap();
        far.set_scheme("socks5h").unwrap();
        assert_eq!(far.as_str(), "socks5h://me:p@s:3");
        let cgi = proxies(&[("HTTP_PROXY", "evil:1"), ("REQUEST_METHOD", "GET")]);
        assert_eq!(way(&cgi, "http://r.example/"), None);
        let find = |name: &str| (name == "HTTPS_PROXY").then(|| "gopher://x".to_owned());
        let error = Proxies::of(find).unwrap_err().to_string();
        assert!(error.contains("HTTPS_PROXY"), "{error}");
    }

    #[test]
    fn what_is_told_has_no_password_and_names_its_variable() {
        let all = [("all_proxy", "socks5://me:secret@s:3"), ("HTTP_PROXY", "me:secret@:/x y")];
        let find = |name: &str| all.iter().find(|(key, _)| *key == name).map(|it| it.1.to_owned());
        let [secure, plain] = <[_; 2]>::try_from(told(find)).unwrap();
        assert_eq!((secure.source.as_str(), secure.value.as_str()), ("all_proxy", "socks5://s:3"));
        assert!(secure.problem.is_none() && secure.of.as_deref() == Some("https"));
        assert!(plain.problem.as_ref().is_some_and(|it| it.contains("HTTP_PROXY")), "{plain:?}");
        assert!(!format!("{secure:?}{plain:?}").contains("secret"));
        let find = |name: &str| (name == "no_proxy").then(|| "a.test,10.0.0.0/8".to_owned());
        assert_eq!(told(find)[0].value, "a.test,10.0.0.0/8");
        assert!(told(|_| None).is_empty());
    }

    #[test]
    fn no_proxy_knows_suffixes_networks_and_ports() {
        let none = "example.org, .inner.test,10.0.0.0/8,[fd00::]/8,fd00::/8,*.star.test,one.test:5000,192.0.2.7";
        let set = proxies(&[("http_proxy", "p:1"), ("NO_PROXY", none)]);
        let straight = |url: &str| way(&set, url).is_none();
        for url in [
            "http://example.org/",
            "http://a.EXAMPLE.org:5000/",
            "http://x.inner.test/",
            "http://10.200.3.4:5000/",
            "http://[fd12::1]/",
            "http://a.star.test/",
            "http://one.test:5000/",
            "http://192.0.2.7:99/",
            "http://localhost:5000/",
            "http://127.9.9.9/",
            "http://[::1]:5000/",
        ] {
            assert!(straight(url), "{url}");
        }
        for url in [
            "http://notexample.org/",
            "http://inner.test/",
            "http://11.0.0.1/",
            "http://star.test/",
            "http://one.test/",
            "http://192.0.2.8/",
            "http://[fe80::1]/",
        ] {
            assert!(!straight(url), "{url}");
        }
        let everything = proxies(&[("http_proxy", "p:1"), ("no_proxy", "*")]);
        assert_eq!(way(&everything, "http://anywhere.test/"), None);
    }
}
