//! One registry or mirror, and requests to it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use reqwest::{
    Body, Method, Response, StatusCode, Url,
    header::{AUTHORIZATION, HeaderName, HeaderValue, LOCATION, WWW_AUTHENTICATE},
};

use tandem_model::ImageRef;

use super::{
    Credentials, Notice, RegistryError, answer,
    auth::Auth,
    challenge::{Challenge, parse_challenges},
    clients::{Clients, SILENCE},
    host,
    retry::Patience,
};

/// Where to ask, and as whom.
pub(crate) struct Endpoint {
    /// Host with port, as errors name it.
    name: String,
    /// Scheme, host and port.
    base: Url,
    /// Path before each repository, for mirrors.
    prefix: String,
    clients: Arc<Clients>,
    auth: Auth,
    /// It has answered, so it is there: a failing connection will pass.
    answered: AtomicBool,
    /// What kept a credential helper from answering.
    trouble: Option<RegistryError>,
    notice: Notice,
}

/// One request, which may be sent several times.
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: Vec<(HeaderName, String)>,
    /// What the token must allow.
    pub(crate) scopes: &'a [String],
    /// Makes the body anew.
    pub(crate) body: Option<&'a (dyn Fn() -> Body + Send + Sync)>,
}

/// Redirects that are followed.
const HOPS: usize = 5;

