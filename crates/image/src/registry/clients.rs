//! The HTTP clients, one for each host.

use std::{
    collections::HashMap,
    sync::{Mutex, Once, PoisonError},
    time::Duration,
};

use reqwest::{Client, Response, StatusCode, Url, redirect::Policy};

use super::{
    RegistryError, answer, host,
    proxy::{Proxies, shown},
    settings::{Settings, identity},
};

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(10);
/// The same on this machine.
const CONNECT_HERE: Duration = Duration::from_secs(3);
/// How long the other side may say nothing.
pub(crate) const SILENCE: Duration = Duration::from_secs(30);

/// Clients by host, with the certificates that the host's settings name.
/// None of them follows a redirect by itself.
pub(crate) struct Clients {
    settings: Settings,
    /// Its certificates hold for the hosts that it leads to as well: a token
    /// server or a storage with the same private CA.
    registry: String,
    proxies: Proxies,
    built: Mutex<HashMap<String, Client>>,
}

impl Clients {
    pub(crate) fn new(settings: Settings, registry: &str) -> Result<Self, RegistryError> {
        install_crypto();
        let proxies = Proxies::of_environment()?;
        Ok(Self { settings, registry: registry.to_owned(), proxies, built: Mutex::default() })
    }

    /// The proxy on the way to a URL, as messages name it.
    pub(crate) fn proxy_to(&self, url: &Url) -> Option<String> {
        self.proxies.to(url).map(shown)
    }

    /// What a failed connection means. One that a proxy did not make is the
    /// proxy's failure, not the registry's.
    pub(crate) fn transport(&self, registry: &str, error: &reqwest::Error) -> RegistryError {
        let proxy = error.url().and_then(|url| self.proxy_to(url));
        match (proxy, answer::of_transport(registry, error)) {
            (Some(proxy), RegistryError::Unreachable { registry, reason })
                if !answer::is_of_tls(error) =>
            {
                RegistryError::Proxy { registry, proxy, reason: answer::of_proxy(&reason) }
            }
            (_, error) => error,
        }
    }

    /// Whether plain HTTP may be used: nobody can listen in, or the settings
    /// say that it does not matter.
    pub(crate) fn may_be_plain(&self, name: &str) -> bool {
        host::is_loopback(name) || self.settings.of(name).insecure
    }

    /// The answer of a proxy that wants to know who one is.
    pub(crate) fn refused_by_proxy(
        &self,
        registry: &str,
        response: &Response,
    ) -> Option<RegistryError> {
        let refused = response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED;
        let proxy = refused.then(|| self.proxy_to(response.url())).flatten()?;
        let (registry, reason) = (registry.to_owned(), answer::WANTS_LOGIN.to_owned());
        Some(RegistryError::Proxy { registry, proxy, reason })
    }

    /// The client for a host with port.
    pub(crate) fn of(&self, name: &str) -> Result<Client, RegistryError> {
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = built.get(name) {
            return Ok(client.clone());
        }
        let client = self.build(name)?;
        built.insert(name.to_owned(), client.clone());
        Ok(client)
    }

    fn build(&self, name: &str) -> Result<Client, RegistryError> {
        let here = host::is_loopback(name);
        let mut certificates = self.settings.certificates(name)?;
        if name != self.registry {
            certificates.extend(self.settings.certificates(&self.registry)?);
        }
        let mut builder = Client::builder()
            .user_agent(concat!("tandem/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .referer(false)
            .connect_timeout(if here { CONNECT_HERE } else { CONNECT })
            .tls_certs_merge(certificates);
        // Nothing but our own choice: the library's reads the environment in
        // another way than Docker does.
        builder = builder.no_proxy().proxy(self.proxies.chooser());
        if let Some(identity) = identity(name)? {
            builder = builder.identity(identity);
        }
        if self.settings.of(name).insecure {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        builder.build().map_err(|e| RegistryError::Answer {
            registry: name.to_owned(),
            reason: super::answer::one_line(&e.to_string()),
        })
    }
}

/// Makes *ring* the TLS provider of this process, once.
pub(crate) fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that somebody installed one before.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
