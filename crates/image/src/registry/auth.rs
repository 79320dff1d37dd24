//! Proving who one is, as the registry asks for it (distribution,
//! "Token Authentication Specification"; RFC 6749 section 6).

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{
    Method, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::{
    Credentials, RegistryError, answer,
    challenge::{Bearer, Challenge},
    clients::{Clients, SILENCE},
    host,
};

/// One registry's view of who one is.
pub(crate) struct Auth {
    registry: String,
    credentials: Option<Credentials>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What the registry asked for last.
    challenge: Option<Challenge>,
    /// By scope.
    tokens: HashMap<String, Token>,
}

struct Token {
    header: HeaderValue,
    until: Instant,
}

/// A token server's answer.
#[derive(Deserialize)]
struct Issued {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// Tokens hold a minute when nothing is said.
const LIFE: u64 = 60;
/// A token is renewed when it has less than this left.
const MARGIN: Duration = Duration::from_secs(10);
const TOKEN_BYTES: usize = 1 << 20;

impl Auth {
    pub(crate) fn new(registry: &str, credentials: Option<Credentials>) -> Self {
        Self { registry: registry.to_owned(), credentials, state: Mutex::default() }
    }

    /// Whether the registry sees somebody.
    pub(crate) fn is_somebody(&self) -> bool {
        self.credentials.is_some()
    }

    /// The header to send at once, from what the registry asked for before.
    pub(crate) async fn header(
        &self,
        clients: &Clients,
        scopes: &[String],
    ) -> Result<Option<HeaderValue>, RegistryError> {
        let mut state = self.state.lock().await;
        match state.challenge.clone() {
            None => Ok(None),
            Some(Challenge::Basic) => Ok(self.basic()),
            Some(Challenge::Bearer(bearer)) => {
                self.token(&mut state, clients, &bearer, scopes).await.map(Some)
            }
        }
    }

    /// The header that answers a refusal; `None` when there is nothing better
    /// than what was sent.
    pub(crate) async fn answer(
        &self,
        clients: &Clients,
        scopes: &[String],
        challenges: Vec<Challenge>,
        refused: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, RegistryError> {
        let bearer = challenges.iter().find(|it| matches!(it, Challenge::Bearer(_)));
        let Some(challenge) = bearer.or(challenges.first()).cloned() else { return Ok(None) };
        let mut state = self.state.lock().await;
        state.challenge = Some(challenge.clone());
        let header = match challenge {
            Challenge::Basic => self.basic(),
            Challenge::Bearer(bearer) => {
                // Unless another request has brought a new one meanwhile.
                let key = scopes.join(" ");
                if state.tokens.get(&key).is_some_and(|it| Some(&it.header) == refused) {
                    state.tokens.remove(&key);
                }
                Some(self.token(&mut state, clients, &bearer, scopes).await?)
            }
        };
        Ok(header.filter(|header| Some(header) != refused))
    }

    fn basic(&self) -> Option<HeaderValue> {
        let Some(Credentials::Password { name, secret }) = &self.credentials else { return None };
        secret_header(&format!("Basic {}", STANDARD.encode(format!("{name}:{secret}"))))
    }

    async fn token(
        &self,
        state: &mut State,
        clients: &Clients,
        bearer: &Bearer,
        scopes: &[String],
    ) -> Result<HeaderValue, RegistryError> {
        let key = scopes.join(" ");
        if let Some(token) = state.tokens.get(&key)
            && token.until > Instant::now() + MARGIN
        {
            return Ok(token.header.clone());
        }
        let mut scopes = scopes.to_vec();
        scopes.extend(bearer.scopes.iter().cloned());
        scopes.sort();
        scopes.dedup();
        let issued = self.issued(clients, bearer, &scopes).await?;
        let bad = || self.bad("its token server gave no token");
        let token = issued.token.or(issued.access_token).filter(|it| !it.is_empty());
        let header =
            secret_header(&format!("Bearer {}", token.ok_or_else(bad)?)).ok_or_else(bad)?;
        let life = Duration::from_secs(issued.expires_in.unwrap_or(LIFE).clamp(LIFE, 86_400));
        let token = Token { header: header.clone(), until: Instant::now() + life };
        state.tokens.insert(key, token);
        Ok(header)
    }

    async fn issued(
        &self,
        clients: &Clients,
        bearer: &Bearer,
        scopes: &[String],
    ) -> Result<Issued, RegistryError> {
        let realm =
            Url::parse(&bearer.realm).map_err(|_| self.bad("it names no usable token server"))?;
        let target = host::of_url(&realm);
        let plain = realm.scheme() != "https";
        if plain && (realm.scheme() != "http" || !clients.may_be_plain(&target)) {
            return Err(RegistryError::Unencrypted { registry: self.registry.clone(), target });
        }
        let (status, body) = match &self.credentials {
            Some(Credentials::IdentityToken(token)) => {
                let grant = [("grant_type", "refresh_token"), ("refresh_token", token)];
                self.post(clients, &realm, bearer, scopes, &grant).await?
            }
            Some(Credentials::Password { name, secret }) => {
                let answer = self.get(clients, &realm, bearer, scopes).await?;
                if matches!(answer.0.as_u16(), 404 | 405) {
                    let grant =
                        [("grant_type", "password"), ("username", name), ("password", secret)];
                    self.post(clients, &realm, bearer, scopes, &grant).await?
                } else {
                    answer
                }
            }
            None => self.get(clients, &realm, bearer, scopes).await?,
        };
        match status.as_u16() {
            200..300 => serde_json::from_slice(&body)
                .map_err(|_| self.bad("its token server gave no token")),
            400 | 401 | 403 if self.is_somebody() => {
                let registry = self.registry.clone();
                Err(match self.credentials {
                    Some(Credentials::IdentityToken(_)) => RegistryError::LoginExpired { registry },
                    _ => RegistryError::WrongPassword { registry },
                })
            }
            code => Err(self.bad(&format!("its token server answers HTTP {code}"))),
        }
    }

    async fn get(
        &self,
        clients: &Clients,
        realm: &Url,
        bearer: &Bearer,
        scopes: &[String],
    ) -> Result<(StatusCode, Vec<u8>), RegistryError> {
        let mut url = realm.clone();
        {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(bearer.service.iter().map(|service| ("service", service)));
            query.extend_pairs(scopes.iter().map(|scope| ("scope", scope)));
            if let Some(Credentials::Password { name, .. }) = &self.credentials {
                query.append_pair("account", name);
            }
        }
        let mut request = clients.of(&host::of_url(&url))?.request(Method::GET, url);
        if let Some(basic) = self.basic() {
            request = request.header(AUTHORIZATION, basic);
        }
        self.sent(clients, request).await
    }

    async fn post(
        &self,
        clients: &Clients,
        realm: &Url,
        bearer: &Bearer,
        scopes: &[String],
        grant: &[(&str, &str)],
    ) -> Result<(StatusCode, Vec<u8>), RegistryError> {
        // The query of a URL and a form are written in the same way.
        let mut form = realm.clone();
        form.set_query(None);
        form.query_pairs_mut()
            .extend_pairs(grant)
            .extend_pairs(bearer.service.iter().map(|service| ("service", service)))
            .append_pair("client_id", "tandem")
            .append_pair("scope", &scopes.join(" "));
        let body = form.query().unwrap_or_default().to_owned();
        let request = clients
            .of(&host::of_url(realm))?
            .request(Method::POST, realm.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(body);
        self.sent(clients, request).await
    }

    async fn sent(
        &self,
        clients: &Clients,
        request: reqwest::RequestBuilder,
    ) -> Result<(StatusCode, Vec<u8>), RegistryError> {
        let silent = || RegistryError::Broken {
            registry: self.registry.clone(),
            reason: "its token server gives no answer".to_owned(),
        };
        let response = tokio::time::timeout(SILENCE, request.send())
            .await
            .map_err(|_| silent())?
            .map_err(|e| clients.transport(&self.registry, &e))?;
        if let Some(error) = clients.refused_by_proxy(&self.registry, &response) {
            return Err(error);
        }
        if answer::is_passing(response.status()) {
            return Err(answer::passing(&self.registry, response).await);
        }
        let status = response.status();
        let body = answer::limited(response, TOKEN_BYTES).await.map_err(|_| silent())?;
        Ok((status, body))
    }

    fn bad(&self, reason: &str) -> RegistryError {
        RegistryError::Answer { registry: self.registry.clone(), reason: reason.to_owned() }
    }
}

fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut header = HeaderValue::from_str(text).ok()?;
    header.set_sensitive(true);
    Some(header)
}