impl Endpoint {
    /// Finds out how to talk to a registry or a mirror,
    /// `[http[s]://]HOST[:PORT][/PATH]`.
    pub(crate) async fn open(
        place: &str,
        clients: Arc<Clients>,
        credentials: Option<Credentials>,
        notice: Notice,
    ) -> Result<Self, RegistryError> {
        let (scheme, rest) = match place.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, place),
        };
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = match prefix.trim_matches('/') {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        let registry = name.to_owned();
        let bad = |reason: &str| RegistryError::Answer {
            registry: registry.clone(),
            reason: reason.to_owned(),
        };
        let base = |scheme: &str| {
            Url::parse(&format!("{scheme}://{}/", host::endpoint(name)))
                .map_err(|_| bad("its name is no host"))
        };
        let base = match scheme {
            Some("http") if clients.may_be_plain(name) => base("http")?,
            None if clients.may_be_plain(name) => {
                let secure = base("https")?;
                let plain = is_plain(&clients, name, &secure, &notice).await?;
                if plain { base("http")? } else { secure }
            }
            Some("https") | None => base("https")?,
            Some(_) => return Err(bad("only https is used, unless its host is \"insecure\"")),
        };
        Ok(Self {
            name: registry,
            base,
            prefix,
            clients,
            auth: Auth::new(name, credentials),
            answered: AtomicBool::new(false),
            trouble: None,
            notice,
        })
    }

    /// The endpoint that tells of a credential helper's trouble when it is
    /// refused for want of credentials.
    pub(crate) fn with_trouble(mut self, trouble: Option<RegistryError>) -> Self {
        self.trouble = trouble;
        self
    }

    /// Host with port.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn notice(&self) -> &Notice {
        &self.notice
    }

    /// The repository's name here.
    pub(crate) fn repository(&self, repository: &str) -> String {
        format!("{}{repository}", self.prefix)
    }

    /// `/v2/REPOSITORY/PATH`, or `/v2/` itself.
    pub(crate) fn url(&self, repository: &str, path: &str) -> Url {
        let mut url = self.base.clone();
        if repository.is_empty() {
            url.set_path("/v2/");
        } else {
            url.set_path(&format!("/v2/{}/{path}", self.repository(repository)));
        }
        url
    }

    /// A URL that an answer gave, which may be relative.
    pub(crate) fn location(&self, response: &Response) -> Result<Url, RegistryError> {
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let location = location.ok_or_else(|| self.bad("it says no place to go on"))?;
        response.url().join(location).map_err(|_| self.bad("it says no usable place to go on"))
    }

    /// Sends a request until it gets a lasting answer.
    pub(crate) async fn send(&self, ask: &Ask<'_>) -> Result<Response, RegistryError> {
        let mut patience = Patience::default();
        loop {
            match self.send_once(ask).await {
                Ok(response) => return Ok(response),
                Err(error) => patience.after(error, &self.notice).await?,
            }
        }
    }

    /// Sends a request once; a status that may pass is an error.
    pub(crate) async fn send_once(&self, ask: &Ask<'_>) -> Result<Response, RegistryError> {
        let authorization = if self.is_own(&ask.url) {
            self.auth.header(&self.clients, ask.scopes).await?
        } else {
            None
        };
        let response = self.follow(ask, authorization.as_ref()).await?;
        if response.status() != StatusCode::UNAUTHORIZED || !self.is_own(response.url()) {
            return self.lasting(response).await;
        }
        let challenges = challenges(&response);
        let better =
            self.auth.answer(&self.clients, ask.scopes, challenges, authorization.as_ref()).await?;
        match better {
            Some(better) => {
                let response = self.follow(ask, Some(&better)).await?;
                self.lasting(response).await
            }
            None => Ok(response),
        }
    }

    async fn lasting(&self, response: Response) -> Result<Response, RegistryError> {
        if answer::is_passing(response.status()) {
            let proxy = self.clients.proxy_to(response.url());
            let proxy = proxy.filter(|_| response.url().scheme() == "http");
            return Err(match (proxy, answer::passing(&self.name, response).await) {
                // It may be the proxy's answer as well.
                (Some(proxy), RegistryError::Trouble { registry, reason }) => {
                    let reason = format!("{reason}, by the proxy {proxy}");
                    RegistryError::Trouble { registry, reason }
                }
                (_, error) => error,
            });
        }
        Ok(response)
    }

    /// Sends a request and follows where it is led; who one is stays with the
    /// registry itself.
    async fn follow(
        &self,
        ask: &Ask<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, RegistryError> {
        let mut url = ask.url.clone();
        let mut authorization = authorization;
        for _ in 0..=HOPS {
            if !self.is_own(&url) {
                authorization = None;
            }
            let response = self.exchange(ask, url, authorization).await?;
            let follows = ask.method == Method::GET || ask.method == Method::HEAD;
            if !follows || !is_redirect(response.status()) {
                return Ok(response);
            }
            url = self.location(&response)?;
            self.check_redirect(&url)?;
        }
        Err(self.bad("it leads from one place to the next without end"))
    }

    async fn exchange(
        &self,
        ask: &Ask<'_>,
        url: Url,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response, RegistryError> {
        let client = self.clients.of(&host::of_url(&url))?;
        let mut request = client.request(ask.method.clone(), url);
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let answer = match ask.body {
            // Whoever makes the body watches over its progress.
            Some(body) => request.body(body()).send().await,
            None => match tokio::time::timeout(SILENCE, request.send()).await {
                Ok(answer) => answer,
                Err(_) => return Err(self.broken("no answer within the time limit")),
            },
        };
        match answer {
            Ok(response) => {
                if let Some(error) = self.clients.refused_by_proxy(&self.name, &response) {
                    return Err(error);
                }
                self.answered.store(true, Ordering::Relaxed);
                Ok(response)
            }
            Err(error) => Err(self.transport(&error)),
        }
    }

    /// What an answer means that is not the wanted one.
    pub(crate) async fn refused(
        &self,
        action: &'static str,
        reference: &ImageRef,
        response: Response,
    ) -> RegistryError {
        let registry = self.name.clone();
        let status = response.status().as_u16();
        let somebody = self.auth.is_somebody();
        match status {
            404 if action == "pull" => {
                let hint = self.nearest_tag(reference).await;
                RegistryError::NotThere { registry, reference: reference.to_string(), hint }
            }
            401 if somebody && challenges(&response).contains(&Challenge::Basic) => {
                RegistryError::WrongPassword { registry }
            }
            401 | 403 => {
                let mut reason = match (status, somebody) {
                    (401, false) => "it wants a login".to_owned(),
                    _ => answer::reason(response).await,
                };
                if let Some(trouble) = self.trouble.as_ref().filter(|_| !somebody) {
                    reason = format!("{reason}, and {trouble}");
                }
                let reference = reference.to_string();
                RegistryError::Denied { registry, action, reference, reason }
            }
            _ => RegistryError::Answer { registry, reason: answer::reason(response).await },
        }
    }

    /// What a broken connection means.
    pub(crate) fn transport(&self, error: &reqwest::Error) -> RegistryError {
        match self.clients.transport(&self.name, error) {
            RegistryError::Unreachable { registry, reason }
                if self.answered.load(Ordering::Relaxed) =>
            {
                RegistryError::Broken { registry, reason }
            }
            error => error,
        }
    }

    pub(crate) fn broken(&self, reason: &str) -> RegistryError {
        RegistryError::Broken { registry: self.name.clone(), reason: reason.to_owned() }
    }

    pub(crate) fn bad(&self, reason: &str) -> RegistryError {
        RegistryError::Answer { registry: self.name.clone(), reason: reason.to_owned() }
    }

    /// Whether a URL is the registry's own: scheme, host and port.
    fn is_own(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    /// A registry may lead elsewhere, but not to where somebody can listen in,
    /// and from afar not to this machine.
    fn check_redirect(&self, url: &Url) -> Result<(), RegistryError> {
        let target = host::of_url(url);
        let inward = host::is_loopback(&target) && !host::is_loopback(&self.name);
        let fine = match url.scheme() {
            "https" => true,
            "http" => self.clients.may_be_plain(&target),
            _ => false,
        };
        if fine && !inward {
            return Ok(());
        }
        Err(self.bad(&format!("it leads to {}://{target}", url.scheme())))
    }
}

/// Whether a host speaks plain HTTP instead of TLS. A connection that breaks
/// is made again: with TLS 1.3 a server that wants to see a certificate says so
/// after the handshake, and that is lost when the request was not sent yet.
async fn is_plain(
    clients: &Clients,
    name: &str,
    secure: &Url,
    notice: &Notice,
) -> Result<bool, RegistryError> {
    let url = secure.join("v2/").unwrap_or_else(|_| secure.clone());
    let mut patience = Patience::default();
    loop {
        match clients.of(name)?.head(url.clone()).send().await {
            Ok(_) => return Ok(false),
            Err(error) if answer::speaks_no_tls(&error) || answer::proxy_refuses_tls(&error) => {
                return Ok(true);
            }
            Err(error) => patience.after(clients.transport(name, &error), notice).await?,
        }
    }
}

fn challenges(response: &Response) -> Vec<Challenge> {
    response
        .headers()
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(parse_challenges)
        .collect()
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}
