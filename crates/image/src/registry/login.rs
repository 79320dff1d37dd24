//! `login` and `logout`.

use std::sync::Arc;

use reqwest::Method;
use tandem_home::Home;

use super::{
    Credentials, LoginFiles, RegistryError, answer,
    clients::Clients,
    endpoint::{Ask, Endpoint},
    host,
    settings::Settings,
};

/// Shows credentials to a registry and keeps them when it takes them. Says
/// where they are kept: a file, or a credential helper.
///
/// # Errors
/// [`RegistryError::WrongPassword`], and those of the way to the registry;
/// nothing is kept then.
pub async fn login(
    home: &Home,
    files: &LoginFiles,
    registry: &str,
    credentials: &Credentials,
) -> Result<String, RegistryError> {
    let registry = host::normal(registry);
    let clients = Arc::new(Clients::new(Settings::of_home(home.root())?, registry)?);
    let notice = Arc::new(|_| ());
    let endpoint = Endpoint::open(registry, clients, Some(credentials.clone()), notice).await?;
    let ask = Ask {
        method: Method::GET,
        url: endpoint.url("", ""),
        headers: Vec::new(),
        scopes: &[],
        body: None,
    };
    let response = endpoint.send(&ask).await?;
    match response.status().as_u16() {
        200 => files.store(registry, credentials).await,
        401 | 403 => Err(RegistryError::WrongPassword { registry: registry.to_owned() }),
        _ => Err(endpoint.bad(&answer::reason(response).await)),
    }
}

/// Forgets the login for a registry.
///
/// # Errors
/// [`RegistryError::NoLogin`] when there is none.
pub async fn logout(files: &LoginFiles, registry: &str) -> Result<(), RegistryError> {
    files.erase(host::normal(registry)).await
}
